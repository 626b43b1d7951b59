"""The one place that needs Hypothesis, which is an extra: importing this loads nothing of it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy


def drawn[ItemT](make: Callable[[list[bytes]], ItemT], *, size: int, fewest: int, most: int) -> "SearchStrategy[ItemT]":
    """A strategy of what `make` makes of some pieces of `size` bytes each.

    One draw for a whole piece keeps drawing fast, and pieces shrink well: they are left out, and their bytes fall to 0.

    Raises:
        ImportError: Hypothesis is not installed.
    """
    try:
        from hypothesis import strategies  # noqa: PLC0415  (an extra, which only tests need)
    except ImportError as error:
        raise ImportError(
            "histories are drawn with Hypothesis, which is not installed; run `pip install 'mamba-agents[testing]'`."
        ) from error
    pieces = strategies.lists(strategies.binary(min_size=size, max_size=size), min_size=fewest, max_size=most)

    # A composite shows what it made when a test fails; a mapped strategy would show the bytes.
    @strategies.composite
    def made(draw: "DrawFn") -> ItemT:
        return make(draw(pieces))

    return made()
