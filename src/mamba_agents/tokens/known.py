"""Counts that stay on the message they are of, so that it is tokenised once in its life."""

from collections.abc import Sequence

from pydantic_ai.messages import ModelMessage

from mamba_agents.tokens.encodings import byte_length
from mamba_agents.tokens.parts import Measured, measure

_KEY = "_mamba_agents_tokens"
"""Where in the message's `__dict__`: what compares, prints, stores or replaces messages goes by their fields."""


class KnownCounts:
    """What is known of one message."""

    __slots__ = ("at_most", "by_encoding", "length", "parts")

    def __init__(self, parts: Sequence[object], at_most: int) -> None:
        self.parts, self.length, self.at_most = parts, len(parts), at_most
        self.by_encoding: dict[str, int] = {}


def known_counts(message: ModelMessage) -> KnownCounts | None:
    """What was kept on the message, unless it has other parts or more of them by now."""
    known: KnownCounts | None = getattr(message, _KEY, None)
    if known is None or known.parts is not message.parts or known.length != len(known.parts):
        return None
    return known


def keep_counts(message: ModelMessage, measured: Measured) -> KnownCounts:
    """Start to keep on the message what is known of it."""
    known = KnownCounts(message.parts, at_most(measured))
    setattr(message, _KEY, known)
    return known


def at_most(measured: Measured) -> int:
    """More tokens than any tokenizer makes of it."""
    return measured.at_most + sum(map(byte_length, measured.texts))


def upper_bound(messages: Sequence[ModelMessage], *, keep: bool) -> int:
    """More tokens than the messages have. The loop takes well under 0.15 µs for a message that is known."""
    total = 0
    for message in messages:
        known: KnownCounts | None = getattr(message, _KEY, None)
        if known is not None and known.parts is message.parts and known.length == len(known.parts):
            total += known.at_most
        else:
            measured = measure(message)
            total += keep_counts(message, measured).at_most if keep else at_most(measured)
    return total


def split_known(messages: Sequence[ModelMessage], encoding: str) -> tuple[list[int], list[int]]:
    """The count of each message, 0 for those that are not known; and which those are."""
    counts, unknown = [0] * len(messages), list[int]()
    for index, message in enumerate(messages):
        known: KnownCounts | None = getattr(message, _KEY, None)
        if (
            known is not None
            and known.parts is message.parts
            and known.length == len(known.parts)
            and (tokens := known.by_encoding.get(encoding)) is not None
        ):
            counts[index] = tokens
        else:
            unknown.append(index)
    return counts, unknown
