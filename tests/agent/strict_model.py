"""A model that counts what it is sent, refuses what does not fit, and reports what it counted, as real ones do."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pydantic_ai import ModelContextWindowExceededError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import StreamedResponse
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.usage import RequestUsage

from mamba_agents.tokens import TokenCounter

type Answer = Callable[[list[ModelMessage], AgentInfo], ModelResponse]


class StrictModel(FunctionModel):
    """`requests` are the messages of every request that it took, and `sizes` their tokens."""

    def __init__(
        self,
        answer: Answer,
        *,
        window: int,
        says_window: bool = True,
        tells_figures: bool = True,
        ratio: float = 1.0,
        name: str = "strict",
    ) -> None:
        self.requests: list[list[ModelMessage]] = []
        self.sizes: list[int] = []
        self.refused: list[int] = []
        self.window = window
        self._answer = answer
        self._ratio = ratio
        self._tells_figures = tells_figures
        self._counter = TokenCounter()
        super().__init__(
            self._respond,
            stream_function=self._stream,
            model_name=name,
            profile=ModelProfile(context_window=window if says_window else None),
        )

    def size(self, messages: Sequence[ModelMessage], info: AgentInfo) -> int:
        counted = self._counter.count_messages(messages)
        return int(self._ratio * (counted + self._counter.count_request_parameters(info.model_request_parameters)))

    async def _respond(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        size = self.size(messages, info)
        if size > self.window:
            self.refused.append(size)
            raise ModelContextWindowExceededError("strict", self._refusal(size))
        self.requests.append(list(messages))
        self.sizes.append(size)
        response = self._answer(messages, info)
        output = self._counter.count_messages([response])
        response.usage = RequestUsage(input_tokens=size, output_tokens=output)
        return response

    def _refusal(self, size: int) -> str:
        if not self._tells_figures:
            return "Your request is too long."
        return (
            f"This model's maximum context length is {self.window} tokens. However, your messages resulted in {size} "
            "tokens. Please reduce the length of the messages."
        )

    @asynccontextmanager
    async def request_stream(self, *args: Any, **options: Any) -> AsyncGenerator[StreamedResponse]:
        async with super().request_stream(*args, **options) as stream:
            guessed = stream.get

            def reported() -> ModelResponse:
                response = guessed()
                output = self._counter.count_messages([response])
                response.usage = RequestUsage(input_tokens=self.sizes[-1], output_tokens=output)
                return response

            stream.get = reported
            yield stream

    async def _stream(
        self, messages: list[ModelMessage], info: AgentInfo
    ) -> AsyncIterator[str | dict[int, DeltaToolCall]]:
        response = await self._respond(messages, info)
        for index, part in enumerate(response.parts):
            if isinstance(part, TextPart):
                yield part.content
            elif isinstance(part, ToolCallPart):
                yield {index: DeltaToolCall(part.tool_name, part.args_as_json_str(), tool_call_id=part.tool_call_id)}


def says(text: str) -> Answer:
    """Answer always the same."""
    return lambda messages, info: ModelResponse(parts=[TextPart(text)])


def calls(count: int, tool: str, then: str = "done") -> Answer:
    """Call a tool so many times, one after the other, with the numbers from 0 on, then answer."""
    made = 0

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        nonlocal made
        if made >= count:
            return ModelResponse(parts=[TextPart(then)])
        made += 1
        return ModelResponse(parts=[ToolCallPart(tool, {"n": made - 1}, tool_call_id=f"c{made - 1}")])

    return answer
