"""What type checkers see of the methods whose results or parameters are ours and whose code is pydantic-ai's."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack, overload

import pydantic_ai
from pydantic_ai.agent import EventStreamHandler
from pydantic_ai.output import OutputDataT, OutputSpec
from pydantic_ai.tools import AgentDepsT, ToolFuncContext, ToolFuncPlain

from mamba_agents.agent.options import Prompt, RunOptions, ToolOptions
from mamba_agents.agent.result import AgentResult

if TYPE_CHECKING:

    class TypedAgent(pydantic_ai.Agent[AgentDepsT, OutputDataT]):
        """pydantic-ai's agent, giving our results."""

        @overload
        async def run(
            self,
            user_prompt: Prompt = None,
            *,
            output_type: None = None,
            event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
            **options: Unpack[RunOptions[AgentDepsT]],
        ) -> AgentResult[OutputDataT]: ...
        @overload
        async def run[T](
            self,
            user_prompt: Prompt = None,
            *,
            output_type: OutputSpec[T],
            event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
            **options: Unpack[RunOptions[AgentDepsT]],
        ) -> AgentResult[T]: ...
        async def run(self, user_prompt: Prompt = None, **options: Any) -> AgentResult[Any]:
            """The result of a run."""
            ...

        @overload
        def run_sync(
            self,
            user_prompt: Prompt = None,
            *,
            output_type: None = None,
            event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
            **options: Unpack[RunOptions[AgentDepsT]],
        ) -> AgentResult[OutputDataT]: ...
        @overload
        def run_sync[T](
            self,
            user_prompt: Prompt = None,
            *,
            output_type: OutputSpec[T],
            event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
            **options: Unpack[RunOptions[AgentDepsT]],
        ) -> AgentResult[T]: ...
        def run_sync(self, user_prompt: Prompt = None, **options: Any) -> AgentResult[Any]:
            """The result of a run, for code that is not async."""
            ...

        @overload
        def tool[**P](self, func: ToolFuncContext[AgentDepsT, P], /) -> ToolFuncContext[AgentDepsT, P]: ...
        @overload
        def tool[**P](
            self, /, *, graceful_errors: bool | None = None, **options: Unpack[ToolOptions[AgentDepsT]]
        ) -> Callable[[ToolFuncContext[AgentDepsT, P]], ToolFuncContext[AgentDepsT, P]]: ...
        def tool(self, func: Any = None, /, **options: Any) -> Any:
            """The decorator for a tool that takes the run's context."""
            ...

        @overload
        def tool_plain[**P](self, func: ToolFuncPlain[P], /) -> ToolFuncPlain[P]: ...
        @overload
        def tool_plain[**P](
            self, /, *, graceful_errors: bool | None = None, **options: Unpack[ToolOptions[AgentDepsT]]
        ) -> Callable[[ToolFuncPlain[P]], ToolFuncPlain[P]]: ...
        def tool_plain(self, func: Any = None, /, **options: Any) -> Any:
            """The decorator for a tool that takes its arguments only."""
            ...


else:
    TypedAgent = pydantic_ai.Agent
