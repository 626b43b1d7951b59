"""What is held for one request of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from pydantic_ai.messages import ModelMessage, ModelRequestAttempt, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings

from mamba_agents.agent.layers.budget.estimate import close_input, output_limit
from mamba_agents.agent.layers.budget.run import RunBudget
from mamba_agents.agent.layers.budget.terms import FREE, NOTHING, Traits
from mamba_agents.agent.layers.warn import logger
from mamba_agents.errors import BudgetExceededError
from mamba_agents.tokens.ceiling import PriceCeiling
from mamba_agents.tokens.ledger import Reservation
from mamba_agents.tokens.room import Ask

LEAST_OUTPUT_TOKENS = 16
"""A shorter answer is not asked for; OpenAI's Responses API takes no less (platform.openai.com, read 2026-11-24)."""


@dataclass(slots=True)
class Hold:
    """What is held for one request."""

    run: RunBudget
    model: Model
    messages: Sequence[ModelMessage]
    parameters: ModelRequestParameters
    settings: ModelSettings | None
    """What the request is sent with: its answer is no longer than there is room for."""

    ceiling: PriceCeiling = FREE
    reservation: Reservation | None = None

    def try_fill(self, traits: Traits, *, streams: bool = False) -> Ask | None:
        """Set room aside for the request; where there may be too little, give what it asks for, for `fill`."""
        run, model = self.run, self.model
        terms = run.terms
        if terms.config.on_exceeded == "warn" or not (run.counts_tokens or self.ceiling is not FREE):
            return None
        output = output_limit(model, self.settings) or traits.output_tokens
        # The cheap estimate: it is far from a cap most of the time.
        bound = run.bound(model, self.messages, self.parameters)
        ask = _ask(bound, output, 1 if streams else traits.answers, self.ceiling)
        reservation = terms.ledger.try_reserve(run.caps, ask)
        if reservation is None:
            return ask
        self._go_on_with(reservation)
        return None

    async def fill(self, ask: Ask) -> None:
        """Set room aside for what is sent as it is counted, once there is any.

        Raises:
            BudgetExceededError: there is none.
        """
        terms = self.run.terms
        counted = close_input(terms.counter, self.model, self.messages, self.parameters)
        closer = _ask(min(ask.input_tokens, counted), ask.output_tokens, ask.answers, self.ceiling)
        wait_seconds = terms.config.wait_seconds
        self._go_on_with(await terms.ledger.reserve(self.run.caps, closer, wait_seconds=wait_seconds))

    def _go_on_with(self, reservation: Reservation) -> None:
        self.reservation, settings = reservation, self.settings
        if settings is None or settings.get("max_tokens") != reservation.output_tokens:
            self.settings = cast("ModelSettings", {**(settings or {}), "max_tokens": reservation.output_tokens})

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
        if usd < 0:
            usd = NOTHING  # what a server reports by mistake gives nobody room
        if self.reservation is None:
            self.run.spend(tokens, usd)
            return
        if self.run.around:
            self.run.tell(tokens, usd)
        self.reservation.settle(tokens, usd)
        if tokens > self.reservation.tokens or usd > self.reservation.usd:
            logger.warning(
                "a request to %s used %s tokens and %s USD, though its settings allowed %s tokens and %s USD; "
                "a server that ignores max_tokens, or tools that the provider runs, may pass a cap",
                *(self.model.model_name, tokens, usd, self.reservation.tokens, self.reservation.usd),
            )

    def _bill(self, response: ModelResponse, *, is_cut: bool) -> tuple[int, Decimal]:
        usage = response.usage
        cost = self.run.terms.cost(response) if self.run.counts_usd else NOTHING
        sent, received = max(usage.input_tokens, 0), max(usage.output_tokens, 0)
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
        tokens, usd = 0, NOTHING
        for attempt in attempts:
            used = attempt.usage
            if used is None:
                continue
            sent, received = max(used.input_tokens, 0), max(used.output_tokens, 0)
            tokens += sent + received
            cost = used.cost
            if cost is None:
                cost = self.run.terms.rated(used, attempt.provider_name, attempt.model_name)
            usd += self._at_most(sent, received) if cost is None else max(cost, NOTHING)
        return tokens, usd

    def _at_most(self, sent: int, received: int) -> Decimal:
        return self.ceiling.request + sent * self.ceiling.input + received * self.ceiling.output


def _ask(input_tokens: int, output_tokens: int, answers: int, price: PriceCeiling) -> Ask:
    input_usd = NOTHING if price is FREE else price.request + input_tokens * price.input
    least = min(output_tokens, LEAST_OUTPUT_TOKENS)
    return Ask(input_tokens, output_tokens, least, input_usd, price.output, answers)
