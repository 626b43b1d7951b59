"""Valid histories of every kind that real runs leave, for Hypothesis to draw."""

from functools import partial
from typing import TYPE_CHECKING

from pydantic_ai.messages import ModelMessage

from mamba_agents.testing.drawing import drawn
from mamba_agents.testing.turns import Bounds, Ending, build_history

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

_MOST_BYTES = 4096
"""Of choices in one history: Hypothesis gives up on much more (8 KiB in 6.170)."""


def histories(
    *,
    min_turns: int = 1,
    max_turns: int = 6,
    max_text: int = 2_000,
    ends_in_request: bool | None = None,
    with_pending: bool = True,
    with_unknown_parts: bool = True,
    with_surrogates: bool = True,
) -> "SearchStrategy[list[ModelMessage]]":
    """A strategy of histories that keep every law, and are as nasty as laws allow.

    They hold parallel calls, the same call id in later turns and twice in one response, streams that were cut, retries,
    signed and redacted thinking, files, tools of the provider's own, summaries, changes of instructions and settings,
    broken arguments, empty and foreign and very long text, lone surrogates, and parts of kinds nobody knows. The same
    draw is the same history, times included, and shrinks to fewer turns of plain text.

    Args:
        min_turns: The fewest turns; at least 1.
        max_turns: The most turns; few histories have nearly as many.
        max_text: The most characters of a text.
        ends_in_request: Whether the last message is a request, as when it is about to be sent (then no call is open);
            None for both.
        with_pending: Whether calls of the last response may wait for their results. Not in what ends in a request.
        with_unknown_parts: Whether there are parts that pydantic-ai does not define; it cannot send or store them.
        with_surrogates: Whether texts hold lone surrogates, as broken decoders leave them; neither can those be sent.

    Raises:
        ImportError: Hypothesis is not installed.
        ValueError: a bound below 1, or more turns at least than at most.
    """
    if not 1 <= min_turns <= max_turns:
        raise ValueError(f"found min_turns={min_turns} and max_turns={max_turns}; expected 1 <= min_turns <= max_turns")
    if max_text < 1:
        raise ValueError(f"found max_text={max_text}; expected 1 or more")
    bounds = Bounds(
        max_text=max_text,
        unknown=with_unknown_parts,
        surrogates=with_surrogates,
        endings=_endings(ends_in_request=ends_in_request, with_pending=with_pending),
    )
    size = max(8, min(64, _MOST_BYTES // max_turns))
    return drawn(partial(build_history, bounds=bounds), size=size, fewest=min_turns, most=max_turns)


def _endings(*, ends_in_request: bool | None, with_pending: bool) -> tuple[Ending, ...]:
    if ends_in_request:
        return "prompt", "results"
    if ends_in_request is False:
        return ("answer", "pending") if with_pending else ("answer",)
    return ("answer", "prompt", "results", "pending", "partial") if with_pending else ("answer", "prompt", "results")
