"""What a run said, in full."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import ModelRequestContext

from mamba_agents.context import CompactionResult


@dataclass
class Transcript:
    """What a run said so far, and what compactions made of it."""

    run_id: str
    messages: list[ModelMessage] = field(default_factory=list[ModelMessage])
    """Those before the newest request, oldest first, as they were when the next one followed."""

    newest: ModelMessage | None = None
    """The request that was last to be sent."""

    compactions: list[tuple[ModelMessage, CompactionResult[ModelMessage]]] = field(
        default_factory=list[tuple[ModelMessage, CompactionResult[ModelMessage]]]
    )
    """Each with the request that it was done for, oldest first."""

    billed: list[ModelResponse] = field(default_factory=list[ModelResponse])
    """The replies of models that were asked for summaries or scores."""

    def keep(self, history: Sequence[ModelMessage]) -> None:
        """Add what the run said from the newest request on."""
        start = len(history)
        for index in range(len(history) - 1, -1, -1):
            if history[index].run_id != self.run_id:
                break
            start = index
            if self._is_newest(history[index]):
                break
        self.messages += [message for message in history[start:] if message.run_id == self.run_id]

    def _is_newest(self, message: ModelMessage) -> bool:
        # pydantic-ai puts a copy in the place of a request that something was added to while its tools ran.
        newest = self.newest
        return message is newest or (
            newest is not None and message.kind == "request" and message.timestamp == newest.timestamp
        )

    def whole(self, left: Sequence[ModelMessage]) -> list[ModelMessage]:
        """The whole run, of which `left` is left in its history."""
        own = [message for message in left if message.run_id == self.run_id] if self.compactions else list(left)
        said = len(self.messages)
        self.keep(own)
        was_cut = self.compactions or len(self.messages) > len(own)
        return self.messages if said and was_cut else own


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
        if ctx.run_id is not None:
            transcript = self._of(ctx.run_id)
            if ctx.run_step > 1:
                transcript.keep(ctx.messages[:-1])
            transcript.newest = ctx.messages[-1]
        return request_context

    def compacted(
        self, ctx: RunContext[Any], before: Sequence[ModelMessage], result: CompactionResult[ModelMessage]
    ) -> None:
        """Keep that a compaction of ours was done, and for what request."""
        if ctx.run_id is not None:
            self._of(ctx.run_id).compactions.append((before[-1], result))

    def billed(self, ctx: RunContext[Any], responses: Sequence[ModelResponse]) -> None:
        """Keep what models replied that were asked for summaries or scores."""
        if ctx.run_id is not None:
            self._of(ctx.run_id).billed.extend(responses)

    def finish(self, run_id: str) -> Transcript | None:
        """What was kept of a run that has ended; None where it made no request."""
        return self.running.pop(run_id, None)

    def _of(self, run_id: str) -> Transcript:
        transcript = self.running.get(run_id)
        if transcript is None:
            transcript = self.running[run_id] = Transcript(run_id)
        return transcript
