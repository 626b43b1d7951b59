"""What holds for all runs with a budget."""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model
from pydantic_ai.usage import RequestUsage

from mamba_agents.agent.layers.budget.estimate import answers_at_most, price_ceiling
from mamba_agents.agent.layers.pricing import UnpricedUsage
from mamba_agents.tokens import CostEstimator, TokenCounter
from mamba_agents.tokens.budget import BudgetConfig
from mamba_agents.tokens.ceiling import PriceCeiling
from mamba_agents.tokens.ledger import BudgetLedger
from mamba_agents.tokens.usage import token_usage

NOTHING = Decimal(0)
FREE = PriceCeiling()


class Terms:
    """What holds for all runs of a layer."""

    __slots__ = ("_revision", "_traits", "config", "counter", "estimator", "ledger")

    def __init__(
        self, config: BudgetConfig, ledger: BudgetLedger, counter: TokenCounter, estimator: CostEstimator
    ) -> None:
        self.config = config
        self.ledger = ledger
        self.counter = counter
        self.estimator = estimator
        self._revision = estimator.revision
        self._traits: dict[int, Traits] = {}

    def traits(self, model: Model) -> "Traits":
        """What is known of a model, without the wrappers that are made anew for every request, before it is asked."""
        if self._revision != (revision := self.estimator.revision):
            self._revision, self._traits = revision, {}  # what tokens cost at most is another figure now
        number, known = id(model), self._traits
        traits = known.get(number)
        if traits is None or traits.model() is not model:
            kept = weakref.ref(model, lambda _: known.pop(number, None))
            window, most = model.context_window, self.config.max_output_tokens
            traits = known[number] = Traits(
                model=kept,
                ceiling=price_ceiling(model, self.estimator),
                answers=answers_at_most(model),
                output_tokens=most if window is None else max(1, min(most, window // 4)),
            )
        return traits

    def cost(self, response: ModelResponse) -> Decimal | None:
        """USD of a response: as it says itself, else by the rates, else by the price table; None when unknown."""
        usage = response.usage
        if usage.cost is not None or isinstance(usage, UnpricedUsage) or not response.model_name:
            return usage.cost
        rated = self.rated(usage, response.provider_name, response.model_name)
        if rated is not None:
            return rated
        try:
            return response.cost().total_price
        except (LookupError, ValueError):
            return None

    def spent(self, responses: Sequence[ModelResponse], *, counts_usd: bool) -> tuple[int, Decimal]:
        """The tokens of responses, and USD where they are asked for; of those whose price is unknown, 0."""
        tokens, usd = 0, NOTHING
        for response in responses:
            tokens += max(response.usage.total_tokens, 0)
            usd += max((self.cost(response) if counts_usd else None) or NOTHING, NOTHING)
        return tokens, usd

    def rated(self, usage: RequestUsage, provider: str | None, model_name: str) -> Decimal | None:
        """USD by the rates; None where they do not name the model."""
        name = f"{provider}:{model_name}"
        return None if self.estimator.get_rate(name) is None else self.estimator.estimate(token_usage(usage), name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What is known of a model before it is asked."""

    model: weakref.ref[Model]
    ceiling: PriceCeiling | None
    """The most that its tokens can cost; None where that is not known."""

    answers: int
    """How many answers one request may be billed for."""

    output_tokens: int
    """The most tokens of an answer to a request that sets no limit: those of the settings, or a quarter of a smaller
    window."""
