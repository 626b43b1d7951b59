"""Tools, toolsets, outputs and the strategies that end a run."""

from typing import Any

from pydantic import BaseModel
from pydantic_ai import (
    ApprovalRequired,
    CallDeferred,
    DeferredToolRequests,
    DeferredToolResults,
    FunctionToolset,
    ModelResponse,
    ModelRetry,
    NativeOutput,
    PromptedOutput,
    RunContext,
    SkipToolExecution,
    TextOutput,
    TextPart,
    Tool,
    ToolCallPart,
    ToolDefinition,
    ToolDenied,
    ToolFailed,
    ToolOutput,
    ToolReturn,
)
from pydantic_ai.capabilities import Hooks, PrefixTools, PrepareTools, Toolset
from pydantic_ai.models.test import TestModel

from tests.agent.host.scenario import MakeAgent, plain, scenario
from tests.helpers import call, script


class City(BaseModel):
    """A place."""

    name: str
    people: int


PARIS = {"name": "Paris", "people": 2_000_000}


@scenario
async def every_kind_of_tool(make: MakeAgent) -> object:
    def given(x: int) -> int:
        """Doubles."""
        return x * 2

    async def with_context(ctx: RunContext[str], text: str = "y") -> str:
        return f"{ctx.deps} {text} {ctx.tool_name} {ctx.retry}"

    agent = make(TestModel(), tools=[given, Tool(with_context, name="renamed", takes_ctx=True)], deps_type=str)

    @agent.tool(retries=3, name="decorated")
    async def own(ctx: RunContext[str]) -> dict[str, object]:
        """Own."""
        return {"deps": ctx.deps, "max": ctx.max_retries}

    @agent.tool_plain(docstring_format="google", require_parameter_descriptions=True, sequential=True)
    def bare(a: int, b: str = "z") -> str:
        """Bare.

        Args:
            a: A number.
            b: A text.
        """
        return f"{a}{b}"

    model: Any = agent.model
    result = await agent.run("go", deps="d")
    parameters = model.last_model_request_parameters
    return result.output, [repr(tool) for tool in parameters.function_tools], result.usage


@scenario
async def a_tool_that_asks_to_be_tried_again(make: MakeAgent) -> object:
    agent = make(script(call("pick", {"n": 1}, "1"), call("pick", {"n": 2}, "2"), "done"))

    @agent.tool_plain
    def pick(n: int) -> str:
        if n == 1:
            raise ModelRetry("not one")
        return "fine"

    return (await agent.run("go")).output


@scenario
async def a_tool_tried_too_often(make: MakeAgent) -> object:
    agent = make(script(*[call("pick", {}, str(n)) for n in range(5)]))

    @agent.tool_plain(retries=2)
    def pick() -> str:
        raise ModelRetry("never")

    return await agent.run("go")


@scenario
async def a_tool_that_fails(make: MakeAgent) -> object:
    agent = make(script(call("broken"), "not reached"))

    @agent.tool_plain
    def broken() -> str:
        raise ValueError("a bug")

    return await agent.run("go")


@scenario
async def a_tool_that_says_it_failed(make: MakeAgent) -> object:
    agent = make(script(call("broken"), "noted"))

    @agent.tool_plain
    def broken() -> str:
        raise ToolFailed("no network")

    return (await agent.run("go")).output


@scenario
async def a_tool_that_takes_too_long(make: MakeAgent) -> object:
    import asyncio

    agent = make(script(call("slow"), "noted"), tool_timeout=0.01)

    @agent.tool_plain
    async def slow() -> str:
        await asyncio.sleep(30)
        return "not reached"

    return (await agent.run("go")).output


@scenario
async def a_tool_that_does_not_exist(make: MakeAgent) -> object:
    return (await make(script(call("gone"), "noted")).run("go")).output


@scenario
async def arguments_of_the_wrong_type(make: MakeAgent) -> object:
    agent = make(script(call("double", {"n": "two"}, "1"), call("double", '{"n": 2', "2"), "gave up"), retries=2)

    @agent.tool_plain
    def double(n: int) -> int:
        return 2 * n

    return (await agent.run("go")).output


