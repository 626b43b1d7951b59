"""Builders of messages and models that the tests share."""

from collections.abc import Sequence

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel


def user(text: str) -> ModelRequest:
    return ModelRequest(parts=[UserPromptPart(text)])


def reply(text: str) -> ModelResponse:
    return ModelResponse(parts=[TextPart(text)])


def call(name: str, args: dict[str, object] | str | None = None, call_id: str = "call-1") -> ModelResponse:
    return ModelResponse(parts=[ToolCallPart(name, args or {}, tool_call_id=call_id)])


def returned(name: str, content: object, call_id: str = "call-1") -> ModelRequest:
    return ModelRequest(parts=[ToolReturnPart(name, content, tool_call_id=call_id)])


def prompts(messages: Sequence[ModelMessage]) -> list[str]:
    """The user prompts in a history, oldest first."""
    return [
        part.content
        for message in messages
        for part in message.parts
        if isinstance(part, UserPromptPart) and isinstance(part.content, str)
    ]


def script(*responses: ModelResponse | str) -> FunctionModel:
    """A model that gives these responses in order, then fails."""
    queue = [reply(r) if isinstance(r, str) else r for r in responses]

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return queue.pop(0)

    return FunctionModel(respond)


def echo() -> FunctionModel:
    """A model that answers with the number of user prompts it sees and the last of them."""

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen = prompts(messages)
        return reply(f"{len(seen)}: {seen[-1]}")

    async def stream(messages: list[ModelMessage], info: AgentInfo):
        seen = prompts(messages)
        for word in f"{len(seen)}: {seen[-1]}".split(" "):
            yield word + " "

    return FunctionModel(respond, stream_function=stream)
