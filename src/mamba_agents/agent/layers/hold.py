"""The caps of one run, and what is held for each of its requests."""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from pydantic_ai.messages import ModelMessage, ModelRequestAttempt, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage, RunUsage

from mamba_agents._internal.models import bare_model
from mamba_agents.agent.layers.estimate import answers_at_most, close_input, loose_input, output_limit, price_ceiling
from mamba_agents.agent.layers.pricing import UnpricedUsage
from mamba_agents.agent.layers.warn import logger, warn
from mamba_agents.errors import BudgetExceededError
from mamba_agents.tokens import CostEstimator, TokenCounter
from mamba_agents.tokens.budget import BudgetConfig
from mamba_agents.tokens.ceiling import PriceCeiling
from mamba_agents.tokens.ledger import Ask, BudgetLedger, Cap, Reservation
from mamba_agents.tokens.usage import token_usage

LEAST_OUTPUT_TOKENS = 16
"""A shorter answer is not asked for; OpenAI's Responses API takes no less (platform.openai.com, read 2026-11-24)."""

_NOTHING = Decimal(0)
_FREE = PriceCeiling()


class Terms:
    """What holds for all runs of a layer."""

    __slots__ = ("_traits", "config", "counter", "estimator", "ledger")

    def __init__(
        self, config: BudgetConfig, ledger: BudgetLedger, counter: TokenCounter, estimator: CostEstimator
    ) -> None:
        self.config = config
        self.ledger = ledger
        self.counter = counter
        self.estimator = estimator
        self._traits: dict[int, Traits] = {}

    def traits(self, model: Model) -> "Traits":
        """What is known of a model before it is asked."""
        model = bare_model(model)  # wrappers are made anew for every request, and what they wrap is not
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


class RunBudget:
    """One run on a ledger."""

    __slots__ = ("_beside", "_said", "caps", "counts_tokens", "counts_usd", "own", "run_id", "terms", "usage")

    def __init__(
        self, terms: Terms, run_id: str | None, usage: RunUsage, own: Sequence[Cap], caps: Sequence[Cap]
    ) -> None:
        self.terms = terms
        self.run_id = run_id
        self.usage = usage
        self.own = own
        """The caps on the run itself, which hold for what its tools spend too."""
        self.caps = caps
        self.counts_usd = self.counts_tokens = False
        for cap in caps:
            self.counts_usd |= cap.usd is not None
            self.counts_tokens |= cap.tokens is not None
        self._beside = -1
        self._said: set[object] | None = None

    async def fill(self, hold: "Hold", traits: Traits, *, streams: bool = False) -> None:
        """Set room aside for a request.

        Raises:
            BudgetExceededError: there is none, or the model's price is unknown and the settings say to block it.
        """
        model, settings, terms = hold.model, hold.settings, self.terms
        config = terms.config
        if self.counts_usd:
            hold.ceiling = self._ceiling(model, traits)
        if config.on_exceeded == "warn" or not (self.counts_tokens or hold.ceiling is not _FREE):
            return
        output = output_limit(model, settings) or traits.output_tokens
        answers = 1 if streams else traits.answers
        # The cheap estimate first: it is far from a cap most of the time.
        bound = self.bound(model, hold.messages, hold.parameters)
        reservation = terms.ledger.try_reserve(self.caps, _ask(bound, output, answers, hold.ceiling))
        if reservation is None:
            closer = close_input(terms.counter, model, hold.messages, hold.parameters)
            ask = _ask(min(bound, closer), output, answers, hold.ceiling)
            reservation = await terms.ledger.reserve(self.caps, ask, wait_seconds=config.wait_seconds)
        hold.reservation = reservation
        if settings is None or settings.get("max_tokens") != reservation.output_tokens:
            hold.settings = cast("ModelSettings", {**(settings or {}), "max_tokens": reservation.output_tokens})

    def bound(self, model: Model, messages: Sequence[ModelMessage], parameters: ModelRequestParameters) -> int:
        """The most tokens that a request sends."""
        counter = self.terms.counter
        beside = counter.upper_bound_parameters(parameters)
        # A request of this run with the same tools and instructions has them in the figure that was reported for it.
        known_of = self.run_id if beside == self._beside else None
        self._beside = beside
        return loose_input(counter, model, messages, beside, known_of=known_of)

    def spend(self, tokens: int, usd: Decimal) -> None:
        """Count what was spent, and say when that is past a cap."""
        ledger = self.terms.ledger
        ledger.spend(self.caps, tokens, usd)
        if self.terms.config.on_exceeded == "warn":
            for error in ledger.passed(self.caps):
                self._say((error.scope, error.unit), f"{error.message}; the run goes on")

    def charge(self, responses: Sequence[ModelResponse]) -> None:
        """Count responses that nothing was held for."""
        for response in responses:
            self.spend(
                response.usage.total_tokens, (self.terms.cost(response) if self.counts_usd else None) or _NOTHING
            )

    def _ceiling(self, model: Model, traits: Traits) -> PriceCeiling:
        ceiling = traits.ceiling
        if ceiling is None and (policy := self.terms.config.on_unpriced) != "allow":
            name = model.model_name
            found = f"found no price for the model {name!r}; name its price in cost_rates"
            if policy == "block":
                raise BudgetExceededError(
                    "run",
                    "USD",
                    limit=_NOTHING,
                    spent=_NOTHING,
                    key=self.run_id,
                    message=f"{found}, or set budget.on_unpriced to 'warn' or 'allow'; nothing was sent",
                )
            self._say(name, f"{found}, or set budget.on_unpriced to 'allow' or 'block'; its requests count as 0 USD")
        return ceiling if ceiling is not None and (ceiling.input or ceiling.output or ceiling.request) else _FREE

    def _say(self, what: object, message: str) -> None:
        if self._said is None:
            self._said = set()
        if what not in self._said:
            self._said.add(what)
            warn(message)


