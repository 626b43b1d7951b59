"""A history, built turn by turn from choices."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic_ai.messages import (
    LoadCapabilityReturnPart,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    ToolAvailabilityDeltaPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.usage import RequestUsage

from mamba_agents.testing import parts as part
from mamba_agents.testing.choices import Choices
from mamba_agents.testing.records import Records

type Ending = Literal["answer", "prompt", "results", "pending", "partial"]
"""What the last turn ends with: `pending` and `partial` leave calls open."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What histories may hold."""

    max_text: int
    unknown: bool
    surrogates: bool
    endings: tuple[Ending, ...]


def build_history(turns: Sequence[bytes], bounds: Bounds, clock: list[int] | None = None) -> list[ModelMessage]:
    """The history that these choices make, a turn for each; the same bytes make the same history.

    `clock` goes on where another history stopped.
    """
    clock = [0] if clock is None else clock
    building = _Building(bounds)
    for number, data in enumerate(turns):
        choose = Choices(data, bounds.max_text, surrogates=bounds.surrogates, clock=clock)
        ending = choose.one_of(bounds.endings)  # by every turn, so that leaving the last one out moves no choice
        building.add_turn(choose, number, ending if number == len(turns) - 1 else None)
    return building.messages


@dataclass(slots=True)
class _Building:
    bounds: Bounds
    messages: list[ModelMessage] = field(default_factory=list[ModelMessage])
    records: Records = field(default_factory=Records)
    instructions: str | None = None
    run_id: str = "run-0"
    unanswered: list[str] = field(default_factory=list[str])
    """Calls of the provider's own tools whose result comes in a later response."""
    natives: int = 0

    def add_turn(self, choose: Choices, number: int, ending: Ending | None) -> None:
        self.run_id = f"run-{number}"
        if choose.once_in(4):
            self.instructions = choose.one_of(("Be brief.", f"It is day {number}.", None, choose.text()))
        self.open_turn(choose, number)
        for _ in range(choose.one_of((0, 1, 0, 1, 2, 3))):
            self.step(choose)
        match ending:
            case "results":
                self.step(choose)
            case "pending":
                self.respond(choose, self.calls(choose), state="complete")
            case "partial":
                self.step(choose, leave_open=1)
            case "prompt":
                self.answer(choose)
                self.open_turn(choose, number + 1)
            case None if choose.once_in(10):
                pass  # a run that failed before the model answered
            case _:
                self.answer(choose)

    def open_turn(self, choose: Choices, number: int) -> None:
        """A user speaks, in one request or in several in a row."""
        parts: list[ModelRequestPart] = []
        if choose.once_in(3 if number == 0 else 12):
            prompt = SystemPromptPart(choose.text(), timestamp=choose.now())
            parts.append(replace(prompt, scope="request") if choose.once_in(5) else prompt)
        if choose.once_in(8):
            parts.append(self.records.summary(choose))
        if parts and choose.once_in(2):
            self.request(choose, parts)
            parts = []
        parts.append(part.user_prompt(choose))
        if self.bounds.unknown and choose.once_in(12):
            parts.append(part.unknown_part(choose))
        self.request(choose, [*parts, *self.records.some(choose)])

    def step(self, choose: Choices, *, leave_open: int = 0) -> None:
        """The model calls tools, and gets what they return."""
        calls = self.calls(choose)
        is_cut = not leave_open and choose.once_in(10)
        self.respond(choose, calls, state="interrupted" if is_cut else "complete")
        answered = calls[: len(calls) - leave_open]
        results: list[ModelRequestPart] = [
            part.interrupted_result(choose, call)
            if is_cut
            else part.tool_result(choose, call, unknown=self.bounds.unknown)
            for call in answered
        ]
        self.records.has_capability |= any(isinstance(result, LoadCapabilityReturnPart) for result in results)
        if not results:
            return
        if not _has_repeats(answered) and choose.once_in(4):
            results.reverse()
        if choose.once_in(10):
            results.append(ToolAvailabilityDeltaPart(tools_added=["refund"], tool_call_id=answered[0].tool_call_id))
        if len(results) > 1 and choose.once_in(8):
            self.request(choose, results[:1])
            results = results[1:]
        if choose.once_in(10):
            # Content for the user's side of the talk, enqueued right after its own call's result.
            results.insert(1, UserPromptPart(choose.text(), timestamp=choose.now()))
        self.request(choose, [*results, *self.records.some(choose)])

    def calls(self, choose: Choices) -> list[ToolCallPart]:
        return [part.tool_call(choose) for _ in range(choose.one_of((1, 1, 2, 3, 4)))]

    def answer(self, choose: Choices) -> None:
        """The model answers, perhaps after an answer that could not be used; perhaps the stream is cut."""
        if choose.once_in(8):
            self.respond(choose, [], is_empty=choose.once_in(2))
            self.request(choose, [part.retry_feedback(choose)])
        self.respond(choose, [], state=choose.one_of(("complete",) * 6 + ("interrupted", "incomplete")))

    def request(self, choose: Choices, parts: list[ModelRequestPart]) -> None:
        self.messages.append(
            ModelRequest(
                parts=parts,
                instructions=self.instructions,
                timestamp=None if choose.once_in(4) else choose.now(),
                run_id=self.run_id,
            )
        )

    def respond(
        self,
        choose: Choices,
        calls: list[ToolCallPart],
        *,
        state: Literal["complete", "interrupted", "incomplete"] = "complete",
        is_empty: bool = False,
    ) -> None:
        parts: list[ModelResponsePart] = []
        if not is_empty:
            late = [part.native_result(choose, call_id) for call_id in self.unanswered]
            self.unanswered = []
            parts = [*late, *part.thinking(choose), *part.said(choose, unknown=self.bounds.unknown)]
            if choose.once_in(8):
                parts.extend(self.native(choose))
            if choose.once_in(25):
                parts.append(self.records.provider_summary(choose))
            parts.extend(calls)
        is_reported = not choose.once_in(3)
        usage = RequestUsage(input_tokens=100 + choose.below(256), output_tokens=20) if is_reported else RequestUsage()
        is_from_api = not choose.once_in(3)
        self.messages.append(
            ModelResponse(
                parts=parts,
                usage=usage,
                model_name="claude-sonnet-4-5" if is_from_api else None,
                provider_name=part.PROVIDER if is_from_api else None,
                timestamp=choose.now(),
                run_id=self.run_id,
                state=state,
            )
        )

    def native(self, choose: Choices) -> list[ModelResponsePart]:
        """A tool of the provider's own, whose result may come in a later response."""
        self.natives += 1
        call_id = f"native-{self.natives}"
        if choose.once_in(3):
            self.unanswered.append(call_id)
            return [part.native_call(choose, call_id)]
        return [part.native_call(choose, call_id), part.native_result(choose, call_id)]


def _has_repeats(calls: Sequence[ToolCallPart]) -> bool:
    return len({call.tool_call_id for call in calls}) < len(calls)
