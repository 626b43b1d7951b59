"""The model requests that runs make, to be found wherever pydantic-ai calls."""

from dataclasses import dataclass
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage

from mamba_agents._internal.in_task import InTask


@dataclass(slots=True, weakref_slot=True)
class Requesting:
    """A model request that a run is making."""

    ctx: RunContext[Any]
    is_streaming: bool = False
    is_near_trigger: bool = False
    """Whether the request is so large that it was counted."""

    was_compacted: bool = False
    """Whether it was past the trigger, and so was compacted before it was sent."""

    was_shortened: bool = False
    """Whether it was sent again with less than the history says."""

    is_whole_history: bool = False
    """Whether it was the run's history, before it was shortened."""

    history: list[ModelMessage] | None = None
    """What was left of the run's history when it was sent again."""


class Requests:
    """The newest request of each run under way."""

    __slots__ = ("_by_run",)

    def __init__(self) -> None:
        self._by_run: dict[str, Requesting] = {}

    def begin(self, ctx: RunContext[Any], *, is_streaming: bool) -> Requesting:
        """A request that a run makes now."""
        requesting = self._by_run[ctx.run_id or ""] = Requesting(ctx, is_streaming)
        _requesting.set(self, requesting)
        return requesting

    def of(self, run_id: str | None) -> Requesting | None:
        """The request that a run makes, the one of this task where no run is named; None outside of runs.

        Streams are made in tasks of their own.
        """
        if (known := self._by_run.get(run_id or "")) is not None:
            return known
        return _requesting.get(self)

    def end(self, run_id: str | None) -> None:
        """Forget what a run requested."""
        self._by_run.pop(run_id or "", None)


_requesting = InTask[Requesting]("mamba_agents_requesting")
