"""Builders for the tests of budgets."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from pydantic_ai import Agent as PlainAgent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from mamba_agents import Agent, AgentSettings
from mamba_agents.agent.layers.budget import Budget
from mamba_agents.agent.layers.deadline import RunDeadline
from mamba_agents.agent.layers.loop_guard import LoopGuard
from mamba_agents.tokens import BudgetConfig, BudgetLedger, CostEstimator, ModelRate, TokenCounter
from mamba_agents.tokens.account import Spent

PRICE = Decimal("0.000001")
"""USD for one token of the model `priced`, sent or received."""

RATES = {"priced": ModelRate(input=Decimal(1), output=Decimal(1))}

type Respond = Callable[[list[ModelMessage], AgentInfo], ModelResponse]


def usage(sent: int, received: int) -> RequestUsage:
    return RequestUsage(input_tokens=sent, output_tokens=received)


def obedient(sent: int, received: int, text: str = "Fine.") -> Respond:
    """Answers with usage that keeps to the request's `max_tokens`, as a real server does."""

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        limit = (info.model_settings or {}).get("max_tokens", received)
        cut = "length" if limit < received else "stop"
        return ModelResponse(parts=[TextPart(text)], usage=usage(sent, min(received, limit)), finish_reason=cut)

    return respond


def priced(respond: Respond, name: str = "priced", *, delay: float = 0, **options: Any) -> FunctionModel:
    async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await asyncio.sleep(delay)
        return respond(messages, info)

    return FunctionModel(answer, model_name=name, **options)


def replies(*responses: ModelResponse | str, sent: int = 10, received: int = 10) -> Respond:
    """Gives these in order, each with usage, and the last one for ever."""
    queue = [ModelResponse(parts=[TextPart(each)]) if isinstance(each, str) else each for each in responses]

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        response = queue.pop(0) if len(queue) > 1 else queue[0]
        return replace(response, usage=usage(sent, received))

    return respond


def layers(config: BudgetConfig, ledger: BudgetLedger | None = None) -> list[Any]:
    return budget_layers(config, ledger or BudgetLedger(), CostEstimator(RATES))


def budget_layers(config: BudgetConfig, ledger: BudgetLedger, estimator: CostEstimator) -> list[Any]:
    """The layers of a budget for pydantic-ai's own agent, outermost first."""
    found: list[Any] = []
    if config.max_repeated_calls is not None:
        found.append(LoopGuard(config.max_repeated_calls, config.on_exceeded))
    if config.run_seconds is not None:
        found.append(RunDeadline(config.run_seconds, config.on_exceeded))
    if config.caps_spending:
        found.append(Budget(config, ledger, TokenCounter(), estimator))
    return found


def budgeted(
    model: FunctionModel, budget: BudgetConfig, ledger: BudgetLedger | None = None, **options: Any
) -> Agent[Any, Any]:
    settings = AgentSettings(budget=budget, cost_rates=RATES, _env_file=None, _config_file=None)
    return Agent(model, settings=settings, budget_ledger=ledger, **options)


def plain(
    model: FunctionModel, config: BudgetConfig, ledger: BudgetLedger | None = None, **options: Any
) -> PlainAgent[Any, Any]:
    return PlainAgent(model, capabilities=layers(config, ledger), **options)


def spent(ledger: BudgetLedger, scope: str = "day", key: str | None = None) -> Spent:
    found = ledger.spent(scope, key)  # type: ignore[arg-type]
    assert found is not None
    return found


def is_settled(found: Spent) -> bool:
    return found.reserved_tokens == 0 and found.reserved_usd == 0
