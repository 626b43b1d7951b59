"""A strategy of one's own costs no run, whatever it does: what cannot be gone on with is replaced, and that is said."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from pydantic_ai.exceptions import RunCancelled, RunTimedOut
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

from mamba_agents import Agent, AgentConfig, CompactionConfig, ContextManager, TokenCounter
from mamba_agents.context import CompactionResult, CompactionStrategy, HybridStrategy, SlidingWindowStrategy
from mamba_agents.context.laws import check_history
from mamba_agents.errors import BudgetExceededError
from tests.helpers import reply, user

WORDS = "the quick brown fox jumps over the lazy dog " * 5
TARGET = 400


def of(messages: Any, **fields: Any) -> CompactionResult[ModelMessage]:
    figures = {"removed_count": 0, "tokens_before": 1, "tokens_after": 1, "strategy": "own", **fields}
    return CompactionResult(messages=messages, **figures)


class Own(CompactionStrategy):
    """Gives what a function makes of the messages."""

    name = "own"

    def __init__(self, make: Callable[[list[ModelMessage]], Any]) -> None:
        self.make = make

    async def compact(self, messages: Any, target_tokens: int, preserve_recent: int = 0) -> Any:
        return self.make(messages)


class OwnWindow(SlidingWindowStrategy):
    """A subclass of a built-in strategy that overrides how it is done."""

    name = "own"

    def __init__(self, make: Callable[[list[ModelMessage]], Any]) -> None:
        super().__init__()
        self.make = make

    async def compact_native(self, messages: list[ModelMessage], target_tokens: int, preserve_recent: int) -> Any:
        return self.make(messages)


class OwnShortening(OwnWindow):
    """One that overrides the step after counting, which a hybrid calls by itself."""

    compact_native = SlidingWindowStrategy.compact_native

    async def shorten(
        self, messages: list[ModelMessage], counts: Sequence[int], target_tokens: int, preserve_recent: int
    ) -> Any:
        return self.make(messages)


WAYS: dict[str, Callable[[Callable[[list[ModelMessage]], Any]], CompactionStrategy]] = {
    "alone": Own,
    "in a hybrid": lambda make: HybridStrategy([Own(make)]),
    "in a hybrid in a hybrid": lambda make: HybridStrategy([HybridStrategy([Own(make)])]),
    "as a subclass": OwnWindow,
    "as a subclass of a step": OwnShortening,
    "as a subclass in a hybrid": lambda make: HybridStrategy([OwnWindow(make)]),
    "as a subclass of a step in a hybrid": lambda make: HybridStrategy([OwnShortening(make)]),
}


def raises(error: BaseException) -> Callable[[list[ModelMessage]], Any]:
    def make(messages: list[ModelMessage]) -> Any:
        messages.clear()
        raise error

    return make


def longer(messages: list[ModelMessage]) -> Any:
    first = cast("ModelRequest", messages[0])
    return of([replace(first, parts=[*first.parts, SystemPromptPart(WORDS * 40)]), *messages[1:]])


def many(messages: list[ModelMessage]) -> Any:
    last = max(index for index, message in enumerate(messages) if is_prompt(message))
    return of([messages[0], *[reply("b"), user("a")] * 12, reply("b"), *messages[last:]])


def is_prompt(message: ModelMessage) -> bool:
    return any(isinstance(part, UserPromptPart) for part in message.parts)


def without_calls(messages: list[ModelMessage]) -> Any:
    return of([message for message in messages if isinstance(message, ModelRequest)])


def thinking_edited(messages: list[ModelMessage]) -> Any:
    return of([_edited(message) for message in messages])


def _edited(message: ModelMessage) -> ModelMessage:
    if isinstance(message, ModelRequest):
        return message
    parts = [replace(part, content="Hm.") if isinstance(part, ThinkingPart) else part for part in message.parts]
    return replace(message, parts=parts)


def prompt_gone(messages: list[ModelMessage]) -> Any:
    return of([replace(messages[0], parts=messages[0].parts[1:]), *messages[1:]])


RUBBISH: dict[str, tuple[Callable[[list[ModelMessage]], Any], str]] = {
    "raises": (raises(RuntimeError("boom")), "raised RuntimeError: boom"),
    "takes too long": (raises(RunTimedOut("late")), "late"),
    "gives None": (lambda messages: None, "gave NoneType; expected a CompactionResult"),
    "gives a list": (lambda messages: messages[-1:], "gave list; expected a CompactionResult"),
    "gives nothing": (lambda messages: of([]), "gave a history that cannot be sent (history: found no messages"),
    "gives chat dicts": (
        lambda messages: of([{"role": "user", "content": "Hi."}]),
        "gave no history (TypeError: found dict as message 0",
    ),
    "gives messages of nothing": (lambda messages: of([ModelRequest(parts=cast("Any", ["x"]))]), "gave no history ("),
    "makes it longer": (longer, "made the history longer by "),
    "makes more of it": (many, " messages"),
    "splits pairs": (without_calls, "[result-without-call]"),
    "edits signed thinking": (thinking_edited, "[edited-thinking]"),
    "loses a system prompt": (prompt_gone, "[lost-system-prompt]"),
    "loses the newest request": (lambda messages: of(messages[:-1]), "[newest-request-changed]"),
    "counts in words": (lambda messages: of(messages[-1:], removed_count="many"), "gave str as removed_count"),
    "notes in one text": (lambda messages: of(messages[-1:], notes="All well."), "gave str among its notes"),
    "asks no model": (lambda messages: of(messages[-1:], responses=(None,)), "gave NoneType among its responses"),
}


def thoughtful(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Thinks, calls a tool, and answers."""
    assert check_history(messages, for_request=True) == []
    if is_prompt(messages[-1]):
        thought = ThinkingPart("I had better look. " * 3, signature="signed", provider_name="function")
        return ModelResponse(parts=[thought, ToolCallPart("look", {}, tool_call_id=f"c{len(messages)}")])
    return reply("It is well.")