@scenario
async def a_tool_that_returns_more_than_a_value(make: MakeAgent) -> object:
    agent = make(script(call("look"), "seen"))

    @agent.tool_plain
    def look() -> ToolReturn:
        return ToolReturn(return_value="ok", content=["see", "this"], metadata={"secret": 1})

    result = await agent.run("go")
    return result.output, plain(result.all_messages())


@scenario
async def calls_at_once(make: MakeAgent) -> object:
    agent = make(script(ModelResponse(parts=[ToolCallPart("one", {}, "1"), ToolCallPart("two", {}, "2")]), "done"))
    agent.tool_plain(name="one")(lambda: "first")
    agent.tool_plain(name="two")(lambda: "second")
    return (await agent.run("go")).output


@scenario
async def prepared_and_hidden_tools(make: MakeAgent) -> object:
    async def only_even(ctx: RunContext[object], tools: list[ToolDefinition]) -> list[ToolDefinition]:
        return [tool for tool in tools if tool.name != "odd"]

    async def describe(ctx: RunContext[object], tool: ToolDefinition) -> ToolDefinition | None:
        return None if ctx.run_step > 1 else tool

    agent = make(TestModel(), capabilities=[PrepareTools(only_even)])
    agent.tool_plain(name="odd")(lambda: 1)
    agent.tool_plain(name="even", prepare=describe)(lambda: 2)
    return (await agent.run("go")).output


@scenario
async def toolsets_of_agent_and_run(make: MakeAgent) -> object:
    first: FunctionToolset[Any] = FunctionToolset(id="first")
    first.add_function(lambda: "a", name="look")
    second: FunctionToolset[Any] = FunctionToolset(id="second")
    second.add_function(lambda: "b", name="look")
    agent = make(TestModel(), toolsets=[first.prefixed("one"), lambda ctx: second.prefixed("two")])
    return (await agent.run("go", toolsets=[FunctionToolset([len_of], id="third")])).output


def len_of(text: str) -> int:
    """Counts."""
    return len(text)


@scenario
async def capabilities_of_agent_and_run(make: MakeAgent) -> object:
    tools: FunctionToolset[Any] = FunctionToolset([len_of], id="tools")
    order: list[str] = []

    def hooks(name: str) -> Hooks[Any]:
        found: Hooks[Any] = Hooks()

        @found.on.before_model_request
        async def before(ctx: RunContext[Any], request_context: Any) -> Any:
            order.append(f"{name} asks")
            return request_context

        @found.on.after_model_request
        async def after(ctx: RunContext[Any], *, request_context: Any, response: ModelResponse) -> ModelResponse:
            order.append(f"{name} hears")
            return response

        return found

    agent = make(TestModel(), capabilities=[hooks("a"), PrefixTools(Toolset(tools), prefix="p"), hooks("b")])
    return (await agent.run("go", capabilities=[hooks("c")])).output, order


@scenario
async def a_hook_that_answers_for_a_tool(make: MakeAgent) -> object:
    hooks: Hooks[Any] = Hooks()

    @hooks.on.before_tool_execute
    async def skip(ctx: RunContext[Any], *, call: ToolCallPart, tool_def: ToolDefinition, args: Any) -> Any:
        raise SkipToolExecution("from the hook")

    agent = make(script(call("double", {"n": 1}), "done"), capabilities=[hooks])
    agent.tool_plain(name="double")(lambda n: 2 * n)
    return (await agent.run("go")).output


@scenario
async def a_hook_that_mends_an_error(make: MakeAgent) -> object:
    hooks: Hooks[Any] = Hooks()

    @hooks.on.tool_execute_error
    async def mend(ctx: RunContext[Any], *, call: Any, tool_def: Any, args: Any, error: Exception) -> Any:
        return f"mended {error}"

    agent = make(script(call("broken"), "done"), capabilities=[hooks])

    @agent.tool_plain
    def broken() -> str:
        raise ValueError("it")

    return (await agent.run("go")).output


