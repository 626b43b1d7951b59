"""What chat messages say, in native messages."""

from collections.abc import Mapping, Sequence

from pydantic_ai.messages import (
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from mamba_agents._internal.chat.content import from_chat_part
from mamba_agents._internal.chat.types import (
    AssistantChatMessage,
    SystemChatMessage,
    TextContentPart,
    ToolChatMessage,
    UserChatMessage,
)

_UNNAMED_TOOL = "unknown"


def request_part(
    message: SystemChatMessage | UserChatMessage | ToolChatMessage, tool_names: Mapping[str, str]
) -> SystemPromptPart | UserPromptPart | ToolReturnPart:
    """Give the part that says what the message says; `tool_names` holds the tool behind each call so far."""
    match message["role"]:
        case "system" | "developer":
            return SystemPromptPart(_text(message["content"]))
        case "user":
            content = message["content"]
            return UserPromptPart(content if isinstance(content, str) else [from_chat_part(part) for part in content])
        case "tool":
            call_id = message["tool_call_id"]
            name = message.get("name") or tool_names.get(call_id, _UNNAMED_TOOL)
            return ToolReturnPart(name, _text(message["content"]), call_id)


def response(message: AssistantChatMessage) -> ModelResponse:
    """Give the response that says what the message says: its thinking, then its text, then its calls."""
    parts: list[ModelResponsePart] = []
    if thinking := message.get("reasoning_content"):
        parts.append(ThinkingPart(thinking))
    parts.extend(_texts(message))
    parts.extend(
        ToolCallPart(call["function"]["name"], call["function"]["arguments"], call["id"])
        for call in message.get("tool_calls") or []
    )
    if refusal := _refusal(message):
        # Where pydantic-ai keeps the refusals it receives.
        return ModelResponse(parts, provider_details={"refusal": refusal}, finish_reason="content_filter")
    return ModelResponse(parts)


def _texts(message: AssistantChatMessage) -> list[TextPart]:
    content = message.get("content") or []
    texts = [content] if isinstance(content, str) else [part["text"] for part in content if part["type"] == "text"]
    return [TextPart(text) for text in texts]


def _refusal(message: AssistantChatMessage) -> str | None:
    content = message.get("content") or []
    if message.get("refusal") or isinstance(content, str):
        return message.get("refusal")
    return "".join(part["refusal"] for part in content if part["type"] == "refusal")


def _text(content: str | Sequence[TextContentPart]) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)
