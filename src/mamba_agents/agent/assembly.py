"""The order of the layers, written once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model, infer_model

from mamba_agents.agent.config import AgentConfig
from mamba_agents.agent.layers.budget import Budget, budget_layers
from mamba_agents.agent.layers.graceful import GracefulToolErrors
from mamba_agents.agent.layers.iterations import MaxIterations
from mamba_agents.agent.layers.metering import MeasureRequests
from mamba_agents.agent.layers.pricing import CustomRates
from mamba_agents.agent.layers.transcript import KeepTranscripts
from mamba_agents.agent.models import named_model
from mamba_agents.agent.result import GiveAgentResults
from mamba_agents.backends import find_window
from mamba_agents.config import AgentSettings
from mamba_agents.context import CompactContext
from mamba_agents.sessions import SessionLog
from mamba_agents.sessions.session import billed_responses
from mamba_agents.tokens import BudgetLedger, CostEstimator, TokenCounter


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
        self.metering = MeasureRequests(CustomRates(settings.cost_rates))
        self.budget = budget_layers(settings.budget, tools.ledger, tools.counter, tools.estimator)
        self.context = CompactContext(
            config.context or settings.context,
            tools.counter,
            find_window,
            summarizer=self.summarizer,
            on_account=self.on_account,
            on_compacted=self.transcripts.compacted,
            on_billed=self._billed,
        )
        self._summarizing = self._named_summarizer(settings)
        self.in_order = self._in_order(config)
        self._chosen_ids: set[str] = set()

    def _in_order(self, config: AgentConfig) -> list[AbstractCapability[Any]]:
        """Outermost first; one that is switched off is absent.

        prompt → Agent → session (`Turn`, around all of these) → layers → model ⇄ tools → result → usage → session
        """
        layers: list[AbstractCapability[Any]] = [GiveAgentResults(), self.transcripts]
        if config.max_iterations is not None:
            layers.append(MaxIterations(config.max_iterations))
        layers += self.budget
        if config.auto_compact:
            layers.append(self.context)
        if config.graceful_tool_errors:
            layers.append(GracefulToolErrors())
        # Always there: without rates too, a server of one's own is not billed as a hosted one.
        return [*layers, self.metering.rates, self.metering]

    def _named_summarizer(self, settings: AgentSettings) -> Model | None:
        """The model that the settings name for summaries; None for the one that is asked anyway, or where none is."""
        name = self.context.config.summarization_model
        if name == "same" or not self.context.compactor.strategy.calls_model:
            return None
        return infer_model(named_model(name, settings))

    def summarizer(self, model: Model) -> Model:
        """The model that writes summaries of what another is asked."""
        return self._summarizing or model

    def on_account(self, ctx: RunContext[Any] | None, model: Model, session_id: str | None = None) -> Model:
        """The model, what it costs being spending of a run or, between runs, of a session."""
        for layer in self.budget:
            if isinstance(layer, Budget):
                return layer.model_for(model, ctx, session_id)
        return model

    def begin_run(self, run_id: str | None) -> None:
        """Have a run under way by the id that its caller chose, by which it is billed.

        Raises:
            RuntimeError: another run of the agent has it.
        """
        if run_id is None:
            return
        if run_id in self._chosen_ids:
            raise RuntimeError(
                f"found the run_id {run_id!r}, which a run of this agent that is still under way has; expected one for "
                "each run: leave it out to have one made"
            )
        self._chosen_ids.add(run_id)

    def end_run(self, run_id: str | None) -> None:
        """Have it over."""
        if run_id is not None:
            self._chosen_ids.discard(run_id)

    async def open_session(self, log: SessionLog) -> None:
        """Count what a session spent before this process, or under another ledger, against its caps."""
        for layer in self.budget:
            if isinstance(layer, Budget) and layer.caps_sessions and not layer.ledger.knows("session", log.session_id):
                layer.open_session(log.session_id, billed_responses(await log.store.read(log.session_id)))

    def billed_between_runs(self, session_id: str, responses: Sequence[ModelResponse]) -> None:
        """Put what a compaction by hand cost on the account of its session."""
        for layer in self.budget:
            if isinstance(layer, Budget):
                layer.charge_session(session_id, responses)

    def _billed(self, ctx: RunContext[Any], responses: Sequence[ModelResponse]) -> None:
        self.metering.billed(ctx, responses)
        self.transcripts.billed(ctx, responses)
        for layer in self.budget:
            if isinstance(layer, Budget):
                layer.charge(ctx, responses)
