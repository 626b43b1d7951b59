"""Budgets and contexts together: a history that is shortened is asked for, and billed, as it is sent."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from pydantic_ai import Agent as PlainAgent
from pydantic_ai.exceptions import ModelContextWindowExceededError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from mamba_agents import Agent, AgentConfig, CompactionConfig
from mamba_agents.context import ImportanceScoringStrategy, SummarizeOlderStrategy
from mamba_agents.sessions import ContextCompacted, Session
from mamba_agents.tokens import BudgetConfig, BudgetLedger
from tests.agent.budgets import budgeted, obedient, priced, replies, spent, usage
from tests.helpers import call, reply, user

pytestmark = pytest.mark.anyio


def size(messages: Sequence[ModelMessage]) -> int:
    """The characters of all that was said."""
    return sum(len(str(getattr(part, "content", ""))) for message in messages for part in message.parts)


def refusing(most: int) -> FunctionModel:
    """A model that refuses requests above a size, streamed or not, and reports a token for four characters."""

    def check(messages: Sequence[ModelMessage]) -> None:
        if size(messages) > most:
            raise ModelContextWindowExceededError("m", "maximum context length exceeded")

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        check(messages)
        return ModelResponse(parts=[TextPart("## Goal\ng\n## Facts\nf")], usage=usage(size(messages) // 4, 20))

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        check(messages)
        yield "fine"

    return FunctionModel(respond, stream_function=stream, model_name="priced")


@pytest.mark.parametrize("streams", [False, True])
async def test_a_request_that_is_refused_as_too_long_gives_its_room_to_the_summary(streams: bool) -> None:
    agent = budgeted(
        refusing(6_000),
        BudgetConfig(run_tokens=18_000, wait_seconds=0.2),
        config=AgentConfig(context=CompactionConfig(strategy="summarize_older", preserve_recent_turns=1)),
    )
    session = agent.session("s")
    said = [(user(f"some words here {turn} " * 60), reply(f"answer {turn} " * 10)) for turn in range(8)]
    await asyncio.to_thread(session.context.add_messages, [message for turn in said for message in turn])
    if streams:
        async with session.run_stream("go on") as result:
            await result.get_output()
    else:
        await session.run("go on")
    events = await asyncio.to_thread(session.events)
    assert [event.strategy for event in events if isinstance(event, ContextCompacted)] == ["summarize_older"]


class Slow:
    """A model that reports a token for four characters, and never answers the request of this number."""

    def __init__(self, silent_at: int) -> None:
        self.seen: list[list[ModelMessage]] = []
        self.silent = asyncio.Event()
        self.silent_at = silent_at
        self.model = FunctionModel(self.respond, model_name="priced")

    async def respond(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.seen.append(messages)
        if len(self.seen) == self.silent_at:
            self.silent.set()
            await asyncio.Event().wait()
        return ModelResponse(parts=[TextPart("ok")], usage=usage(size(messages) // 4 + 10, 5))


async def billed_for_a_cancelled_run(agent: Agent[Any, Any], model: Slow, prompt: str) -> int:
    """What the day is billed for a run that is cancelled while the model is silent."""
    before = spent(agent.budget_ledger).tokens
    run = asyncio.ensure_future(agent.run(prompt))
    await asyncio.wait({run, asyncio.ensure_future(model.silent.wait())}, return_when=asyncio.FIRST_COMPLETED)
    run.cancel()
    await asyncio.wait({run})
    return spent(agent.budget_ledger).tokens - before


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_cancelled_request_is_billed_by_its_size_after_a_compaction(restarts: bool) -> None:
    context = CompactionConfig(strategy="sliding_window", trigger_threshold_tokens=17_000, target_tokens=6_000)
    model, config = Slow(silent_at=3), AgentConfig(context=context)
    agent = budgeted(model.model, BudgetConfig(day_tokens=10**6), config=config)
    await agent.run("lorem ipsum dolor " * 3_500)
    await agent.run("small")
    if restarts:
        await agent.compact()
        session = Session(agent.session().log.store, agent.session().id)
        agent = budgeted(
            model.model, BudgetConfig(day_tokens=10**6), agent.budget_ledger, config=config, session=session
        )
    billed = await billed_for_a_cancelled_run(agent, model, "another " * 2_500)
    sent = agent.token_counter.count_messages(model.seen[-1])
    assert sent <= billed < 2 * sent


async def test_what_is_set_aside_after_a_compaction_is_never_less_than_what_is_sent() -> None:
    """Also where the provider counts more of the messages that stay than of those that went."""
    ledger = BudgetLedger()
    reserved: list[int] = []

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        reserved.append(spent(ledger).reserved_tokens)
        sent = agent.token_counter.count_messages(messages)
        return ModelResponse(parts=[TextPart("ok")], usage=usage(sent // 3 if len(reserved) == 1 else sent, 5))

    context = CompactionConfig(strategy="sliding_window", trigger_threshold_tokens=5_000, target_tokens=3_000)
    agent = budgeted(
        FunctionModel(respond, model_name="priced"),
        BudgetConfig(day_tokens=10**6, max_output_tokens=100),
        ledger,
        config=AgentConfig(context=context),
    )
    await agent.run("lorem ipsum dolor " * 3_000)
    await agent.run("another " * 2_500)
    billed = [row.usage.total_tokens for row in agent.get_usage_history()]
    assert len(billed) == len(reserved) == 2
    assert all(used <= held for used, held in zip(billed, reserved, strict=True))
    events = await asyncio.to_thread(agent.session().events)
    assert [type(event) for event in events].count(ContextCompacted) == 1


def test_what_is_spent_is_capped_inside_of_contexts_and_all_that_takes_time_is_inside_of_the_deadline() -> None:
    budget = BudgetConfig(run_usd=5, run_seconds=5, max_repeated_calls=3)
    order = [type(layer).__name__ for layer in budgeted(refusing(1), budget).layers.in_order]
    assert order == [
        "GiveAgentResults",
        "KeepTranscripts",
        "MaxIterations",
        "LoopGuard",
        "RunDeadline",
        "TimedContext",
        "Budget",
        "GracefulToolErrors",
        "PriceRequests",
        "MeasureRequests",
    ]


def test_a_summary_by_hand_counts_against_the_caps_of_its_session_and_of_the_day() -> None:
    context = CompactionConfig(strategy="summarize_older", trigger_threshold_tokens=2_000, target_tokens=1_500)
    agent = budgeted(
        priced(replies("## Goal\ncount foxes", sent=300, received=20)),
        BudgetConfig(session_tokens=100_000, day_tokens=100_000),
        config=AgentConfig(context=context),
    )
    agent.context_manager.add_messages([user("the quick brown fox " * 50), reply("ok")] * 20)
    agent.context_manager.compact_sync()
    made = sum(row.usage.total_tokens for row in agent.get_usage_history())
    assert made > 0
    assert spent(agent.budget_ledger).tokens == spent(agent.budget_ledger, "session", agent.session().id).tokens == made


SOURCES = {
    "an agent for summaries": lambda model: SummarizeOlderStrategy(PlainAgent(model)),
    "one of ours for summaries": lambda model: SummarizeOlderStrategy(Agent(model)),
    "a model for summaries": lambda model: SummarizeOlderStrategy(model=model),
    "an agent for scores": lambda model: ImportanceScoringStrategy(scoring_agent=PlainAgent(model)),
    "a model for scores": lambda model: ImportanceScoringStrategy(scoring_agent=model),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("within", ["a run", "between runs"])
def test_who_a_strategy_brings_to_ask_keeps_to_the_caps_and_is_counted_once(source: str, within: str) -> None:
    asked: list[int] = []

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.append(len(messages))
        if info.output_tools:
            parts = sum(line.startswith("<part") for line in str(messages[0].parts[0].content).splitlines())
            answer = call("final_result", {"response": [5] * parts})
        else:
            answer = reply("## Goal\ncount foxes")
        answer.usage = usage(300, 20)
        return answer

    context = CompactionConfig(
        strategy=SOURCES[source](priced(respond)), trigger_threshold_tokens=2_000, target_tokens=1_500
    )

    def play(cap: int) -> Agent:
        asked.clear()
        agent = budgeted(
            priced(obedient(10, 10)),
            BudgetConfig(session_tokens=cap, day_tokens=1_000_000, max_output_tokens=100),
            config=AgentConfig(context=context),
        )
        agent.context_manager.add_messages([user("the quick brown fox " * 50), reply("ok")] * 20)
        if within == "a run":
            agent.run_sync("Hi.")
        else:
            agent.context_manager.compact_sync()
        return agent

    roomy = play(1_000_000)
    assert asked
    made = sum(row.usage.total_tokens for row in roomy.get_usage_history())
    assert spent(roomy.budget_ledger).tokens == made
    assert spent(roomy.budget_ledger, "session", roomy.session().id).tokens == made
    tight = play(400)
    assert asked == []
    (compacted,) = tight.context_manager.get_compaction_history()
    assert any("BudgetExceededError" in note for note in compacted.notes)
    assert spent(tight.budget_ledger, "session", tight.session().id).tokens <= 400
