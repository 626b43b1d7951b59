"""The context of a session: what its next run will see, how large that is, and how it is shortened."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, override

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters

from mamba_agents._internal.background_loop import run_sync
from mamba_agents.agent.log_events import compaction_event, compaction_result, meanwhile_in, usage_events, with_added
from mamba_agents.agent.place import refuse_inside
from mamba_agents.agent.usage_rows import response_rows
from mamba_agents.context import CompactionResult, ContextManager
from mamba_agents.context.manager import Keep
from mamba_agents.context.meanwhile import not_kept
from mamba_agents.sessions import ContextCleared, ContextCompacted, MessageAppended, SessionLog
from mamba_agents.sessions.log import Position

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

        What is added meanwhile stands after what is left; a conversation that is cleared meanwhile stays cleared, and
        `notes` of the result says so.

        Raises:
            RuntimeError: it is called from within a run of the same session, which would wait for itself.
        """
        refuse_inside(
            self._log,
            "compact",
            "call it between runs, or leave it to `auto_compact`, which shortens the "
            "context of a run that is under way",
        )
        return await super().compact()

    @override
    def get_compaction_history(self) -> list[CompactionResult[ModelMessage]]:
        """Every compaction so far, oldest first, those inside runs included; a new list."""
        events = run_sync(self._log.read)
        return [compaction_result(event) for event in events if isinstance(event, ContextCompacted)]

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
        return self._log.view()[0]

    @override
    async def _bill(self, responses: Sequence[ModelResponse]) -> None:
        layers, session_id = self._agent.layers, self._log.session_id
        rows = response_rows(responses, rates=layers.prices, session_id=session_id)
        self._agent.usage_tracker.add(rows)
        layers.billed_between_runs(session_id, responses)
        await self._log.append(usage_events(responses))

    @override
    def _turn(self) -> AbstractAsyncContextManager[None]:
        return self._log.queue.turn()

    @override
    async def _begin(self) -> tuple[list[ModelMessage], Keep]:
        await self._log.load()
        messages, position = self._log.view()
        return messages, partial(self._keep_in_log, position)

    async def _keep_in_log(
        self, position: Position, result: CompactionResult[ModelMessage]
    ) -> CompactionResult[ModelMessage]:
        """Go on with what was made of the session as it was at that position."""
        meanwhile = meanwhile_in(await self._log.added_since(position))
        if meanwhile.was_cleared:
            return not_kept(result)
        kept = replace(result, messages=with_added(result.messages, meanwhile))
        await self._log.append([compaction_event(kept)])
        return kept

    @override
    def _find_model(self) -> Model | None:
        return self._agent.current_model()

    @override
    def _on_account(self, model: Model) -> Model:
        return self._agent.layers.on_account(None, model, self._log.session_id)

    @override
    def _parameters(self) -> ModelRequestParameters:
        latest = self._log.latest_parameters
        # Before the session's first request its tools are not known: they may depend on a run.
        return super()._parameters() if latest is None else latest

    @override
    def _instructions(self) -> str:
        return self._agent.get_system_prompt()
