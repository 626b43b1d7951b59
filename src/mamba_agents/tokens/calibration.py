"""How far the counts for a model are from what its provider reports."""

import threading

LOWEST_FACTOR = 0.25
HIGHEST_FACTOR = 4.0
SMALLEST_SAMPLE = 50
"""Below so many tokens the frame around a request, which no provider states, decides the ratio."""

_KEPT = 0.75
"""What stays of the earlier samples at each new one: the last ten make up nineteen twentieths."""


class Calibration:
    """Factors by model, learnt from pairs of a count and the provider's figure. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[str, tuple[float, float]] = {}

    def add(self, model: str, *, counted: int, reported: int) -> None:
        """Learn from one request; a sample that is too small to tell anything is left out."""
        if counted < SMALLEST_SAMPLE or reported < SMALLEST_SAMPLE:
            return
        # A request that was cut on its way, say, tells nothing about the tokenizer.
        believed = min(max(float(reported), counted * LOWEST_FACTOR), counted * HIGHEST_FACTOR)
        with self._lock:
            all_counted, all_reported = self._sums.get(model, (0.0, 0.0))
            self._sums[model] = (all_counted * _KEPT + counted, all_reported * _KEPT + believed)

    def factor(self, model: str) -> float:
        """What to multiply a count with, from 0.25 to 4.0; 1.0 before anything was learnt."""
        counted, reported = self._sums.get(model, (1.0, 1.0))
        return min(max(reported / counted, LOWEST_FACTOR), HIGHEST_FACTOR)
