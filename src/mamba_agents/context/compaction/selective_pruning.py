"""Old tool results, blanked in place."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import ClassVar, NamedTuple

from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
)

from mamba_agents.context.compaction.answers import results_in
from mamba_agents.context.compaction.base import BuiltInStrategy, CompactionResult
from mamba_agents.context.compaction.copies import changed
from mamba_agents.context.compaction.kept import Keeper
from mamba_agents.context.compaction.layout import Layout, layout_of
from mamba_agents.context.compaction.receipts import (
    parsed_args,
    receipt,
    shown_args,
    text_of,
    with_receipt,
    without_long_args,
)
from mamba_agents.tokens.known import known_of

_RECEIPT_TOKENS = 45
"""About what a receipt costs, to know when enough is blanked; what it really saved is counted after."""
_LONG_ARGUMENT = 600
_BLANKED = "blanked"
"""What a message is once some of its parts are blanked: a plan is often followed by what it planned."""


class SelectivePruningStrategy(BuiltInStrategy):
    """Puts a line in the place of old tool results, which says what was there and how to get it back.

    A result that a later call gave anew goes first, then the oldest, then long arguments of old calls; those of the
    last `preserve_recent` turns only where that is not enough. No message goes, so the target can be out of reach.
    Results that failed, that are short, that hold files or that a run keeps its state in are left alone.
    """

    name: ClassVar[str] = "selective_pruning"

    async def compact_native(
        self, messages: list[ModelMessage], target_tokens: int, preserve_recent: int
    ) -> CompactionResult[ModelMessage]:
        """All messages, with as few results blanked as reach the target."""
        keeper = Keeper.of(self, target_tokens)
        counts = self.token_counter.message_counts(messages)
        before = sum(counts)
        if before <= target_tokens:
            return keeper.unchanged(messages, before)
        pruning = _Pruning(layout_of(messages, counts), self)
        for blanks in pruning.tiers(preserve_recent):
            pruning.blank(blanks, target_tokens)
            if pruning.tokens <= target_tokens:
                break
        return keeper.result(pruning.messages, before=(len(messages), before), after=pruning.tokens)


class _Blank(NamedTuple):
    """A part that can be blanked."""

    at: int
    """Index of the message."""

    part_index: int
    call: ToolCallPart
    is_superseded: bool = False
    argument: str = ""
    """The argument that goes, where it is one of the call and not the result."""


class _Pruning:
    """A history while it is pruned."""

    def __init__(self, layout: Layout, strategy: BuiltInStrategy) -> None:
        self.layout = layout
        self.messages = list(layout.messages)
        self.tokens = layout.suffix[0]
        self._counts = list(layout.counts)
        self._counter = strategy.token_counter

    def tiers(self, preserve_recent: int) -> Iterator[Iterator[_Blank]]:
        """What to blank, the least missed first."""
        results, turns = results_in(self.layout), self.layout.turn_starts
        recent = turns[-min(preserve_recent, len(turns))] if preserve_recent and turns else len(self.messages)
        cut = bisect_left(results, recent, key=itemgetter(0))
        older, newer = results[:cut], results[cut:]
        yield (_Blank(*result) for result in older if result.is_superseded)
        yield (_Blank(*result) for result in older if not result.is_superseded)
        arguments = list(_arguments(self.layout))
        yield (blank for blank in arguments if blank.at < recent)
        yield (_Blank(*result) for result in newer if result.is_superseded)
        yield (_Blank(*result) for result in newer if not result.is_superseded)
        yield (blank for blank in arguments if blank.at >= recent)

    def blank(self, blanks: Iterator[_Blank], target: int) -> None:
        """Blank from the first on, until the target is reached or there is no more."""
        while self.tokens > target:
            chosen: dict[int, list[tuple[_Blank, int]]] = {}
            missing = self.tokens - target
            for blank in blanks:
                tokens = self._share(blank)
                chosen.setdefault(blank.at, []).append((blank, tokens))
                missing -= max(tokens - _RECEIPT_TOKENS, 0)
                if missing <= 0:
                    break
            if not chosen:
                return
            self._replace(chosen)

    def _share(self, blank: _Blank) -> int:
        """The tokens of a part: those of its message, which nearly always has no other."""
        parts = self.layout.messages[blank.at].parts
        if blank.argument:
            return self._counter.count(str((parsed_args(blank.call.args) or {})[blank.argument]))
        part = parts[blank.part_index]
        if len(parts) == 1 or not isinstance(part, ToolReturnPart):
            return self.layout.counts[blank.at]
        return self._counter.count(text_of(part))

    def _replace(self, chosen: dict[int, list[tuple[_Blank, int]]]) -> None:
        made = [_blanked(self.messages[index], blanks) for index, blanks in chosen.items()]
        for index, message, count in zip(chosen, made, self._counter.message_counts(made), strict=True):
            if count < self._counts[index]:
                self.tokens += count - self._counts[index]
                self.messages[index], self._counts[index] = message, count


def _blanked(message: ModelMessage, blanks: Sequence[tuple[_Blank, int]]) -> ModelMessage:
    """The message with these parts blanked."""
    how = tuple((blank.part_index, blank.argument, blank.is_superseded, tokens) for blank, tokens in blanks)
    notes = known_of(message).notes
    known: tuple[object, ModelMessage] | None = notes.get(_BLANKED)
    if known is not None and known[0] == how:
        return known[1]
    made = _blank(message, blanks)
    notes[_BLANKED] = how, made
    return made


def _blank(message: ModelMessage, blanks: Sequence[tuple[_Blank, int]]) -> ModelMessage:
    parts = list(message.parts)
    for blank, tokens in blanks:
        part = parts[blank.part_index]
        if isinstance(part, ToolReturnPart):
            shown = shown_args(blank.call)
            line = receipt(part.tool_name, shown, text_of(part), tokens, superseded=blank.is_superseded)
            parts[blank.part_index] = with_receipt(part, line)
        elif isinstance(part, ToolCallPart):
            parts[blank.part_index] = without_long_args(part, {blank.argument: tokens})
    return changed(message, parts=parts)


def _arguments(layout: Layout) -> Iterator[_Blank]:
    """The long arguments of answered calls, oldest first.

    What a model thought before a call is signed together with it by some providers, and others put the signature on
    the call, so where there is either the call stays as it was made.
    """
    for start, _ in layout.exchanges:
        message = layout.messages[start]
        if start >= layout.newest or not isinstance(message, ModelResponse):
            continue
        if any(isinstance(part, ThinkingPart) or getattr(part, "provider_details", None) for part in message.parts):
            continue
        for part_index, part in enumerate(message.parts):
            if isinstance(part, ToolCallPart) and _may_be_edited(part):
                for name, value in (parsed_args(part.args) or {}).items():
                    if isinstance(value, str) and len(value) >= _LONG_ARGUMENT:
                        yield _Blank(start, part_index, part, argument=name)


def _may_be_edited(part: ToolCallPart) -> bool:
    is_long = isinstance(part.args, dict) or len(part.args or "") >= _LONG_ARGUMENT
    return is_long and type(part) is ToolCallPart and part.tool_kind is None and not (part.id or part.provider_details)
