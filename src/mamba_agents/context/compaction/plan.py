"""What a compaction would do, without doing it and without asking any model."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from pydantic_ai.messages import (
    CompactionPart,
    ModelMessage,
    ModelResponse,
    SystemPromptPart,
    ToolAvailabilityDeltaPart,
)

from mamba_agents.context.compaction.base import CompactionStrategy
from mamba_agents.context.compaction.stand_in import stand_in_for
from mamba_agents.tokens import TokenCounter


@dataclass(frozen=True, kw_only=True)
class CompactionPlan:
    """What a compaction would do to a history.

    A summary is planned with the most tokens it may have, so the real one frees as many or more.
    """

    strategy: str
    """The strategy that would reach the target."""

    removed: tuple[int, ...]
    """The messages that would go, by their index."""

    changed: tuple[int, ...]
    """The messages whose content would be blanked or shortened, by their index."""

    tokens_before: int
    tokens_after: int | None
    """None where only a model can tell: a strategy of your own that asks one and has no `without_model()`."""

    freed_tokens: int | None
    lost_cache_tokens: int | None
    """Tokens that the provider has cached and would have to read anew; None where no reply told of a cache."""

    target_tokens: int
    reached_target: bool | None
    calls_model: bool
    """Whether a model would be asked, which costs money."""

    notes: tuple[str, ...] = ()


async def plan_compaction(
    strategy: CompactionStrategy,
    messages: Sequence[ModelMessage],
    target_tokens: int,
    preserve_recent: int,
    token_counter: TokenCounter,
) -> CompactionPlan:
    """What the strategy would do to the history; no model is asked and nothing is changed."""
    counts = token_counter.message_counts(messages)
    stand_in = stand_in_for(strategy)
    if stand_in is None:
        return _unknown(strategy, sum(counts), target_tokens)
    result = await stand_in.compact(messages, target_tokens, preserve_recent)
    removed, changed = differences(messages, result.messages)
    after = sum(token_counter.message_counts(result.messages))
    return CompactionPlan(
        strategy=result.strategy,
        removed=removed,
        changed=changed,
        tokens_before=sum(counts),
        tokens_after=after,
        freed_tokens=sum(counts) - after,
        lost_cache_tokens=_lost_cache(messages, counts, min((*removed, *changed), default=len(messages))),
        target_tokens=target_tokens,
        reached_target=after <= target_tokens,
        calls_model=bool(result.responses),
        notes=result.notes,
    )


def _unknown(strategy: CompactionStrategy, tokens: int, target_tokens: int) -> CompactionPlan:
    return CompactionPlan(
        strategy=strategy.name,
        removed=(),
        changed=(),
        tokens_before=tokens,
        tokens_after=None,
        freed_tokens=None,
        lost_cache_tokens=None,
        target_tokens=target_tokens,
        reached_target=None,
        calls_model=True,
        notes=(f"{strategy.name} asks a model and has no without_model(), so what it would do is not known.",),
    )


def differences(
    before: Sequence[ModelMessage], after: Sequence[ModelMessage]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The indices in `before` of the messages that are gone `after`, and of those that are there in another form.

    What is left stands in its old order; what was shortened is known by what no strategy changes.
    """
    places: dict[object, list[int]] = {}
    for index, message in enumerate(before):
        for mark in {id(message), *_marks(message)}:
            places.setdefault(mark, []).append(index)
    found: dict[int, ModelMessage] = {}
    following = 0
    for message in after:
        place = _next_place(places, message, following)
        if place is not None:
            found[place] = message
            following = place + 1
    removed = tuple(index for index in range(len(before)) if index not in found)
    changed = tuple(index for index, message in sorted(found.items(), key=itemgetter(0)) if message != before[index])
    return removed, changed


def _next_place(places: Mapping[object, list[int]], message: ModelMessage, following: int) -> int | None:
    """The first place from `following` on at which the message stood, by itself or else by its marks."""
    for marks in ([id(message)], _marks(message)):
        known = [places[mark] for mark in marks if mark in places]
        later = [found[at] for found in known if (at := bisect_left(found, following)) < len(found)]
        if later:
            return min(later)
    return None


def _marks(message: ModelMessage) -> list[object]:
    """What tells one message from another and stays when content goes."""
    if isinstance(message, ModelResponse):
        return [(message.timestamp, message.provider_response_id)]
    return [
        (part.part_kind, getattr(part, "tool_call_id", None), getattr(part, "timestamp", None))
        for part in message.parts
        if not isinstance(part, SystemPromptPart | CompactionPart | ToolAvailabilityDeltaPart)
    ]


def _lost_cache(messages: Sequence[ModelMessage], counts: Sequence[int], first_change: int) -> int | None:
    """The cached tokens behind the first change, as far as the last reply says what is cached."""
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if isinstance(message, ModelResponse) and message.usage.input_tokens:
            cached = message.usage.cache_read_tokens + message.usage.cache_write_tokens
            # What was sent ahead of the messages, instructions and tools, is cached first and stays so.
            ahead = max(message.usage.input_tokens - sum(counts[:index]), 0)
            return max(cached - ahead - sum(counts[: min(first_change, index)]), 0)
    return None
