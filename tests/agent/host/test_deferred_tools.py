"""Calls that wait for a person or another system, taken up again from memory."""

from typing import Any

import pytest
from pydantic_ai import (
    ApprovalRequired,
    CallDeferred,
    DeferredToolRequests,
    DeferredToolResults,
    ExternalToolset,
    ModelResponse,
    RunContext,
    ToolCallPart,
    ToolDefinition,
    ToolDenied,
)
from pydantic_ai.capabilities import HandleDeferredToolCalls

from mamba_agents import Agent
from tests.helpers import call, prompts, script

type Paused = Agent[Any, str | DeferredToolRequests]


def clerk(*responses: ModelResponse | str, **options: Any) -> Paused:
    agent: Paused = Agent(script(*responses), output_type=[str, DeferredToolRequests], **options)

    @agent.tool_plain(requires_approval=True)
    def refund(amount: int) -> str:
        if amount > 100:
            raise ValueError("too much")
        return f"refunded {amount}"

    @agent.tool_plain
    def look_up() -> str:
        raise CallDeferred(metadata={"queue": "orders"})

    @agent.tool
    def unlock(ctx: RunContext[Any]) -> str:
        if not ctx.tool_call_approved:
            raise ApprovalRequired
        return "unlocked"

    return agent


def answers(agent: Paused) -> dict[str, object]:
    parts = [part for message in agent.messages for part in message.parts if part.part_kind == "tool-return"]
    return {part.tool_name: part.content for part in parts}


def paused(output: str | DeferredToolRequests) -> DeferredToolRequests:
    assert isinstance(output, DeferredToolRequests)
    return output


def test_a_run_pauses_and_goes_on_from_memory_alone() -> None:
    calls = [
        ToolCallPart("refund", {"amount": 5}, "1"),
        ToolCallPart("look_up", {}, "2"),
        ToolCallPart("unlock", {}, "3"),
    ]
    agent = clerk(ModelResponse(parts=calls), "all done", "and more")
    first = agent.run_sync("go")
    requests = paused(first.output)
    assert first.stop_reason == "deferred"
    assert {call.tool_call_id for call in requests.approvals} == {"1", "3"}
    assert requests.metadata == {"2": {"queue": "orders"}}
    results = requests.build_results(approve_all=True, calls={"2": "order 42"})
    second = agent.run_sync(deferred_tool_results=results)
    assert (second.output, second.stop_reason) == ("all done", "completed")
    assert answers(agent) == {"refund": "refunded 5", "look_up": "order 42", "unlock": "unlocked"}
    assert agent.run_sync("more?").output == "and more"
    assert prompts(agent.messages) == ["go", "more?"]


def test_a_denied_call_is_told_to_the_model() -> None:
    agent = clerk(call("refund", {"amount": 5}), "as you like")
    agent.run_sync("go")
    agent.run_sync(deferred_tool_results=DeferredToolResults(approvals={"call-1": ToolDenied("not today")}))
    assert answers(agent) == {"refund": "not today"}


def test_an_approved_call_that_fails_is_told_to_the_model() -> None:
    agent = clerk(call("refund", {"amount": 500}), "noted")
    agent.run_sync("go")
    resumed = agent.run_sync(deferred_tool_results=DeferredToolResults(approvals={"call-1": True}))
    assert resumed.output == "noted"
    assert answers(agent) == {"refund": "ValueError: too much"}


def test_an_approval_may_come_with_the_next_prompt() -> None:
    agent = clerk(call("refund", {"amount": 5}), "done")
    agent.run_sync("go")
    result = agent.run_sync("and hurry", deferred_tool_results=DeferredToolResults(approvals={"call-1": True}))
    assert result.output == "done"
    assert prompts(agent.messages) == ["go", "and hurry"]
    assert answers(agent) == {"refund": "refunded 5"}


def test_a_prompt_in_place_of_an_approval_leaves_the_call_behind() -> None:
    agent = clerk(call("refund", {"amount": 5}), "fine")
    agent.run_sync("go")
    assert agent.run_sync("never mind").output == "fine"
    assert "interrupted" in str(answers(agent)["refund"])


@pytest.mark.anyio
async def test_sessions_wait_for_their_own_approvals() -> None:
    agent = clerk(*[call("refund", {"amount": n}, f"call-{n}") for n in (1, 2)], "first done", "second done")
    await agent.session("a").run("go")
    await agent.session("b").run("go")
    b = await agent.session("b").run(deferred_tool_results=DeferredToolResults(approvals={"call-2": True}))
    a = await agent.session("a").run(deferred_tool_results=DeferredToolResults(approvals={"call-1": True}))
    assert (b.output, a.output) == ("first done", "second done")
    assert "refunded 1" in str(agent.session("a").messages)
    assert "refunded 2" in str(agent.session("b").messages)


def test_a_tool_that_lives_elsewhere_is_answered_from_there() -> None:
    elsewhere: Any = ExternalToolset([ToolDefinition(name="look", parameters_json_schema={"type": "object"})], id="it")
    agent = clerk(call("look"), "seen", toolsets=[elsewhere])
    requests = paused(agent.run_sync("go").output)
    assert agent.run_sync(deferred_tool_results=requests.build_results(calls={"call-1": "a view"})).output == "seen"
    assert answers(agent) == {"look": "a view"}


def test_a_capability_may_answer_at_once() -> None:
    async def approve(ctx: RunContext[Any], requests: DeferredToolRequests) -> DeferredToolResults:
        return requests.build_results(approve_all=True)

    agent = clerk(call("refund", {"amount": 5}), "done", capabilities=[HandleDeferredToolCalls(approve)])
    assert agent.run_sync("go").output == "done"
    assert answers(agent) == {"refund": "refunded 5"}