@dataclass(slots=True)
class Hold:
    """What is held for one request."""

    run: RunBudget
    model: Model
    messages: Sequence[ModelMessage]
    parameters: ModelRequestParameters
    settings: ModelSettings | None
    """What the request is sent with: its answer is no longer than there is room for."""

    ceiling: PriceCeiling = _FREE
    reservation: Reservation | None = None

    @property
    def shortened(self) -> BudgetExceededError | None:
        """Why there was less room than wanted for the answer."""
        return None if self.reservation is None else self.reservation.shortened

    def price(self, response: ModelResponse) -> None:
        """Put the cost on a response, as pydantic-ai does a moment later, so that it is looked up once."""
        if self.run.counts_usd and response.usage.cost is None and (cost := self.run.terms.cost(response)) is not None:
            response.usage.cost = cost

    def release(self, attempts: Sequence[ModelRequestAttempt] = ()) -> None:
        """Give the room back after a request without a response; rejected answers were billed all the same."""
        self._settle(*self._bill_of_attempts(attempts))

    def cut_off(self) -> None:
        """Count what was sent, of a request that was cancelled before anything of its answer came.

        The provider has read it by then, or is about to; what it wrote of an answer, nobody tells.
        """
        sent = _ask(self.run.bound(self.model, self.messages, self.parameters), 0, 1, self.ceiling)
        self._settle(sent.tokens(0), sent.usd(0))

    def settle(self, response: ModelResponse, *, is_cut: bool = False) -> None:
        """Count what the response used in place of what was held for it."""
        tokens, usd = self._bill(response, is_cut=is_cut)
        if response.failed_attempts:
            more_tokens, more_usd = self._bill_of_attempts(response.failed_attempts)
            tokens, usd = tokens + more_tokens, usd + more_usd
        self._settle(tokens, usd)

    def _settle(self, tokens: int, usd: Decimal) -> None:
        if self.reservation is None:
            self.run.spend(tokens, usd)
            return
        self.reservation.settle(tokens, usd)
        if tokens > self.reservation.tokens or usd > self.reservation.usd:
            logger.warning(
                "a request to %s used %s tokens and %s USD, though its settings allowed %s tokens and %s USD; "
                "a server that ignores max_tokens, or tools that the provider runs, may pass a cap",
                *(self.model.model_name, tokens, usd, self.reservation.tokens, self.reservation.usd),
            )

    def _bill(self, response: ModelResponse, *, is_cut: bool) -> tuple[int, Decimal]:
        usage = response.usage
        cost = self.run.terms.cost(response) if self.run.counts_usd else _NOTHING
        sent, received = usage.input_tokens, usage.output_tokens
        if cost is None:
            cost = self._at_most(sent, received)
        if (sent or received or not response.parts) and not is_cut:
            return sent + received, cost
        # Nothing was reported, or not all by then, of what was billed.
        counted = self.run.terms.counter.count_messages([response], self.model.model_name)
        unseen_received = max(0, counted - received) if response.parts else 0
        is_blank = response.parts and not sent
        unseen_sent = self.run.bound(self.model, self.messages, self.parameters) if is_blank else 0
        more = unseen_sent * self.ceiling.input + unseen_received * self.ceiling.output
        return sent + received + unseen_sent + unseen_received, cost + more

    def _bill_of_attempts(self, attempts: Sequence[ModelRequestAttempt]) -> tuple[int, Decimal]:
        tokens, usd = 0, _NOTHING
        for attempt in attempts:
            used = attempt.usage
            if used is None:
                continue
            tokens += used.input_tokens + used.output_tokens
            cost = used.cost
            if cost is None:
                cost = self.run.terms.rated(used, attempt.provider_name, attempt.model_name)
            usd += self._at_most(used.input_tokens, used.output_tokens) if cost is None else cost
        return tokens, usd

    def _at_most(self, sent: int, received: int) -> Decimal:
        return self.ceiling.request + sent * self.ceiling.input + received * self.ceiling.output


def _ask(input_tokens: int, output_tokens: int, answers: int, price: PriceCeiling) -> Ask:
    input_usd = _NOTHING if price is _FREE else price.request + input_tokens * price.input
    least = min(output_tokens, LEAST_OUTPUT_TOKENS)
    return Ask(input_tokens, output_tokens, least, input_usd, price.output, answers)
