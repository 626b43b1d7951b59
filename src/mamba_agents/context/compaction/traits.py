"""What compaction has to know of a message, worked out once in the message's life."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from pydantic_ai.messages import (
    CompactionPart,
    InstructionBaselinePart,
    InstructionDeltaPart,
    LoadCapabilityCallPart,
    LoadCapabilityReturnPart,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelSettingsDeltaPart,
    NativeToolCallPart,
    NativeToolReturnPart,
    RetryPromptPart,  # pyright: ignore[reportDeprecated]
    SpeechPart,
    SystemPromptPart,
    ToolAvailabilityDeltaPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from mamba_agents.context.units import answered_call_id
from mamba_agents.tokens.known import notes_on

REQUEST = 1
PROMPT = 2
"""A request in which a user speaks."""
SUMMARY = 4
"""A message that holds a summary, ours or a provider's."""
STANDING = 8
"""A request with a part that stays in force for what follows: a system prompt, or a change of instructions, tools
or settings."""
HALF_NATIVE = 16
"""A response that holds only one half of a pair of a provider's own tool: a call, or a result."""
GROUND = 32
"""A message that loads a capability, on which later changes of instructions can build."""

_NOTE = "traits"
_STANDING_PARTS = (
    SystemPromptPart,
    InstructionBaselinePart,
    InstructionDeltaPart,
    LoadCapabilityCallPart,
    LoadCapabilityReturnPart,
    ToolAvailabilityDeltaPart,
    ModelSettingsDeltaPart,
)


class Traits(NamedTuple):
    """The traits of one message."""

    flags: int
    calls: tuple[str, ...]
    """The ids of the calls it makes, sorted."""

    answers: tuple[str, ...]
    """The ids of the calls it answers, sorted."""


def traits_of(messages: Sequence[ModelMessage]) -> list[Traits]:
    """The traits of each message, in order."""
    return [
        traits if (traits := notes.get(_NOTE)) is not None else _noted(message, notes)
        for message, notes in zip(messages, notes_on(messages), strict=True)
    ]


def pairs(kind: type) -> bool:
    """Whether parts of a type have an id that other parts have to have too."""
    return _KINDS[kind] >= _PAIRED


def _noted(message: ModelMessage, notes: dict[str, Any]) -> Traits:
    parts = message.parts
    flags = REQUEST if isinstance(message, ModelRequest) else 0
    ids: tuple[str, ...] = ()
    native: set[str] | None = None
    for part in parts:
        kind = _KINDS[type(part)]
        flags |= kind
        if kind >= _PAIRED:
            if kind & _NATIVE:
                native = (native or set[str]()) ^ {cast("NativeToolCallPart", part).tool_call_id}
            elif kind & _PAIRED:
                ids += (cast("ToolCallPart", part).tool_call_id,)
            elif (call_id := answered_call_id(cast("ModelRequestPart", part))) is not None:
                ids += (call_id,)
    flags &= _PAIRED - 1
    if native:
        flags |= HALF_NATIVE
    if len(ids) > 1:
        ids = tuple(sorted(ids))
    # This runs for each message of a long history at its first compaction; the class's own constructor is slower.
    found = (flags, (), ids) if flags & REQUEST else (flags, ids, ())
    traits = notes[_NOTE] = tuple.__new__(Traits, found)  # pyright: ignore[reportUnknownMemberType]
    return traits


_PAIRED = 64
_RETRY = 128
_NATIVE = 256


class _Kinds(dict[type, int]):
    """The flags of a part by its type, and above them how its ids pair."""

    def __missing__(self, kind: type) -> int:
        found = self[kind] = sum(flag for types, flag in _BY_TYPE if issubclass(kind, types))
        return found


_BY_TYPE: Sequence[tuple[tuple[type, ...], int]] = (
    ((UserPromptPart, SpeechPart), PROMPT),
    ((ToolCallPart, ToolReturnPart), _PAIRED),
    ((LoadCapabilityCallPart, LoadCapabilityReturnPart), GROUND),
    ((RetryPromptPart,), _RETRY),  # pyright: ignore[reportDeprecated]
    ((NativeToolCallPart, NativeToolReturnPart), _NATIVE),
    ((CompactionPart,), SUMMARY),
    (_STANDING_PARTS, STANDING),
)
_KINDS = _Kinds()
