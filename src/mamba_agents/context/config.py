"""When a history is shortened, to what, and how."""

from math import inf
from typing import Annotated, Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mamba_agents.context.compaction.choice import StrategyChoice


class CompactionConfig(BaseModel):
    """When a history is shortened before a model request, to how many tokens, and by what strategy.

    Sizes are those of whole requests, instructions and tool schemas included. Whatever they say, a request is kept
    within the model's window.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    strategy: StrategyChoice = "hybrid"
    """`sliding_window`, `summarize_older`, `selective_pruning`, `importance_scoring` or `hybrid`; in code also a
    strategy of your own, as an instance or a class."""

    trigger_threshold_tokens: int = Field(default=100_000, gt=0)
    """A request larger than this is shortened first."""

    target_tokens: int = Field(default=80_000, gt=0)
    """What it is shortened to. Far below the trigger, it is shortened seldom and the provider's prompt cache is of use
    for long."""

    trigger_fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    """The trigger as a share of the model's window; used in place of `trigger_threshold_tokens` when set.

    Where only one of trigger and target is given, the other follows: the target is 80 % of the trigger."""

    target_fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    """The target as a share of the model's window; used in place of `target_tokens` when set."""

    preserve_recent_turns: int = Field(default=10, ge=0)
    """Turns at the end that are left as they are, as long as the target can be met with them. A turn runs from one
    user prompt to the next."""

    preserve_system_prompt: bool = True
    """Whether system prompts that stand in the messages outlive the messages. Instructions always do."""

    summarization_model: str = Field(default="same", min_length=1)
    """The model that writes summaries, named as an agent's is; `same` is the model that the request is for."""

    window_tokens: int | None = Field(default=None, gt=0)
    """The model's window, which prompt and answer share; unset asks the model's profile, the price table and the
    model's server, in that order."""

    default_window_tokens: int = Field(default=32_768, gt=0)
    """The window that is assumed where nobody knows it."""

    overflow_retries: int = Field(default=2, ge=0)
    """How often a request that the provider calls too long is shortened further and sent again.

    With 0, its first refusal is a `ContextOverflowError`.
    """

    @model_validator(mode="before")
    @classmethod
    def _the_one_that_is_not_given_follows(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        given = cast("dict[str, object]", data)
        trigger, target = _number(given.get("trigger_fraction")), _number(given.get("target_fraction"))
        if trigger is not None and given.get("target_fraction") is None:
            return {**given, "target_fraction": trigger * _SHARE}
        if target is not None and given.get("trigger_fraction") is None:
            return {**given, "trigger_fraction": min(target / _SHARE, 1.0)}
        tokens = _number(given.get("trigger_threshold_tokens"))
        if tokens is not None and "target_tokens" not in given:
            return {**given, "target_tokens": max(int(tokens * _SHARE), 1)}
        return given

    @model_validator(mode="after")
    def _target_is_below_trigger(self) -> Self:
        if self.target_fraction is None and self.trigger_fraction is None:
            _check("target_tokens", self.target_tokens, "trigger_threshold_tokens", self.trigger_threshold_tokens)
        if self.target_fraction is not None and self.trigger_fraction is not None:
            _check("target_fraction", self.target_fraction, "trigger_fraction", self.trigger_fraction)
        return self


_SHARE = 0.8
"""What a target is of its trigger where only one of the two is given, as with the defaults."""


def _number(value: object) -> float | None:
    """The number that is meant, also in the environment's words; None for what the fields will refuse."""
    try:
        number = float(value) if isinstance(value, int | float | str) else None
    except ValueError:
        return None
    return number if number is not None and 0 < number < inf else None


def _check(target: str, low: float, trigger: str, high: float) -> None:
    if low > high:
        raise ValueError(
            f"found {target}={low} above {trigger}={high}; expected the target at or below the trigger: "
            f"lower {target} or raise {trigger}"
        )
