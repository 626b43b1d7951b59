"""Capabilities of others, from pydantic-ai-harness and written by hand, beside our layers and over our memory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import ModelMessage, ModelResponse, RunContext
from pydantic_ai.capabilities import AbstractCapability, Hooks, Instrumentation, ProcessHistory, Thinking
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai_harness.compaction import ClearToolResults, SlidingWindowCompaction
from pydantic_ai_harness.guardrails import InputGuardrail, OutputBlocked, OutputGuardrail, ToolGuardrail
from pydantic_ai_harness.memory import InMemoryStore, Memory
from pydantic_ai_harness.planning import InMemoryPlanStore, Planning
from pydantic_ai_harness.repair_tool_arguments import RepairToolArguments
from pydantic_ai_harness.step_persistence import InMemoryStepStore, StepPersistence
from pydantic_ai_harness.subagents import SubAgent, SubAgents
from pydantic_ai_harness.system_reminders import Reminder, SystemReminders
from pydantic_ai_harness.tool_output_limits import Band, ToolOutputLimits, Truncate

from mamba_agents import Agent, AgentConfig, AgentResult
from tests.helpers import call, echo, prompts, reply, script


def answers(messages: list[ModelMessage]) -> list[object]:
    """What tools answered, oldest first."""
    return [part.content for message in messages for part in message.parts if part.part_kind == "tool-return"]


def test_a_plan_is_read_again_in_a_later_turn() -> None:
    plan = {"items": [{"content": "look around", "status": "in_progress"}]}
    model = script(call("write_plan", plan), "planned", call("read_plan", call_id="2"), "read")
    agent = Agent(model, capabilities=[Planning(store=InMemoryPlanStore())])
    agent.run_sync("plan")
    agent.run_sync("read")
    written, read = answers(agent.messages)
    assert "look around" in str(written)
    assert "look around" in str(read)


def test_a_notebook_is_shown_to_other_sessions_and_memory_stays_each_sessions_own() -> None:
    seen: list[str] = []

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.append(str(messages))
        return call("write_memory", {"content": "likes tea"}) if len(seen) == 1 else reply("ok")

    agent = Agent(FunctionModel(respond), capabilities=[Memory(InMemoryStore())])
    agent.session("a").run_sync("remember that")
    agent.session("b").run_sync("what do I like?")
    assert "likes tea" in seen[-1]
    assert "remember that" not in seen[-1]


def test_a_long_tool_output_is_cut_before_it_is_remembered() -> None:
    limits = ToolOutputLimits(bands=[Band(over=100, action=Truncate())])
    agent = Agent(script(call("read"), "done"), capabilities=[limits])
    agent.tool_plain(name="read")(lambda: "x" * 5_000)
    agent.run_sync("go")
    (answer,) = answers(agent.messages)
    assert len(str(answer)) < 5_000


def test_broken_arguments_are_repaired_before_our_layers_see_them() -> None:
    agent = Agent(script(call("greet", '{"name": "Ada"'), "done"), capabilities=[RepairToolArguments()])
    agent.tool_plain(name="greet")(lambda name: f"hello {name}")
    agent.run_sync("go")
    assert answers(agent.messages) == ["hello Ada"]


def test_a_window_slides_over_memory_and_memory_keeps_all() -> None:
    agent = Agent(echo(), capabilities=[SlidingWindowCompaction(max_messages=4, keep_messages=2)])
    outputs = [agent.run_sync(f"q{n}").output for n in range(5)]
    assert outputs == ["1: q0", "2: q1", "2: q2", "2: q3", "2: q4"]
    assert prompts(agent.messages) == ["q0", "q1", "q2", "q3", "q4"]
    assert agent.get_usage().request_count == 5


SHORTENERS: dict[str, Any] = {
    "a window": lambda: SlidingWindowCompaction(max_messages=4, keep_messages=2),
    "a history processor": lambda: ProcessHistory(lambda messages: [*messages[:1], *messages[1:][-2:]]),
}


@pytest.mark.parametrize("shortener", SHORTENERS)
@pytest.mark.parametrize("outcome", ["completed", "failed"])
@pytest.mark.parametrize("turn", ["first", "later"])
def test_what_is_cut_inside_a_run_is_remembered_and_billed(shortener: str, outcome: str, turn: str) -> None:
    before = ["hello"] if turn == "later" else []
    calls = [call("look", {"n": n}, str(n)) for n in range(6)]
    model = script(*before, *calls, *(["done"] if outcome == "completed" else []))
    agent = Agent(model, capabilities=[SHORTENERS[shortener]()], config=AgentConfig(max_iterations=None))

    @agent.tool_plain
    def look(n: int) -> str:
        return f"seen {n} " * 100

    for prompt in before:
        agent.run_sync(prompt)
    if outcome == "completed":
        agent.run_sync("go")
    else:
        with pytest.raises(IndexError):
            agent.run_sync("go")
    assert answers(agent.messages) == [f"seen {n} " * 100 for n in range(6)]
    assert prompts(agent.messages) == [*before, "go"]
    assert agent.get_usage().request_count == len(before) + 6 + (outcome == "completed")


def test_what_a_capability_clears_stays_cleared() -> None:
    calls = [call("look", call_id=str(n)) for n in range(4)]
    agent = Agent(script(*calls, "done"), capabilities=[ClearToolResults(max_messages=4, keep_pairs=1)])
    agent.tool_plain(name="look")(lambda: "seen")
    agent.run_sync("go")
    assert answers(agent.messages)[0] == "[tool result cleared]"
    assert len(agent.messages) == 10


def test_a_history_processor_sees_memory() -> None:
    def last_prompt_only(messages: list[ModelMessage]) -> list[ModelMessage]:
        return messages[-1:]

    agent = Agent(echo(), capabilities=[ProcessHistory(last_prompt_only)])
    assert [agent.run_sync(f"q{n}").output for n in range(3)] == ["1: q0", "1: q1", "1: q2"]
    assert prompts(agent.messages) == ["q0", "q1", "q2"]


def test_a_guarded_prompt_never_reaches_the_model() -> None:
    asked: list[str] = []

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.append(prompts(messages)[-1])
        return reply("ok")

    guard = InputGuardrail(guard=lambda prompt: "key" not in str(prompt))
    agent = Agent(FunctionModel(respond), capabilities=[guard])
    blocked = agent.run_sync("my key is 1234")
    agent.run_sync("hello")
    assert "blocked" in blocked.output
    assert asked == ["hello"]


def test_a_guarded_answer_is_an_error_and_the_session_goes_on() -> None:
    agent = Agent(echo(), capabilities=[OutputGuardrail(guard=lambda output: "key" not in str(output))])
    with pytest.raises(OutputBlocked):
        agent.run_sync("my key is 1234")
    assert agent.run_sync("hello").output == "2: hello"


def test_a_guarded_tool_is_not_run() -> None:
    agent = Agent(script(call("drop"), "done"), capabilities=[ToolGuardrail(guard=lambda call: False)])

    @agent.tool_plain
    def drop() -> str:
        raise AssertionError("ran")

    agent.run_sync("go")
    assert "blocked" in str(answers(agent.messages))


def test_reminders_are_with_every_request() -> None:
    reminders = SystemReminders(reminders=[Reminder("Stay focused.", interval=1, tag=None)])
    agent = Agent(script(call("look"), "done"), capabilities=[reminders])
    agent.tool_plain(name="look")(lambda: "seen")
    agent.run_sync("go")
    system = [p.content for m in agent.messages for p in m.parts if p.part_kind == "system-prompt"]
    assert system == ["Stay focused.", "Stay focused."]


@pytest.mark.anyio
async def test_steps_are_persisted_under_our_session() -> None:
    store = InMemoryStepStore()
    agent = Agent(echo(), capabilities=[StepPersistence(store=store, agent_name="clerk")])
    await agent.session("thread").run("one")
    result = await agent.session("thread").run("two")
    runs = await store.list_runs()
    assert [run.conversation_id for run in runs] == ["thread", "thread"]
    assert result.output == "2: two"


def test_sub_agents_may_be_ours() -> None:
    child = Agent(echo(), name="helper")
    tasks = [call("delegate_task", {"agent_name": "helper", "task": task}, task) for task in ("one", "two")]
    sub_agents = SubAgents(agents=[SubAgent(child, name="helper", description="Helps.")])
    agent = Agent(script(*tasks, "done"), capabilities=[sub_agents])
    result = agent.run_sync("go")
    assert answers(agent.messages) == ["1: one", "2: two"]
    assert result.usage.requests == 5
    assert (agent.get_usage().request_count, child.get_usage().request_count) == (3, 2)


OTHERS: dict[str, Any] = {
    "hooks": lambda: Hooks(),
    "instrumentation": lambda: Instrumentation(),
    "thinking": lambda: Thinking("low"),
    "a function": lambda: lambda ctx: Planning(),
    "several": lambda: [Planning(), RepairToolArguments(), InputGuardrail(guard=lambda prompt: True)],
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("at", ["construction", "run"])
def test_our_layers_hold_beside_others(other: str, at: str) -> None:
    made = OTHERS[other]()
    capabilities = made if isinstance(made, list) else [made]
    model = script(*[call("broken", call_id=str(n)) for n in range(9)])
    options: Any = {"capabilities": capabilities}
    agent: Agent[Any, str] = Agent(
        model, retries=9, config=AgentConfig(max_iterations=3), **(options if at == "construction" else {})
    )

    @agent.tool_plain
    def broken() -> str:
        raise ValueError("no such order")

    result = agent.run_sync("go", **(options if at == "run" else {}))
    assert type(result) is AgentResult
    assert result.stop_reason == "max_iterations"
    assert answers(agent.messages) == ["ValueError: no such order"] * 3


def test_the_hook_of_another_mends_a_tools_error_before_ours_tells_the_model() -> None:
    hooks: Hooks[Any] = Hooks()

    @hooks.on.tool_execute_error
    async def mend(ctx: RunContext[Any], *, call: Any, tool_def: Any, args: Any, error: Exception) -> Any:
        return "mended"

    agent = Agent(
        script(call("broken"), "done"), capabilities=[hooks], tools=[raises], config=AgentConfig(max_iterations=3)
    )
    agent.run_sync("go")
    assert answers(agent.messages) == ["mended"]


def raises() -> str:
    """Fails."""
    raise ValueError("no such order")


raises.__name__ = "broken"


@dataclass
class Remembers(AbstractCapability[Any]):
    """Notes how many messages each request of a run carries."""

    seen: list[int]

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        self.seen.append(len(ctx.messages))
        return request_context


def test_a_capability_of_ones_own_sees_the_conversation_in_its_context() -> None:
    noted = Remembers([])
    agent = Agent(echo(), capabilities=[noted])
    agent.run_sync("one")
    agent.run_sync("two")
    agent.session("other").run_sync("three")
    assert noted.seen == [1, 3, 1]


def test_two_agents_share_one_capability_and_no_memory() -> None:
    noted = Remembers([])
    first, second = Agent(echo(), capabilities=[noted]), Agent(echo(), capabilities=[noted])
    first.run_sync("one")
    assert second.run_sync("two").output == "1: two"


def test_a_workspace_is_the_runs(tmp_path: Path) -> None:
    from pydantic_ai.capabilities import LocalWorkspace

    (tmp_path / "note.txt").write_text("tea")
    agent: Agent[Any, str] = Agent(script(call("read"), "done"), capabilities=[LocalWorkspace(tmp_path)])

    @agent.tool
    async def read(ctx: RunContext[Any]) -> str:
        return (await ctx.workspace.read_bytes("note.txt")).decode()

    agent.run_sync("go")
    assert answers(agent.messages) == ["tea"]
