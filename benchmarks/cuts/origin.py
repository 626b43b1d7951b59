"""Where a lost value had stood, to see what a strategy takes for unimportant."""

from collections.abc import Sequence

from pydantic_ai.messages import ModelMessage, ModelRequestPart, ModelResponsePart, ToolCallPart, ToolReturnPart

from benchmarks.cuts.units import units_of
from benchmarks.cuts.values import holds, text_of


def origin(messages: Sequence[ModelMessage], value: str | float) -> str:
    """The parts that have the value, how many units ago it was said last, and how often it was."""
    units = units_of(messages)
    places: set[str] = set()
    latest, times = len(units), 0
    for ago, unit in enumerate(reversed(units)):
        parts = [part for message in messages[unit.start : unit.stop] for part in message.parts]
        holding = [part for part in parts if holds(text_of(part), value)]
        if holding:
            latest, times = min(latest, ago), times + 1
            places |= {_kind(part) for part in holding}
    distance = next(
        word for limit, word in ((3, "≤ 3"), (12, "≤ 12"), (40, "≤ 40"), (10**9, "> 40")) if latest <= limit
    )
    return f"in {' + '.join(sorted(places))}, {distance} units ago, in {times if times < 3 else '3 or more'} units"


def _kind(part: ModelRequestPart | ModelResponsePart) -> str:
    if isinstance(part, ToolReturnPart):
        return "result"
    return "call" if isinstance(part, ToolCallPart) else part.part_kind
