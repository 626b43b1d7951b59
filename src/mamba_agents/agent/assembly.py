"""The order of the layers, written once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model, infer_model

from mamba_agents.agent.config import AgentConfig
from mamba_agents.agent.layers.beside import NotedModel
from mamba_agents.agent.layers.budget import Budget
from mamba_agents.agent.layers.deadline import RunDeadline
from mamba_agents.agent.layers.graceful import GracefulToolErrors
from mamba_agents.agent.layers.iterations import MaxIterations
from mamba_agents.agent.layers.loop_guard import LoopGuard
from mamba_agents.agent.layers.metering import MeasureRequests
from mamba_agents.agent.layers.pricing import PriceRequests
from mamba_agents.agent.layers.timed_context import TimedContext
from mamba_agents.agent.layers.transcript import KeepTranscripts
from mamba_agents.agent.models import named_model
from mamba_agents.agent.place import surrounding_session_id
from mamba_agents.agent.result import GiveAgentResults
from mamba_agents.backends import find_window
from mamba_agents.config import AgentSettings
from mamba_agents.context import CompactContext
from mamba_agents.sessions import SessionLog
from mamba_agents.tokens import BudgetConfig, BudgetLedger, CostEstimator, TokenCounter


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What the layers of one agent count, price and add up with."""

    counter: TokenCounter
    estimator: CostEstimator
    ledger: BudgetLedger


class Layers:
    """The layers around every model request of one agent, and by name those that a run asks at its end."""

    def __init__(self, config: AgentConfig, settings: AgentSettings, tools: Tools) -> None:
        self.transcripts = KeepTranscripts()
        self.prices = PriceRequests(tools.estimator)
        self.metering = MeasureRequests(self.prices)
        self._ledger = tools.ledger
        self.spending = self._spending(settings.budget, tools)
        self.caps_sessions = self.spending is not None and self.spending.caps_sessions
        budget = settings.budget
        self._deadline = None if budget.run_seconds is None else RunDeadline(budget.run_seconds, budget.on_exceeded)
        make_context: Callable[..., CompactContext] = CompactContext
        if self._deadline is not None and budget.on_exceeded != "warn":
            make_context = partial(TimedContext, deadline=self._deadline)
        self.context = make_context(
            config.context or settings.context,
            tools.counter,
            find_window,
            find_model=lambda name: infer_model(named_model(name, settings)),
            on_account=self.on_account,
            on_compacted=self.transcripts.compacted,
            on_billed=self._billed,
        )
        self.in_order = self._in_order(config, settings.budget)

    def _in_order(self, config: AgentConfig, budget: BudgetConfig) -> list[AbstractCapability[Any]]:
        """Outermost first; one that is switched off is absent.

        prompt → Agent → session (`Turn`, around all of these) → layers → model ⇄ tools → result → usage → session
        """
        layers: list[AbstractCapability[Any]] = [GiveAgentResults(), self.transcripts]
        if config.max_iterations is not None:
            layers.append(MaxIterations(config.max_iterations))
        if budget.max_repeated_calls is not None:
            layers.append(LoopGuard(budget.max_repeated_calls, budget.on_exceeded))
        if self._deadline is not None:
            # Around all that takes time: shortening a history and waiting for room do, too.
            layers.append(self._deadline)
        if config.auto_compact:
            layers.append(self.context)
        if self.spending is not None:
            # Inside the context: a request that is refused as too long gives its room back before it is shortened.
            layers.append(self.spending)
        if config.graceful_tool_errors:
            layers.append(GracefulToolErrors())
        # Always there: without rates too, a server of one's own is not billed as a hosted one.
        return [*layers, self.prices, self.metering]

    def _spending(self, config: BudgetConfig, tools: Tools) -> Budget | None:
        """What keeps to the caps; None where there are none."""
        if not config.caps_spending:
            return None
        return Budget(
            config,
            tools.ledger,
            tools.counter,
            tools.estimator,
            has_log=lambda session_id: surrounding_session_id() == session_id,
        )

    def on_account(self, ctx: RunContext[Any] | None, model: Model, session_id: str | None = None) -> Model:
        """The model, what it costs being spending of a run or, between runs, of a session."""
        if ctx is not None and ctx.run_id is not None:
            model = NotedModel(model, ctx.run_id, self.metering)
        return model if self.spending is None else self.spending.model_for(model, ctx, session_id)

    async def open_session(self, log: SessionLog) -> None:
        """Count what a session spent before this process, or under another ledger, against its caps."""
        if self.spending is not None and self.caps_sessions and not self._ledger.knows("session", log.session_id):
            self.spending.open_session(log.session_id, await log.billed())

    def forget_session(self, session_id: str) -> None:
        """Give a session that is deleted its cap back."""
        self._ledger.forget("session", session_id)

    def billed_between_runs(self, session_id: str, responses: Sequence[ModelResponse]) -> None:
        """Put what a compaction by hand cost on the account of its session."""
        if self.spending is not None:
            self.spending.charge_session(session_id, responses)

    def _billed(self, ctx: RunContext[Any], responses: Sequence[ModelResponse]) -> None:
        self.metering.billed(ctx, responses)
        self.transcripts.billed(ctx, responses)
        if self.spending is not None:
            self.spending.charge(ctx, responses)
