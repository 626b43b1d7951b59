"""What the log of a session keeps of a run and of its compactions."""

from collections.abc import Sequence
from dataclasses import replace

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, repair_messages

from mamba_agents.agent.layers.transcript import Transcript
from mamba_agents.context import CompactionResult
from mamba_agents.context.meanwhile import Meanwhile
from mamba_agents.sessions import ContextCleared, ContextCompacted, MessageAppended, SessionEvent, UsageRecorded
from mamba_agents.sessions.log import has_open_calls


def compaction_event(result: CompactionResult[ModelMessage], run_id: str | None = None) -> ContextCompacted:
    """What the log keeps of a compaction."""
    return ContextCompacted(
        messages=tuple(result.messages),
        strategy=result.strategy,
        removed_count=result.removed_count,
        tokens_before=result.tokens_before,
        tokens_after=result.tokens_after,
        target_tokens=result.target_tokens,
        reached_target=result.reached_target,
        run_id=run_id,
        notes=result.notes,
    )


def compaction_result(event: ContextCompacted) -> CompactionResult[ModelMessage]:
    """The compaction that `compaction_event` kept."""
    return CompactionResult(
        messages=list(event.messages),
        strategy=event.strategy,
        removed_count=event.removed_count,
        tokens_before=event.tokens_before,
        tokens_after=event.tokens_after,
        target_tokens=event.target_tokens,
        reached_target=event.reached_target,
        notes=event.notes,
    )


def usage_events(responses: Sequence[ModelResponse], run_id: str | None = None) -> list[SessionEvent]:
    """What the log keeps of replies that were paid for and are no messages, such as summaries."""
    return [UsageRecorded(response=response, run_id=run_id) for response in responses]


def with_compactions(
    events: Sequence[SessionEvent],
    transcript: Transcript,
    meanwhile: Sequence[SessionEvent],
    final: Sequence[ModelMessage],
) -> list[SessionEvent]:
    """The events of a run with its compactions, each after the request that it was done for.

    `meanwhile` is what others, such as delegates of the run, added to the session since it began, and `final` is the
    run's history at its end.
    """
    beside = _Beside(meanwhile, transcript.run_id)
    waiting = list(transcript.compactions)
    woven: list[SessionEvent] = []
    for event in events:
        woven.append(event)
        while waiting and isinstance(event, MessageAppended) and event.message is waiting[0][0]:
            woven.append(beside.event(waiting.pop(0)[1], woven))
    # A run that goes on without a prompt compacts for a request that is none of its own.
    woven.extend(beside.event(replace(result, messages=list(final)), woven) for _, result in waiting)
    return woven


def meanwhile_in(events: Sequence[SessionEvent]) -> Meanwhile:
    """What the events did to the history before them."""
    was_cleared = False
    added: list[ModelMessage] = []
    for event in events:
        if isinstance(event, ContextCleared):
            was_cleared, added = True, []
        elif isinstance(event, MessageAppended):
            added.append(event.message)
    return Meanwhile(was_cleared, added)


def with_added(compacted: Sequence[ModelMessage], meanwhile: Meanwhile) -> list[ModelMessage]:
    """What a compaction between runs left, with what was added; calls that nobody answered are closed as ever."""
    if meanwhile.added and has_open_calls(compacted) and _leaves_open(meanwhile.added[0]):
        compacted = repair_messages(list(compacted))
    return meanwhile.woven(compacted)


def _leaves_open(message: ModelMessage) -> bool:
    kinds = {part.part_kind for part in message.parts}
    return isinstance(message, ModelRequest) and kinds.isdisjoint({"tool-return", "retry-prompt"})


class _Beside:
    """What others did in a session while a run went on, which knew nothing of it."""

    def __init__(self, meanwhile: Sequence[SessionEvent], run_id: str) -> None:
        self._run_id = run_id
        self._meanwhile = meanwhile_in(meanwhile)

    def event(self, result: CompactionResult[ModelMessage], said: Sequence[SessionEvent]) -> ContextCompacted:
        """The event of a compaction in the run, after which the session has what others did to it too.

        `said` are the run's events so far.
        """
        messages = result.messages
        own = next((index for index, message in enumerate(messages) if message.run_id == self._run_id), len(messages))
        later = messages[own:]
        if self._meanwhile.was_cleared and (not later or isinstance(later[0], ModelResponse)):
            # Its prompt went into a summary, along with what was cleared.
            later = [*self._prompt(said), *later]
        return compaction_event(replace(result, messages=self._meanwhile.woven(messages[:own], later)), self._run_id)

    def _prompt(self, said: Sequence[SessionEvent]) -> list[ModelMessage]:
        messages = [event.message for event in said if isinstance(event, MessageAppended)]
        return messages[:1]
