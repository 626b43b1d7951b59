"""Old tool results, blanked in place."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
)

from mamba_agents.context.compaction.base import BuiltInStrategy, CompactionResult
from mamba_agents.context.compaction.copies import changed
from mamba_agents.context.compaction.kept import Keeper
from mamba_agents.context.compaction.layout import Layout, layout_of
from mamba_agents.context.compaction.receipts import (
    parsed_args,
    receipt,
    replaceable,
    shown_args,
    with_receipt,
    without_long_args,
)

_RECEIPT_TOKENS = 45
"""About what a receipt costs, to know when enough is blanked; what it really saved is counted after."""
_LONG_ARGUMENT = 600
_BLANKED_KEY = "_mamba_agents_blanked"
_ITEMS_KEY = "_mamba_agents_arguments"
"""Where in a call's `__dict__` its arguments stay in the form in which they are compared."""
_LOOKED_AT = 8
"""Later calls that a call is compared with, so that a thousand reads of one file take no million comparisons."""

_RANGES = frozenset(("offset", "limit", "start", "end", "line", "lines", "page", "cursor", "head", "tail", "range"))
"""Arguments that ask for a part of the whole, which does not replace the whole."""


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
    text: str
    call: ToolCallPart
    superseded: bool = False
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

    def tiers(self, preserve_recent: int) -> Iterator[Sequence[_Blank]]:
        """What to blank, the least missed first."""
        results = list(_results(self.layout))
        turns = self.layout.turn_starts
        recent = (
            turns[-preserve_recent]
            if 0 < preserve_recent <= len(turns)
            else 0
            if preserve_recent
            else len(self.messages)
        )
        older = [blank for blank in results if blank.at < recent]
        yield [blank for blank in older if blank.superseded]
        yield [blank for blank in older if not blank.superseded]
        arguments = list(_arguments(self.layout))
        yield [blank for blank in arguments if blank.at < recent]
        newer = [blank for blank in results if blank.at >= recent]
        yield [blank for blank in newer if blank.superseded]
        yield [blank for blank in newer if not blank.superseded]
        yield [blank for blank in arguments if blank.at >= recent]

    def blank(self, blanks: Sequence[_Blank], target: int) -> None:
        """Blank from the first on, until the target is reached or there is no more."""
        position = 0
        while position < len(blanks) and self.tokens > target:
            chosen: dict[int, list[tuple[_Blank, int]]] = {}
            missing = self.tokens - target
            while position < len(blanks) and missing > 0:
                blank = blanks[position]
                tokens = self._share(blank)
                chosen.setdefault(blank.at, []).append((blank, tokens))
                missing -= max(tokens - _RECEIPT_TOKENS, 0)
                position += 1
            self._replace(chosen)

    def _share(self, blank: _Blank) -> int:
        """The tokens of a part: those of its message, which nearly always has no other."""
        message = self.layout.messages[blank.at]
        whole = self.layout.counts[blank.at]
        return whole if len(message.parts) == 1 and not blank.argument else self._counter.count(blank.text)

    def _replace(self, chosen: dict[int, list[tuple[_Blank, int]]]) -> None:
        made = [_blanked(self.messages[index], blanks) for index, blanks in chosen.items()]
        for index, message, count in zip(chosen, made, self._counter.message_counts(made), strict=True):
            if count < self._counts[index]:
                self.tokens += count - self._counts[index]
                self.messages[index], self._counts[index] = message, count


def _blanked(message: ModelMessage, blanks: Sequence[tuple[_Blank, int]]) -> ModelMessage:
    """The message with these parts blanked; remembered on it, since a plan is often followed by what it planned."""
    how = tuple((blank.part_index, blank.argument, blank.superseded, tokens) for blank, tokens in blanks)
    known: tuple[object, object, ModelMessage] | None = message.__dict__.get(_BLANKED_KEY)
    if known is not None and known[0] is message.parts and known[1] == how:
        return known[2]
    made = _blank(message, blanks)
    message.__dict__[_BLANKED_KEY] = message.parts, how, made
    return made


