"""What a shortened history owes the one it was made of."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pydantic_ai.messages import (
    CompactionPart,
    InstructionBaselinePart,
    InstructionDeltaPart,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelSettingsDeltaPart,
    NativeToolCallPart,
    NativeToolReturnPart,
    SystemPromptPart,
    ThinkingPart,
    ToolAvailabilityDeltaPart,
    ToolCallPart,
    ToolReturnPart,
)

from mamba_agents.context.checks.parts import is_typed
from mamba_agents.context.violations import HistoryViolation, Law, Violations

_CARRIED = (
    SystemPromptPart,
    CompactionPart,
    InstructionBaselinePart,
    InstructionDeltaPart,
    ModelSettingsDeltaPart,
    ToolAvailabilityDeltaPart,
)
"""Parts that may move to another request, so they do not tell where a request comes from."""


@dataclass(slots=True)
class _Origins:
    """Where the messages of a history stand in the original, found by identity or by what an edit leaves alone."""

    places: dict[object, list[int]] = field(default_factory=lambda: defaultdict[object, list[int]](list))
    next_place: int = 0

    def learn(self, original: Sequence[ModelMessage]) -> None:
        """Take in the messages that the others come from."""
        for index, message in enumerate(original):
            for key in {id(message), *_keys(message)}:
                self.places[key].append(index)

    def of(self, message: ModelMessage) -> int | None:
        """The message's place in the original: the next one that fits, or an earlier one; None for what is new."""
        if (place := self._nearest(id(message))) is None:
            found = [place for key in _keys(message) if (place := self._nearest(key)) is not None]
            place = max(found, default=None)
        return place

    def _nearest(self, key: object) -> int | None:
        places = self.places.get(key, [])
        return next((place for place in places if place >= self.next_place), places[-1] if places else None)

    def knows(self, key: object) -> bool:
        """Whether the original has something of this key."""
        return key in self.places


def _keys(message: ModelMessage) -> Iterable[object]:
    """What of a message stays when its parts are blanked, shortened or left out."""
    if isinstance(message, ModelResponse):
        yield "response", message.timestamp, message.provider_response_id, message.run_id
        return
    own = [part for part in message.parts if not isinstance(part, _CARRIED)]
    yield from map(_part_key, own)
    if not own:
        yield "request", message.timestamp, message.run_id, len(message.parts)


def _part_key(part: ModelRequestPart) -> object:
    return (
        part.part_kind,
        getattr(part, "tool_call_id", None),
        getattr(part, "timestamp", None),
    )


def kept_violations(messages: Sequence[ModelMessage], original: Sequence[ModelMessage]) -> Violations:
    """What is lost, changed or new that should not be."""
    origins = _Origins()
    origins.learn(original)
    prompts = {part.content for part in _conversation_prompts(original)}
    for index, message in enumerate(messages):
        place = origins.of(message)
        if place is None:
            yield from _foreign(index, message, origins, prompts)
            continue
        if place < origins.next_place:
            yield HistoryViolation(
                law=Law.ORDER_CHANGED,
                message_index=index,
                message=f"found message {place} of the original after message {origins.next_place - 1}; expected each"
                " message once and in its old order: leave messages out, never move or repeat them",
            )
        origins.next_place = max(origins.next_place, place + 1)
        if message is not original[place]:
            yield from _edits(index, message, original[place])
            yield from _foreign(index, message, origins, prompts)
    yield from _lost_prompts(messages, original)
    yield from _newest(messages, original)
    yield from _split_native(messages, original)


def _foreign(index: int, message: ModelMessage, origins: _Origins, prompts: set[str]) -> Violations:
    """What in a message that is not the original's own object came from nowhere."""
    if isinstance(message, ModelResponse):
        strange = [None] if not any(map(origins.knows, _keys(message))) else []
    else:
        strange = [
            part_index
            for part_index, part in enumerate(message.parts)
            if (isinstance(part, SystemPromptPart) and part.content not in prompts and part.scope == "conversation")
            or not (isinstance(part, _CARRIED) or origins.knows(_part_key(part)))
        ]
        if not message.parts and not any(map(origins.knows, _keys(message))):
            strange = [None]
    for part_index in strange:
        yield HistoryViolation(
            law=Law.FOREIGN_MESSAGE,
            message_index=index,
            part_index=part_index,
            message="found what the original does not have; expected its messages, and summaries as CompactionParts of"
            " a request: leave this out, or put the words into a CompactionPart",
        )


def _edits(index: int, message: ModelMessage, source: ModelMessage) -> Violations:
    """What an edit of a message may not do."""
    if not message.parts and not all(isinstance(part, _CARRIED) for part in source.parts):
        yield HistoryViolation(
            law=Law.EMPTIED_MESSAGE,
            message_index=index,
            message=f"found no parts; expected some of the {len(source.parts)} of the original: leave the whole message"
            " out instead",
        )
        return
    yield from _blanked(index, message, source)
    if isinstance(message, ModelResponse) and isinstance(source, ModelResponse):
        yield from _thinking(index, message, source)


