"""The figures of spending.

`TokenUsage` and `UsageRecord` are values, though not frozen: two are made for every request, and frozen ones take four
times as long to make.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:  # so that counting does not load pydantic-ai
    from pydantic_ai.usage import RequestUsage

type RecordKind = Literal["response", "compaction", "rejected", "manual"]
"""What a request was for: the answer of a run, a summary or scores for compaction, an answer that a `FallbackModel`
turned down and that was billed all the same; or that somebody recorded it by hand."""

type RecordKey = tuple[str, RecordKind, int, datetime]


@dataclass(slots=True, kw_only=True)
class TokenUsage:
    """How many tokens went to a model and came back, over any number of requests."""

    prompt_tokens: int = 0
    """All that was sent; the cached, written and audio tokens below are among them."""

    completion_tokens: int = 0
    """All that came back; audio and reasoning are among them."""

    total_tokens: int = 0
    """Prompt and completion together."""

    request_count: int = 0
    cached_tokens: int = 0
    """Those of `prompt_tokens` that the provider read from its prompt cache."""

    cache_write_tokens: int = 0
    """Those of `prompt_tokens` that the provider wrote to its prompt cache."""

    cache_write_1h_tokens: int = 0
    """Those of `cache_write_tokens` that it keeps for an hour, which Anthropic bills apart."""

    input_audio_tokens: int = 0
    """Those of `prompt_tokens` that were audio."""

    cached_audio_tokens: int = 0
    """Those of both `cached_tokens` and `input_audio_tokens`."""

    output_audio_tokens: int = 0
    """Those of `completion_tokens` that were audio."""

    reasoning_tokens: int = 0
    """Those of `completion_tokens` that the model thought with, as far as its provider reports them."""

    def __add__(self, other: Self) -> "TokenUsage":
        if not isinstance(other, TokenUsage):  # pyright: ignore[reportUnnecessaryIsInstance]
            return NotImplemented  # and so a TypeError that names both types
        total = TokenUsage()
        total.include(self)
        total.include(other)
        return total

    def include(self, other: "TokenUsage") -> None:
        """Count the other's figures in."""
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.total_tokens += other.total_tokens
        self.request_count += other.request_count
        self.cached_tokens += other.cached_tokens
        self.cache_write_tokens += other.cache_write_tokens
        self.cache_write_1h_tokens += other.cache_write_1h_tokens
        self.input_audio_tokens += other.input_audio_tokens
        self.cached_audio_tokens += other.cached_audio_tokens
        self.output_audio_tokens += other.output_audio_tokens
        self.reasoning_tokens += other.reasoning_tokens

    def share(self, start: int, stop: int, count: int) -> "TokenUsage":
        """Those from `start` to before `stop` of `count` equal parts, which together are the whole to the token.

        Requests are not divided: each part has them all.
        """

        def part(whole: int) -> int:
            return whole * stop // count - whole * start // count

        prompt, completion = part(self.prompt_tokens), part(self.completion_tokens)
        return TokenUsage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=prompt + completion,
            request_count=self.request_count,
            cached_tokens=part(self.cached_tokens),
            cache_write_tokens=part(self.cache_write_tokens),
            cache_write_1h_tokens=part(self.cache_write_1h_tokens),
            input_audio_tokens=part(self.input_audio_tokens),
            cached_audio_tokens=part(self.cached_audio_tokens),
            output_audio_tokens=part(self.output_audio_tokens),
            reasoning_tokens=part(self.reasoning_tokens),
        )


def token_usage(usage: "RequestUsage") -> TokenUsage:
    """What one request used, as pydantic-ai reports it."""
    prompt, completion = usage.input_tokens, usage.output_tokens
    return TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        request_count=1,
        cached_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        input_audio_tokens=usage.input_audio_tokens,
        cached_audio_tokens=usage.cache_audio_read_tokens,
        output_audio_tokens=usage.output_audio_tokens,
        # Some providers report it among the details only (pydantic-ai 2.62).
        reasoning_tokens=usage.output_reasoning_tokens or usage.details.get("reasoning_tokens") or 0,
    )


@dataclass(slots=True, kw_only=True)
class UsageRecord:
    """What one request used, and what for."""

    timestamp: datetime
    """When the reply arrived, with its time zone."""

    usage: TokenUsage
    model: str | None = None
    """The name that the reply carries, which may say more than the one asked for, such as a date."""

    provider: str | None = None
    """Who served it, such as `openai` or `ollama`."""

    kind: RecordKind = "manual"
    tool_name: str | None = None
    """The tool that a record made by hand is for."""

    tool_calls: tuple[str, ...] = ()
    """The tools that the reply called, in its order; one that was called twice is there twice."""

    run_id: str | None = None
    session_id: str | None = None
    cost: Decimal | None = None
    """USD; None when the price is unknown."""

    duration_seconds: float | None = None
    """From the request to the whole reply; None when that was not measured. A reply that was cut counts until its
    run ended."""

    is_complete: bool = True
    """False for a reply that was cut: its figures are those known by then, and so the least that it can have been."""

    index: int | None = None
    """The place of the record among those of its run and kind, from 0."""

    @property
    def key(self) -> RecordKey | None:
        """What makes the record one of its kind; None when it belongs to no run."""
        if self.run_id is None or self.index is None:
            return None
        # The time tells a replayed run, whose replies are those of the first time, from another run under the same id.
        return self.run_id, self.kind, self.index, self.timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What a number of requests used and cost."""

    usage: TokenUsage
    known_cost: Decimal
    """USD for the requests whose price is known."""

    unpriced_requests: int
    """Requests whose price is unknown."""

    @property
    def cost(self) -> Decimal | None:
        """USD for all of them; None when the price of one is unknown, since a part of a sum is no sum."""
        return None if self.unpriced_requests else self.known_cost
