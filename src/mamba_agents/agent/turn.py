"""One run on its session: its place in the queue, the history it sees, and what it leaves behind."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from contextvars import Token
from types import TracebackType
from typing import Any

from pydantic_ai import AgentRun, RunCancelled
from pydantic_ai.messages import ModelMessage, repair_messages

from mamba_agents._internal.turn_queue import Ticket
from mamba_agents.agent.assembly import Layers
from mamba_agents.agent.log_events import usage_events, with_compactions
from mamba_agents.agent.place import Place, RunIds, held_places, hold, join_session, leave_session
from mamba_agents.agent.result import TRANSCRIPT_KEY
from mamba_agents.agent.run_stream import take_opening_stream
from mamba_agents.agent.usage_rows import run_rows, unsaid_replies
from mamba_agents.sessions import MessageAppended, RunEnded, RunOutcome, SessionEvent, SessionLog
from mamba_agents.sessions.log import has_open_calls
from mamba_agents.tokens import UsageTracker

type OpenRun = Callable[[list[ModelMessage] | None], AbstractAsyncContextManager[AgentRun[Any, Any]]]
"""Opens pydantic-ai's run with a history, or with none."""


class Turn(AbstractAsyncContextManager[AgentRun[Any, Any]]):
    """A run that waits for its session, sees the session's history, and is recorded however it ends.

    `run_id` is the one that the caller chose, if any. Without a log it only bills what the run used. A run inside a run
    of the same session does not wait for it: it sees the history from before the outer run, and is remembered when it
    ends.
    """

    __slots__ = (
        "_answers_calls",
        "_held",
        "_id_ticket",
        "_layers",
        "_log",
        "_open",
        "_outside",
        "_run",
        "_run_id",
        "_run_ids",
        "_run_manager",
        "_seen",
        "_stream",
        "_tracker",
    )

    def __init__(
        self,
        open_run: OpenRun,
        log: SessionLog | None,
        tracker: UsageTracker,
        layers: Layers,
        run_ids: RunIds,
        *,
        run_id: str | None,
        answers_calls: bool,
    ) -> None:
        self._open = open_run
        self._run_id = run_id
        self._log = log
        self._tracker = tracker
        self._layers = layers
        self._answers_calls = answers_calls
        self._stream = take_opening_stream()
        self._held: Place | None = None
        self._run_ids = run_ids
        self._id_ticket: Ticket | None = None
        self._outside: Token[str | None] | None = None

    async def __aenter__(self) -> AgentRun[Any, Any]:
        history = None if self._log is None else await self._take_place(self._log)
        try:
            if self._run_id is not None:
                self._id_ticket = self._run_ids.take(self._run_id)
            self._run_manager = self._open(history)
            self._run = await self._run_manager.__aenter__()
        except BaseException:
            self._leave_place()
            raise
        return self._run

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        error = exc
        try:
            suppressed = await self._run_manager.__aexit__(exc_type, exc, traceback)
        except BaseException as raised:
            error = raised
            raise
        else:
            return suppressed
        finally:
            try:
                await self._record(_outcome(self._run, error))
            finally:
                self._leave_place()

    async def _take_place(self, log: SessionLog) -> list[ModelMessage] | None:
        if not any(place.log is log for place in held_places()):
            self._held = hold(log, await log.queue.acquire())
        self._outside = join_session(log.session_id)
        try:
            await log.load()
            if log.seq and self._layers.caps_sessions:
                await self._layers.open_session(log)
        except BaseException:
            self._leave_place()
            raise
        messages, self._seen = log.view()
        if has_open_calls(messages) and not self._answers_calls:
            # pydantic-ai refuses a prompt after unanswered calls, such as those of a cancelled run.
            return repair_messages(messages)
        return messages or None

    def _leave_place(self) -> None:
        if self._run_id is not None and self._id_ticket is not None:
            self._run_ids.give_back(self._run_id, self._id_ticket)
        if self._held is not None:
            self._held.leave()
        if self._outside is not None:
            leave_session(self._outside)

    async def _record(self, outcome: RunOutcome) -> None:
        run = self._run
        # The result of a run that has one gives them faster than the run does, and they are the same.
        run_id = run.run_id
        result = run.result
        messages = (result or run).new_messages()
        transcript = self._layers.transcripts.finish(run_id)
        if transcript is not None:
            messages = transcript.whole(messages)
            if result is not None and messages is transcript.messages:
                result.__dict__[TRANSCRIPT_KEY] = messages
        requests = self._layers.metering.finish(run_id, run.usage)
        self._tracker.add(
            run_rows(
                requests,
                messages,
                run_id=run_id,
                session_id=run.conversation_id,
                was_cancelled=outcome == "cancelled",
            )
        )
        if self._log is None:
            return
        for request in reversed(requests):
            if request.parameters is not None:
                self._log.latest_parameters = request.parameters
                break
        if self._stream is not None:
            messages = [*messages, *(answer for answer in self._stream.answers() if answer not in messages)]
        events: list[SessionEvent] = [MessageAppended(run_id=run_id, message=message) for message in messages]
        if unsaid := unsaid_replies(requests, messages):
            events += usage_events(unsaid, run_id)
        if transcript is not None and transcript.billed:
            events += usage_events(transcript.billed, run_id)
        if transcript is not None and transcript.compactions:
            meanwhile = await self._log.added_since(self._seen)
            events = with_compactions(events, transcript, meanwhile, (result or run).all_messages())
        events.append(RunEnded(run_id=run_id, outcome=outcome))
        await self._log.append(events)


def _outcome(run: AgentRun[Any, Any], error: BaseException | None) -> RunOutcome:
    if run.result is not None:
        return "completed"
    if isinstance(error, asyncio.CancelledError | RunCancelled | KeyboardInterrupt):
        return "cancelled"
    return "failed" if isinstance(error, Exception) else "abandoned"
