"""The words of a summary: what the model wrote, and what it must not be left to the model to keep."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pydantic_ai.messages import ModelMessage, ModelRequest, UserPromptPart

from mamba_agents.context.compaction.named_values import worth_keeping
from mamba_agents.context.compaction.summary import Summary, is_summary, summary_in
from mamba_agents.context.compaction.transcript_text import clipped, part_text, prompt_text
from mamba_agents.tokens import TokenCounter

_QUOTE_TITLE = "## First request, word for word"
_VALUES_TITLE = "## Named before, letter for letter"
_QUOTE_SHARE = 3
"""The first request is quoted if it takes no more than one third of the summary."""

_JOINT_TOKENS = 4


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What a summary is made of."""

    pieces: Sequence[str]
    """What was said and done in the part that goes."""

    earlier: str
    """The notes of an earlier summary."""

    earlier_values: str
    """Values that an earlier summary kept letter for letter."""

    first_prompt: str
    """The first thing a user said, where it goes; empty where it stays."""

    recent: Sequence[str]
    """What was said and done in the part that stays."""

    @classmethod
    def of(cls, older: Sequence[ModelMessage], recent: Sequence[ModelMessage]) -> Self:
        """The sources in a history, which the two parts are together; summaries in either count as earlier."""
        notes: list[str] = []
        quotes: list[str] = []
        values: list[str] = []
        for text in _summaries([*older, *(message for message in recent if isinstance(message, ModelRequest))]):
            rest, _, value = text.partition(f"\n\n{_VALUES_TITLE}\n")
            note, _, quote = rest.partition(f"\n\n{_QUOTE_TITLE}\n")
            notes.append(note)
            values.append(value)
            quotes.append(quote)
        first = quotes[0] if quotes else _first_prompt(older)
        return cls(
            pieces=_pieces(older),
            earlier="\n\n".join(filter(None, notes)),
            earlier_values="\n".join(filter(None, values)),
            first_prompt=first,
            recent=_pieces(recent),
        )


def written_tokens(max_tokens: int) -> int:
    """How much of a summary is left to the model; the rest is for what must not be."""
    return max_tokens * 3 // 4


def summary_text(summary: Summary, sources: Sources, max_tokens: int, counter: TokenCounter) -> str:
    """The summary, then the first request and the values that it left out, in at most `max_tokens`."""
    quote = f"\n\n{_QUOTE_TITLE}\n{sources.first_prompt}" if sources.first_prompt else ""
    if quote and counter.count(quote) > max_tokens // _QUOTE_SHARE:
        quote = ""
    room = max_tokens - _JOINT_TOKENS - (counter.count(quote) if quote else 0)
    body = clipped(str(summary), min(room, written_tokens(max_tokens)), counter)
    text = body + quote
    return text + _values(sources, text, max_tokens - _JOINT_TOKENS - counter.count(text), counter)


def _values(sources: Sources, text: str, room: int, counter: TokenCounter) -> str:
    room -= counter.count(f"\n\n{_VALUES_TITLE}\n")
    texts = [sources.earlier, sources.earlier_values, *sources.pieces]
    values = worth_keeping(texts, [text, *sources.recent])
    taken: list[str] = []
    # A value has at least one token and another parts it from the next, so no more than these can fit.
    values = values[: max(room, 0) // 2]
    for value, size in zip(values, counter.count_batch(values) if values else [], strict=True):
        if size + 1 <= room:
            taken.append(value)
            room -= size + 1
    return f"\n\n{_VALUES_TITLE}\n" + "\n".join(sorted(taken)) if taken else ""


def _summaries(messages: Sequence[ModelMessage]) -> list[str]:
    return [text for message in messages for part in message.parts if (text := summary_in(part))]


def _pieces(messages: Sequence[ModelMessage]) -> list[str]:
    """What was said and done, one text for each part, oldest first."""
    parts = (part for message in messages for part in message.parts if not is_summary(part))
    return [text for part in parts if (text := part_text(part))]


def _first_prompt(messages: Sequence[ModelMessage]) -> str:
    for message in messages:
        for part in message.parts:
            if isinstance(part, UserPromptPart):
                return prompt_text(part.content)
    return ""
