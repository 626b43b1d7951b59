"""The context of a session: what its next run will see, how large that is, and how it is shortened."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, override

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, infer_model

from mamba_agents._internal.background_loop import run_sync
from mamba_agents.agent.layers.transcript import Transcript
from mamba_agents.agent.place import held_places
from mamba_agents.agent.usage_rows import response_rows
from mamba_agents.context import CompactionResult, ContextManager
from mamba_agents.sessions import (
    ContextCleared,
    ContextCompacted,
    MessageAppended,
    SessionEvent,
    SessionLog,
    UsageRecorded,
)

if TYPE_CHECKING:
    from mamba_agents.agent.core import Agent


class SessionContext(ContextManager):
    """The context manager of one session: its history is the session's, and a compaction is an event in its log."""

    def __init__(self, agent: "Agent[Any, Any]", log: SessionLog) -> None:
        self._agent = agent
        self._compactor = agent.layers.context.compactor
        self._log = log

    @property
    @override
    def history(self) -> list[ModelMessage]:
        """What the next run will see, oldest first; a new list."""
        return run_sync(self._read)

    @override
    async def compact(self) -> CompactionResult[ModelMessage]:
        """Shorten the history to the target now, after the runs that are under way.

        Raises:
            RuntimeError: it is called from within a run of the same session, which would wait for itself.
        """
        if any(place.log is self._log for place in held_places()):
            raise RuntimeError(
                "found a call of compact() inside a run of the same session, which it would wait for; call it between "
                "runs, or leave it to `auto_compact`, which shortens the context of a run that is under way"
            )
        await self._log.queue.acquire()
        try:
            return await super().compact()
        finally:
            self._log.queue.release()

    @override
    def get_compaction_history(self) -> list[CompactionResult[ModelMessage]]:
        """Every compaction so far, oldest first, those inside runs included; a new list."""
        events = run_sync(lambda: self._log.store.read(self._log.session_id))
        return [_result(event) for event in events if isinstance(event, ContextCompacted)]

    @override
    def get_system_prompt(self) -> str:
        """The agent's system prompt, which is sent with every request and so is never compacted."""
        return self._agent.get_system_prompt()

    @override
    def set_system_prompt(self, prompt: str) -> None:
        """Replace the agent's system prompt."""
        self._agent.set_system_prompt(prompt)

    @override
    def clear(self) -> None:
        """Start the conversation anew; the log keeps what was said."""
        run_sync(lambda: self._log.append([ContextCleared()]))

    @override
    def _append(self, messages: list[ModelMessage]) -> None:
        run_sync(lambda: self._log.append([MessageAppended(run_id=None, message=message) for message in messages]))

    @override
    async def _read(self) -> list[ModelMessage]:
        await self._log.load()
        return list(self._log.messages)

    @override
    async def _bill(self, responses: Sequence[ModelResponse]) -> None:
        layers, session_id = self._agent.layers, self._log.session_id
        rows = response_rows(responses, "compaction", rates=layers.metering.rates, session_id=session_id)
        self._agent.usage_tracker.add(rows)
        layers.billed_between_runs(session_id, responses)
        await self._log.append(usage_events(responses))

    @override
    async def _keep(self, result: CompactionResult[ModelMessage]) -> None:
        await self._log.append([compaction_event(result)])

    @override
    def _find_model(self) -> Model | None:
        model = self._agent.model
        return infer_model(model) if isinstance(model, str) else model

    @override
    def _summarizer(self) -> Model | None:
        model = self._find_model()
        return None if model is None else self._agent.layers.summarizer(model)

    @override
    def _on_account(self, model: Model) -> Model:
        return self._agent.layers.on_account(None, model, self._log.session_id)

    @override
    def _parameters(self) -> ModelRequestParameters:
        latest = self._agent.layers.metering.latest
        # Before the agent's first request its tools are not known: they may depend on a run.
        return super()._parameters() if latest is None else latest

    @override
    def _instructions(self) -> str:
        return self._agent.get_system_prompt()


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


def usage_events(responses: Sequence[ModelResponse], run_id: str | None = None) -> list[SessionEvent]:
    """What the log keeps of the replies that summaries and scores were made of."""
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
    others = [event.message for event in meanwhile if isinstance(event, MessageAppended)]
    waiting = list(transcript.compactions)
    woven: list[SessionEvent] = []
    for event in events:
        woven.append(event)
        while waiting and isinstance(event, MessageAppended) and event.message is waiting[0][0]:
            woven.append(_compacted_beside(others, waiting.pop(0)[1], transcript.run_id))
    # A run that goes on without a prompt compacts for a request that is none of its own.
    woven.extend(
        _compacted_beside(others, replace(result, messages=list(final)), transcript.run_id) for _, result in waiting
    )
    return woven


def _compacted_beside(
    others: list[ModelMessage], result: CompactionResult[ModelMessage], run_id: str
) -> ContextCompacted:
    """The event of a compaction in a run, which saw nothing of what others added in the meantime."""
    messages = result.messages
    own = next((index for index, message in enumerate(messages) if message.run_id == run_id), len(messages))
    return compaction_event(replace(result, messages=[*messages[:own], *others, *messages[own:]]), run_id)


def _result(event: ContextCompacted) -> CompactionResult[ModelMessage]:
    return CompactionResult(
        messages=list(event.messages),
        removed_count=event.removed_count,
        tokens_before=event.tokens_before,
        tokens_after=event.tokens_after,
        strategy=event.strategy,
        target_tokens=event.target_tokens,
        reached_target=event.reached_target,
        notes=event.notes,
    )
