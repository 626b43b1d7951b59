"""What a session cost: all that was paid for, also replies that are no messages of it."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic_ai import ModelRetry, RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import FallbackExceptionGroup
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.models.fallback import FallbackModel

from mamba_agents import Agent
from mamba_agents.sessions import Session
from mamba_agents.tokens import BudgetConfig
from tests.agent.budgets import PRICE, budgeted, obedient, priced
from tests.helpers import prompts

pytestmark = pytest.mark.anyio

CAPPED = BudgetConfig(session_usd=Decimal(1), session_tokens=10**6)


def refusing(*sizes: int) -> Any:
    """Models whose prompts have so many tokens; an answer to one of more than 100 is turned down."""

    def is_large(response: ModelResponse) -> bool:
        return response.usage.input_tokens > 100

    first, *others = (priced(obedient(size, 5)) for size in sizes)
    return FallbackModel(first, *others, fallback_on=is_large)


async def all_agree_on(agent: Agent[object, str], requests: int, tokens: int) -> None:
    """The tracker, the session, the ledger, and those of an agent that goes on with the session later."""
    session = agent.session()
    spent = agent.budget_ledger.spent("session", session.id)
    assert spent is not None
    assert (spent.tokens, spent.usd) == (tokens, tokens * PRICE)
    assert (agent.get_usage().request_count, agent.get_usage().total_tokens) == (requests, tokens)
    assert agent.get_cost() == tokens * PRICE
    assert (session.usage.requests, session.usage.total_tokens) == (requests, tokens)
    assert session.cost == tokens * PRICE
    later = budgeted(priced(obedient(10, 5)), CAPPED, session=Session(session.log.store, session.id))
    await later.run("And now?")
    spent = later.budget_ledger.spent("session", session.id)
    assert spent is not None
    assert (spent.tokens, spent.usd) == (tokens + 15, (tokens + 15) * PRICE)


async def test_answers_that_were_turned_down_are_spending_of_the_session() -> None:
    agent = budgeted(refusing(1_000, 500, 10), CAPPED)
    result = await agent.run("x")
    assert result.cost == 1_525 * PRICE
    await all_agree_on(agent, 3, 1_525)


async def test_answers_that_were_all_turned_down_are_spending_of_the_session() -> None:
    agent = budgeted(refusing(1_000, 500), CAPPED)
    with pytest.raises(FallbackExceptionGroup):
        await agent.run("x")
    assert prompts(agent.messages) == ["x"]
    await all_agree_on(agent, 2, 1_510)


class RefuseTheFirst(AbstractCapability[object]):
    def __init__(self) -> None:
        self.refused = 0

    async def after_model_request(
        self, ctx: RunContext[object], *, request_context: ModelRequestContext, response: ModelResponse
    ) -> ModelResponse:
        if not self.refused:
            self.refused += 1
            raise ModelRetry("say it otherwise")
        return response


async def test_an_answer_that_a_hook_refused_is_spending_of_the_session_once() -> None:
    refuse = RefuseTheFirst()
    agent = budgeted(priced(obedient(10, 5)), CAPPED, capabilities=[refuse])
    await agent.run("x")
    assert refuse.refused == 1
    await all_agree_on(agent, 2, 30)
