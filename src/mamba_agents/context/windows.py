"""The windows of models, as far as somebody knows them, and the limits that follow."""

import time
from dataclasses import dataclass
from typing import Protocol

from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings

from mamba_agents._internal.identity import ByIdentity
from mamba_agents._internal.models import bare_model
from mamba_agents.context.config import CompactionConfig
from mamba_agents.context.limits import Limits, limits_for

_SMALLEST_WINDOW = 2_048
"""No server is known that gives a model less (Ollama gave 2,048 until 2025)."""

_LOOKED_UP_SECONDS = 60.0
_LEARNED_SECONDS = 600.0
"""A server may be started anew with another window."""


class FindWindow(Protocol):
    """Gives the window of a model, in tokens; None where nobody knows it."""

    async def __call__(self, model: Model, *, refresh: bool = False) -> int | None:
        """The window; with `refresh`, as its server says now."""
        ...


@dataclass(frozen=True, slots=True)
class _LatestLimits:
    """What the last request had for limits; the next one has mostly the same."""

    model: Model | None
    answer: int | None
    until: float
    limits: Limits


class Windows:
    """Knows the window of each model: from the config, else from who finds it, and from what its server shows."""

    def __init__(self, config: CompactionConfig, find_window: FindWindow | None) -> None:
        self.config = config
        self._find_window = find_window or _window_in_profile
        self._windows = ByIdentity[Model, tuple[int, float]]()
        """Windows, and until when they need not be looked up again."""

        self._latest_limits: _LatestLimits | None = None
        smallest = min(_SMALLEST_WINDOW, config.default_window_tokens)
        self.harmless = self._harmless_in(config.window_tokens or smallest)
        """A request of so many tokens is too long for no model and past no trigger: it needs no closer look."""

    def _harmless_in(self, window: int) -> int:
        fraction = self.config.trigger_fraction
        return min(window // 2, self.config.trigger_threshold_tokens if fraction is None else int(window * fraction))

    async def limits(self, model: Model | None, settings: ModelSettings | None = None) -> Limits:
        """The limits of requests to a model, with room for the longest answer that the settings allow."""
        answer = (settings or {}).get("max_tokens")
        latest = self._latest_limits
        if latest is not None and latest.model is model and latest.answer == answer and time.monotonic() < latest.until:
            return latest.limits
        limits = limits_for(self.config, await self.find(model), answer)
        until = time.monotonic() + (_LOOKED_UP_SECONDS if limits.is_known else 0)
        self._latest_limits = _LatestLimits(model, answer, until, limits)
        return limits

    async def learn(self, model: Model, tokens: int | None, *, too_many: int) -> None:
        """Remember what a model's server showed of its window, when it refused or cut a request of `too_many` tokens.

        `tokens` is what it said, or what it read; None asks it anew.
        """
        asked = await self._find_window(model, refresh=True)
        window = asked if asked is not None and asked < too_many else tokens
        self._latest_limits = None
        if window is not None:
            self._windows[bare_model(model)] = (window, time.monotonic() + _LEARNED_SECONDS)
            self.harmless = min(self.harmless, self._harmless_in(window))

    async def find(self, model: Model | None, *, is_named: bool = False) -> int | None:
        """The window of a model; None where nobody knows it.

        That of the config is meant for the model that requests go to, not for one that the config names beside it.
        """
        said = None if is_named else self.config.window_tokens
        if model is None:
            return said
        known = self._windows.get(bare := bare_model(model))
        if known is not None and time.monotonic() < known[1]:
            return known[0]
        window = said or await self._find_window(model)
        if window is not None:
            self._windows[bare] = (window, time.monotonic() + _LOOKED_UP_SECONDS)
        return window


async def _window_in_profile(model: Model, *, refresh: bool = False) -> int | None:  # noqa: ARG001 - it never changes
    return model.context_window
