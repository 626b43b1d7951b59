"""Caps on what is spent: set aside before a request, settled after it."""

from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import KW_ONLY, dataclass, field
from decimal import Decimal
from typing import Any

from pydantic_ai import AgentRunResult, RunContext, ToolDefinition
from pydantic_ai.capabilities import AbstractCapability, ValidatedToolArgs, WrapRunHandler, WrapToolExecuteHandler
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.models import Model, ModelRequestContext
from pydantic_ai.usage import RunUsage

from mamba_agents._internal.identity import ByIdentity
from mamba_agents._internal.models import Wrappers
from mamba_agents.agent.layers.budgeted_model import BudgetedModel
from mamba_agents.agent.layers.deadline import RunDeadline
from mamba_agents.agent.layers.hold import RunBudget, Terms
from mamba_agents.agent.layers.loop_guard import LoopGuard
from mamba_agents.errors import BudgetScope
from mamba_agents.tokens import CostEstimator, TokenCounter
from mamba_agents.tokens.budget import BudgetConfig, Window
from mamba_agents.tokens.ledger import BudgetLedger, Cap


def budget_layers(
    config: BudgetConfig, ledger: BudgetLedger, counter: TokenCounter, estimator: CostEstimator
) -> list[AbstractCapability[Any]]:
    """The layers that keep a run within its budget, outermost first; none for what is off."""
    layers: list[AbstractCapability[Any]] = []
    if not config.model_fields_set:  # everything is off until it is set
        return layers
    if config.max_repeated_calls is not None:
        layers.append(LoopGuard(config.max_repeated_calls, config.on_exceeded))
    if config.run_seconds is not None:
        # Around the caps: waiting for room takes time too.
        layers.append(RunDeadline(config.run_seconds, config.on_exceeded))
    if config.caps_spending:
        layers.append(Budget(config, ledger, counter, estimator))
    return layers


