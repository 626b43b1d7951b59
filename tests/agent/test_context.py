"""An agent left running: its requests stay within the window, and its log keeps what was said."""

import asyncio
from collections.abc import Sequence

import pydantic_ai
import pytest
from pydantic_ai.messages import (
    CompactionPart,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo

from mamba_agents import Agent, AgentConfig, AgentSettings, CompactionConfig, TokenCounter
from mamba_agents.context import CompactContext, CompactionResult, CompactionStrategy
from mamba_agents.context.laws import check_history
from mamba_agents.errors import ContextOverflowError
from mamba_agents.sessions import ContextCompacted, MessageAppended, Session
from mamba_agents.tokens import BudgetConfig
from tests.agent import entry_points
from tests.agent.strict_model import StrictModel, calls, says
from tests.helpers import prompts, reply, user

WORDS = "the quick brown fox jumps over the lazy dog " * 20
UNLIMITED = pydantic_ai.UsageLimits(request_limit=None)
SLIDING = CompactionConfig(strategy="sliding_window")


def config(**changes: object) -> AgentConfig:
    return AgentConfig(context=SLIDING.model_copy(update=changes), max_iterations=None)


def talk(agent: Agent, turns: int) -> None:
    for turn in range(turns):
        agent.run_sync(f"{turn}: {WORDS}")


def test_no_request_of_a_long_conversation_is_larger_than_the_window() -> None:
    model = StrictModel(says(WORDS), window=4_000)
    talk(Agent(model, config=config()), 60)
    assert len(model.requests) == 60
    assert model.refused == []
    assert max(model.sizes) <= 4_000


def test_no_request_inside_a_long_run_is_larger_than_the_window() -> None:
    model = StrictModel(calls(60, "look"), window=4_000)
    agent = Agent(model, config=config())

    @agent.tool_plain
    def look(n: int) -> str:
        return f"{n}: {WORDS}"

    assert agent.run_sync("Look at everything.", usage_limits=UNLIMITED).output == "done"
    assert model.refused == []
    assert all(prompts(request) == ["Look at everything."] for request in model.requests)


def test_every_request_after_a_compaction_is_one_that_providers_take() -> None:
    model = StrictModel(calls(60, "look"), window=4_000)
    agent = Agent(model, config=config())

    @agent.tool_plain
    def look(n: int) -> str:
        return f"{n}: {WORDS}"

    agent.run_sync("Look at everything.", usage_limits=UNLIMITED)
    assert [check_history(request) for request in model.requests if check_history(request)] == []


def test_the_log_keeps_every_message_and_the_session_sees_the_shortened_history() -> None:
    model = StrictModel(says(WORDS), window=4_000)
    agent = Agent(model, config=config())
    talk(agent, 40)
    session = agent.session()
    assert prompts(session.transcript) == [f"{turn}: {WORDS}" for turn in range(40)]
    assert len(session.transcript) == 80
    assert len(session.messages) < 40
    assert session.messages[-1] is session.transcript[-1]
    assert prompts(model.requests[-1]) == prompts(session.messages)


def test_what_a_run_took_out_of_its_own_history_is_in_the_log_in_its_place() -> None:
    model = StrictModel(calls(30, "look"), window=4_000)
    agent = Agent(model, config=config())

    @agent.tool_plain
    def look(n: int) -> str:
        return f"{n}: {WORDS}"

    agent.run_sync("Look at everything.", usage_limits=UNLIMITED)
    said = agent.session().transcript
    assert [part.content[:3] for message in said for part in message.parts if isinstance(part, ToolReturnPart)] == [
        f"{n}: {WORDS}"[:3] for n in range(30)
    ]
    assert check_history(said) == []
    assert len(said) == 62


def test_a_compaction_stands_in_the_log_after_the_request_it_was_done_for() -> None:
    model = StrictModel(calls(30, "look"), window=4_000)
    agent = Agent(model, config=config())

    @agent.tool_plain
    def look(n: int) -> str:
        return f"{n}: {WORDS}"

    agent.run_sync("Look at everything.", usage_limits=UNLIMITED)
    events = agent.session().events()
    compactions = [index for index, event in enumerate(events) if isinstance(event, ContextCompacted)]
    assert len(compactions) > 1
    for index in compactions:
        compacted, before = events[index], events[index - 1]
        assert isinstance(compacted, ContextCompacted)
        assert isinstance(before, MessageAppended)
        assert compacted.messages[-1] is before.message
        assert compacted.tokens_after < compacted.tokens_before
        assert compacted.run_id == before.run_id


def test_the_cut_is_held_until_the_trigger_is_passed_again() -> None:
    model = StrictModel(says(WORDS), window=8_000)
    agent = Agent(model, config=config())
    talk(agent, 80)
    compactions = agent.get_context_state().compaction_history
    moved = sum(new[: len(old)] != old for old, new in zip(model.requests, model.requests[1:], strict=False))
    assert 0 < len(compactions) < 20
    assert moved == len(compactions)


@pytest.mark.parametrize("run", entry_points.ALL, ids=lambda run: run.__name__)
def test_every_way_to_run_keeps_within_the_window(run: entry_points.EntryPoint) -> None:
    model = StrictModel(says(WORDS), window=2_000)
    agent = Agent(model, config=config())
    for turn in range(12):
        asyncio.run(run(agent, f"{turn}: {WORDS}"))
    assert len(model.sizes) == 12
    assert model.refused == []
    assert len(agent.session().transcript) == 24
    assert len(agent.messages) < 24


@pytest.mark.parametrize("run", entry_points.ALL, ids=lambda run: run.__name__)
def test_a_request_that_the_provider_calls_too_long_is_shortened_and_sent_again(run: entry_points.EntryPoint) -> None:
    model = StrictModel(says(WORDS), window=2_000, says_window=False)
    agent = Agent(model, config=config())
    outputs = [asyncio.run(run(agent, f"{turn}: {WORDS}")) for turn in range(12)]
    assert outputs == [WORDS] * 12
    assert len(model.refused) == 1, "what the refusal said of the window is remembered"
    assert len(agent.session().transcript) == 24
    assert agent.get_context_state().window_tokens == 2_000


def test_a_provider_that_tells_no_figures_is_met_by_ever_shorter_requests() -> None:
    model = StrictModel(says(WORDS), window=2_000, says_window=False, tells_figures=False)
    agent = Agent(model, config=config(overflow_retries=4))
    talk(agent, 12)
    assert len(model.requests) == 12
    assert model.refused
    assert max(model.sizes) <= 2_000


def test_a_prompt_that_cannot_be_shortened_ends_in_an_error_with_the_figures() -> None:
    model = StrictModel(says("never"), window=500, says_window=False)
    with pytest.raises(ContextOverflowError) as caught:
        Agent(model, config=config()).run_sync(WORDS * 10)
    assert caught.value.max_tokens == 500
    assert caught.value.current_tokens == model.refused[-1]
    assert caught.value.compaction_attempted
    assert model.requests == []


@pytest.mark.parametrize("run", entry_points.ALL, ids=lambda run: run.__name__)
def test_without_retries_a_refusal_is_told_with_its_figures_and_that_nothing_was_tried(
    run: entry_points.EntryPoint,
) -> None:
    model = StrictModel(says("never"), window=500, says_window=False)
    with pytest.raises(ContextOverflowError, match=r"not tried: set context\.overflow_retries") as caught:
        asyncio.run(run(Agent(model, config=config(overflow_retries=0)), WORDS * 10))
    assert (caught.value.current_tokens, caught.value.max_tokens) == (model.refused[0], 500)
    assert not caught.value.compaction_attempted
    assert isinstance(caught.value.__cause__, pydantic_ai.ModelContextWindowExceededError)
    assert len(model.refused) == 1


def test_without_retries_too_a_request_that_was_compacted_before_it_was_refused_says_so() -> None:
    model = StrictModel(says("never"), window=2_000, says_window=False)
    agent = Agent(model, config=config(overflow_retries=0, trigger_threshold_tokens=4_000, target_tokens=3_000))
    agent.context_manager.add_messages([user(WORDS), reply(WORDS)] * 20)
    with pytest.raises(ContextOverflowError) as caught:
        agent.run_sync(WORDS)
    assert caught.value.compaction_attempted
    assert len(model.refused) == 1


def test_a_request_is_shortened_and_sent_again_so_often_and_no_oftener() -> None:
    model = StrictModel(says("never"), window=50, says_window=False, tells_figures=False)
    agent = Agent(model, config=config(overflow_retries=3))
    agent.context_manager.add_messages([user(WORDS), reply(WORDS)] * 40)
    with pytest.raises(ContextOverflowError):
        agent.run_sync(WORDS)
    assert model.refused == sorted(model.refused, reverse=True)
    assert len(model.refused) == 4


def test_other_errors_pass_untouched() -> None:
    def fail(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise pydantic_ai.ModelHTTPError(429, "strict", body={"message": "Rate limit: 30000 tokens per minute"})

    with pytest.raises(pydantic_ai.ModelHTTPError, match="429"):
        Agent(StrictModel(fail, window=4_000), config=config()).run_sync("Hi.")


def test_what_a_capability_took_out_of_one_request_does_not_come_back_when_it_is_sent_again() -> None:
    model = StrictModel(says("ok"), window=1_500, says_window=False)
    hide = pydantic_ai.capabilities.ProcessHistory(lambda messages: [_without_secret(m) for m in messages])
    agent = Agent(model, config=config(), capabilities=[hide])
    agent.context_manager.add_messages([user("the secret is 1234"), reply("noted")])
    agent.context_manager.add_messages([user(WORDS), reply(WORDS)] * 8)
    agent.run_sync("And now?")
    assert model.refused
    assert all("1234" not in str(request) for request in model.requests)


def _without_secret(message: ModelMessage) -> ModelMessage:
    if not isinstance(message, ModelRequest):
        return message
    parts = [UserPromptPart(str(part.content).replace("1234", "****")) for part in message.parts]
    return ModelRequest(parts=parts, run_id=message.run_id, timestamp=message.timestamp)


def test_compaction_can_be_left_to_the_caller() -> None:
    model = StrictModel(says(WORDS), window=100_000)
    agent = Agent(
        model,
        config=config(trigger_threshold_tokens=2_000, target_tokens=1_000).model_copy(update={"auto_compact": False}),
    )
    talk(agent, 12)
    assert model.sizes == sorted(model.sizes)
    assert agent.should_compact()
    plan = agent.context_manager.plan_sync()
    result = asyncio.run(agent.compact())
    assert not agent.should_compact()
    assert len(agent.messages) == 24 - result.removed_count
    assert (len(plan.removed), plan.tokens_after) == (result.removed_count, result.tokens_after)
    assert prompts(agent.session().transcript) == [f"{turn}: {WORDS}" for turn in range(12)]


def test_after_a_compaction_by_hand_the_old_figures_of_the_provider_no_longer_count() -> None:
    model = StrictModel(says(WORDS), window=100_000)
    agent = Agent(
        model,
        config=config(trigger_threshold_tokens=2_000, target_tokens=1_000).model_copy(update={"auto_compact": False}),
    )
    talk(agent, 12)
    result = asyncio.run(agent.compact())
    assert agent.get_token_count() == result.tokens_after <= 1_000
    assert asyncio.run(agent.compact()).removed_count == 0


def test_the_context_says_what_it_is() -> None:
    model = StrictModel(says(WORDS), window=4_000)
    agent = Agent(model, system_prompt="Be brief.", config=config())
    talk(agent, 30)
    state = agent.get_context_state()
    assert state.system_prompt == "Be brief."
    assert state.window_tokens == 4_000
    assert state.message_count == len(agent.messages)
    assert model.sizes[-1] < state.token_count < 4_000
    assert state.trigger_tokens == 3_500
    assert {result.strategy for result in state.compaction_history} == {"sliding_window"}


def test_an_agent_without_memory_has_no_context_and_still_keeps_its_runs_within_the_window() -> None:
    model = StrictModel(calls(30, "look"), window=4_000)
    agent = Agent(model, config=config().model_copy(update={"track_context": False}))

    @agent.tool_plain
    def look(n: int) -> str:
        return f"{n}: {WORDS}"

    result = agent.run_sync("Look at everything.", usage_limits=UNLIMITED)
    assert result.output == "done"
    assert model.refused == []
    assert agent.context_manager is None
    for use in (agent.should_compact, agent.get_context_state, agent.get_token_count):
        with pytest.raises(RuntimeError, match="Context tracking is disabled"):
            use()
    with pytest.raises(RuntimeError, match="Context tracking is disabled"):
        asyncio.run(agent.compact())


def test_a_tool_that_compacts_its_own_session_is_told_that_it_would_wait_for_itself() -> None:
    agent = Agent(
        StrictModel(calls(1, "shorten"), window=4_000),
        config=config().model_copy(update={"graceful_tool_errors": False}),
    )

    @agent.tool_plain
    async def shorten(n: int) -> str:
        await agent.compact()
        return "shorter"

    with pytest.raises(RuntimeError, match="inside a run of the same session"):
        agent.run_sync("Shorten it.")


def test_what_a_delegate_said_in_the_same_session_survives_the_compaction_of_its_caller() -> None:
    model = StrictModel(calls(20, "ask"), window=4_000)
    agent = Agent(model, config=config())
    delegate = Agent(
        StrictModel(says("delegate's answer"), window=4_000),
        session=Session(agent.session().log.store, agent.session().id),
    )

    @agent.tool_plain
    async def ask(n: int) -> str:
        if n == 10:
            await delegate.run("delegate's question")
        return f"{n}: {WORDS}"

    agent.run_sync("Ask.", usage_limits=UNLIMITED)
    assert agent.get_context_state().compaction_history
    assert "delegate's question" in prompts(agent.session().transcript)
    assert "delegate's question" in prompts(agent.messages)
    assert check_history(agent.messages) == []


@pytest.mark.parametrize("end", ["fail", "cancel"])
def test_a_run_that_ends_badly_after_a_compaction_keeps_what_was_said_and_what_was_cut(end: str) -> None:
    model = StrictModel(calls(30, "look"), window=4_000)
    agent = Agent(model, config=config().model_copy(update={"graceful_tool_errors": False}))

    @agent.tool_plain
    async def look(n: int) -> str:
        if n == 25:
            if end == "fail":
                raise OSError("no")
            asyncio.current_task().cancel()
            await asyncio.sleep(0)
        return f"{n}: {WORDS}"

    with pytest.raises((OSError, asyncio.CancelledError)):
        asyncio.run(agent.run("Look.", usage_limits=UNLIMITED))
    session = agent.session()
    assert sum(isinstance(m, ModelResponse) for m in session.transcript) == 26
    assert agent.get_context_state().compaction_history
    assert len(session.messages) < len(session.transcript)
    assert agent.run_sync("Go on.").output


def test_a_plain_pydantic_ai_agent_keeps_within_the_window_too() -> None:
    model = StrictModel(calls(40, "look"), window=4_000)
    agent = pydantic_ai.Agent(model, capabilities=[CompactContext(SLIDING)])

    @agent.tool_plain
    def look(n: int) -> str:
        return f"{n}: {WORDS}"

    unlimited = pydantic_ai.UsageLimits(request_limit=None)
    result = asyncio.run(agent.run("Look at everything.", usage_limits=unlimited))
    assert result.output == "done"
    assert model.refused == []
    assert check_history(result.all_messages()) == []


def test_settings_say_how_a_context_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMBA_CONTEXT__STRATEGY", "sliding_window")
    monkeypatch.setenv("MAMBA_CONTEXT__WINDOW_TOKENS", "3000")
    model = StrictModel(says(WORDS), window=100_000)
    agent = Agent(model, settings=AgentSettings())
    talk(agent, 20)
    assert max(model.sizes) <= 3_000
    assert {result.strategy for result in agent.get_context_state().compaction_history} == {"sliding_window"}


def test_a_trigger_may_be_a_share_of_the_window() -> None:
    model = StrictModel(says(WORDS), window=10_000)
    agent = Agent(model, config=config(trigger_fraction=0.3, target_fraction=0.2))
    talk(agent, 30)
    assert 2_000 < max(model.sizes) <= 3_000
    assert all(result.tokens_after <= 2_000 for result in agent.get_context_state().compaction_history)


def test_a_model_whose_tokens_are_more_than_counted_is_still_kept_within_its_window() -> None:
    model = StrictModel(says(WORDS), window=8_000, ratio=1.7)
    agent = Agent(model, config=config())
    talk(agent, 40)
    assert model.refused == []
    assert max(model.sizes) <= 8_000


def test_many_sessions_at_once_shorten_each_their_own() -> None:
    model = StrictModel(says(WORDS), window=2_000)
    agent = Agent(model, config=config())

    async def chat(name: str) -> None:
        for turn in range(10):
            await agent.session(name).run(f"{name} {turn}: {WORDS}")

    async def all_of_them() -> None:
        await asyncio.gather(*(chat(f"user-{number}") for number in range(20)))

    asyncio.run(all_of_them())
    assert model.refused == []
    for number in range(20):
        session = agent.session(f"user-{number}")
        assert prompts(session.transcript) == [f"user-{number} {turn}: {WORDS}" for turn in range(10)]
        assert all(prompt.startswith(f"user-{number} ") for prompt in prompts(session.messages))
        assert session.context.get_compaction_history()


SUMMARY = "## Goal\ncount foxes\n## Facts\nthe fox is quick"


def asks_for_a_summary(messages: Sequence[ModelMessage]) -> bool:
    return any("<transcript>" in prompt for prompt in prompts(messages))


def summarising(config: CompactionConfig, **options: object) -> tuple[Agent, StrictModel]:
    """An agent whose model writes summaries when it is asked for one, and else says many words."""

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart(SUMMARY if asks_for_a_summary(messages) else WORDS)])

    model = StrictModel(answer, window=4_000)
    return Agent(model, config=AgentConfig(context=config), **options), model


