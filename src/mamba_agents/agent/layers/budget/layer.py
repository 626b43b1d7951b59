"""Caps on what is spent: set aside before a request, settled after it."""

from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import KW_ONLY, dataclass, field
from decimal import Decimal
from typing import Any

from pydantic_ai import AgentRunResult, RunContext, ToolDefinition
from pydantic_ai.capabilities import AbstractCapability, ValidatedToolArgs, WrapRunHandler, WrapToolExecuteHandler
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.models import Model, ModelRequestContext
from pydantic_ai.usage import RunUsage

from mamba_agents._internal.identity import ByIdentity
from mamba_agents._internal.in_task import InTask
from mamba_agents._internal.models import Wrappers
from mamba_agents.agent.layers.budget.elsewhere import Elsewhere
from mamba_agents.agent.layers.budget.model import BudgetedModel
from mamba_agents.agent.layers.budget.run import RunBudget
from mamba_agents.agent.layers.budget.terms import Terms
from mamba_agents.errors import BudgetScope
from mamba_agents.tokens import CostEstimator, TokenCounter
from mamba_agents.tokens.account import Account
from mamba_agents.tokens.billing import billed_replies
from mamba_agents.tokens.budget import BudgetConfig, Window
from mamba_agents.tokens.ledger import BudgetLedger
from mamba_agents.tokens.room import Cap


@dataclass
class Budget(AbstractCapability[Any]):
    """Keeps runs within the caps of `config`. Agents that share a `ledger` share the caps on all runs together."""

    config: BudgetConfig
    ledger: BudgetLedger = field(default_factory=BudgetLedger)
    counter: TokenCounter = field(default_factory=TokenCounter)
    estimator: CostEstimator = field(default_factory=CostEstimator)
    """Prices what a response does not say the price of itself."""

    _: KW_ONLY
    has_log: Callable[[str], bool] | None = None
    """Whether a log tells of the session that this task's run belongs to; left out, sessions are kept by their id."""

    id: str | None = "mamba_budget"

    def __post_init__(self) -> None:
        self._terms = Terms(self.config, self.ledger, self.counter, self.estimator)
        self._wrappers = Wrappers(lambda model: BudgetedModel(model, self._terms, self._requesting_run))
        self._counted: ByIdentity[ModelResponse, bool] = ByIdentity()
        self._runs: dict[str, RunBudget] = {}
        self._shared = list(self._caps_of_all())
        self.caps_sessions = self.config.session_usd is not None or self.config.session_tokens is not None
        """Whether what a session spends is capped."""

    async def wrap_run(self, ctx: RunContext[Any], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        """The run's result; its own account ends with it."""
        run_id = ctx.run_id or ""
        run = self._runs[run_id] = self._begin(ctx)  # now, while the history is whole
        try:
            return await handler()
        finally:
            self._runs.pop(run_id, None)
            if run.own:
                self.ledger.forget("run", run_id)

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """The request as it is; its model will know whose it is."""
        _requesting.set(self, self._runs.get(ctx.run_id or "") or self.run_budget(ctx))
        return request_context

    def get_wrapper_model(self, model: Model) -> Model:
        """The model, which asks for room first."""
        return self._wrappers.around(model)

    def _requesting_run(self, run_id: str | None) -> RunBudget:
        """The run that makes a request, the one of this task where none is named: streams are made in others.

        For a worker, which makes requests for a run elsewhere, an account of no run.
        """
        run = None if run_id is None else self._runs.get(run_id)
        return run or _requesting.get(self) or self._outside()

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
        enclosing = _enclosing.get()
        if run.elsewhere is None:
            caps = list(run.own)
            if not run.around:  # else the one around it, whose usage it shares, tells those around them both
                caps += (cap for each in enclosing if each.terms.ledger is self.ledger for cap in each.own)
            run.elsewhere = Elsewhere(run.usage, caps, self.ledger)
        token = _enclosing.set((*enclosing, run))
        try:
            with run.elsewhere.watching():
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
        if self.caps_sessions:
            session_id = ctx.conversation_id or ""
            is_kept_by_history = self._is_kept_by_history(session_id)
            caps += (
                self._caps_of_history(session_id, ctx.messages)
                if is_kept_by_history
                else self._caps_of_session(session_id)
            )
        if config.tenants or config.tenant_usd is not None or config.tenant_tokens is not None:
            caps += self._caps_of_tenant((ctx.metadata or {}).get(config.tenant_key))
        around: list[RunBudget] = []
        # The caps of the runs that this one is called from, where they are on the same ledger.
        for run in _enclosing.get():
            if run.terms.ledger is self.ledger:
                caps += run.own
                if run.usage is ctx.usage:
                    around.append(run)
        return RunBudget(self._terms, ctx.run_id, ctx.usage, own, caps, around)

    def open_session(self, session_id: str, responses: Sequence[ModelResponse]) -> None:
        """Begin a session's account with what its log tells of, unless somebody did meanwhile."""
        tokens, usd = self._terms.spent(responses, counts_usd=self.config.session_usd is not None)
        self.ledger.open("session", session_id, tokens=tokens, usd=usd)

    def _is_kept_by_history(self, session_id: str) -> bool:
        """Whether nobody comes back to a session but with its history.

        It has no log, and its id was made up by pydantic-ai, as a UUID of version 7: an account would be kept for ever.
        """
        if self.has_log is None or len(session_id) != 36 or session_id[14] != "7":
            return False
        return not self.has_log(session_id) and not self.ledger.knows("session", session_id)

    def _caps_of_history(self, session_id: str, history: Sequence[ModelMessage]) -> list[Cap]:
        """The caps on the session of a history, which alone tells what it spent."""
        account = Account("session", session_id, None)
        replies = [message for message in history if isinstance(message, ModelResponse)]
        billed = billed_replies([reply for reply in replies if reply.conversation_id == session_id])
        account.add(*self._terms.spent(billed, counts_usd=self.config.session_usd is not None), 0)
        return [Cap(account, self.config.session_usd, self.config.session_tokens)]

    def _caps_of_session(self, session_id: str) -> list[Cap]:
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


_requesting = InTask[RunBudget]("mamba_agents_requesting_runs")
_enclosing: ContextVar[tuple[RunBudget, ...]] = ContextVar("mamba_agents_enclosing_runs", default=())
