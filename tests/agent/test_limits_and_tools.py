"""The limit of iterations, and tools that fail."""

import functools
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import (
    ApprovalRequired,
    CallDeferred,
    DeferredToolRequests,
    FunctionToolset,
    ModelRetry,
    RunContext,
    Tool,
    UsageLimitExceeded,
    UsageLimits,
)
from pydantic_ai.messages import ModelMessage, ModelResponse, RetryPromptPart, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from mamba_agents.agent import Agent, AgentConfig
from tests.agent import entry_points
from tests.agent.entry_points import EntryPoint
from tests.helpers import call, echo, reply

pytestmark = pytest.mark.anyio


def tireless(says: str = "") -> FunctionModel:
    """A model that calls its tool for ever, and may say something each time."""
    requests = iter(range(1, 1000))

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        i = next(requests)
        text = [TextPart(f"{says} {i}")] if says else []
        return ModelResponse(parts=[*text, ToolCallPart("look", {}, tool_call_id=f"c{i}")])

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Any:
        i = next(requests)
        if says:
            yield f"{says} {i}"
        yield {1: DeltaToolCall("look", "{}", tool_call_id=f"c{i}")}

    return FunctionModel(respond, stream_function=stream)


def agent_with_look(model: FunctionModel, **options: Any) -> Agent[Any, Any]:
    agent = Agent(model, **options)
    agent.tool_plain(lambda: "nothing", name="look")
    return agent


@pytest.mark.parametrize("enter", entry_points.ALL, ids=lambda enter: enter.__name__)
async def test_a_run_at_its_limit_ends_with_the_text_there_is(enter: EntryPoint) -> None:
    agent = agent_with_look(tireless("step"), config=AgentConfig(max_iterations=3))
    # Through `run_stream`, whose first text counts as final in pydantic-ai, the run is over at once.
    expected = "step 1" if enter in (entry_points.run_stream, entry_points.run_stream_sync) else "step 3"
    assert await enter(agent, "a") == expected


async def test_the_result_says_that_the_limit_was_reached_and_the_closing_is_no_request() -> None:
    agent = agent_with_look(tireless("step"))
    result = await agent.run("a")
    assert result.stop_reason == "max_iterations"
    assert result.output == "step 10"
    assert agent.get_usage().request_count == result.usage.requests == 10
    assert result.cost is None
    assert isinstance(agent.messages[-1], ModelResponse)


async def test_without_any_text_the_answer_is_that_there_is_none() -> None:
    agent = agent_with_look(tireless(), config=AgentConfig(max_iterations=2))
    for enter in (entry_points.run, entry_points.stream, entry_points.run_stream):
        assert await enter(agent, "a") == "Stopped after 2 model requests without an answer."
    assert (await agent.run("a")).stop_reason == "max_iterations"


class Answer(BaseModel):
    value: int


async def test_an_output_that_is_not_text_cannot_be_made_up() -> None:
    agent = agent_with_look(tireless("step"), output_type=Answer, config=AgentConfig(max_iterations=2))
    with pytest.raises(UsageLimitExceeded, match=r"made 2 model requests .* raise `max_iterations`"):
        await agent.run("a")


async def test_without_a_limit_that_of_pydantic_ai_holds() -> None:
    agent = agent_with_look(tireless(), config=AgentConfig(max_iterations=None))
    with pytest.raises(UsageLimitExceeded, match="50"):
        await agent.run("a")
    with pytest.raises(UsageLimitExceeded, match="7"):
        await agent_with_look(tireless()).run("a", usage_limits=UsageLimits(request_limit=7))


async def test_a_run_within_its_limit_is_completed() -> None:
    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return reply("done") if isinstance(messages[-1].parts[-1], ToolReturnPart) else call("look")

    result = await agent_with_look(FunctionModel(respond), config=AgentConfig(max_iterations=2)).run("a")
    assert (result.output, result.stop_reason) == ("done", "completed")


def what_the_model_is_told() -> FunctionModel:
    """Calls the only tool once, then repeats what it was told."""

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        last = messages[-1].parts[-1]
        if isinstance(last, RetryPromptPart | ToolReturnPart):
            return reply(str(last.content))
        return call(info.function_tools[0].name, {})

    return FunctionModel(respond)


def broken() -> str:
    raise KeyError("no such city")


async def broken_async() -> str:
    return broken()


class BrokenTool:
    """An object that is a tool."""

    def __call__(self) -> str:
        return broken()


class BrokenAsyncTool:
    async def __call__(self) -> str:
        return broken()


def told(text: str) -> bool:
    return text == "KeyError: 'no such city'"


@pytest.mark.parametrize(
    "tool",
    [
        broken,
        broken_async,
        Tool(broken, name="a_tool"),
        functools.partial(broken),
        functools.partial(broken_async),
        functools.partial(BrokenTool()),
        BrokenTool(),
        BrokenAsyncTool(),
        BrokenTool().__call__,
    ],
)
async def test_the_model_is_told_of_the_exception_of_any_kind_of_tool(tool: Any) -> None:
    assert told((await Agent(what_the_model_is_told(), tools=[tool]).run("a")).output)


