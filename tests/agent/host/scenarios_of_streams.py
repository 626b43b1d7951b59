"""Every entry point that gives an answer as it comes."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import pydantic_ai
from pydantic_ai import (
    AgentRunResultEvent,
    AgentStreamEvent,
    DeferredToolRequests,
    ModelHTTPError,
    ModelMessage,
    RunContext,
    UsageLimits,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.models.test import TestModel

from tests.agent.host.scenario import MakeAgent, plain, scenario
from tests.agent.host.scenarios_of_tools import PARIS, City
from tests.helpers import echo


def told(event: object) -> str:
    """An event without the ids in it."""
    return f"{type(event).__name__} {getattr(getattr(event, 'part', None), 'part_kind', '')}"


def calls_then_text() -> FunctionModel:
    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        if len(messages) == 1:
            yield "Let me "
            yield "look. "
            yield {1: DeltaToolCall(name="look", json_args='{"at"', tool_call_id="c1")}
            yield {1: DeltaToolCall(json_args=': "it"}')}
        else:
            yield "It is "
            yield "fine."

    return FunctionModel(stream_function=stream)


def look(at: str) -> str:
    """Looks."""
    return f"seen {at}"


@scenario
async def text_by_run_stream(make: MakeAgent) -> object:
    async with make(echo()).run_stream("hello") as stream:
        pieces = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]
        return pieces, stream.is_complete, plain(stream.all_messages()), stream.usage


@scenario
async def text_so_far_by_run_stream(make: MakeAgent) -> object:
    async with make(TestModel(custom_output_text="one two three")).run_stream("hello") as stream:
        return [piece async for piece in stream.stream_text(debounce_by=None)], await stream.get_output()


@scenario
async def run_stream_ends_at_the_first_text(make: MakeAgent) -> object:
    async with make(calls_then_text(), tools=[look]).run_stream("go") as stream:
        output = await stream.get_output()
    return output, plain(stream.all_messages())


@scenario
async def an_object_by_run_stream(make: MakeAgent) -> object:
    async with make(TestModel(custom_output_args=PARIS), output_type=City).run_stream("go") as stream:
        partial = [output async for output in stream.stream_output(debounce_by=None)]
        return partial, await stream.get_output(), plain(stream.all_messages())


@scenario
async def run_stream_with_a_tool_beside_the_output(make: MakeAgent) -> object:
    async def respond(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[DeltaToolCalls]:
        yield {0: DeltaToolCall(name="final_result", json_args='{"name": "Rome", "people": 1}', tool_call_id="c1")}
        yield {1: DeltaToolCall(name="look", json_args='{"at": "it"}', tool_call_id="c2")}

    agent = make(FunctionModel(stream_function=respond), output_type=City, tools=[look])
    async with agent.run_stream("go") as stream:
        output = await stream.get_output()
    return output, plain(stream.all_messages())


@scenario
async def run_stream_left_early(make: MakeAgent) -> object:
    async with make(TestModel(custom_output_text="one two three four")).run_stream("go") as stream:
        async for _ in stream.stream_text(delta=True, debounce_by=None):
            break
    return stream.is_complete


@scenario
async def run_stream_over_its_limit(make: MakeAgent) -> object:
    limits = UsageLimits(output_tokens_limit=2)
    async with make(TestModel(custom_output_text="one two three four")).run_stream("go", usage_limits=limits) as stream:
        return await stream.get_output()


@scenario
async def run_stream_that_breaks_midway(make: MakeAgent) -> object:
    async def respond(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield "one "
        raise ModelHTTPError(500, "down")

    async with make(FunctionModel(stream_function=respond)).run_stream("go") as stream:
        return await stream.get_output()


@scenario
async def run_stream_that_waits_for_approval(make: MakeAgent) -> object:
    agent = make(calls_then_text(), output_type=[str, DeferredToolRequests])
    agent.tool_plain(requires_approval=True)(look)
    events = []
    async with agent.run_stream_events("go") as stream:
        async for event in stream:
            events.append(told(event))
            if isinstance(event, AgentRunResultEvent):
                events.append(repr(event.result.output))
    return events


@scenario
async def all_events(make: MakeAgent) -> object:
    async with make(calls_then_text(), tools=[look]).run_stream_events("go") as stream:
        events = [event async for event in stream]
    last = events[-1]
    assert isinstance(last, AgentRunResultEvent)
    return [told(event) for event in events], last.result.output, plain(last.result.all_messages())


@scenario
async def events_left_early(make: MakeAgent) -> object:
    async with make(calls_then_text(), tools=[look]).run_stream_events("go") as stream:
        return told(await anext(stream))


@scenario
async def a_handler_of_events(make: MakeAgent) -> object:
    heard: list[str] = []

    async def handler(ctx: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
        heard.extend([told(event) async for event in events])

    result = await make(calls_then_text(), tools=[look]).run("go", event_stream_handler=handler)
    return result.output, heard


@scenario
async def nodes(make: MakeAgent) -> object:
    async with make(calls_then_text(), tools=[look]).iter("go") as run:
        kinds = []
        async for node in run:
            kinds.append(type(node).__name__)
            if pydantic_ai.Agent.is_model_request_node(node):
                async with node.stream(run.ctx) as stream:
                    kinds.extend([told(event) async for event in stream])
    assert run.result is not None
    return kinds, run.result.output, run.usage, plain(run.new_messages())


@scenario
async def nodes_by_hand(make: MakeAgent) -> object:
    async with make(echo()).iter("go") as run:
        node = run.next_node
        kinds = []
        while type(node).__name__ != "End":
            kinds.append(type(node).__name__)
            node = await run.next(node)
    return kinds, run.result is not None


@scenario
async def nodes_left_early(make: MakeAgent) -> object:
    async with make(echo()).iter("go") as run:
        async for _ in run:
            break
    return run.result, plain(run.new_messages())


@scenario
async def an_error_between_nodes(make: MakeAgent) -> object:
    async with make(echo()).iter("go") as run:
        async for _ in run:
            raise KeyError("mine")
    return "not reached"
