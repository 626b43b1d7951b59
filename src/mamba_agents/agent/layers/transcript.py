"""What a run said, in full."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import ModelRequestContext

from mamba_agents.context import CompactionResult

type _Key = tuple[str, datetime | None]


@dataclass
class Transcript:
    """What a run said so far, and what compactions made of it."""

    run_id: str
    messages: dict[_Key, ModelMessage] = field(default_factory=dict[_Key, ModelMessage])
    """By what a message shares with a shortened one that takes its place; oldest first."""

    sealed: set[_Key] = field(default_factory=set[_Key])
    """Those that stand as they were said, whatever the run's history says of them now."""

    compactions: list[tuple[_Key, CompactionResult[ModelMessage]]] = field(
        default_factory=list[tuple[_Key, CompactionResult[ModelMessage]]]
    )
    """Each with the request before which it was done, oldest first."""

    billed: list[ModelResponse] = field(default_factory=list[ModelResponse])
    """The replies of models that were asked for summaries or scores."""

    def keep(self, messages: Sequence[ModelMessage]) -> None:
        """Add the run's messages after the last one kept."""
        new: list[ModelMessage] = []
        for message in reversed(messages):
            if message.run_id != self.run_id or key_of(message) in self.messages:
                break
            new.append(message)
        self.messages.update((key_of(message), message) for message in reversed(new))

    def whole(self, left: Sequence[ModelMessage]) -> list[ModelMessage]:
        """The whole run, of which `left` is left in its history."""
        own = [message for message in left if message.run_id == self.run_id] if self.compactions else list(left)
        self.keep(own)
        still_there = {key_of(message): message for message in own}
        if not self.sealed and not self.messages.keys() > still_there.keys():
            return own
        return [
            message if key in self.sealed else still_there.get(key, message) for key, message in self.messages.items()
        ]


@dataclass
class KeepTranscripts(AbstractCapability[Any]):
    """Keeps the messages of a run that are taken out of its history while it goes on.

    Compaction and history processors shorten what the model sees in a long run; it was said and paid for all the same.
    """

    _: KW_ONLY
    id: str | None = "mamba_transcripts"
    running: dict[str, Transcript] = field(default_factory=dict[str, Transcript])
    """By the ids of the runs that are under way."""

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Keep what came before this request, as the capabilities left it then, before they shorten it again."""
        if ctx.run_step > 1 and ctx.run_id is not None:
            self._of(ctx.run_id).keep(ctx.messages[:-1])
        return request_context

    def compacted(
        self, ctx: RunContext[Any], before: Sequence[ModelMessage], result: CompactionResult[ModelMessage]
    ) -> None:
        """Keep what a compaction of ours took out, and that it did."""
        if ctx.run_id is not None:
            transcript = self._of(ctx.run_id)
            transcript.sealed.update(transcript.messages)
            transcript.compactions.append((key_of(before[-1]), result))

    def billed(self, ctx: RunContext[Any], responses: Sequence[ModelResponse]) -> None:
        """Keep what models replied that were asked for summaries or scores."""
        if ctx.run_id is not None:
            self._of(ctx.run_id).billed.extend(responses)

    def finish(self, run_id: str) -> Transcript | None:
        """What was kept of a run that has ended; None where nothing had to be."""
        return self.running.pop(run_id, None)

    def _of(self, run_id: str) -> Transcript:
        return self.running.setdefault(run_id, Transcript(run_id))


def key_of(message: ModelMessage) -> _Key:
    """What a message shares with the shortened one that may have taken its place."""
    return message.kind, message.timestamp