def looking(strategy: CompactionStrategy) -> Agent[object, str]:
    context = CompactionConfig(strategy=strategy, trigger_threshold_tokens=600, target_tokens=TARGET)
    agent = Agent(FunctionModel(thoughtful), config=AgentConfig(context=context))
    agent.session().context.add_messages(
        [ModelRequest(parts=[SystemPromptPart("Be brief."), UserPromptPart("Hi.")]), reply("Hello.")]
    )

    @agent.tool_plain
    def look() -> str:
        return WORDS

    return agent


@pytest.mark.parametrize(("make", "said"), RUBBISH.values(), ids=RUBBISH)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_no_run_is_lost_and_the_oldest_turns_go_instead(
    way: Callable[[Any], CompactionStrategy], make: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    agent = looking(way(make))
    for number in range(6):
        assert agent.run_sync(f"{number}: {WORDS}").output == "It is well."
    assert check_history(agent.messages) == []
    compactions = agent.get_context_state().compaction_history
    assert compactions
    assert {result.strategy for result in compactions} == {"sliding_window"}
    assert all(result.tokens_after <= TARGET for result in compactions)
    assert said in caplog.text
    assert "own" in caplog.text
    assert any(isinstance(part, SystemPromptPart) for part in agent.messages[0].parts)


def test_a_compact_that_is_not_async_is_said(caplog: pytest.LogCaptureFixture) -> None:
    class Sync(Own):
        compact = cast("Any", lambda self, messages, target_tokens, preserve_recent=0: of(messages[-1:]))

    agent = looking(Sync(lambda messages: None))
    for number in range(6):
        agent.run_sync(f"{number}: {WORDS}")
    assert "own raised TypeError: " in caplog.text
    assert agent.get_context_state().compaction_history


def chat(turns: int = 10) -> list[ModelMessage]:
    return [message for n in range(turns) for message in (user(f"{n}: {WORDS}"), reply("Yes."))] + [user("And now?")]


def managed(strategy: CompactionStrategy, **changes: Any) -> ContextManager:
    manager = ContextManager(CompactionConfig(strategy=strategy, target_tokens=200, **changes))
    manager.add_messages(chat())
    return manager


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_can_be_sent_is_used_with_its_true_size(way: Callable[[Any], CompactionStrategy]) -> None:
    def summed_up(messages: list[ModelMessage]) -> Any:
        return of((user("So far: all well."), *messages[-1:]), notes=["I summed it up."], removed_count=19)

    manager = managed(way(summed_up))
    result = manager.compact_sync()
    assert [str(message.parts[0].content) for message in result.messages] == ["So far: all well.", "And now?"]  # type: ignore[union-attr]
    assert (result.strategy, result.removed_count, result.notes) == ("own", 19, ("I summed it up.",))
    assert result.tokens_after == manager.get_token_count() < result.target_tokens


@pytest.mark.parametrize("way", [Own, WAYS["in a hybrid"]])
def test_system_prompts_may_go_where_the_settings_say_so(way: Callable[[Any], CompactionStrategy]) -> None:
    strategy = way(lambda messages: of(messages[-1:]))
    if isinstance(strategy, HybridStrategy):
        strategy.preserve_system_prompt = False
    manager = ContextManager(CompactionConfig(strategy=strategy, target_tokens=200, preserve_system_prompt=False))
    manager.add_messages([ModelRequest(parts=[SystemPromptPart("Be brief.")]), *chat()])
    assert manager.compact_sync().strategy == "own"
    assert len(manager.history) == 1


@pytest.mark.parametrize("way", [Own, WAYS["in a hybrid"]])
def test_what_was_paid_for_is_billed_though_it_is_not_used(way: Callable[[Any], CompactionStrategy]) -> None:
    paid = ModelResponse(parts=[TextPart("## Goal")])
    result = managed(way(lambda messages: of([], responses=[paid]))).compact_sync()
    assert result.responses == (paid,)
    assert result.strategy == "sliding_window"


def test_the_next_strategy_of_a_hybrid_takes_over_and_the_notes_name_the_one_before() -> None:
    result = managed(HybridStrategy([Own(lambda messages: None), "importance_scoring"])).compact_sync()
    assert result.strategy == "importance_scoring"
    assert result.notes == ("own gave NoneType; expected a CompactionResult. The next strategy took over.",)


@pytest.mark.anyio
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(
    "error",
    [
        asyncio.CancelledError(),
        RunCancelled("stop"),
        BudgetExceededError("run", "tokens", limit=1, spent=1),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_who_stops_a_run_or_caps_it_is_obeyed(
    way: Callable[[Any], CompactionStrategy], error: BaseException
) -> None:
    manager = managed(way(raises(error)))
    with pytest.raises(type(error)):
        await manager.compact()
    assert len(manager.history) == 21


def test_an_error_of_a_built_in_strategy_is_not_hidden() -> None:
    class Miscounts(TokenCounter):
        def message_counts(self, *given: Any, **options: Any) -> list[int]:
            raise ZeroDivisionError

    manager = managed(SlidingWindowStrategy(token_counter=Miscounts()))
    with pytest.raises(ZeroDivisionError):
        manager.compact_sync()


def test_a_plan_tells_what_would_be_used() -> None:
    manager = managed(Own(lambda messages: None))
    plan = manager.plan_sync()
    result = manager.compact_sync()
    assert (plan.strategy, plan.tokens_after) == (result.strategy, result.tokens_after)
    assert len(plan.removed) == result.removed_count
    assert plan.notes == result.notes
