"""Tools whose exceptions are told to the model instead of ending the run."""

import functools
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, cast

from pydantic_ai import (
    ApprovalRequired,
    CallDeferred,
    ModelRetry,
    RunCancelled,
    RunContext,
    ToolDefinition,
    ToolFailed,
    UsageLimitExceeded,
)
from pydantic_ai.capabilities import AbstractCapability, ValidatedToolArgs
from pydantic_ai.exceptions import SkipToolExecution, ToolFailedError, ToolRetryError
from pydantic_ai.messages import ToolCallPart

from mamba_agents.agent.callables import as_function

GRACEFUL_KEY = "mamba_agents.graceful_errors"
"""Where a tool says in its metadata that its errors are its own."""

_UNTOUCHED = (
    ModelRetry,
    ApprovalRequired,
    CallDeferred,
    ToolFailed,
    ToolFailedError,
    ToolRetryError,
    SkipToolExecution,
    RunCancelled,
    UsageLimitExceeded,
)
"""What tools raise on purpose, to steer the run or to end it."""


@dataclass
class GracefulToolErrors(AbstractCapability[Any]):
    """Turns an exception in any tool, those of MCP servers included, into `ModelRetry("<Type>: <message>")`."""

    _: KW_ONLY
    id: str | None = "mamba_graceful_tool_errors"

    async def on_tool_execute_error(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: ValidatedToolArgs,
        error: Exception,
    ) -> Any:
        """Tell the model, unless the tool was declared to fail."""
        if (tool_def.metadata or {}).get(GRACEFUL_KEY) is False:
            raise error
        raise_graceful(error)


def raise_graceful(error: Exception) -> None:
    """Raise what the model is told of an exception; what is raised on purpose passes untouched."""
    if isinstance(error, _UNTOUCHED):
        raise error
    raise ModelRetry(f"{type(error).__name__}: {error}") from error


def graceful[**P, T](func: Callable[P, T]) -> Callable[P, T]:
    """The function, raising `ModelRetry` where it raised an exception, with its signature and docs."""
    if inspect.iscoroutinefunction(func):
        awaitable = cast("Callable[P, Awaitable[Any]]", func)

        @functools.wraps(awaitable)
        async def run(*args: P.args, **kwargs: P.kwargs) -> Any:
            try:
                return await awaitable(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - every one is told to the model
                raise_graceful(error)

        return cast("Callable[P, T]", run)

    @functools.wraps(func)
    def run_sync(*args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            return func(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - every one is told to the model
            raise_graceful(error)

    return cast("Callable[P, T]", run_sync)


def registered(
    decorator: Callable[..., Callable[[Callable[..., Any]], Any]],
    func: Callable[..., Any] | None,
    options: dict[str, Any],
    *,
    graceful_errors: bool | None,
    default: bool,
) -> Any:
    """What pydantic-ai's decorator makes of a function, as a tool that is graceful or not whatever the agent is.

    Without a function, a decorator that does it; `default` is what the agent is.
    """
    is_graceful = default if graceful_errors is None else graceful_errors

    def register(func: Callable[..., Any]) -> Any:
        func = as_function(func)
        if is_graceful:
            return decorator(**options)(graceful(func))
        if not default:
            return decorator(**options)(func)
        return decorator(**{**options, "metadata": {**(options.get("metadata") or {}), GRACEFUL_KEY: False}})(func)

    return register if func is None else register(func)
