"""A turn with a model that answers at once, so that what is left is the framework's own work."""

from decimal import Decimal

import pydantic_ai
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.usage import RequestUsage

from benchmarks.timing import Ratio, compare
from mamba_agents.agent import Agent
from mamba_agents.config import AgentSettings
from mamba_agents.sessions import MessageAppended
from mamba_agents.tokens import BudgetConfig, ModelRate

LENGTHS = (0, 20, 100, 1_000)

BUDGET = BudgetConfig(
    day_usd=Decimal(1_000_000), day_tokens=10**15, session_tokens=10**12, run_tokens=10**9, run_usd=Decimal(1_000)
)
"""Caps of every kind, none of which is ever reached."""

RATE = ModelRate(input=Decimal("2.5"), output=Decimal(10))


def instant(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
    """An answer with the usage that a provider reports: pydantic-ai would estimate it, at length, where it is not."""
    usage = RequestUsage(input_tokens=50 * len(messages), output_tokens=5)
    return ModelResponse(parts=[TextPart("a short answer")], usage=usage)


def model() -> FunctionModel:
    """A model whose window is known, as those of hosted models are; 1,000 messages have 51,000 tokens."""
    return FunctionModel(instant, model_name="instant", profile=ModelProfile(context_window=200_000))


def settings(*, budget: bool) -> AgentSettings:
    """The usual settings: context and usage are on; a budget has to be set, and has a price for the model here."""
    usual = AgentSettings.model_construct()  # the defaults, whatever the environment says
    return usual.model_copy(update={"budget": BUDGET, "cost_rates": {"instant": RATE}}) if budget else usual


def history(length: int) -> list[ModelMessage]:
    """Questions and answers of a chat, `length` messages of about 50 tokens, with the usage that a provider reports."""
    words = "the quick brown fox jumps over the lazy dog " * 5
    return [
        ModelResponse(
            parts=[TextPart(f"{i} {words}")],
            usage=RequestUsage(input_tokens=50 * i, output_tokens=50),
            model_name="instant",
        )
        if i % 2
        else ModelRequest(parts=[UserPromptPart(f"{i} {words}")])
        for i in range(length)
    ]


async def turn(length: int, calls: int, *, budget: bool) -> Ratio:
    """A turn that remembers, against pydantic-ai given the same history by hand."""
    past = history(length)
    bare = pydantic_ai.Agent(model(), name="bare")
    ours = Agent(model(), name="ours", settings=settings(budget=budget))

    async def run_bare() -> None:
        await bare.run("and now?", message_history=past)

    seeded = [MessageAppended(run_id="past", message=message) for message in past]
    ids = iter(f"session-{i}" for i in range(calls + 1))
    sessions = [ours.session(next(ids)) for _ in range(calls + 1)]
    for session in sessions:
        await session.log.append(seeded)
        # A conversation that goes on has been read, and what it spent before was counted.
        await session.log.load()
        await ours.layers.open_session(session.log)
    turns = iter(sessions)

    async def run_ours() -> None:
        await next(turns).run("and now?")

    name = f"turn at {length:,} messages" + (", budget" if budget else "")
    return await compare(name, run_bare, run_ours, calls=calls, target=1.03)


async def turns(calls: int) -> list[Ratio]:
    """Without a budget and with one, so that a reader sees what it costs."""
    return [
        await turn(length, calls if length < 1_000 else max(20, calls // 8), budget=budget)
        for budget in (False, True)
        for length in LENGTHS
    ]
