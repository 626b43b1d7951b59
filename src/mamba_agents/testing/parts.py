"""Parts of messages, made by choices."""

from typing import cast

from pydantic_ai.messages import (
    INTERRUPTED_TOOL_RETURN_CONTENT,
    SYNTHESIZED_TOOL_RETURN_METADATA_KEY,
    BinaryContent,
    CachePoint,
    DocumentUrl,
    ImageUrl,
    LoadCapabilityCallPart,
    LoadCapabilityReturnPart,
    ModelRequestPart,
    ModelResponsePart,
    NativeToolCallPart,
    NativeToolReturnPart,
    RetryFeedbackPart,
    RetryInfo,
    TextContent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    ToolSearchCallPart,
    ToolSearchReturnPart,
    UserContent,
    UserPromptPart,
)

from mamba_agents.testing.choices import Choices
from mamba_agents.testing.unknown import AnnotatedToolReturnPart, UnknownPart

PROVIDER = "anthropic"
CALL_IDS = ("call-1", "call-2", "call-3", "call-1", "0", "")
_TOOLS = ("read_file", "search", "run_bash", "ask")
_PNG = b"\x89PNG\r\n\x1a\n" + bytes(24)


def user_prompt(choose: Choices) -> UserPromptPart:
    """What a user says: text mostly, with files at times."""
    if not choose.once_in(5):
        return UserPromptPart(choose.text(), timestamp=choose.now())
    content: list[UserContent] = [choose.text()]
    content.extend(_user_content(choose) for _ in range(choose.below(4)))
    return UserPromptPart(content, timestamp=choose.now())


def _user_content(choose: Choices) -> UserContent:
    match choose.below(6):
        case 0:
            return TextContent(choose.text(), metadata={"source": "form"})
        case 1:
            return ImageUrl("https://example.org/picture.png")
        case 2:
            return DocumentUrl("https://example.org/report.pdf")
        case 3:
            return CachePoint()
        case _:
            return image(choose)


def image(choose: Choices) -> BinaryContent:
    """A file of a few bytes, or of many."""
    return BinaryContent(_PNG * (1 + choose.below(40)), media_type=choose.one_of(("image/png", "application/pdf")))


def tool_call(choose: Choices) -> ToolCallPart:
    """A call, its arguments in any form a provider sends, its id perhaps one that was used before."""
    call_id = choose.one_of(CALL_IDS)
    match choose.below(16):
        case 14:
            return ToolSearchCallPart(args={"queries": [choose.text()]}, tool_call_id=call_id)
        case 15:
            return LoadCapabilityCallPart(args={"id": "billing"}, tool_call_id=call_id)
        case _:
            details = {"thought_signature": "c2ln"} if choose.once_in(8) else None
            return ToolCallPart(
                choose.one_of(_TOOLS),
                _arguments(choose),
                call_id,
                provider_name=PROVIDER if details else None,
                provider_details=details,
            )


def _arguments(choose: Choices) -> str | dict[str, object] | None:
    match choose.below(7):
        case 0:
            return {}
        case 1:
            return None
        case 2:
            return '{"path": "a.txt", "limit"'
        case 3:
            return ""
        case 4:
            return '{"path": "src/app/main.py"}'
        case 5:
            return {"text": choose.text(), "nested": {"rows": [1, None, 2.5, True]}}
        case _:
            return {"path": "data/report.csv", "order": 48213}


def tool_result(choose: Choices, call: ToolCallPart, *, unknown: bool) -> ToolReturnPart:
    """The result of a call, of any outcome and content."""
    call_id = call.tool_call_id
    if not choose.once_in(6):
        return _success(choose, call, unknown=unknown)
    match choose.below(4):
        case 0:
            return ToolReturnPart(
                call.tool_name,
                choose.text(),
                call_id,
                outcome="retried",
                retry=RetryInfo("model_retry", attempt=1, max_retries=2),
                timestamp=choose.now(),
            )
        case 1:
            return interrupted_result(choose, call)
        case 2:
            return ToolReturnPart(call.tool_name, "denied", call_id, outcome="denied", timestamp=choose.now())
        case _:
            return ToolReturnPart(call.tool_name, choose.text(), call_id, outcome="failed", timestamp=choose.now())


