"""A history in its units, and in which turn each stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pydantic_ai.messages import ModelMessage, ModelRequest, SpeechPart, UserPromptPart

from mamba_agents.context.units import unit_starts, within_native_pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Neighbouring messages that stay or go together: a prompt, a reply, or a reply with calls and their results."""

    start: int
    """Index of the first message."""

    stop: int
    """Index after the last message."""

    turn: int
    """Number of the turn, counted from 0; what comes before the first prompt belongs to turn 0."""

    is_prompt: bool
    """Whether it begins a turn."""


def starts_turn(message: ModelMessage) -> bool:
    """Whether a user speaks in the message, which begins a turn."""
    return isinstance(message, ModelRequest) and any(
        isinstance(part, UserPromptPart | SpeechPart) for part in message.parts
    )


def units_of(messages: Sequence[ModelMessage]) -> list[Unit]:
    """The units of a history, oldest first; together they are the whole of it."""
    within = within_native_pairs(messages)
    starts = [start for start in unit_starts(messages) if start not in within]
    units: list[Unit] = []
    turn = -1
    for start, stop in pairwise([*starts, len(messages)]):
        prompts = sum(map(starts_turn, messages[start:stop]))
        turn += prompts
        units.append(Unit(start=start, stop=stop, turn=max(turn, 0), is_prompt=prompts > 0))
    return units
