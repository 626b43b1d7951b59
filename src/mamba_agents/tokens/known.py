"""What stays on a message once it is known, so that it is worked out once in the message's life.

A history is looked at before each request, and nearly all of it is known by then: what is known is found at about
0.1 µs a message.
"""

from collections.abc import Iterator, Sequence
from itertools import batched
from typing import Any, cast

from pydantic_ai.messages import ModelMessage

from mamba_agents.tokens.encodings import byte_length
from mamba_agents.tokens.parts import Measured, measure

KEY = "_mamba_agents_known"
"""An attribute beside the fields: what compares, prints, stores or replaces messages goes by the fields.

There is one alone, since CPython 3.12 has room for one more attribute where it keeps those of all objects of a class. A
second one would give each message a hash table of its own, and make looking at many of them take several times as long.
"""

_RUN = 512
"""Messages that are looked at in one go; only runs with one that is not known are looked at message by message."""

_FEW = 4
"""So many are looked at faster one by one: mostly what came since the last reply."""


class Known:
    """What is known of one message."""

    __slots__ = ("at_most", "encoding", "length", "notes", "parts", "tokens")

    def __init__(self, parts: Sequence[object]) -> None:
        self.parts = parts
        """What it was read from: of a message that was given other parts since, other things are true."""

        self.length = len(parts)
        """How many parts they were: a list can grow."""

        self.tokens = 0
        self.encoding = ""
        """In which the tokens were counted; empty where they were not."""

        self.at_most = 0
        """More tokens than any tokenizer makes of it; 0 where that is not known."""

        self.notes: dict[str, Any] = {}
        """All else, by what it is; a count in another encoding by the encoding's name."""


def known_of(message: ModelMessage) -> Known:
    """What is kept on the message; nothing yet where it has other parts or more of them by now."""
    known: Known | None = getattr(message, KEY, None)
    if known is None or known.parts is not message.parts or known.length != len(known.parts):
        known = Known(message.parts)
        setattr(message, KEY, known)
    return known


def known_in_runs(messages: Sequence[ModelMessage]) -> Iterator[tuple[tuple[ModelMessage, ...], list[Known]]]:
    """Neighbouring messages, and what is kept on each of them; nothing where one of them is not known."""
    # A loop without a call for a message. `Any`, since what it reads is no field of a message.
    for run in batched(messages, _RUN):
        try:
            found: list[Known] = [
                known
                for message in cast("tuple[Any, ...]", run)
                if (known := message._mamba_agents_known).parts is (parts := message.parts)
                and known.length == len(parts)
            ]
        except AttributeError:
            found = []
        yield run, found if len(found) == len(run) else []


def notes_on(messages: Sequence[ModelMessage]) -> list[dict[str, Any]]:
    """Where to keep what else is worked out from the parts of each message; empty once it has other parts."""
    notes: list[dict[str, Any]] = []
    for run, known in known_in_runs(messages):
        notes.extend([each.notes for each in known or map(known_of, run)])
    return notes


def known_counts(messages: Sequence[ModelMessage], encoding: str) -> list[int | None]:
    """The count of each message; None for those that are not known."""
    counts: list[int | None] = []
    for run, known in known_in_runs(messages):
        found = [each.tokens for each in known if each.encoding == encoding]
        counts.extend(found if len(found) == len(run) else [_count_of(message, encoding) for message in run])
    return counts


def _count_of(message: ModelMessage, encoding: str) -> int | None:
    if not hasattr(message, KEY):
        return None
    known = known_of(message)
    return known.tokens if known.encoding == encoding else known.notes.get(encoding)


def keep_count(message: ModelMessage, measured: Measured, encoding: str, tokens: int) -> None:
    """Keep the count of a message, and its bound."""
    known = known_of(message)
    known.at_most = at_most(measured)
    if known.encoding:
        known.notes[encoding] = tokens
    else:
        known.tokens, known.encoding = tokens, encoding


def at_most(measured: Measured) -> int:
    """More tokens than any tokenizer makes of it."""
    return measured.at_most + sum(map(byte_length, measured.texts))


def upper_bound(messages: Sequence[ModelMessage], *, keep: bool) -> int:
    """More tokens than the messages have."""
    if len(messages) <= _FEW:
        return sum([_bound_of(message, keep=keep) for message in messages])
    total = 0
    for run, known in known_in_runs(messages):
        bounds = [each.at_most for each in known]
        total += sum(bounds if bounds and 0 not in bounds else [_bound_of(message, keep=keep) for message in run])
    return total


def _bound_of(message: ModelMessage, *, keep: bool) -> int:
    known: Known | None = getattr(message, KEY, None)
    if known is not None and known.at_most and known.parts is message.parts and known.length == len(known.parts):
        return known.at_most
    bound = at_most(measure(message))
    if keep:
        known_of(message).at_most = bound
    return bound