def _success(choose: Choices, call: ToolCallPart, *, unknown: bool) -> ToolReturnPart:
    call_id = call.tool_call_id
    if isinstance(call, ToolSearchCallPart):
        return ToolSearchReturnPart(
            content={"discovered_tools": [{"name": "refund"}]},
            tool_call_id=call_id,
            timestamp=choose.now(),
        )
    if isinstance(call, LoadCapabilityCallPart):
        return LoadCapabilityReturnPart(content={"message": "Loaded."}, tool_call_id=call_id, timestamp=choose.now())
    content = _returned(choose)
    if unknown and choose.once_in(10):
        return AnnotatedToolReturnPart(call.tool_name, content, call_id, sources=("a.txt",), timestamp=choose.now())
    metadata = {"seconds": 0.2} if choose.once_in(6) else None
    return ToolReturnPart(call.tool_name, content, call_id, metadata=metadata, timestamp=choose.now())


def _returned(choose: Choices) -> object:
    match choose.below(9):
        case 0:
            return None
        case 1:
            return [choose.text(), 7, None]
        case 2:
            return {"rows": [{"id": 48213, "note": choose.text()}], "error": None}
        case 3:
            return image(choose)
        case 4:
            return ["see the picture", image(choose)]
        case 5:
            return 3.5
        case _:
            return choose.text()


def interrupted_result(choose: Choices, call: ToolCallPart) -> ToolReturnPart:
    """What pydantic-ai answers a call with that was cut off."""
    return ToolReturnPart(
        call.tool_name,
        INTERRUPTED_TOOL_RETURN_CONTENT,
        call.tool_call_id,
        tool_kind=call.tool_kind,
        metadata={SYNTHESIZED_TOOL_RETURN_METADATA_KEY: True},
        outcome="interrupted",
        timestamp=choose.now(),
    )


def retry_feedback(choose: Choices) -> RetryFeedbackPart:
    """What is said to a model whose answer could not be used."""
    return RetryFeedbackPart(choose.text(), retry=RetryInfo("model_retry"), timestamp=choose.now())


def thinking(choose: Choices) -> list[ModelResponsePart]:
    """Some thoughts: signed, unsigned, empty or redacted."""
    thoughts: list[ModelResponsePart] = []
    for _ in range(choose.one_of((0, 0, 1, 2))):
        match choose.below(4):
            case 0:
                thoughts.append(ThinkingPart(choose.text()))
            case 1:
                thoughts.append(ThinkingPart("", id="redacted_thinking", signature="c2VjcmV0", provider_name=PROVIDER))
            case _:
                thoughts.append(ThinkingPart(choose.text(), signature="c2ln", provider_name=PROVIDER))
    return thoughts


def native_call(choose: Choices, call_id: str) -> NativeToolCallPart:
    """A call of a tool that the provider runs itself."""
    return NativeToolCallPart("web_search", {"query": choose.text()}, call_id, provider_name=PROVIDER)


def native_result(choose: Choices, call_id: str) -> NativeToolReturnPart:
    """What such a tool found."""
    content = [{"title": choose.text(), "url": "https://example.org"}]
    return NativeToolReturnPart("web_search", content, call_id, provider_name=PROVIDER, timestamp=choose.now())


def said(choose: Choices, *, unknown: bool) -> list[ModelResponsePart]:
    """What a model says for itself: nothing, a text or two, or a part of no known kind."""
    if unknown and choose.once_in(12):
        return cast("list[ModelResponsePart]", [UnknownPart(choose.text())])
    return [TextPart(choose.text()) for _ in range(choose.one_of((1, 0, 1, 2)))]


def unknown_part(choose: Choices) -> ModelRequestPart:
    """A part of no known kind, where pydantic-ai's own types have no place for one."""
    return cast("ModelRequestPart", UnknownPart(choose.text()))
