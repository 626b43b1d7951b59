"""The figures of spending.

Values, though not frozen: two are made for every request, and frozen ones take four times as long to make.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Self


@dataclass(slots=True, kw_only=True)
class TokenUsage:
    """How many tokens went to a model and came back, over any number of requests."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    """Prompt and completion together."""

    request_count: int = 0
    cached_tokens: int = 0
    """Those of `prompt_tokens` that the provider read from its prompt cache."""

    cache_write_tokens: int = 0
    """Those of `prompt_tokens` that the provider wrote to its prompt cache."""

    def __add__(self, other: Self) -> "TokenUsage":
        return TokenUsage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
            request_count=self.request_count + other.request_count,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
        )


@dataclass(slots=True, kw_only=True)
class UsageRecord:
    """What one request used, and what for."""

    timestamp: datetime
    """When the reply arrived, with its time zone."""

    usage: TokenUsage
    model: str | None = None
    tool_name: str | None = None
    run_id: str | None = None
    session_id: str | None = None
    cost: Decimal | None = None
    """USD; None when the price is unknown."""