@scenario
async def deferred_and_approved(make: MakeAgent) -> object:
    agent = make(
        script(
            ModelResponse(parts=[ToolCallPart("refund", {"n": 1}, "1"), ToolCallPart("elsewhere", {}, "2")]),
            ModelResponse(parts=[ToolCallPart("refund", {"n": 2}, "3"), ToolCallPart("guarded", {}, "4")]),
            "done",
        ),
        output_type=[str, DeferredToolRequests],
    )

    @agent.tool_plain(requires_approval=True)
    def refund(n: int) -> str:
        return f"refunded {n}"

    @agent.tool_plain
    def elsewhere() -> str:
        raise CallDeferred(metadata={"queue": "a"})

    @agent.tool
    def guarded(ctx: RunContext[object]) -> str:
        if not ctx.tool_call_approved:
            raise ApprovalRequired
        return "opened"

    first = await agent.run("go")
    second = await agent.run(
        message_history=first.all_messages(),
        deferred_tool_results=DeferredToolResults(approvals={"1": True}, calls={"2": "from afar"}),
    )
    third = await agent.run(
        message_history=second.all_messages(),
        deferred_tool_results=DeferredToolResults(approvals={"3": ToolDenied("no"), "4": True}),
    )
    return repr(first.output), repr(second.output), third.output, plain(third.all_messages())


@scenario
async def output_by_a_tool(make: MakeAgent) -> object:
    return (await make(TestModel(custom_output_args=PARIS), output_type=City).run("go")).output


@scenario
async def output_by_one_of_several_tools(make: MakeAgent) -> object:
    agent = make(
        script(call("village", PARIS)), output_type=[ToolOutput(City, name="city"), ToolOutput(City, name="village")]
    )
    return (await agent.run("go")).output


@scenario
async def output_in_the_models_own_format(make: MakeAgent) -> object:
    model = TestModel(
        custom_output_text='{"name": "Paris", "people": 3}', profile={"supports_json_schema_output": True}
    )
    return (await make(model, output_type=NativeOutput(City)).run("go")).output


@scenario
async def output_as_the_prompt_asks(make: MakeAgent) -> object:
    model = TestModel(custom_output_text='{"name": "Paris", "people": 3}')
    return (await make(model, output_type=PromptedOutput([City, len_of])).run("go")).output


@scenario
async def output_through_a_function(make: MakeAgent) -> object:
    return (await make(script("Paris"), output_type=TextOutput(len_of)).run("go")).output


@scenario
async def output_of_a_type_for_one_run(make: MakeAgent) -> object:
    agent = make(TestModel())
    return (await agent.run("go", output_type=list[int])).output, (await agent.run("go")).output


@scenario
async def output_that_does_not_validate(make: MakeAgent) -> object:
    agent = make(
        script(call("final_result", {"name": "Paris"}, "1"), call("final_result", PARIS, "2")), output_type=City
    )
    return (await agent.run("go")).output


@scenario
async def output_that_never_validates(make: MakeAgent) -> object:
    agent = make(script(*[call("final_result", {}, str(n)) for n in range(5)]), output_type=City, retries={"output": 2})
    return await agent.run("go")


@scenario
async def text_where_an_object_is_asked_for(make: MakeAgent) -> object:
    return (await make(script("Paris", call("final_result", PARIS)), output_type=City).run("go")).output


@scenario
async def output_validators(make: MakeAgent) -> object:
    agent = make(script("one", "two"), deps_type=str)

    @agent.output_validator
    async def check(ctx: RunContext[str], output: str) -> str:
        if output == "one":
            raise ModelRetry("another one")
        return f"{output} for {ctx.deps}"

    return (await agent.run("go", deps="ada")).output


def _final_and_tool() -> ModelResponse:
    return ModelResponse(
        parts=[
            TextPart("here:"),
            ToolCallPart("side", {}, "1"),
            ToolCallPart("final_result", PARIS, "2"),
            ToolCallPart("final_result", {"name": "Rome", "people": 1}, "3"),
            ToolCallPart("side", {}, "4"),
        ]
    )


def _ends(strategy: str):
    async def ends(make: MakeAgent) -> object:
        ran: list[str] = []
        agent = make(script(_final_and_tool()), output_type=City, end_strategy=strategy)

        @agent.tool_plain
        def side() -> str:
            ran.append("side")
            return "effect"

        result = await agent.run("go")
        return result.output, ran, plain(result.all_messages())

    ends.__name__ = f"end_strategy_{strategy}"
    return ends


for _strategy in ("early", "graceful", "exhaustive"):
    scenario(_ends(_strategy))
