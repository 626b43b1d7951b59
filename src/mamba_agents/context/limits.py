"""From how many tokens on a history is shortened, and to how many."""

from dataclasses import dataclass

from mamba_agents.context.config import CompactionConfig

_ANSWER_SHARE = 8
"""An answer of unknown length is left one eighth of the window."""

_LONGEST_ANSWER = 4_096


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The sizes that requests to one model keep to, in tokens, instructions and tools included."""

    window: int
    """What prompt and answer may have together."""

    is_known: bool
    """Whether somebody said so, the settings, the model or its server; else it is the stated default."""

    usable: int
    """The window without the room for the answer."""

    trigger: int
    """A larger request is shortened first."""

    target: int
    """What it is shortened to."""


def limits_for(config: CompactionConfig, window: int | None, answer_tokens: int | None = None) -> Limits:
    """The limits in a window, None where nobody knows it; `answer_tokens` is the longest answer that is asked for."""
    size = config.default_window_tokens if window is None else window
    usable = size - _room_for_answer(size, answer_tokens)
    trigger, target = config.trigger_threshold_tokens, config.target_tokens
    if config.trigger_fraction is not None:
        trigger = int(size * config.trigger_fraction)
    if config.target_fraction is not None:
        target = int(size * config.target_fraction)
    # In a window smaller than the figures were meant for, the same share of it is left free.
    share = 1.0 if config.target_fraction is not None else min(target / max(trigger, 1), 1)
    trigger = max(min(trigger, usable), 1)
    target = max(min(target, int(trigger * share)), 1)
    return Limits(window=size, is_known=window is not None, usable=usable, trigger=trigger, target=target)


def _room_for_answer(window: int, answer_tokens: int | None) -> int:
    room = min(window // _ANSWER_SHARE, _LONGEST_ANSWER) if answer_tokens is None else answer_tokens
    return min(room, window // 2)
