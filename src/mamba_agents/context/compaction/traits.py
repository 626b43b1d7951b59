"""What compaction has to know of a message, worked out once in the message's life."""

from collections.abc import Sequence
from operator import attrgetter, itemgetter
from typing import NamedTuple, cast

from pydantic_ai.messages import (
    CompactionPart,
    InstructionBaselinePart,
    InstructionDeltaPart,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponsePart,
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

_KEY = "_mamba_agents_traits"
_STANDING_PARTS = (
    SystemPromptPart,
    InstructionBaselinePart,
    InstructionDeltaPart,
    ToolAvailabilityDeltaPart,
    ModelSettingsDeltaPart,
)


class Traits(NamedTuple):
    """The traits of one message."""

    parts: Sequence[ModelRequestPart | ModelResponsePart]
    """What they were read from: a message that was given other parts since has other traits."""

    length: int
    """How many parts they were: a list can grow."""

    flags: int
    calls: tuple[str, ...]
    """The ids of the calls it makes, sorted."""

    answers: tuple[str, ...]
    """The ids of the calls it answers, sorted."""


def traits_of(messages: Sequence[ModelMessage]) -> list[Traits]:
    """The traits of each message, in order."""
    # This runs over all messages at each compaction, so that passes in C are worth their two lines.
    found: list[Traits | None] = [message.__dict__.get(_KEY) for message in messages]
    if None not in found:
        known = cast("list[Traits]", found)
        parts = list(map(attrgetter("parts"), messages))
        if list(map(itemgetter(0), known)) == parts and list(map(itemgetter(1), known)) == list(map(len, parts)):
            return known
    return [
        traits
        if traits is not None and traits.parts is message.parts and traits.length == len(traits.parts)
        else _remembered(message)
        for message, traits in zip(messages, found, strict=True)
    ]


def _remembered(message: ModelMessage) -> Traits:
    parts = message.parts
    flags = REQUEST if isinstance(message, ModelRequest) else 0
    ids: tuple[str, ...] = ()
    native: set[str] | None = None
    for part in parts:
        kind = _KINDS.get(type(part))
        if kind is None:
            kind = _KINDS[type(part)] = _kind_of(type(part))
        if kind >= 0:
            flags |= kind
        elif kind == _PAIRED:
            ids += (cast("ToolCallPart", part).tool_call_id,)
        elif kind == _RETRY:
            ids += () if (call_id := answered_call_id(cast("ModelRequestPart", part))) is None else (call_id,)
        else:
            native = (native or set[str]()) ^ {cast("NativeToolCallPart", part).tool_call_id}
    if native:
        flags |= HALF_NATIVE
    if len(ids) > 1:
        ids = tuple(sorted(ids))
    found = (parts, len(parts), flags, (), ids) if flags & REQUEST else (parts, len(parts), flags, ids, ())
    # This runs for each message of a long history at its first compaction; the class's own constructor is slower.
    traits = message.__dict__[_KEY] = tuple.__new__(Traits, found)  # pyright: ignore[reportUnknownMemberType]
    return traits


def _kind_of(kind: type) -> int:
    """The flag of parts of a type, or how their ids pair."""
    for types, found in _BY_TYPE:
        if issubclass(kind, types):
            return found
    return 0


_PAIRED = -1
_RETRY = -2
_NATIVE = -3
_BY_TYPE: Sequence[tuple[tuple[type, ...], int]] = (
    ((UserPromptPart, SpeechPart), PROMPT),
    ((ToolCallPart, ToolReturnPart), _PAIRED),
    ((RetryPromptPart,), _RETRY),  # pyright: ignore[reportDeprecated]
    ((NativeToolCallPart, NativeToolReturnPart), _NATIVE),
    ((CompactionPart,), SUMMARY),
    (_STANDING_PARTS, STANDING),
)
_KINDS: dict[type, int] = {}