def _blanked(index: int, message: ModelMessage, source: ModelMessage) -> Violations:
    """Plain results where the source has typed ones; the same id may stand for several calls, plain and typed."""
    typed = {part.tool_call_id for part in source.parts if is_typed(part) and isinstance(part, ToolReturnPart)}
    plain = Counter(part.tool_call_id for part in source.parts if type(part) is ToolReturnPart)
    for part_index, part in enumerate(message.parts):
        if type(part) is not ToolReturnPart or part.tool_call_id not in typed:
            continue
        plain[part.tool_call_id] -= 1
        if plain[part.tool_call_id] < 0:
            yield HistoryViolation(
                law=Law.BLANKED_TYPED_PART,
                message_index=index,
                part_index=part_index,
                message=f"found a plain result for {part.tool_call_id!r}; expected the typed part of the original:"
                " leave such parts alone, the run reads its state from them",
            )


def _thinking(index: int, message: ModelResponse, source: ModelResponse) -> Violations:
    """Signed thinking that is not what the model thought, or is gone while the calls it led to stay."""
    said = [part for part in source.parts if isinstance(part, ThinkingPart) and part.signature is not None]
    left = 0
    for part_index, part in enumerate(message.parts):
        if not isinstance(part, ThinkingPart) or part.signature is None:
            continue
        left += 1
        if part not in said:
            yield _edited(index, part_index, "signed thinking that is not the original's")
    calls = {part.tool_call_id: part for part in source.parts if isinstance(part, ToolCallPart)}
    kept = [(at, part) for at, part in enumerate(message.parts) if isinstance(part, ToolCallPart)]
    if kept and left < len(said):
        yield _edited(index, None, f"{left} of {len(said)} signed thoughts in a response that keeps its calls")
    for part_index, part in kept:
        source_call = calls.get(part.tool_call_id)
        if source_call is not None and _signature(source_call) != _signature(part):
            yield _edited(index, part_index, "a call without the signature it had")


def _signature(part: ToolCallPart) -> object:
    """The signature of the thinking behind a call, where the provider puts it on the call."""
    return (part.provider_details or {}).get("thought_signature")


def _edited(index: int, part_index: int | None, found: str) -> HistoryViolation:
    return HistoryViolation(
        law=Law.EDITED_THINKING,
        message_index=index,
        part_index=part_index,
        message=f"found {found}; expected it as the provider signed it: leave such parts as they are, or leave the"
        " whole response and its results out",
    )


def _conversation_prompts(messages: Sequence[ModelMessage]) -> list[SystemPromptPart]:
    return [
        part
        for message in messages
        for part in message.parts
        if isinstance(part, SystemPromptPart) and part.scope == "conversation"
    ]


def _lost_prompts(messages: Sequence[ModelMessage], original: Sequence[ModelMessage]) -> Violations:
    left = _conversation_prompts(messages)
    contents = {part.content for part in left}
    refs = {part.dynamic_ref for part in left} - {None}
    for part in _conversation_prompts(original):
        if part.content not in contents and part.dynamic_ref not in refs:
            contents.add(part.content)
            yield HistoryViolation(
                law=Law.LOST_SYSTEM_PROMPT,
                message_index=None,
                message=f"found no system prompt {_shortened(part.content)!r}; expected it to stay: move it to the"
                " first request that is kept, or give it to the agent as instructions, which are always there",
            )


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"


def _newest(messages: Sequence[ModelMessage], original: Sequence[ModelMessage]) -> Violations:
    """Whether the newest request and what follows it are as they were."""
    start = max((index for index, message in enumerate(original) if isinstance(message, ModelRequest)), default=0)
    tail = original[start:]
    kept = messages[max(len(messages) - len(tail), 0) :]
    if len(kept) == len(tail) and all(new is old or _same(new, old) for new, old in zip(kept, tail, strict=True)):
        return
    yield HistoryViolation(
        law=Law.NEWEST_REQUEST_CHANGED,
        message_index=len(messages) - len(kept) if kept else None,
        message=f"found another end than the original's last {len(tail)} message(s); expected its newest request and"
        " what follows it as they were: shorten what comes before",
    )


def _same(new: ModelMessage, old: ModelMessage) -> bool:
    """Whether a model sees the same in both."""
    if isinstance(new, ModelRequest) and isinstance(old, ModelRequest) and new.instructions != old.instructions:
        return False
    return new.kind == old.kind and list(new.parts) == list(old.parts)


def _split_native(messages: Sequence[ModelMessage], original: Sequence[ModelMessage]) -> Violations:
    """Calls of providers' own tools that lost the result they had."""
    had = {
        part.tool_call_id for message in original for part in message.parts if isinstance(part, NativeToolReturnPart)
    }
    has = {
        part.tool_call_id for message in messages for part in message.parts if isinstance(part, NativeToolReturnPart)
    }
    for index, message in enumerate(messages):
        for part_index, part in enumerate(message.parts):
            if isinstance(part, NativeToolCallPart) and part.tool_call_id in had - has:
                yield HistoryViolation(
                    law=Law.SPLIT_NATIVE_PAIR,
                    message_index=index,
                    part_index=part_index,
                    message=f"found the call {part.tool_call_id!r} of the provider's own tool {part.tool_name!r} alone;"
                    " expected its result too: keep the response with the result, or leave both out",
                )
