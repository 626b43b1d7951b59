"""What matters most, from anywhere in the history."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from types import NoneType
from typing import ClassVar

from pydantic_ai.agent import AbstractAgent
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model

from mamba_agents.context.compaction.base import CompactionResult
from mamba_agents.context.compaction.counted import CountedStrategy
from mamba_agents.context.compaction.kept import Keeper
from mamba_agents.context.compaction.layout import Layout, Span, layout_of, merged
from mamba_agents.context.compaction.newest import newest_turns, ordinary_cut
from mamba_agents.context.compaction.ranking import Ranking
from mamba_agents.context.compaction.scorer import ScoringFailed, scores_by
from mamba_agents.context.compaction.selection import Selection
from mamba_agents.tokens import TokenCounter
from mamba_agents.tokens.given import require

_WINDOW = 1_000
"""The newest messages whose text is looked at; what is older is kept by age alone, to bound the work."""


class ImportanceScoringStrategy(CountedStrategy):
    """Keeps what matters most for the newest request and what is likely to be needed again.

    That is told from age, from the words of the newest request, from the ids, paths and numbers that lead from there to
    older messages or stand nowhere else, and from errors, decisions and things to remember. What a user told counts
    until a call has used it, and a list stays young for as long as calls work through it. Before whole exchanges go,
    long results are cut down to the lines that matter and the values in the rest, and old prompts to the sentences that
    hold values, questions or something to remember. The order stays.

    `scoring_agent`, an agent or a model, is asked in one request how much each exchange matters. Where that fails the
    scores are those without it, and `notes` says so.
    """

    name: ClassVar[str] = "importance_scoring"

    def __init__(
        self,
        scoring_agent: "AbstractAgent[None, object] | Model | None" = None,
        *,
        token_counter: TokenCounter | None = None,
        preserve_system_prompt: bool = True,
    ) -> None:
        """Take who scores, if anybody is to be asked: an agent, which runs without memory, or a model as an object."""
        super().__init__(token_counter=token_counter, preserve_system_prompt=preserve_system_prompt)
        asked = (AbstractAgent, Model, NoneType)
        require("scoring_agent", scoring_agent, asked, expected="an agent or a Model, as infer_model(name) gives")
        self.scoring_agent = scoring_agent
        self.calls_model = scoring_agent is not None
        self._spared = 0

    def without_model(self) -> "ImportanceScoringStrategy":
        """The same without its scoring agent, to see beforehand about what it would leave; an empty reply each time."""
        plain = ImportanceScoringStrategy(
            token_counter=self.token_counter, preserve_system_prompt=self.preserve_system_prompt
        )
        plain._spared = 1 if self.calls_model else 0
        return plain

    async def shorten(
        self, messages: list[ModelMessage], counts: Sequence[int], target_tokens: int, preserve_recent: int
    ) -> CompactionResult[ModelMessage]:
        """The best of the messages in at most `target_tokens`, or the least that must stay."""
        keeper = Keeper.of(self, target_tokens)
        cut = ordinary_cut(messages, counts, target_tokens)
        if cut is not None and cut[0] <= len(messages) - _WINDOW:
            return keeper.newest(messages, sum(counts), *cut)
        layout = layout_of(messages, counts)
        for pins in layout.pins():
            base = merged([*pins, *layout.least])
            room = target_tokens - layout.tokens(base) - keeper.carried_tokens(layout, base)
            if room >= 0:
                return await self._chosen(layout, *_with_recent(layout, base, room, preserve_recent), keeper)
        return keeper.keep(layout, layout.least)

    async def _chosen(
        self, layout: Layout, base: list[Span], room: int, keeper: Keeper
    ) -> CompactionResult[ModelMessage]:
        """What stays anyway and what is worth most beside it."""
        oldest = min(bisect_left(layout.starts, len(layout.messages) - _WINDOW), len(layout.starts) - 1)
        window = merged([*base, (layout.starts[oldest], len(layout.messages))])
        allowed = room + layout.tokens(base)
        if layout.tokens(window) <= allowed and (turns := newest_turns(layout, base, allowed)) is not None:
            return keeper.keep(layout, turns)
        units = _beside(layout, base, oldest)
        ranking = Ranking(layout, units)
        notes, responses = await self._asked(layout, units, ranking)
        selection = Selection(layout, base, units, room)
        selection.fill(ranking, self.token_counter)
        result = keeper.keep(layout, selection.spans(), selection.shortened())
        return replace(result, notes=notes, responses=responses)

    async def _asked(
        self, layout: Layout, units: Sequence[Span], ranking: Ranking
    ) -> tuple[tuple[str, ...], tuple[ModelResponse, ...]]:
        """Have the scoring agent, if there is one, add to the ranks."""
        if self.scoring_agent is None:
            return (), (ModelResponse(parts=[]),) * self._spared
        try:
            scores = await scores_by(self.scoring_agent, layout, units)
        except ScoringFailed as failure:
            return (f"{failure}; scored without it.",), failure.responses
        ranking.add(scores.by_unit)
        return (), scores.responses


def _with_recent(layout: Layout, base: list[Span], room: int, turns: int) -> tuple[list[Span], int]:
    """What stays together with as many of the last turns as are wished for and fit, and the room left then."""
    starts = layout.turn_starts
    for start in starts[-turns:] if turns else ():
        wished = merged([*base, (start, len(layout.messages))])
        cost = layout.tokens(wished) - layout.tokens(base)
        if cost <= room:
            return wished, room - cost
    return base, room


def _beside(layout: Layout, base: Sequence[Span], oldest: int) -> list[Span]:
    """The units that do not stay anyway, from a number on."""
    ends = [*layout.starts[oldest + 1 :], len(layout.messages)]
    stay = {index for start, stop in base for index in range(start, stop)}
    return [unit for unit in zip(layout.starts[oldest:], ends, strict=True) if unit[0] not in stay]
