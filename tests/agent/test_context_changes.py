"""Requests stay within the window when what they carry changes, and nothing is lost when replies look alike."""

import asyncio
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pydantic_ai
import pytest
from pydantic_ai import RunContext, ToolDefinition
from pydantic_ai.capabilities import PrepareTools, ProcessHistory
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.toolsets import FunctionToolset

from mamba_agents import Agent, AgentConfig, AgentSettings, CompactionConfig
from mamba_agents.agent.message_utils import model_messages_to_dicts
from mamba_agents.context import check_history
from mamba_agents.errors import ConfigurationError
from mamba_agents.sessions import ContextCompacted, MemoryStore, Session, StoredEvents
from tests.agent.strict_model import StrictModel, calls, says
from tests.helpers import prompts, reply, user

WORDS = "the quick brown fox jumps over the lazy dog " * 20
SLIDING = CompactionConfig(strategy="sliding_window")
UNLIMITED = pydantic_ai.UsageLimits(request_limit=None)


def config(**changes: object) -> AgentConfig:
    return AgentConfig(context=SLIDING.model_copy(update=changes), max_iterations=None)


def many_tools(count: int = 12) -> FunctionToolset:
    def tool(number: int) -> Any:
        def look(n: int) -> str:
            return str(n)

        look.__name__ = f"look_{number}"
        look.__doc__ = f"{number}: {WORDS}"
        return look

    return FunctionToolset([tool(number) for number in range(count)])


def fill(agent: Agent, model: StrictModel, share: float) -> None:
    """Talk until the requests take so much of the window."""
    while not model.sizes or model.sizes[-1] < share * model.window:
        agent.run_sync(WORDS)


def test_tools_that_come_with_a_run_count() -> None:
    model = StrictModel(says(WORDS), window=8_192)
    agent = Agent(model, config=config())
    fill(agent, model, 0.7)
    agent.run_sync("And now?", toolsets=[many_tools()])
    assert model.refused == []


def test_tools_that_appear_within_a_run_count() -> None:
    model = StrictModel(calls(6, "look_0"), window=8_192)

    def later(ctx: RunContext[Any], tools: list[ToolDefinition]) -> list[ToolDefinition]:
        return tools if ctx.run_step > 3 else tools[:1]

    agent = Agent(model, config=config(), toolsets=[many_tools(20)], capabilities=[PrepareTools(later)])
    agent.context_manager.add_messages([user(WORDS), reply(WORDS)] * 8)
    agent.run_sync("Look.")
    assert model.refused == []


def test_a_system_prompt_that_grew_counts() -> None:
    model = StrictModel(says(WORDS), window=8_192)
    agent = Agent(model, system_prompt="Be brief.", config=config())
    fill(agent, model, 0.7)
    agent.set_system_prompt(WORDS * 10)
    agent.run_sync("And now?")
    assert model.refused == []


def test_another_model_counts_the_history_anew_and_has_a_window_of_its_own() -> None:
    first = StrictModel(says(WORDS), window=8_192, ratio=0.8)
    second = StrictModel(says(WORDS), window=4_096, name="other")
    agent = Agent(first, config=config())
    fill(agent, first, 0.6)
    agent.run_sync("And now?", model=second)
    assert second.refused == []
    assert len(second.requests) == 1


