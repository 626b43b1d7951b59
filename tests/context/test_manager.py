"""A context without an agent."""

import asyncio
from collections.abc import Callable
from typing import Any

import pydantic_ai
import pytest
from pydantic_ai.messages import CompactionPart, ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, FunctionModel

from mamba_agents import CompactionConfig, ContextManager, TokenCounter
from mamba_agents.context import HybridStrategy
from mamba_agents.context.compactor import Compactor, Request
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
    def summarise(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart("Goal: count foxes.")])

    manager = ContextManager(SMALL.model_copy(update={"strategy": "summarize_older"}), model=FunctionModel(summarise))
    for turn in range(20):
        manager.add_messages([user(f"{turn}: {WORDS}"), reply(f"{turn} {WORDS}")])
    result = asyncio.run(manager.compact())
    summaries = [part for message in manager.history for part in message.parts if isinstance(part, CompactionPart)]
    assert len(summaries) == 1
    assert "count foxes" in (summaries[0].content or "")
    assert result.responses


def foxes(*, model_name: str = "writer") -> FunctionModel:
    """A model whose summaries all say the same."""

    def summarise(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart("## Goal\nCount foxes.\n## Facts\nThere are two.")])

    return FunctionModel(summarise, model_name=model_name)


def test_a_window_is_asked_of_who_finds_it_and_kept_to() -> None:
    asked: list[tuple[str, bool]] = []

    async def find_window(model: Model, *, refresh: bool = False) -> int | None:
        asked.append((model.model_name, refresh))
        return 5_000

    config = CompactionConfig(strategy="sliding_window", trigger_fraction=0.5, target_fraction=0.2)
    manager = ContextManager(config, model=foxes(), find_window=find_window)
    assert not manager.should_compact()
    for turn in range(20):
        manager.add_messages([user(f"{turn}: {WORDS}"), reply(f"{turn} {WORDS}")])
    state = manager.get_context_state()
    assert (state.window_tokens, state.trigger_tokens) == (5_000, 2_500)
    assert manager.should_compact()
    assert manager.compact_sync().target_tokens == 1_000
    assert manager.get_token_count() <= 1_000
    assert asked == [("writer", False)], "what was found is not asked for again"


def test_a_window_that_the_config_names_is_asked_of_nobody() -> None:
    async def find_window(model: Model, *, refresh: bool = False) -> int | None:
        raise AssertionError("it was asked")

    manager = ContextManager(CompactionConfig(window_tokens=9_000), model=foxes(), find_window=find_window)
    assert manager.get_context_state().window_tokens == 9_000


def test_the_agent_that_a_hybrid_is_given_writes_its_summaries() -> None:
    writer = pydantic_ai.Agent(foxes(), name="writer")
    strategy = HybridStrategy(["summarize_older"], summarization_agent=writer)
    result = filled(SMALL.model_copy(update={"strategy": strategy})).compact_sync()
    assert result.strategy == "summarize_older"
    assert {response.model_name for response in result.responses} == {"writer"}
    summary = next(part for part in result.messages[0].parts if isinstance(part, CompactionPart))
    assert "Count foxes." in (summary.content or "")


def test_a_default_hybrid_asks_the_agent_it_is_given_without_a_model_at_hand() -> None:
    strategy = HybridStrategy(summarization_agent=pydantic_ai.Agent(foxes()))
    assert [each.name for each in strategy.strategies][:2] == ["selective_pruning", "summarize_older"]
    assert filled(SMALL.model_copy(update={"strategy": strategy})).compact_sync().strategy == "summarize_older"


def test_who_writes_summaries_is_made_once() -> None:
    made: list[str] = []

    def infer(name: str) -> Model:
        made.append(name)
        return foxes(model_name=name)

    compactor = Compactor(
        SMALL.model_copy(update={"strategy": "summarize_older", "summarization_model": "small"}),
        TokenCounter(),
        find_model=infer,
    )
    history = [message for _ in range(20) for message in (user(WORDS), reply(WORDS))]
    results = [asyncio.run(compactor.compact(Request(messages=history), 1_000)) for _ in range(2)]
    asyncio.run(compactor.plan(Request(messages=history), 1_000))
    assert [{response.model_name for response in result.responses} for result in results] == [{"small"}] * 2
    assert made == ["small"]


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (None, "found NoneType as messages; expected a list"),
        ("Hi.", "found str as messages; expected a list of messages or of chat dicts$"),
        (user("Hi."), "found ModelRequest as messages; expected a list .*: put it into one"),
        ({"role": "user", "content": "Hi."}, "found dict as messages; .*: put it into one"),
        ([user("Hi."), None], "found NoneType as message 1; expected a ModelRequest"),
        (["Hi."], "found str as message 0; expected a ModelRequest or a ModelResponse, or a chat dict"),
    ],
)
def test_what_is_no_list_of_messages_is_refused_and_nothing_is_added(wrong: Any, found: str) -> None:
    manager = ContextManager()
    with pytest.raises(TypeError, match=found):
        manager.add_messages(wrong)
    assert manager.history == []


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda: ContextManager("x"), "found str as config; expected a CompactionConfig"),  # type: ignore[arg-type]
        (lambda: ContextManager({}), "found dict as config; expected a CompactionConfig"),  # type: ignore[arg-type]
        (lambda: ContextManager(None, "gpt-4o"), "found str as token_counter; expected a TokenCounter"),  # type: ignore[arg-type]
        (lambda: ContextManager(model="gpt-4o"), "found str as model; expected a pydantic-ai Model: infer_model"),  # type: ignore[arg-type]
        (lambda: ContextManager(find_window=8_000), "found int as find_window; expected an async function"),  # type: ignore[arg-type]
        (lambda: ContextManager().set_system_prompt(5), "found int as the system prompt; expected text"),  # type: ignore[arg-type]
    ],
)
def test_what_a_context_cannot_be_kept_with_is_refused(make: Callable[[], object], found: str) -> None:
    with pytest.raises(TypeError, match=found):
        make()
