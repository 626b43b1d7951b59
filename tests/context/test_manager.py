"""A context without an agent."""

import asyncio

import pytest
from pydantic_ai.messages import CompactionPart, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from mamba_agents import CompactionConfig, ContextManager, TokenCounter
from mamba_agents.context.laws import check_history
from tests.helpers import call, prompts, reply, returned, user

WORDS = "the quick brown fox jumps over the lazy dog " * 20
SMALL = CompactionConfig(strategy="sliding_window", trigger_threshold_tokens=2_000, target_tokens=1_000)


def filled(config: CompactionConfig = SMALL, turns: int = 20) -> ContextManager:
    manager = ContextManager(config)
    for turn in range(turns):
        manager.add_messages([user(f"{turn}: {WORDS}"), reply(f"{turn} {WORDS}")])
    return manager


def test_what_is_added_is_the_history_in_both_forms() -> None:
    manager = ContextManager()
    manager.add_messages([{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}])
    manager.add_messages([user("How are you?")])
    assert prompts(manager.history) == ["Hi.", "How are you?"]
    assert manager.get_messages() == [
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "How are you?"},
    ]


def test_the_history_that_is_handed_out_is_the_callers() -> None:
    manager = filled(turns=1)
    manager.history.clear()
    assert len(manager.history) == 2


@pytest.mark.parametrize("wrong", [{"content": "Hi."}, {"role": "nobody", "content": "Hi."}])
def test_a_dict_that_is_no_chat_message_is_refused_and_nothing_is_added(wrong: dict[str, object]) -> None:
    manager = ContextManager()
    with pytest.raises(ValueError, match="role"):
        manager.add_messages([{"role": "user", "content": "Hi."}, wrong])
    assert manager.history == []


def test_messages_and_dicts_in_one_call_are_refused() -> None:
    manager = ContextManager()
    with pytest.raises(ValueError, match="mixed"):
        manager.add_messages([user("Hi."), {"role": "user", "content": "Hi."}])
    assert manager.history == []


def test_a_history_past_the_trigger_is_shortened_to_the_target_when_asked() -> None:
    manager = filled()
    assert manager.should_compact()
    result = manager.compact_sync()
    assert manager.get_token_count() == result.tokens_after <= 1_000
    assert not manager.should_compact()
    assert check_history(manager.history) == []
    assert manager.get_compaction_history() == [result]
    assert prompts(manager.history)[-1] == f"19: {WORDS}"


def test_a_history_that_fits_stays_as_it_is() -> None:
    manager = filled(turns=2)
    before = manager.history
    result = manager.compact_sync()
    assert (result.removed_count, manager.history) == (0, before)
    assert manager.get_compaction_history() == []


def test_a_plan_changes_nothing_and_says_what_compact_will_do() -> None:
    manager = filled()
    before = manager.history
    plan = manager.plan_sync()
    assert manager.history == before
    result = manager.compact_sync()
    assert len(plan.removed) == result.removed_count
    assert (plan.tokens_before, plan.tokens_after) == (result.tokens_before, result.tokens_after)
    assert plan.freed_tokens == result.tokens_before - result.tokens_after


def test_the_system_prompt_counts_and_outlives_compaction_and_clearing() -> None:
    manager = filled(turns=1)
    without = manager.get_token_count()
    manager.set_system_prompt(WORDS)
    assert manager.get_token_count() > without + TokenCounter().count(WORDS)
    manager.compact_sync()
    manager.clear()
    assert manager.get_system_prompt() == WORDS
    assert manager.history == []


def test_the_system_prompt_of_the_messages_is_found() -> None:
    manager = ContextManager()
    manager.add_messages([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi."}])
    assert manager.get_system_prompt() == "Be brief."


def test_the_state_says_all_of_it() -> None:
    manager = filled(SMALL.model_copy(update={"window_tokens": 9_000}))
    manager.compact_sync()
    state = manager.get_context_state()
    assert state.message_count == len(manager.history)
    assert state.token_count == manager.get_token_count()
    assert (state.window_tokens, state.trigger_tokens) == (9_000, 2_000)
    assert state.compaction_history == manager.get_compaction_history()


def test_tool_calls_and_their_results_go_together() -> None:
    manager = ContextManager(SMALL)
    manager.add_messages([user("Look.")])
    for number in range(30):
        manager.add_messages([call("look", {"n": number}, f"c{number}"), returned("look", WORDS, f"c{number}")])
    manager.compact_sync()
    assert check_history(manager.history) == []
    assert manager.get_token_count() <= 1_000


def test_a_model_writes_the_summary_where_one_is_given() -> None:
    def summarise(messages: list[object], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart("Goal: count foxes.")])

    manager = ContextManager(SMALL.model_copy(update={"strategy": "summarize_older"}), model=FunctionModel(summarise))
    for turn in range(20):
        manager.add_messages([user(f"{turn}: {WORDS}"), reply(f"{turn} {WORDS}")])
    result = asyncio.run(manager.compact())
    summaries = [part for message in manager.history for part in message.parts if isinstance(part, CompactionPart)]
    assert len(summaries) == 1
    assert "count foxes" in (summaries[0].content or "")
    assert result.responses