def test_a_summary_is_made_once_held_and_billed_to_its_run_under_its_own_kind() -> None:
    agent, model = summarising(CompactionConfig(strategy="summarize_older"))
    talk(agent, 40)
    rows = agent.get_usage_history()
    summaries = [row for row in rows if row.kind == "compaction"]
    assert len(summaries) == len(agent.get_context_state().compaction_history) > 1
    assert len(rows) == len(model.requests) == 40 + len(summaries)
    assert {row.session_id for row in rows} == {agent.session().id}
    assert all(row.run_id in {other.run_id for other in rows if other.kind == "response"} for row in summaries)
    assert sum(row.usage.prompt_tokens for row in rows) == sum(model.sizes) == agent.session().usage.input_tokens
    assert len(_summaries(agent.messages)) == 1
    assert "count foxes" in _summaries(agent.messages)[0]


def test_a_run_counts_the_summary_that_was_made_for_it() -> None:
    agent, model = summarising(CompactionConfig(strategy="summarize_older"))
    seen = 0
    for turn in range(20):
        result = agent.run_sync(f"{turn}: {WORDS}")
        asked, seen = len(model.requests) - seen, len(model.requests)
        assert result.usage.requests == asked
        assert result.usage.input_tokens == sum(model.sizes[-asked:])