@dataclass
class Budget(AbstractCapability[Any]):
    """Keeps runs within the caps of `config`. Agents that share a `ledger` share the caps on all runs together."""

    config: BudgetConfig
    ledger: BudgetLedger = field(default_factory=BudgetLedger)
    counter: TokenCounter = field(default_factory=TokenCounter)
    estimator: CostEstimator = field(default_factory=CostEstimator)
    """Prices what a response does not say the price of itself."""

    _: KW_ONLY
    id: str | None = "mamba_budget"

    def __post_init__(self) -> None:
        self._terms = Terms(self.config, self.ledger, self.counter, self.estimator)
        self._wrappers = Wrappers(lambda model: BudgetedModel(model, self._terms, self._requesting_run))
        self._counted: ByIdentity[ModelResponse, bool] = ByIdentity()
        self._runs: dict[str, RunBudget] = {}
        self._shared = list(self._caps_of_all())

    async def wrap_run(self, ctx: RunContext[Any], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        """The run's result; its own account ends with it."""
        try:
            return await handler()
        finally:
            if ctx.run_id is not None and self._runs.pop(ctx.run_id, None) is not None:
                self.ledger.forget("run", ctx.run_id)

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """The request as it is; its model will know whose it is."""
        _requesting.set({**_requesting.get(), id(self): self.run_budget(ctx)})
        return request_context

    def get_wrapper_model(self, model: Model) -> Model:
        """The model, which asks for room first."""
        return self._wrappers.around(model)

    def _requesting_run(self, run_id: str | None) -> RunBudget:
        """The run that makes a request, the one of this task where none is named: streams are made in others.

        For a worker, which makes requests for a run elsewhere, an account of no run.
        """
        return self._runs.get(run_id or "") or _requesting.get().get(id(self)) or self._outside()

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: ValidatedToolArgs,
        handler: WrapToolExecuteHandler,
    ) -> Any:
        """The tool's result. What agents in the tool spend on the same ledger is this run's spending too."""
        run = self._runs.get(ctx.run_id or "")
        if run is None or not run.own:
            return await handler(args)
        token = _enclosing.set((*_enclosing.get(), *((self.ledger, cap) for cap in run.own)))
        try:
            return await handler(args)
        finally:
            _enclosing.reset(token)

    def run_budget(self, ctx: RunContext[Any]) -> RunBudget:
        """The caps that hold for a run."""
        run_id = ctx.run_id or ""
        run = self._runs.get(run_id)
        if run is None:
            run = self._runs[run_id] = self._begin(ctx)
        return run

    def _begin(self, ctx: RunContext[Any]) -> RunBudget:
        config = self.config
        own = self._caps("run", ctx.run_id, None, config.run_usd, config.run_tokens)
        caps = [*own, *self._shared]
        caps += self._caps_of_session(ctx.conversation_id)
        if config.tenants or config.tenant_usd is not None or config.tenant_tokens is not None:
            caps += self._caps_of_tenant((ctx.metadata or {}).get(config.tenant_key))
        if enclosing := _enclosing.get():
            # The caps of the runs that this one is called from, where they are on the same ledger.
            caps += (cap for ledger, cap in enclosing if ledger is self.ledger)
        return RunBudget(self._terms, ctx.run_id, ctx.usage, own, caps)

    @property
    def caps_sessions(self) -> bool:
        """Whether what a session spends is capped."""
        return self.config.session_usd is not None or self.config.session_tokens is not None

    def open_session(self, session_id: str, responses: Sequence[ModelResponse]) -> None:
        """Begin a session's account with what its log tells of."""
        RunBudget(self._terms, None, RunUsage(), (), self._caps_of_session(session_id)).charge(responses)

    def _caps_of_session(self, session_id: str | None) -> list[Cap]:
        return self._caps("session", session_id, None, self.config.session_usd, self.config.session_tokens)

    def model_for(self, model: Model, ctx: RunContext[Any] | None, session_id: str | None = None) -> Model:
        """A model whose requests are the run's spending too, and raise `BudgetExceededError` at a cap.

        For requests that are made beside a run's own, such as for a summary; without a run, the caps on its session and
        on all runs hold.
        """
        run = self._outside(session_id) if ctx is None else self.run_budget(ctx)
        return BudgetedModel(model, self._terms, lambda _: run, on_settled=self._settled)

    def charge_session(self, session_id: str, responses: Sequence[ModelResponse]) -> None:
        """Count responses that were made for a session between runs, but for those of `model_for`."""
        self._outside(session_id).charge([response for response in responses if response not in self._counted])

    def _outside(self, session_id: str | None = None) -> RunBudget:
        caps = [*self._shared, *(() if session_id is None else self._caps_of_session(session_id))]
        return RunBudget(self._terms, None, RunUsage(), (), caps)

    def charge(self, ctx: RunContext[Any], responses: Sequence[ModelResponse]) -> None:
        """Count responses that were made beside the run's own requests, but for those of `model_for`."""
        self.run_budget(ctx).charge([response for response in responses if response not in self._counted])

    def _settled(self, response: ModelResponse) -> None:
        self._counted[response] = True

    def _caps_of_tenant(self, value: object) -> list[Cap]:
        config = self.config
        tenant = None if value is None else str(value)
        own = config.tenants.get(tenant or "")
        usd, tokens = (own.usd, own.tokens) if own else (config.tenant_usd, config.tenant_tokens)
        return self._caps("tenant", tenant, config.tenant_window, usd, tokens)

    def _caps_of_all(self) -> Iterator[Cap]:
        config = self.config
        yield from self._caps("hour", None, "hour", config.hour_usd, config.hour_tokens)
        yield from self._caps("day", None, "day", config.day_usd, config.day_tokens)
        yield from self._caps("month", None, "month", config.month_usd, config.month_tokens)

    def _caps(
        self, scope: BudgetScope, key: str | None, window: Window | None, usd: Decimal | None, tokens: int | None
    ) -> list[Cap]:
        if usd is None and tokens is None:
            return []
        return [Cap(account=self.ledger.account(scope, key, window=window), usd=usd, tokens=tokens)]


_requesting: ContextVar[dict[int, RunBudget]] = ContextVar("mamba_agents_requesting_runs", default={})  # noqa: B039
_enclosing: ContextVar[tuple[tuple[BudgetLedger, Cap], ...]] = ContextVar("mamba_agents_enclosing_caps", default=())
