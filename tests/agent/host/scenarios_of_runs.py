"""Prompts, history, settings, limits and endings."""

import asyncio
from typing import Any

from pydantic import BaseModel
from pydantic_ai import (
    CancellationToken,
    ModelHTTPError,
    ModelMessage,
    ModelResponse,
    RunContext,
    RunUsage,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    UsageLimits,
)
from pydantic_ai.capabilities import ProcessHistory
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.settings import ModelSettings

from tests.agent.host.scenario import MakeAgent, plain, scenario
from tests.helpers import call, echo, reply, script, user


def shows_request() -> FunctionModel:
    """A model that answers with what it was asked besides the prompt."""

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        system = [part.content for message in messages for part in message.parts if part.part_kind == "system-prompt"]
        return reply(
            f"{info.instructions} | {system} | {info.model_settings} | {[t.name for t in info.function_tools]}"
        )

    return FunctionModel(respond)


@scenario
async def plain_text(make: MakeAgent) -> object:
    result = await make(echo()).run("hello")
    return result.output, result.usage, plain(result.new_messages()), result.timestamp() is not None


@scenario
async def a_prompt_of_several_parts(make: MakeAgent) -> object:
    return (await make(TestModel()).run(["one", "two"])).output


@scenario
async def no_prompt(make: MakeAgent) -> object:
    return (await make(TestModel(), instructions="Say something.").run()).output


@scenario
async def an_empty_response_is_asked_for_again(make: MakeAgent) -> object:
    return (await make(script(ModelResponse(parts=[]), "there")).run("hello")).output


@scenario
async def only_thinking_is_asked_for_again(make: MakeAgent) -> object:
    return (await make(script(ModelResponse(parts=[ThinkingPart("hm")]), "there")).run("hello")).output


@scenario
async def a_second_run_starts_anew(make: MakeAgent) -> object:
    agent = make(echo())
    return (await agent.run("one")).output, (await agent.run("two")).output


@scenario
async def history_goes_on(make: MakeAgent) -> object:
    agent = make(echo(), system_prompt="Be brief.", instructions="Be kind.")
    first = await agent.run("one")
    second = await agent.run("two", message_history=first.all_messages())
    return second.output, plain(second.all_messages()), len(second.new_messages())


@scenario
async def an_empty_history(make: MakeAgent) -> object:
    return (await make(echo(), system_prompt="Be brief.").run("one", message_history=[])).output


@scenario
async def history_that_ends_in_an_unanswered_call(make: MakeAgent) -> object:
    return (await make(echo()).run("two", message_history=[user("one"), call("gone")])).output


@scenario
async def a_conversation_carries_usage(make: MakeAgent) -> object:
    agent = make(echo())
    first = await agent.run("one")
    second = await agent.run("two", conversation=first.conversation)
    return second.output, second.usage, second.conversation_id == first.conversation_id


@scenario
async def a_conversation_id_is_kept(make: MakeAgent) -> object:
    agent = make(echo())
    first = await agent.run("one", conversation_id="thread")
    second = await agent.run("two", conversation_id="thread")
    return first.conversation_id, second.conversation_id, second.output


@scenario
async def a_run_id_is_kept(make: MakeAgent) -> object:
    return (await make(echo()).run("one", run_id="run-1")).run_id


@scenario
async def system_prompts_static_and_dynamic(make: MakeAgent) -> object:
    agent = make(shows_request(), system_prompt=("One.", "Two."), deps_type=str)

    @agent.system_prompt
    def from_deps(ctx: RunContext[str]) -> str:
        return f"For {ctx.deps}."

    @agent.system_prompt(dynamic=True)
    async def fresh(ctx: RunContext[str]) -> str:
        return f"Now {ctx.deps}."

    first = await agent.run("a", deps="ada")
    second = await agent.run("b", deps="bob", message_history=first.all_messages())
    return first.output, second.output, plain(second.all_messages())


@scenario
async def instructions_static_and_computed(make: MakeAgent) -> object:
    agent = make(shows_request(), instructions=["One.", lambda: "Two."], deps_type=str)

    @agent.instructions
    async def from_deps(ctx: RunContext[str]) -> str:
        return f"For {ctx.deps}."

    return (await agent.run("a", deps="ada", instructions="Only now.")).output


@scenario
async def settings_of_agent_and_run(make: MakeAgent) -> object:
    agent = make(shows_request(), model_settings=ModelSettings(temperature=0.1, max_tokens=5))
    return (await agent.run("a", model_settings={"temperature": 0.9})).output


@scenario
async def settings_computed_for_each_request(make: MakeAgent) -> object:
    def settings(ctx: RunContext[object]) -> ModelSettings:
        return ModelSettings(max_tokens=ctx.run_step)

    return (await make(shows_request(), model_settings=settings).run("a")).output


@scenario
async def metadata_of_agent_and_run(make: MakeAgent) -> object:
    agent = make(echo(), metadata=lambda ctx: {"step": ctx.run_step})
    return (await agent.run("a", metadata={"team": "blue"})).metadata


@scenario
async def history_processors(make: MakeAgent) -> object:
    def last_only(messages: list[ModelMessage]) -> list[ModelMessage]:
        return messages[-1:]

    agent = make(echo(), capabilities=[ProcessHistory(last_only)])
    return (await agent.run("two", message_history=[user("one"), reply("1: one")])).output


@scenario
async def override_everything(make: MakeAgent) -> object:
    agent = make(echo(), system_prompt="Be brief.", instructions="Be kind.", deps_type=str, name="first")

    @agent.tool_plain
    def old() -> str:
        return "old"

    def new() -> str:
        return "new"

    with agent.override(
        model=shows_request(), deps="d", tools=[new], instructions="Be rude.", name="second", model_settings={"seed": 1}
    ):
        inside = await agent.run("x")
        name = agent.name
    return inside.output, name, agent.name, (await agent.run("y")).output


