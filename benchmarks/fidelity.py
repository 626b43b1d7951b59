"""How often a shortened history still has what the next call needs: each strategy beside plain baselines.

`python -m benchmarks.fidelity` prints the table for the recorded transcripts and for the held-out generated ones.
`… development` prints it for those that strategies may be tuned on, and where the values had stood that they lost.
`… record` runs the scripts of the recorded transcripts anew, `… converse` has the embedded model talk anew.
`summarize_older` is left out because it asks a model, and `hybrid` has none here.

A history is cut right before a reply that calls tools. The cut is passed when every value that the calls take from the
history is still in what is left (`cuts.values`), when that is valid (`check_history`) and in the target, and when the
system prompt, the first question, the newest question and the newest request are as they were. "asked" are cuts whose
newest request is the question itself, "in run" those whose newest request is the result of a call.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from pydantic_ai.messages import ModelMessage

from benchmarks.cuts.baselines import Baseline, blanked_then_newest, bm25, newest, oracle, random_units
from benchmarks.cuts.cut import FRACTIONS, Cut, Verdict, cuts, judged
from benchmarks.cuts.origin import origin
from benchmarks.transcripts.generated import DEVELOPMENT, HELD_OUT, Transcript, generated
from benchmarks.transcripts.recordings import record_conversations, record_scripts, recordings
from mamba_agents.context.compaction import (
    CompactionStrategy,
    HybridStrategy,
    ImportanceScoringStrategy,
    SelectivePruningStrategy,
    SlidingWindowStrategy,
)
from mamba_agents.tokens import TokenCounter

STRATEGIES = (SlidingWindowStrategy, SelectivePruningStrategy, ImportanceScoringStrategy, HybridStrategy)
RIVALS: dict[str, Sequence[Baseline]] = {
    "newest turns": [newest],
    "blanked, then newest": [blanked_then_newest],
    "random units": [random_units(seed) for seed in range(3)],
}
BM25 = "BM25 on newest request"
ORACLE = "(knows the next call)"

type Shorten = Callable[[Cut], Awaitable[Sequence[ModelMessage]]]


@dataclass(frozen=True, kw_only=True)
class Score:
    """What became of each cut in one way of cutting."""

    name: str
    judged: Sequence[tuple[Cut, Verdict]]

    def share(
        self,
        good: Callable[[Verdict], bool] = lambda verdict: verdict.passed,
        *,
        known: bool | None = None,
        fraction: float | None = None,
    ) -> float:
        """The share of cuts that are good, of all or of one kind; NaN where there are none."""
        chosen = [
            good(verdict)
            for cut, verdict in self.judged
            if known in (None, cut.known) and fraction in (None, cut.fraction)
        ]
        return sum(chosen) / len(chosen) if chosen else float("nan")

    def of(self, scene: str) -> "Score":
        """The score on the transcripts of one kind."""
        return Score(name=self.name, judged=[(cut, verdict) for cut, verdict in self.judged if cut.transcript == scene])

    def row(self) -> str:
        """What `HEADER` says, in per cent."""
        shares = [self.share(known=known, fraction=fraction) for known in (True, False) for fraction in FRACTIONS]
        reasons = [
            self.share(lambda verdict: not verdict.lost),
            self.share(lambda verdict: verdict.is_valid),
            self.share(lambda verdict: verdict.in_budget),
            self.share(lambda verdict: verdict.is_kept),
        ]
        return _line(self.name, [f"{100 * share:.1f}" for share in (*shares, self.share(), *reasons)])


def _line(name: str, cells: Iterable[str]) -> str:
    return f"{name:<28}" + "".join(f"{cell:>11}" for cell in cells)


HEADER = _line("", ["asked 1/2", "asked 1/4", "in run 1/2", "in run 1/4", "ALL", "values", "valid", "budget", "kept"])


def _by_strategy(strategy: CompactionStrategy) -> Shorten:
    async def shorten(cut: Cut) -> Sequence[ModelMessage]:
        return (await strategy.compact(cut.messages, cut.target_tokens)).messages

    return shorten


def _by_hand(baseline: Baseline, counter: TokenCounter) -> Shorten:
    async def shorten(cut: Cut) -> Sequence[ModelMessage]:
        return baseline(cut, counter)

    return shorten


def contestants(counter: TokenCounter) -> Mapping[str, Sequence[Shorten]]:
    """The ways of cutting, by the name they are printed with; one that depends on a seed comes several times."""
    ours = {strategy.name: [_by_strategy(strategy(token_counter=counter))] for strategy in STRATEGIES}
    others = RIVALS | {BM25: [bm25], ORACLE: [oracle]}
    return ours | {name: [_by_hand(each, counter) for each in several] for name, several in others.items()}


async def scores(possible: Sequence[Cut], counter: TokenCounter) -> dict[str, Score]:
    """What each way of cutting makes of these cuts."""
    table: dict[str, Score] = {}
    for name, several in contestants(counter).items():
        verdicts = [(cut, judged(cut, await shorten(cut), counter)) for shorten in several for cut in possible]
        table[name] = Score(name=name, judged=verdicts)
    return table


async def report(title: str, transcripts: Iterable[Transcript]) -> dict[str, Score]:
    """Print the table for some transcripts, and whether the strategies are as good as they must be."""
    counter = TokenCounter()
    every = [cut for transcript in transcripts for cut in cuts(transcript, counter)]
    possible = [cut for cut in every if cut.is_possible]
    print(f"\n{title}: {len(possible)} cuts; {len(every) - len(possible)} more, where what must stay is too large,")
    print(f"are left out. The standard error of ALL is at most {50 / sqrt(len(possible)):.1f}.")
    print("Per cent that lose nothing, by kind and target; then the per cent that was right in one thing.")
    print(HEADER)
    table = await scores(possible, counter)
    for score in table.values():
        print(score.row())
    for verdict, holds in verdicts(table).items():
        print(f"{verdict}: {'yes' if holds else 'no'}")
    return table


def verdicts(table: dict[str, Score]) -> dict[str, bool]:
    """Whether the strategies are better than what they have to be better than."""
    hybrid, best = table["hybrid"].share(), max(table[name].share() for name in RIVALS)
    asked, bm25_asked = table["importance_scoring"].share(known=True), table[BM25].share(known=True)
    return {
        f"hybrid ({100 * hybrid:.1f}) beats all three baselines (at best {100 * best:.1f})": hybrid > best,
        f"importance_scoring ({100 * asked:.1f}) beats BM25 ({100 * bm25_asked:.1f}) when asked": asked > bm25_asked,
    }


def by_scene(table: Mapping[str, Score]) -> str:
    """The table of shares for each kind of transcript and cut."""
    kinds = sorted({(cut.transcript, cut.known, cut.fraction) for cut, _ in next(iter(table.values())).judged})
    lines = [_line("", [name.split()[0][:10] for name in table])]
    for scene, known, fraction in kinds:
        chosen = [score.of(scene).share(known=known, fraction=fraction) for score in table.values()]
        name = f"{scene}, {'asked' if known else 'in run'} {fraction}"
        lines.append(_line(name, [f"{100 * share:.0f}" for share in chosen]))
    return "\n".join(lines)


def losses(score: Score, *, most: int = 12) -> str:
    """In which transcripts the cuts failed, and where the values that were lost had stood."""
    failed = Counter(cut.transcript for cut, verdict in score.judged if not verdict.passed)
    lost = Counter(origin(cut.messages, value) for cut, verdict in score.judged for value in verdict.lost)
    lines = [f"{count:>5}  {where}" for where, count in lost.most_common(most)]
    return "\n".join([f"\n{score.name}: failed in {dict(failed.most_common())}", *lines])


async def measure(which: str) -> None:
    """Print the tables; for development also what was lost.

    Raises:
        ValueError: a word that asks for none of them.
    """
    if which not in ("", "development"):
        raise ValueError(f"found {which!r}; expected development, record, converse, or nothing")
    if which == "development":
        table = await report("Generated, for development", generated(DEVELOPMENT))
        print(f"\n{by_scene(table)}")
        for strategy in STRATEGIES:
            print(losses(table[strategy.name]))
    else:
        await report("Recorded", recordings())
        await report("Generated, held out", generated(HELD_OUT))


def main() -> None:
    which = "".join(sys.argv[1:])
    if which == "record":
        asyncio.run(record_scripts())
    elif which == "converse":
        asyncio.run(record_conversations())
    else:
        asyncio.run(measure(which))


if __name__ == "__main__":
    main()
