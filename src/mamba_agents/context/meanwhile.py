"""What became of a history while it was compacted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic_ai.messages import ModelMessage

from mamba_agents.context.compaction.base import CompactionResult


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What others did to a history since somebody read it, who goes on without knowing."""

    was_cleared: bool = False
    added: Sequence[ModelMessage] = ()
    """What was added since, or since it was cleared."""

    def woven(self, earlier: Sequence[ModelMessage], later: Sequence[ModelMessage] = ()) -> list[ModelMessage]:
        """What there is now of the history, of which a compaction left `earlier`; `later` is what follows all else."""
        return [*(() if self.was_cleared else earlier), *self.added, *later]


def not_kept(result: CompactionResult[ModelMessage]) -> CompactionResult[ModelMessage]:
    """The result, which says that what it was made of is gone."""
    note = "The context was cleared while it was compacted, so this was not kept."
    return replace(result, notes=(*result.notes, note))
