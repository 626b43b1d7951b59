"""Partials and callable objects as tools, which pydantic-ai (2.62) takes only under a name of their own."""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, cast, get_type_hints

from pydantic.alias_generators import to_snake


def as_function(tool: Any) -> Any:
    """The tool, as a function with a name when it is a partial or a callable object; all else as it is.

    A partial has the name of its function and shows the model only the arguments that are still open. An object has the
    name of its class, in snake case.
    """
    if not callable(tool) or hasattr(tool, "__name__"):
        return tool
    called = tool.func if isinstance(tool, functools.partial) else tool
    inner = called if hasattr(called, "__name__") else type(called).__call__
    name = called.__name__ if hasattr(called, "__name__") else to_snake(type(called).__name__)
    return _function(cast("Callable[..., Any]", tool), inner, name, inner.__doc__ or called.__doc__)


def _function(tool: Callable[..., Any], inner: Callable[..., Any], name: str, doc: str | None) -> Callable[..., Any]:
    async def run(*args: Any, **kwargs: Any) -> Any:
        return await cast("Awaitable[Any]", tool(*args, **kwargs))

    def run_sync(*args: Any, **kwargs: Any) -> Any:
        return tool(*args, **kwargs)

    function: Any = run if inspect.iscoroutinefunction(inner) else run_sync
    bound = cast("dict[str, Any]", getattr(tool, "keywords", {}))
    signature = inspect.signature(tool)
    function.__signature__ = signature.replace(
        parameters=[parameter for parameter in signature.parameters.values() if parameter.name not in bound]
    )
    function.__annotations__ = get_type_hints(inner, include_extras=True)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function