def test_a_reply_that_reports_too_little_is_not_believed() -> None:
    def understate(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart(WORDS)], usage=pydantic_ai.RequestUsage(input_tokens=50))

    sizes: list[int] = []

    def record(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        sizes.append(sum(len(prompt) for prompt in prompts(messages)))
        return understate(messages, info)

    agent = Agent(FunctionModel(record), config=config(window_tokens=4_000))
    for turn in range(40):
        agent.run_sync(f"{turn}: {WORDS}")
    assert agent.get_context_state().compaction_history
    assert max(sizes) < 20 * len(WORDS)


@pytest.mark.parametrize("strategy", ["sliding_window", "importance_scoring", "hybrid"])
def test_by_hand_the_tools_of_the_agent_count_too(strategy: str) -> None:
    model = StrictModel(says(WORDS), window=100_000)
    settings = SLIDING.model_copy(
        update={"strategy": strategy, "trigger_threshold_tokens": 6_000, "target_tokens": 5_000}
    )
    agent = Agent(model, config=AgentConfig(context=settings, auto_compact=False), toolsets=[many_tools()])
    for _ in range(20):
        agent.run_sync(WORDS)
    result = asyncio.run(agent.compact())
    assert result.tokens_after <= 5_000
    agent.run_sync("ok")
    assert model.sizes[-1] <= result.tokens_after + 200
    assert agent.get_token_count() == pytest.approx(model.sizes[-1] + 185, abs=60)


def test_replies_of_one_and_the_same_moment_are_all_in_the_log() -> None:
    moment = datetime(2026, 11, 24, tzinfo=UTC)
    answer = calls(25, "look")

    def frozen(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        response = answer(messages, info)
        response.timestamp = moment
        return response

    model = StrictModel(frozen, window=4_000)
    agent = Agent(model, config=config())

    @agent.tool_plain
    def look(n: int) -> str:
        return f"{n}: {WORDS}"

    agent.run_sync("Look.", usage_limits=UNLIMITED)
    assert agent.get_context_state().compaction_history
    assert len(agent.session().transcript) == 52
    assert check_history(agent.session().transcript) == []
    assert len(agent.get_usage_history()) == 26


class CopyingStore(MemoryStore):
    """Gives copies of what it keeps, as a database does."""

    async def read(self, session_id: str, from_seq: int = 0) -> StoredEvents:
        return deepcopy(await super().read(session_id, from_seq))


def test_what_a_refusal_taught_outlives_the_run_and_the_process() -> None:
    store = CopyingStore()
    first = StrictModel(says("ok"), window=2_000, says_window=False)
    agent = Agent(first, config=config(), session=Session(store, "s"))
    agent.context_manager.add_messages([user(WORDS), reply(WORDS)] * 20)
    agent.run_sync("And now?")
    assert len(first.refused) == 1
    assert any(isinstance(event, ContextCompacted) for event in agent.session().events())
    second = StrictModel(says("ok"), window=2_000, says_window=False)
    again = Agent(second, config=config(), session=Session(store, "s"))
    again.run_sync("And then?")
    assert second.refused == []
    assert len(agent.session().transcript) == 44


def test_where_a_capability_edits_each_request_a_refusal_is_remembered_all_the_same() -> None:
    model = StrictModel(says(WORDS), window=4_000, says_window=False)
    hide = ProcessHistory(lambda messages: [_redacted(message) for message in messages])
    agent = Agent(model, config=config(), capabilities=[hide])
    for turn in range(40):
        agent.run_sync(f"{turn}: the secret is 1234. {WORDS}")
    assert len(model.requests) == 40
    assert len(model.refused) <= 2
    assert "1234" not in str(model.requests)


def _redacted(message: ModelMessage) -> ModelMessage:
    if not isinstance(message, ModelRequest):
        return message
    parts = [
        UserPromptPart(str(part.content).replace("1234", "****")) if isinstance(part, UserPromptPart) else part
        for part in message.parts
    ]
    return ModelRequest(parts=parts, run_id=message.run_id, timestamp=message.timestamp)


def test_a_second_refusal_does_not_pay_for_a_second_summary_of_the_same() -> None:
    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked = "<transcript>" in str(prompts(messages))
        return ModelResponse(parts=[TextPart("## Goal\ncount foxes" if asked else "ok")])

    model = StrictModel(answer, window=1_500, says_window=False, tells_figures=False)
    settings = CompactionConfig(strategy="summarize_older", overflow_retries=4, default_window_tokens=6_000)
    agent = Agent(model, config=AgentConfig(context=settings))
    agent.context_manager.add_messages([user(WORDS), reply(WORDS)] * 10)
    agent.run_sync("And now?")
    assert len(model.refused) >= 2
    assert check_history(agent.messages) == []
    assert "count foxes" in str(model_messages_to_dicts(agent.messages))


@pytest.mark.parametrize(
    "strategy", ["sliding_window", "summarize_older", "selective_pruning", "importance_scoring", "hybrid"]
)
def test_every_strategy_keeps_a_plain_chat_going(strategy: str) -> None:
    model = StrictModel(says(WORDS), window=4_096)
    agent = Agent(model, config=AgentConfig(context=CompactionConfig(strategy=strategy)))
    for turn in range(40):
        agent.run_sync(f"{turn}: {WORDS}")
    assert model.refused == []
    assert prompts(agent.session().transcript) == [f"{turn}: {WORDS}" for turn in range(40)]
    assert check_history(agent.messages) == []


def test_one_fraction_alone_leaves_room_as_two_do() -> None:
    model = StrictModel(says(WORDS), window=8_192)
    agent = Agent(model, config=config(**CompactionConfig(trigger_fraction=0.5).model_dump(exclude={"strategy"})))
    for turn in range(60):
        agent.run_sync(f"{turn}: {WORDS}")
    assert 0 < len(agent.get_context_state().compaction_history) < 20


def test_a_summariser_that_leads_nowhere_fails_when_the_agent_is_made_and_only_where_one_is_asked() -> None:
    model = StrictModel(says("ok"), window=4_000)
    settings = AgentSettings(_env_file=None, _config_file=None)
    nowhere = CompactionConfig(summarization_model="no-such-model")
    with pytest.raises(ConfigurationError, match="no-such-model"):
        Agent(model, settings=settings, config=AgentConfig(context=nowhere))
    alone = nowhere.model_copy(update={"strategy": "sliding_window"})
    assert Agent(model, settings=settings, config=AgentConfig(context=alone)).run_sync("Hi.").output == "ok"


def test_system_prompts_in_the_messages_stay_unless_the_settings_say_otherwise() -> None:
    def kept(**changes: object) -> str:
        model = StrictModel(says(WORDS), window=4_000)
        agent = Agent(model, config=config(**changes))
        agent.context_manager.add_messages([{"role": "system", "content": "Speak French."}])
        agent.context_manager.add_messages(
            [{"role": "user", "content": f"first {WORDS}"}, {"role": "assistant", "content": WORDS}]
        )
        for turn in range(40):
            agent.run_sync(f"{turn}: {WORDS * 3}")
        return str(model.requests[-1])

    assert "Speak French." in kept()


def test_recent_turns_are_left_as_they_are_where_the_target_can_be_met_with_them() -> None:
    def turns_left(preserved: int) -> list[str]:
        def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            asked = "<transcript>" in str(prompts(messages))
            return ModelResponse(parts=[TextPart("## Goal\ncount foxes" if asked else "ok")])

        settings = CompactionConfig(strategy="summarize_older", preserve_recent_turns=preserved)
        agent = Agent(StrictModel(answer, window=4_000), config=AgentConfig(context=settings))
        turn = 0
        while not agent.get_context_state().compaction_history:
            agent.run_sync(f"{turn}: {WORDS}")
            turn += 1
        return prompts(agent.messages)

    assert len(turns_left(0)) == 1
    assert len(turns_left(6)) == 6


def test_a_loop_is_noticed_when_compaction_takes_its_beginning_out() -> None:
    def again(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[ToolCallPart("look", {"n": 1}, tool_call_id=f"c{len(messages)}")])

    model = StrictModel(again, window=1_000)
    settings = AgentSettings(budget={"max_repeated_calls": 8}, _env_file=None, _config_file=None)
    agent = Agent(model, settings=settings, config=config())

    @agent.tool_plain
    def look(n: int) -> str:
        return WORDS

    assert agent.run_sync("Look.").stop_reason == "loop"
    assert len(model.requests) == 8
    assert agent.get_context_state().compaction_history