def test_a_summary_made_by_hand_is_billed_to_its_session() -> None:
    agent, model = summarising(
        CompactionConfig(strategy="summarize_older", trigger_threshold_tokens=900, target_tokens=800)
    )
    agent.context_manager.add_messages([user(WORDS), reply(WORDS)] * 8)
    asyncio.run(agent.compact())
    assert [row.kind for row in agent.get_usage_history()] == ["compaction"]
    assert agent.session().usage.input_tokens == sum(model.sizes) > 0


def test_a_summariser_that_fails_costs_no_run_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if asks_for_a_summary(messages):
            raise OSError("the summariser is ill")
        return ModelResponse(parts=[TextPart(WORDS)])

    model = StrictModel(answer, window=4_000)
    agent = Agent(model, config=AgentConfig())
    talk(agent, 30)
    assert len(model.requests) >= 30
    assert model.refused == []
    assert "the summariser is ill" in caplog.text
    compactions = agent.get_context_state().compaction_history
    assert compactions
    assert all("the summariser is ill" in "".join(result.notes) for result in compactions)


def test_a_budget_holds_for_summaries_too() -> None:
    budget = BudgetConfig(day_tokens=60_000, max_output_tokens=300)
    settings = AgentSettings(budget=budget, _env_file=None, _config_file=None)
    agent, _ = summarising(CompactionConfig(strategy="summarize_older"), settings=settings)
    talk(agent, 60)
    spent = agent.budget_ledger.spent("day")
    assert spent is not None
    used = sum(row.usage.total_tokens for row in agent.get_usage_history())
    assert any(row.kind == "compaction" for row in agent.get_usage_history())
    assert spent.tokens == used <= 60_000
    assert agent.run_sync("One more.").stop_reason == "budget"