def _blank(message: ModelMessage, blanks: Sequence[tuple[_Blank, int]]) -> ModelMessage:
    parts = list(message.parts)
    for blank, tokens in blanks:
        part = parts[blank.part_index]
        if isinstance(part, ToolReturnPart):
            line = receipt(part.tool_name, shown_args(blank.call), blank.text, tokens, superseded=blank.superseded)
            parts[blank.part_index] = with_receipt(part, line)
        elif isinstance(part, ToolCallPart):
            parts[blank.part_index] = without_long_args(part, {blank.argument: tokens})
    return changed(message, parts=parts)


def _results(layout: Layout) -> Iterator[_Blank]:
    """The results that may be blanked, oldest first."""
    found: list[_Blank] = []
    later = _LaterCalls()
    for start, stop in reversed(layout.exchanges):
        calls = _answered(layout.messages[start:stop])
        answered: list[ToolCallPart] = []
        for index in range(stop - 1, start, -1):
            message = layout.messages[index]
            if not isinstance(message, ModelRequest):
                continue
            answered.extend(
                calls[id(part)]
                for part in message.parts
                if isinstance(part, ToolReturnPart) and part.outcome == "success" and id(part) in calls
            )
            if start < layout.newest:
                found.extend(
                    _Blank(index, part_index, text, calls[id(part)], later.gave_anew(calls[id(part)]))
                    for part_index, part, text in replaceable(message)
                    if id(part) in calls
                )
        for call in answered:
            later.add(call)
    return reversed(found)


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
                        yield _Blank(start, part_index, value, part, argument=name)


def _may_be_edited(part: ToolCallPart) -> bool:
    is_long = isinstance(part.args, dict) or len(part.args or "") >= _LONG_ARGUMENT
    return is_long and type(part) is ToolCallPart and part.tool_kind is None and not (part.id or part.provider_details)


def _answered(messages: Sequence[ModelMessage]) -> dict[int, ToolCallPart]:
    """The call that each result in an exchange answers, by the identity of the result."""
    last = messages[-1].parts
    if len(messages) == 2 and len(last) == 1:
        called = [part for part in messages[0].parts if isinstance(part, ToolCallPart)]
        return {id(last[0]): called[0]} if len(called) == 1 else {}
    open_calls: dict[str, list[ToolCallPart]] = {}
    found: dict[int, ToolCallPart] = {}
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolCallPart):
                open_calls.setdefault(part.tool_call_id, []).append(part)
            elif isinstance(part, ToolReturnPart) and (calls := open_calls.get(part.tool_call_id)):
                found[id(part)] = calls.pop(0)
    return found


class _LaterCalls:
    """The calls after some point, to know whether one before it was made again."""

    def __init__(self) -> None:
        self._by_argument: dict[tuple[str, str, str], list[frozenset[tuple[str, str]]]] = {}
        self._bare: set[str] = set()

    def add(self, call: ToolCallPart) -> None:
        items = self._items(call)
        if items:
            for name, value in items:
                self._by_argument.setdefault((call.tool_name, name, value), []).append(items)
        else:
            self._bare.add(call.tool_name)

    def gave_anew(self, call: ToolCallPart) -> bool:
        """Whether a later call asked for the same, with no more than arguments that do not narrow it."""
        items = self._items(call)
        if not items:
            return call.tool_name in self._bare
        name, value = min(items)
        for others in self._by_argument.get((call.tool_name, name, value), ())[-_LOOKED_AT:]:
            if items <= others and not any(name in _RANGES for name, _ in others - items):
                return True
        return False

    def _items(self, call: ToolCallPart) -> frozenset[tuple[str, str]]:
        known: tuple[object, frozenset[tuple[str, str]]] | None = call.__dict__.get(_ITEMS_KEY)
        if known is not None and known[0] is call.args:
            return known[1]
        args = parsed_args(call.args)
        # What cannot be read is like nothing but itself.
        items = frozenset((name, repr(value)) for name, value in ({"": call.args} if args is None else args).items())
        call.__dict__[_ITEMS_KEY] = call.args, items
        return items
