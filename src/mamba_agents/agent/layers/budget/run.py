"""The caps of one run."""

from collections.abc import Sequence
from decimal import Decimal

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.usage import RunUsage

from mamba_agents.agent.layers.budget.elsewhere import Elsewhere
from mamba_agents.agent.layers.budget.estimate import loose_input
from mamba_agents.agent.layers.budget.terms import FREE, NOTHING, Terms, Traits
from mamba_agents.agent.layers.warn import warn
from mamba_agents.errors import BudgetExceededError
from mamba_agents.tokens.ceiling import PriceCeiling
from mamba_agents.tokens.room import Cap


class RunBudget:
    """One run on a ledger."""

    __slots__ = (
        "__weakref__",
        "_beside",
        "_said",
        "around",
        "caps",
        "counts_tokens",
        "counts_usd",
        "elsewhere",
        "own",
        "run_id",
        "terms",
        "usage",
    )

    def __init__(
        self,
        terms: Terms,
        run_id: str | None,
        usage: RunUsage,
        own: Sequence[Cap],
        caps: Sequence[Cap],
        around: "Sequence[RunBudget]" = (),
    ) -> None:
        self.terms = terms
        self.run_id = run_id
        self.usage = usage
        self.own = own
        """The caps on the run itself, which hold for what its tools spend too."""
        self.caps = caps
        self.around = around
        """The runs of the same ledger and usage in whose tools it goes on."""
        self.elsewhere: Elsewhere | None = None
        self.counts_usd = self.counts_tokens = False
        for cap in caps:
            self.counts_usd |= cap.usd is not None
            self.counts_tokens |= cap.tokens is not None
        self._beside = -1
        self._said: set[object] | None = None

    def bound(self, model: Model, messages: Sequence[ModelMessage], parameters: ModelRequestParameters) -> int:
        """The most tokens that a request sends."""
        counter = self.terms.counter
        beside = counter.upper_bound_parameters(parameters)
        # A request of this run with the same tools and instructions has them in the figure that was reported for it.
        known_of = self.run_id if beside == self._beside else None
        self._beside = beside
        return loose_input(counter, model, messages, parameters, beside=beside, known_of=known_of)

    def spend(self, tokens: int, usd: Decimal) -> None:
        """Count what was spent, and say when that is past a cap."""
        ledger = self.terms.ledger
        ledger.spend(self.caps, tokens, usd)
        if self.around:
            self.tell(tokens, usd)
        if self.terms.config.on_exceeded == "warn":
            for error in ledger.passed(self.caps):
                self._say((error.scope, error.unit), f"{error.message}; the run goes on")

    def tell(self, tokens: int, usd: Decimal) -> None:
        """Have the runs around this one know that what comes on the usage they share is on their accounts already."""
        for run in self.around:
            if run.elsewhere is not None:
                run.elsewhere.know(tokens, usd)

    def charge(self, responses: Sequence[ModelResponse]) -> None:
        """Count responses that nothing was held for."""
        for response in responses:
            self.spend(*self.terms.spent([response], counts_usd=self.counts_usd))

    def ceiling(self, model: Model, traits: Traits) -> PriceCeiling:
        """The most that a token of a model costs; nothing where that is not known, or where no cap asks for it.

        Raises:
            BudgetExceededError: it is not known, and the settings say to block such models.
        """
        if not self.counts_usd:
            return FREE
        ceiling = traits.ceiling
        if ceiling is None and (policy := self.terms.config.on_unpriced) != "allow":
            name = model.model_name
            found = f"found no price for the model {name!r}; name its price in cost_rates"
            if policy == "block":
                raise BudgetExceededError(
                    "run",
                    "USD",
                    limit=NOTHING,
                    spent=NOTHING,
                    key=self.run_id,
                    message=f"{found}, or set budget.on_unpriced to 'warn' or 'allow'; nothing was sent",
                )
            self._say(name, f"{found}, or set budget.on_unpriced to 'allow' or 'block'; its requests count as 0 USD")
        return ceiling if ceiling is not None and (ceiling.input or ceiling.output or ceiling.request) else FREE

    def _say(self, what: object, message: str) -> None:
        if self._said is None:
            self._said = set()
        if what not in self._said:
            self._said.add(what)
            warn(message)