class EveryOther(CompactionStrategy):
    name = "every_other"

    async def compact(
        self, messages: Sequence[ModelMessage], target_tokens: int, preserve_recent: int = 0
    ) -> CompactionResult[ModelMessage]:
        kept = [*messages[: len(messages) // 4 * 2], messages[-1]]
        return CompactionResult(
            messages=kept,
            removed_count=len(messages) - len(kept),
            tokens_before=len(messages) * 200,
            tokens_after=len(kept) * 200,
            strategy=self.name,
        )


@pytest.mark.parametrize("strategy", [EveryOther, EveryOther()], ids=["class", "instance"])
def test_a_strategy_of_ones_own_is_used(strategy: object) -> None:
    model = StrictModel(says(WORDS), window=8_000)
    agent = Agent(model, config=AgentConfig(context=CompactionConfig(strategy=strategy)))
    talk(agent, 30)
    assert {result.strategy for result in agent.get_context_state().compaction_history} == {"every_other"}
    assert prompts(agent.messages)[0] == f"0: {WORDS}"


def _summaries(messages: Sequence[ModelMessage]) -> list[str]:
    return [part.content or "" for message in messages for part in message.parts if isinstance(part, CompactionPart)]


class Broken(CompactionStrategy):
    name = "broken"

    def __init__(self, leave: list[ModelMessage] | None = None) -> None:
        self.leave = leave or []

    async def compact(
        self, messages: Sequence[ModelMessage], target_tokens: int, preserve_recent: int = 0
    ) -> CompactionResult[ModelMessage]:
        return CompactionResult(
            messages=list(self.leave), removed_count=0, tokens_before=0, tokens_after=0, strategy=self.name
        )


@pytest.mark.parametrize("left", [[], [reply("I speak first."), user("Hi.")], [user("Hi.")] * 500], ids=len)
def test_a_strategy_that_gives_what_cannot_be_sent_costs_no_run_and_is_said(
    left: list[ModelMessage], caplog: pytest.LogCaptureFixture
) -> None:
    model = StrictModel(says(WORDS), window=4_000)
    agent = Agent(model, config=AgentConfig(context=CompactionConfig(strategy=Broken(left))))
    talk(agent, 20)
    assert len(model.requests) == 20
    assert model.refused == []
    assert prompts(agent.messages)[-1] == f"19: {WORDS}"
    assert "broken gave a history that cannot be sent" in caplog.text


def test_what_cannot_be_made_small_enough_is_said(caplog: pytest.LogCaptureFixture) -> None:
    model = StrictModel(says("ok"), window=100_000)
    agent = Agent(model, config=config(trigger_threshold_tokens=1_000, target_tokens=500))
    agent.run_sync(WORDS * 10)
    assert "more than the 500 that were aimed at" in caplog.text
    assert agent.get_context_state().compaction_history == [], "nothing was taken out"


def test_the_history_of_compactions_says_what_was_aimed_at() -> None:
    model = StrictModel(says(WORDS), window=4_000)
    agent = Agent(model, config=config())
    talk(agent, 30)
    results = agent.get_context_state().compaction_history
    assert {(result.target_tokens, result.reached_target) for result in results} == {(2_800, True)}


def test_a_text_is_counted_as_the_agents_model_counts_it() -> None:
    text = "Ein Eichhörnchen überquert die Straße. " * 20
    assert TokenCounter().count(text, "gpt-4") != TokenCounter().count(text, "gpt-5")
    model = pydantic_ai.models.function.FunctionModel(lambda messages, info: reply("ok"), model_name="gpt-4")
    assert Agent(model).get_token_count(text) == TokenCounter().count(text, "gpt-4")