@scenario
async def override_by_a_spec(make: MakeAgent) -> object:
    agent = make(echo(), instructions="Be kind.", system_prompt="Be brief.")
    with agent.override(
        spec={"instructions": "Be rude.", "model_settings": {"seed": 2}, "name": "specced"}, model=shows_request()
    ):
        return (await agent.run("x")).output, agent.name


@scenario
async def a_spec_for_one_run(make: MakeAgent) -> object:
    agent = make(shows_request(), instructions="Be kind.")
    spec = {"instructions": "And quick.", "model_settings": {"seed": 2}, "metadata": {"from": "spec"}}
    result = await agent.run("x", spec=spec)
    return result.output, result.metadata


@scenario
async def a_model_for_one_run(make: MakeAgent) -> object:
    return (await make(echo()).run("x", model=TestModel(custom_output_text="other"))).output


@scenario
async def the_limit_of_requests(make: MakeAgent) -> object:
    agent = make(script(call("again", call_id="1"), call("again", call_id="2"), "done"))
    agent.tool_plain(again)
    return (await agent.run("go", usage_limits=UsageLimits(request_limit=2))).output


def again() -> str:
    """Goes on."""
    return "again"


@scenario
async def the_limit_of_tool_calls(make: MakeAgent) -> object:
    agent = make(script(call("again", call_id="1"), call("again", call_id="2"), "done"))
    agent.tool_plain(again)
    return (await agent.run("go", usage_limits=UsageLimits(tool_calls_limit=1))).output


@scenario
async def the_limit_of_tokens(make: MakeAgent) -> object:
    return (await make(echo()).run("go", usage_limits=UsageLimits(total_tokens_limit=5))).output


@scenario
async def twelve_requests_are_no_limit(make: MakeAgent) -> object:
    agent = make(script(*[call("again", call_id=str(n)) for n in range(12)], "done"))
    agent.tool_plain(again)
    result = await agent.run("go")
    return result.output, result.usage


@scenario
async def usage_shared_with_a_delegate(make: MakeAgent) -> object:
    delegate = make(TestModel(custom_output_text="42"))
    agent = make(script(call("ask", {"question": "?"}), "done"))

    @agent.tool
    async def ask(ctx: RunContext[object], question: str) -> str:
        return (await delegate.run(question, usage=ctx.usage)).output

    result = await agent.run("go", usage=RunUsage(input_tokens=7))
    return result.output, result.usage


@scenario
async def a_model_that_fails(make: MakeAgent) -> object:
    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise ModelHTTPError(503, "down", body={"detail": "later"})

    return await make(FunctionModel(respond)).run("hello")


@scenario
async def a_model_that_is_broken(make: MakeAgent) -> object:
    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise RuntimeError("a bug")

    return await make(FunctionModel(respond)).run("hello")


@scenario
async def the_next_model_steps_in(make: MakeAgent) -> object:
    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise ModelHTTPError(503, "down")

    return (await make(FallbackModel(FunctionModel(respond), echo())).run("hello")).output


@scenario
async def cancelled_from_outside(make: MakeAgent) -> object:
    waiting = asyncio.Event()

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        waiting.set()
        await asyncio.sleep(30)
        raise AssertionError("not cancelled")

    task = asyncio.create_task(make(FunctionModel(respond)).run("hello"))
    await waiting.wait()
    task.cancel()
    return await task


@scenario
async def cancelled_by_a_tool(make: MakeAgent) -> object:
    agent = make(
        script(ModelResponse(parts=[ToolCallPart("quick", {}, "1"), ToolCallPart("stop", {}, "2")]), "not reached")
    )

    @agent.tool_plain
    async def quick() -> str:
        return "done"

    @agent.tool
    async def stop(ctx: RunContext[object]) -> str:
        await asyncio.sleep(0.01)
        ctx.cancel()
        await asyncio.sleep(30)
        return "not reached"

    return await agent.run("go")


@scenario
async def cancelled_by_a_token(make: MakeAgent) -> object:
    token = CancellationToken()

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        token.cancel()
        await asyncio.sleep(30)
        raise AssertionError("not cancelled")

    return await make(FunctionModel(respond)).run("go", cancellation_token=token)


@scenario
async def out_of_time(make: MakeAgent) -> object:
    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await asyncio.sleep(30)
        raise AssertionError("not cancelled")

    return await make(FunctionModel(respond)).run("go", timeout=0.02)


@scenario
async def no_more_runs_at_once_than_allowed(make: MakeAgent) -> object:
    at_once: list[int] = [0, 0]

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        at_once[0] += 1
        at_once[1] = max(at_once)
        await asyncio.sleep(0.005)
        at_once[0] -= 1
        return reply("ok")

    agent = make(FunctionModel(respond), max_concurrency=2)
    await asyncio.gather(*(agent.run("go") for _ in range(6)))
    return at_once


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


@scenario
async def how_an_agent_looks(make: MakeAgent) -> object:
    agent: Any = make(TestModel(), name="looks", description="An agent.", output_type=Person, end_strategy="early")
    return (
        repr(agent).replace("HostAgent", "Agent"),
        agent.name,
        agent.description,
        agent.output_type,
        agent.deps_type,
        agent.output_json_schema(),
        [toolset.id for toolset in agent.toolsets],
        plain([ModelResponse(parts=[TextPart(str(agent.model))])]),
    )
