"""Parts that mean something only together with others, or only in a certain form."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from pydantic_ai.messages import (
    CapabilityInstructionSource,
    CompactionPart,
    InstructionBaselinePart,
    InstructionDeltaPart,
    LoadCapabilityCallPart,
    LoadCapabilityReturnPart,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponsePart,
    ModelSettingsDeltaPart,
    NativeToolCallPart,
    NativeToolReturnPart,
    ToolAvailabilityDeltaPart,
    ToolCallPart,
    ToolReturnPart,
)

from mamba_agents.context.violations import HistoryViolation, Law, Violations

type _Part = ModelRequestPart | ModelResponsePart


@dataclass(slots=True)
class _Grounds:
    """What changes can build on at some point of a history: all of it ends with a compaction.

    The rules are those by which pydantic-ai reads its own records (`_instructions.py`, `_agent_graph.py` and
    `post_compaction_window` of 2.62, read 2026-11-24).
    """

    window: bool = False
    """Whether a baseline of the instructions is there."""
    settings_at: int | None = None
    """The message that opened the settings."""
    loads: dict[str, int] = field(default_factory=dict[str, int])
    """The messages that loaded a capability, by its id."""
    load_calls: dict[str, str] = field(default_factory=dict[str, str])
    calls: set[str] = field(default_factory=set[str])

    def observe(self, part: _Part, index: int, run_start: int) -> None:
        """Take in a part; `run_start` is where the requests around it begin."""
        match part:
            case InstructionBaselinePart():
                self.window = True
            case CompactionPart():
                self.window = False
                # A summary in a request stands for what came before the requests around it.
                self.settings_at = None if (self.settings_at or 0) < run_start else self.settings_at
                self.loads = {name: at for name, at in self.loads.items() if at >= run_start}
            case ModelSettingsDeltaPart(top_level=True):
                self.settings_at = index
            case LoadCapabilityReturnPart() if part.tool_call_id in self.load_calls:
                self.loads[self.load_calls[part.tool_call_id]] = index
            case ToolCallPart():
                self.calls.add(part.tool_call_id)
                if isinstance(part, LoadCapabilityCallPart) and part.capability_id is not None:
                    self.load_calls[part.tool_call_id] = part.capability_id
            case _:
                pass

    def missing_for(self, part: _Part) -> str | None:
        """What a part builds on that is not there; None where nothing is missing."""
        match part:
            case InstructionDeltaPart() if not self.window and _capability(part) not in self.loads:
                return "the instructions it changes (an InstructionBaselinePart) in the same window"
            case ModelSettingsDeltaPart(top_level=False) if self.settings_at is None:
                return "the settings it changes (a ModelSettingsDeltaPart with top_level=True) before it"
            case ToolAvailabilityDeltaPart(tool_call_id=str(call_id)) if call_id not in self.calls:
                return f"the call {call_id!r} that revealed the tools"
            case _:
                return None


def _capability(part: InstructionDeltaPart) -> str | None:
    if part.id is None or part.id.name is not None or not isinstance(part.id.source, CapabilityInstructionSource):
        return None
    return part.id.source.id


def delta_violations(messages: Sequence[ModelMessage]) -> Violations:
    """Changes without what they change.

    The newest request is not judged: nothing that shortens a history may touch it, and pydantic-ai states anew what its
    changes build on when it sends it.
    """
    grounds = _Grounds()
    run_start = 0
    newest = max((index for index, message in enumerate(messages) if isinstance(message, ModelRequest)), default=-1)
    for index, message in enumerate(messages):
        if not (isinstance(message, ModelRequest) and index and isinstance(messages[index - 1], ModelRequest)):
            run_start = index
        for part_index, part in enumerate(message.parts):
            missing = grounds.missing_for(part)
            grounds.observe(part, index, run_start)
            if missing is not None and index != newest:
                yield HistoryViolation(
                    law=Law.LONE_DELTA,
                    message_index=index,
                    part_index=part_index,
                    message=f"found a {type(part).__name__} alone; expected {missing}: keep that, or leave the part"
                    " out",
                )


def typed_violations(messages: Sequence[ModelMessage]) -> Violations:
    """Tool parts of a registered kind that do not hold what the kind declares."""
    for index, message in enumerate(messages):
        for part_index, part in enumerate(message.parts):
            if is_typed(part) and not isinstance(_remade(part), type(part)):
                yield HistoryViolation(
                    law=Law.BLANKED_TYPED_PART,
                    message_index=index,
                    part_index=part_index,
                    message=f"found a {type(part).__name__} that does not hold what its kind declares; expected the"
                    " part as it was: leave it alone, or build a plain part without tool_kind",
                )


_PLAIN = {ToolCallPart, NativeToolCallPart, ToolReturnPart, NativeToolReturnPart}


def is_typed(part: _Part) -> bool:
    """Whether the part is of a registered kind, which says what it holds."""
    return getattr(part, "tool_kind", None) is not None and type(part) not in _PLAIN


def _remade(part: _Part) -> _Part:
    """What pydantic-ai makes of what a typed part holds: the typed part again where it fits."""
    match part:
        case ToolReturnPart() if part.outcome == "success":
            return ToolReturnPart.narrow_type(
                ToolReturnPart(part.tool_name, part.content, part.tool_call_id, tool_kind=part.tool_kind)
            )
        case NativeToolReturnPart() if part.outcome == "success":
            return NativeToolReturnPart.narrow_type(
                NativeToolReturnPart(part.tool_name, part.content, part.tool_call_id, tool_kind=part.tool_kind)
            )
        case ToolCallPart():
            args = cast("dict[str, object] | str | None", part.args)
            return ToolCallPart.narrow_type(
                ToolCallPart(part.tool_name, args, part.tool_call_id, tool_kind=part.tool_kind)
            )
        case NativeToolCallPart():
            args = cast("dict[str, object] | str | None", part.args)
            return NativeToolCallPart.narrow_type(
                NativeToolCallPart(part.tool_name, args, part.tool_call_id, tool_kind=part.tool_kind)
            )
        case _:
            return part
