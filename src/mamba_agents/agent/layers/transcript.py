"""What a run said, in full."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import ModelRequestContext

type _Key = tuple[str, datetime | None]


@dataclass
class KeepTranscripts(AbstractCapability[Any]):
    """Keeps the messages of a run that other capabilities take out of its history while it goes on.

    Compaction and history processors shorten what the model sees in a long run; it was said and paid for all the same.
    """

    _: KW_ONLY
    id: str | None = "mamba_transcripts"
    running: dict[str, dict[_Key, ModelMessage]] = field(default_factory=dict[str, dict[_Key, ModelMessage]])
    """The messages so far, by the ids of the runs that are under way."""

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Keep what came before this request, as the capabilities left it then, before they shorten it again."""
        if ctx.run_step > 1 and ctx.run_id is not None:
            kept = self.running.setdefault(ctx.run_id, {})
            kept.update(_since(kept, ctx.messages[:-1], ctx.run_id))
        return request_context

    def finish(self, run_id: str, messages: list[ModelMessage]) -> list[ModelMessage]:
        """The whole run, of which `messages` are left in its history."""
        kept = self.running.pop(run_id, None)
        if kept is None:
            return messages
        left = {_key(message): message for message in messages}
        kept.update(_since(kept, messages, run_id))
        return [left.get(key, message) for key, message in kept.items()] if kept.keys() > left.keys() else messages


def _since(kept: dict[_Key, ModelMessage], messages: Sequence[ModelMessage], run_id: str) -> dict[_Key, ModelMessage]:
    """The run's messages after the last one kept, oldest first."""
    new: list[ModelMessage] = []
    for message in reversed(messages):
        if message.run_id != run_id or _key(message) in kept:
            break
        new.append(message)
    return {_key(message): message for message in reversed(new)}


def _key(message: ModelMessage) -> _Key:
    """What a message shares with the shortened one that may have taken its place."""
    return message.kind, message.timestamp
