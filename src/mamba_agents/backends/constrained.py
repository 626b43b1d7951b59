"""Tool calls for models that write none: one choice, constrained by a JSON schema, in place of the list of tools."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import override

from pydantic_ai import RunContext
from pydantic_ai.messages import (
    InstructionPart,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    PartEndEvent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models import KnownModelName, Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings, ToolOrOutput
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from mamba_agents.backends.choice import TEXT, Choice, answer_text, call_text


class ConstrainedToolsModel(WrapperModel):
    """Gives any model tool calls, where its server can hold a reply to a JSON schema.

    The tools become one choice: a call of one of them with arguments its schema allows, or an answer. The reply is
    turned back into an ordinary tool call, so names and arguments are valid whatever the model; whether the choice is
    a good one is the model's affair. A reply holds one call. Requests without tools pass untouched.
    """

    def __init__(self, wrapped: Model | KnownModelName, *, max_string_length: int | None = None) -> None:
        super().__init__(wrapped)
        self.max_string_length = max_string_length
        """The most characters of a string argument whose schema sets no bound; a small model may never end one."""

    @override
    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        choice = self._choice(model_settings, model_request_parameters)
        if choice is None:
            return await super().request(messages, model_settings, model_request_parameters)
        asked = _asked(messages, model_settings, model_request_parameters, choice)
        return _chosen(await super().request(*asked), choice)

    @override
    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[object] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        choice = self._choice(model_settings, model_request_parameters)
        if choice is None:
            async with super().request_stream(
                messages, model_settings, model_request_parameters, run_context
            ) as stream:
                yield stream
            return
        asked = _asked(messages, model_settings, model_request_parameters, choice)
        async with super().request_stream(*asked, run_context) as stream:
            yield ConstrainedStream(self._resolved(model_request_parameters), stream, choice)

    def _choice(self, settings: ModelSettings | None, parameters: ModelRequestParameters) -> Choice | None:
        parameters = self._resolved(parameters)
        tools, must_call = _allowed(settings, parameters)
        if not tools:
            return None
        answer = None if must_call else _answer(parameters)
        return Choice(tools=tools, answer=answer, max_string_length=self.max_string_length)

    def _resolved(self, parameters: ModelRequestParameters) -> ModelRequestParameters:
        resolved = parameters.with_default_output_mode(self.profile.get("default_structured_output_mode", "tool"))
        return resolved if resolved.output_mode == "tool" else replace(resolved, output_tools=[])


@dataclass
class ConstrainedStream(StreamedResponse):
    """A streamed reply to a choice: an answer's text as it comes, a call when it is whole."""

    inner: StreamedResponse
    choice: Choice

    @override
    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        said = ""
        async for event in self.inner:
            if isinstance(event, PartEndEvent) and isinstance(event.part, ThinkingPart):
                yield self._parts_manager.handle_part(vendor_part_id=None, part=event.part)
            answer = self.choice.answer_so_far(_reply(self.inner.get()))
            for said_event in self._say(answer.removeprefix(said)):
                yield said_event
            said = answer
        response = _chosen(self.inner.get(), self.choice)
        self.provider_response_id = response.provider_response_id
        self.provider_details = response.provider_details
        self.finish_reason = response.finish_reason
        for part in response.parts:
            if isinstance(part, ToolCallPart):
                yield self._parts_manager.handle_part(vendor_part_id=None, part=part)
            elif isinstance(part, TextPart):
                for said_event in self._say(part.content.removeprefix(said)):
                    yield said_event

    def _say(self, text: str) -> Iterator[ModelResponseStreamEvent]:
        if text:
            yield from self._parts_manager.handle_text_delta(vendor_part_id="answer", content=text)

    @override
    async def close_stream(self) -> None:
        await self.inner.cancel()

    @override
    def get_stream_cancel_errors(self) -> tuple[type[BaseException], ...]:
        return self.inner.get_stream_cancel_errors()

    @property
    @override
    def usage(self) -> RequestUsage:
        return self.inner.usage

    @property
    @override
    def model_name(self) -> str:
        return self.inner.model_name

    @property
    @override
    def provider_name(self) -> str | None:
        return self.inner.provider_name

    @property
    @override
    def provider_url(self) -> str | None:
        return self.inner.provider_url

    @property
    @override
    def timestamp(self) -> datetime:
        return self.inner.timestamp