async def test_a_partial_and_an_object_are_shown_to_the_model_as_functions() -> None:
    def greet(name: str, greeting: str, *, secret: str) -> str:
        """Greets somebody."""
        return f"{greeting}, {name} ({secret})"

    tools = [functools.partial(greet, greeting="Hello", secret="s3cret"), BrokenTool()]
    shown: dict[str, tuple[str | None, list[str]]] = {}

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        for tool in info.function_tools:
            shown[tool.name] = (tool.description, list(tool.parameters_json_schema["properties"]))
        last = messages[-1].parts[-1]
        return reply(str(last.content)) if isinstance(last, ToolReturnPart) else call("greet", {"name": "you"})

    assert (await Agent(FunctionModel(respond), tools=tools).run("a")).output == "Hello, you (s3cret)"
    assert shown == {"greet": ("Greets somebody.", ["name"]), "broken_tool": ("An object that is a tool.", [])}


async def test_the_tools_of_toolsets_are_graceful_too() -> None:
    toolset = FunctionToolset([broken])
    assert told((await Agent(what_the_model_is_told(), toolsets=[toolset]).run("a")).output)
    assert told((await Agent(what_the_model_is_told()).run("a", toolsets=[toolset])).output)


@pytest.mark.parametrize("tool", [broken, broken_async])
async def test_the_decorated_function_behaves_by_hand_as_it_does_for_the_model(tool: Any) -> None:
    agent = Agent(what_the_model_is_told())
    decorated = agent.tool_plain(tool)
    assert decorated.__name__ == tool.__name__
    with pytest.raises(ModelRetry, match="KeyError: 'no such city'") as caught:
        result = decorated()
        await result
    assert isinstance(caught.value.__cause__, KeyError)
    assert told((await agent.run("a")).output)


async def test_a_tool_with_context_can_be_decorated_in_both_ways() -> None:
    for register in (lambda agent, tool: agent.tool(tool), lambda agent, tool: agent.tool(retries=2)(tool)):
        agent = Agent(what_the_model_is_told(), deps_type=str)

        def look(ctx: RunContext[str]) -> str:
            raise ValueError(ctx.deps)

        register(agent, look)
        assert (await agent.run("a", deps="from deps")).output == "ValueError: from deps"


async def test_errors_end_the_run_where_they_are_asked_to() -> None:
    by_config = Agent(what_the_model_is_told(), config=AgentConfig(graceful_tool_errors=False))
    by_config.tool_plain(broken)
    by_tool = Agent(what_the_model_is_told())
    assert by_tool.tool_plain(graceful_errors=False, metadata={"kept": 1})(broken) is broken
    for agent in (by_config, by_tool):
        with pytest.raises(KeyError, match="no such city"):
            await agent.run("a")


async def test_one_tool_can_be_graceful_where_the_others_are_not() -> None:
    agent = Agent(what_the_model_is_told(), config=AgentConfig(graceful_tool_errors=False))
    agent.tool_plain(graceful_errors=True)(broken)
    assert told((await agent.run("a")).output)


@pytest.mark.parametrize(
    "signal", [ModelRetry("again"), UsageLimitExceeded("enough"), ApprovalRequired(), CallDeferred()]
)
async def test_what_a_tool_raises_on_purpose_passes_untouched(signal: Exception) -> None:
    agent = Agent(what_the_model_is_told(), output_type=[str, DeferredToolRequests])

    @agent.tool_plain
    def steer() -> str:
        raise signal

    with pytest.raises(type(signal)) as caught:
        steer()
    assert caught.value is signal
    if isinstance(signal, UsageLimitExceeded):
        with pytest.raises(UsageLimitExceeded, match="enough"):
            await agent.run("a")
        return
    result = await agent.run("a")
    if isinstance(signal, ModelRetry):
        assert result.output == "again"
    else:
        assert isinstance(result.output, DeferredToolRequests)
        assert result.stop_reason == "deferred"


async def test_the_model_can_mend_its_call() -> None:
    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        told = str(messages[-1].parts[-1].content)
        if told == "half of three":
            return call("half", {"n": 3})
        return call("half", {"n": 4}) if "odd" in told else reply(told)

    agent = Agent(FunctionModel(respond))

    @agent.tool_plain
    def half(n: int) -> int:
        if n % 2:
            raise ValueError(f"{n} is odd")
        return n // 2

    assert (await agent.run("half of three")).output == "2"


async def test_the_layers_hold_under_an_overriding_spec() -> None:
    agent = agent_with_look(tireless("step"), config=AgentConfig(max_iterations=2))
    with agent.override(spec={"instructions": "Be brief."}):
        assert (await agent.run("a")).stop_reason == "max_iterations"
    assert (await Agent(echo()).run("a")).stop_reason == "completed"


async def test_the_closing_at_the_limit_is_not_streamed_twice_and_an_echo_that_is_none_is() -> None:
    async def same(messages: list[ModelMessage], info: AgentInfo) -> Any:
        yield "again"
        if len(messages) < 4:
            yield {1: DeltaToolCall("look", "{}", tool_call_id=f"c{len(messages)}")}

    agent = agent_with_look(FunctionModel(stream_function=same))
    assert [text async for text in agent.stream("a")] == ["again", "\n\nagain"]
    limited = agent_with_look(tireless("step"), config=AgentConfig(max_iterations=2))
    stream = limited.stream("a")
    assert [text async for text in stream] == ["step 1", "\n\nstep 2"]
    assert stream.result is not None
    assert (stream.result.output, stream.result.stop_reason) == ("step 2", "max_iterations")


async def test_the_closing_at_the_limit_leaves_the_cost_of_the_session_known() -> None:
    agent = agent_with_look(tireless("step"), config=AgentConfig(max_iterations=2))
    await agent.run("a")
    assert agent.session().usage.requests == 2
