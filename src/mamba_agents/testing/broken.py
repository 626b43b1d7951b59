"""Histories that break one law, each with its name."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pydantic_ai.messages import (
    CapabilityInstructionSource,
    InstructionDeltaPart,
    InstructionId,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    NativeToolReturnPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolReturnPart,
    ToolSearchReturnPart,
    UserPromptPart,
)

from mamba_agents.testing import parts as part
from mamba_agents.testing.choices import Choices
from mamba_agents.testing.drawing import drawn
from mamba_agents.testing.turns import Bounds, build_history

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True, kw_only=True)
class BrokenHistory:
    """A history that breaks a law, on purpose."""

    law: str
    """The law, by the value that `mamba_agents.context.Law` has for it; others may be broken with it."""

    messages: list[ModelMessage]
    original: list[ModelMessage] | None = None
    """The valid history it was made of, for the laws that compare the two."""

    for_request: bool = False
    """Whether the law holds only for what is about to be sent."""


def broken_histories(
    *, laws: Iterable[str] | None = None, max_turns: int = 4, max_text: int = 200
) -> "SearchStrategy[BrokenHistory]":
    """A strategy of histories that break a law, for tests of what checks or repairs them.

    Args:
        laws: Those to break, by name; None for all.
        max_turns: The most turns before the place that is broken, and after it.
        max_text: The most characters of a text.

    Raises:
        ImportError: Hypothesis is not installed.
        ValueError: a law that there is not, or none.
    """
    chosen = tuple(sorted(_BREAKS if laws is None else {str(law) for law in laws}))
    if not chosen or not _BREAKS.keys() >= set(chosen):
        raise ValueError(f"found the laws {list(chosen)}; expected some of {', '.join(sorted(_BREAKS))}")
    bounds = Bounds(max_text=max_text, unknown=False, surrogates=False, endings=("answer",))
    return drawn(partial(_break, laws=chosen, bounds=bounds), size=48, fewest=1, most=1 + 2 * max_turns)


@dataclass(frozen=True)
class _Place:
    """A valid history with an exchange of four messages in its middle: prompt, calls, results, answer."""

    before: list[ModelMessage]
    exchange: list[ModelMessage]
    after: list[ModelMessage]

    @property
    def whole(self) -> list[ModelMessage]:
        return [*self.before, *self.exchange, *self.after]

    def without(self, index: int) -> list[ModelMessage]:
        """The history less a message of the exchange."""
        return [*self.before, *self.exchange[:index], *self.exchange[index + 1 :], *self.after]

    def with_parts(self, index: int, parts: Sequence[object]) -> list[ModelMessage]:
        """The history with other parts in a message of the exchange."""
        changed = replace(self.exchange[index], parts=list(parts))
        return [*self.before, *self.exchange[:index], changed, *self.exchange[index + 1 :], *self.after]


def _break(pieces: list[bytes], laws: Sequence[str], bounds: Bounds) -> BrokenHistory:
    clock = [0]
    first, *turns = pieces
    choose = Choices(first, bounds.max_text, clock=clock)
    law = choose.one_of(laws)
    cut = choose.below(len(turns) + 1)
    place = _Place(
        build_history(turns[:cut], bounds, clock),
        _exchange(Choices(b"", bounds.max_text, clock=clock)),
        build_history([*turns[cut:], b""], bounds, clock),
    )
    return _BREAKS[law](place)


def _exchange(choose: Choices) -> list[ModelMessage]:
    """Messages that hold something for every law to break."""
    calls = [part.tool_call(Choices(bytes([0, kind]), 100)) for kind in (0, 14)]  # a plain call and a typed one
    calls[1] = replace(calls[1], tool_call_id="call-2")
    results = [part.tool_result(choose, call, unknown=False) for call in calls]
    native = [part.native_call(choose, "native-0"), part.native_result(choose, "native-0")]
    thought = ThinkingPart("It is in the file.", signature="c2ln", provider_name=part.PROVIDER)
    when = choose.now()
    return [
        ModelRequest(parts=[SystemPromptPart("Count in full.", timestamp=when), part.user_prompt(choose)]),
        ModelResponse(parts=[thought, *native, *calls], model_name="claude", timestamp=choose.now()),
        ModelRequest(parts=list[ModelRequestPart](results)),
        ModelResponse(parts=[TextPart("There are 12.")], model_name="claude", timestamp=choose.now()),
    ]


def _parts(place: _Place, index: int) -> list[object]:
    return list(place.exchange[index].parts)


def _empty(place: _Place) -> BrokenHistory:
    return BrokenHistory(law="empty", messages=[], original=place.whole)


def _response_first(place: _Place) -> BrokenHistory:
    return BrokenHistory(law="response-first", messages=[*place.exchange[3:], *place.after])


def _no_user_turn(place: _Place) -> BrokenHistory:
    system_only = replace(place.exchange[0], parts=place.exchange[0].parts[:1])
    return BrokenHistory(law="no-user-turn", messages=[system_only, *place.exchange[1:], *place.after])


def _responses_in_a_row(place: _Place) -> BrokenHistory:
    return BrokenHistory(law="responses-in-a-row", messages=place.without(2))


def _ends_in_response(place: _Place) -> BrokenHistory:
    return BrokenHistory(law="ends-in-response", messages=[*place.before, *place.exchange], for_request=True)


def _call_without_result(place: _Place) -> BrokenHistory:
    return BrokenHistory(law="call-without-result", messages=place.with_parts(2, _parts(place, 2)[:1]))


def _result_without_call(place: _Place) -> BrokenHistory:
    stray = ToolReturnPart("read_file", "never asked for", "call-never-made")
    return BrokenHistory(law="result-without-call", messages=place.with_parts(2, [*_parts(place, 2), stray]))


def _second_result(place: _Place) -> BrokenHistory:
    results = _parts(place, 2)
    return BrokenHistory(law="second-result", messages=place.with_parts(2, [*results, results[0]]))


def _split_pair(place: _Place) -> BrokenHistory:
    prompt, calls, results, answer = place.exchange
    between = [ModelRequest(parts=[UserPromptPart("And?")]), answer]
    return BrokenHistory(law="split-pair", messages=[*place.before, prompt, calls, *between, results, *place.after])


def _native_result_without_call(place: _Place) -> BrokenHistory:
    parts = [part for part in _parts(place, 1) if getattr(part, "part_kind", "") != "builtin-tool-call"]
    messages = [*place.exchange[:1], replace(place.exchange[1], parts=parts), *place.exchange[2:], *place.after]
    return BrokenHistory(law="native-result-without-call", messages=messages)


def _split_native_pair(place: _Place) -> BrokenHistory:
    parts = [part for part in _parts(place, 1) if not isinstance(part, NativeToolReturnPart)]
    return BrokenHistory(law="split-native-pair", messages=place.with_parts(1, parts), original=place.whole)


def _lone_delta(place: _Place) -> BrokenHistory:
    change = InstructionDeltaPart(id=InstructionId(CapabilityInstructionSource("budget"), name="lost"), content="New.")
    place = replace(place, before=[])
    return BrokenHistory(law="lone-delta", messages=place.with_parts(2, [*_parts(place, 2), change]))


def _blanked_typed_part(place: _Place) -> BrokenHistory:
    parts = [
        replace(part, content="[removed]") if isinstance(part, ToolSearchReturnPart) else part
        for part in place.exchange[2].parts
    ]
    return BrokenHistory(law="blanked-typed-part", messages=place.with_parts(2, parts), original=place.whole)


def _lost_system_prompt(place: _Place) -> BrokenHistory:
    messages = place.with_parts(0, _parts(place, 0)[1:])
    return BrokenHistory(law="lost-system-prompt", messages=messages, original=place.whole)


def _edited_thinking(place: _Place) -> BrokenHistory:
    thought, *rest = place.exchange[1].parts
    edited = replace(thought, content="…") if isinstance(thought, ThinkingPart) else thought
    return BrokenHistory(law="edited-thinking", messages=place.with_parts(1, [edited, *rest]), original=place.whole)


def _newest_request_changed(place: _Place) -> BrokenHistory:
    whole = [*place.before, *place.exchange, ModelRequest(parts=[UserPromptPart("And how many in all?")])]
    changed = ModelRequest(parts=[UserPromptPart("And?")])
    return BrokenHistory(law="newest-request-changed", messages=[*whole[:-1], changed], original=whole)


def _order_changed(place: _Place) -> BrokenHistory:
    moved = [*place.before, *place.after[:-2], *place.exchange, *place.exchange[-2:], *place.after[-2:]]
    return BrokenHistory(law="order-changed", messages=moved, original=place.whole)


def _foreign_message(place: _Place) -> BrokenHistory:
    foreign = ModelRequest(parts=[UserPromptPart("Nobody said this.")])
    messages = [*place.before, foreign, *place.exchange, *place.after]
    return BrokenHistory(law="foreign-message", messages=messages, original=place.whole)


def _emptied_message(place: _Place) -> BrokenHistory:
    return BrokenHistory(law="emptied-message", messages=place.with_parts(3, []), original=place.whole)


_BREAKS: dict[str, Callable[[_Place], BrokenHistory]] = {
    "blanked-typed-part": _blanked_typed_part,
    "call-without-result": _call_without_result,
    "edited-thinking": _edited_thinking,
    "emptied-message": _emptied_message,
    "empty": _empty,
    "ends-in-response": _ends_in_response,
    "foreign-message": _foreign_message,
    "lone-delta": _lone_delta,
    "lost-system-prompt": _lost_system_prompt,
    "native-result-without-call": _native_result_without_call,
    "newest-request-changed": _newest_request_changed,
    "no-user-turn": _no_user_turn,
    "order-changed": _order_changed,
    "response-first": _response_first,
    "responses-in-a-row": _responses_in_a_row,
    "result-without-call": _result_without_call,
    "second-result": _second_result,
    "split-native-pair": _split_native_pair,
    "split-pair": _split_pair,
}