def _allowed(settings: ModelSettings | None, parameters: ModelRequestParameters) -> tuple[list[ToolDefinition], bool]:
    """Give the tools that may be called, and whether one must be."""
    functions, outputs = parameters.declared_function_tools, parameters.output_tools
    must_call = not parameters.allow_text_output
    match (settings or {}).get("tool_choice"):
        case None | "auto":
            return [*functions, *outputs], must_call
        case "none":
            return outputs, must_call
        case "required":
            return functions, True
        case ToolOrOutput(function_tools=names):
            return [*_named(functions, names), *outputs], must_call
        case list() as names:
            return _named([*functions, *outputs], names), bool(names) or must_call


def _named(tools: list[ToolDefinition], names: list[str]) -> list[ToolDefinition]:
    return [tool for tool in tools if tool.name in names]


def _answer(parameters: ModelRequestParameters) -> dict[str, object]:
    if parameters.output_object is None or parameters.output_mode not in ("native", "prompted"):
        return TEXT
    return parameters.output_object.json_schema


def _asked(
    messages: list[ModelMessage],
    settings: ModelSettings | None,
    parameters: ModelRequestParameters,
    choice: Choice,
) -> tuple[list[ModelMessage], ModelSettings, ModelRequestParameters]:
    """Give the request that puts the choice in place of the tools."""
    instructions = parameters.instruction_parts
    if instructions is None:
        instructions = _instructions(messages)
    return (
        [_spelled_out(message) for message in messages],
        (settings or ModelSettings()) | ModelSettings(tool_choice="auto"),
        replace(
            parameters,
            function_tools=[],
            output_tools=[],
            tool_visibility=None,
            output_mode="native",
            output_object=OutputObjectDefinition(json_schema=choice.schema, name="choice"),
            prompted_output_template=False,
            allow_text_output=True,
            instruction_parts=[*instructions, InstructionPart(choice.instructions)],
        ),
    )


def _instructions(messages: list[ModelMessage]) -> list[InstructionPart]:
    requests = (message for message in reversed(messages) if isinstance(message, ModelRequest))
    latest = next((request.instructions for request in requests if request.instructions), None)
    return [InstructionPart(latest)] if latest else []


def _spelled_out(message: ModelMessage) -> ModelMessage:
    """Give the message with calls and their results as text, which chat templates without tools can carry."""
    if isinstance(message, ModelRequest):
        return replace(message, parts=[_result_text(part) for part in message.parts])
    return replace(message, parts=[_reply_text(part) for part in message.parts])


def _reply_text(part: ModelResponsePart) -> ModelResponsePart:
    match part:
        case ToolCallPart():
            return TextPart(call_text(part.tool_name, part.args_as_dict()))
        case TextPart():
            return replace(part, content=answer_text(part.content))
        case _:
            return part


def _result_text(part: ModelRequestPart) -> ModelRequestPart:
    if part.part_kind == "tool-return":
        return UserPromptPart([f"Result of {part.tool_name}: {part.model_response_str()}", *part.files])
    if part.part_kind == "retry-prompt" and part.tool_name:
        return UserPromptPart(f"Result of {part.tool_name}: {part.model_response()}")
    return part


def _chosen(response: ModelResponse, choice: Choice) -> ModelResponse:
    """Give the response with what the model chose in place of its spelling."""
    if response.finish_reason in ("content_filter", "error"):
        return response
    cut = response.finish_reason == "length" or response.state != "complete"
    part = choice.read(_reply(response), cut=cut)
    others = [part for part in response.parts if not isinstance(part, TextPart)]
    calls = isinstance(part, ToolCallPart)
    return replace(
        response,
        parts=[*others, part] if part else others,
        finish_reason="tool_call" if calls and response.finish_reason == "stop" else response.finish_reason,
    )


def _reply(response: ModelResponse) -> str:
    return "".join(part.content for part in response.parts if isinstance(part, TextPart))
