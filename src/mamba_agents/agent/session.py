"""A conversation with an agent."""

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Unpack, overload

from pydantic_ai import AgentRun
from pydantic_ai.agent import AgentRunEvents, EventStreamHandler
from pydantic_ai.output import OutputSpec
from pydantic_ai.result import StreamedRunResult, StreamedRunResultSync

from mamba_agents.agent.options import Prompt, RunOptions
from mamba_agents.agent.place import refuse_inside
from mamba_agents.agent.result import AgentResult
from mamba_agents.agent.session_context import SessionContext
from mamba_agents.agent.stream import TextStream
from mamba_agents.sessions import Session
from mamba_agents.sessions.log import SessionLog

if TYPE_CHECKING:
    from mamba_agents.agent.core import Agent


class AgentSession[DepsT, OutputT](Session):
    """A session and the agent that runs on it.

    Every method is the agent's of the same name, on this conversation. Runs on one session wait for each other in
    the order they came; runs on different sessions do not.
    """

    __slots__ = ("agent",)

    def __init__(self, agent: "Agent[DepsT, OutputT]", log: SessionLog) -> None:
        self.agent = agent
        self.log = log

    @property
    def context(self) -> SessionContext:
        """What the next run will see, how large that is, and how it is shortened."""
        return SessionContext(self.agent, self.log)

    @overload
    async def run(
        self,
        user_prompt: Prompt = None,
        *,
        output_type: None = None,
        event_stream_handler: EventStreamHandler[DepsT] | None = None,
        **options: Unpack[RunOptions[DepsT]],
    ) -> AgentResult[OutputT]: ...
    @overload
    async def run[T](
        self,
        user_prompt: Prompt = None,
        *,
        output_type: OutputSpec[T],
        event_stream_handler: EventStreamHandler[DepsT] | None = None,
        **options: Unpack[RunOptions[DepsT]],
    ) -> AgentResult[T]: ...
    async def run(self, user_prompt: Prompt = None, **options: Any) -> AgentResult[Any]:
        """The result of a run."""
        return await self.agent.run(user_prompt, conversation_id=self.id, **options)

    @overload
    def run_sync(
        self,
        user_prompt: Prompt = None,
        *,
        output_type: None = None,
        event_stream_handler: EventStreamHandler[DepsT] | None = None,
        **options: Unpack[RunOptions[DepsT]],
    ) -> AgentResult[OutputT]: ...
    @overload
    def run_sync[T](
        self,
        user_prompt: Prompt = None,
        *,
        output_type: OutputSpec[T],
        event_stream_handler: EventStreamHandler[DepsT] | None = None,
        **options: Unpack[RunOptions[DepsT]],
    ) -> AgentResult[T]: ...
    def run_sync(self, user_prompt: Prompt = None, **options: Any) -> AgentResult[Any]:
        """The result of a run, for code that is not async."""
        return self.agent.run_sync(user_prompt, conversation_id=self.id, **options)

    def stream(self, user_prompt: Prompt = None, **options: Unpack[RunOptions[DepsT]]) -> TextStream[OutputT]:
        """The answer's text as it comes."""
        return self.agent.stream(user_prompt, **self._here(options))

    def run_stream(
        self, user_prompt: Prompt = None, **options: Unpack[RunOptions[DepsT]]
    ) -> AbstractAsyncContextManager[StreamedRunResult[DepsT, OutputT]]:
        """pydantic-ai's streamed result of a run."""
        return self.agent.run_stream(user_prompt, **self._here(options))

    def run_stream_events(
        self, user_prompt: Prompt = None, **options: Unpack[RunOptions[DepsT]]
    ) -> AbstractAsyncContextManager[AgentRunEvents[OutputT]]:
        """pydantic-ai's events of a run."""
        return self.agent.run_stream_events(user_prompt, **self._here(options))

    def iter(
        self, user_prompt: Prompt = None, **options: Unpack[RunOptions[DepsT]]
    ) -> AbstractAsyncContextManager[AgentRun[DepsT, OutputT]]:
        """pydantic-ai's run, node by node."""
        return self.agent.iter(user_prompt, **self._here(options))

    def run_stream_sync(
        self, user_prompt: Prompt = None, **options: Unpack[RunOptions[DepsT]]
    ) -> StreamedRunResultSync[DepsT, OutputT]:
        """pydantic-ai's streamed result, for code that is not async."""
        return self.agent.run_stream_sync(user_prompt, **self._here(options))

    async def _delete(self) -> None:
        refuse_inside(self.log, "delete", "call it between runs, or `clear()`, which waits for none")
        async with self.log.queue.turn():
            await self.log.delete()
            self.agent.layers.forget_session(self.id)

    def _here(self, options: RunOptions[DepsT]) -> Any:
        if "conversation_id" in options:
            raise TypeError("a session's runs take no `conversation_id`: they are on the session's own")
        return {**options, "conversation_id": self.id}
