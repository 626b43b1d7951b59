"""How an agent gets the name that logs and spans call it by."""

import inspect
from types import FrameType
from typing import Any, cast

import pydantic_ai


def infer_name_of_caller(agent: pydantic_ai.Agent[Any, Any], infer_name: bool) -> None:  # noqa: FBT001 - the host's own flag
    """Name the agent by the variable that the caller of our caller has it in, as pydantic-ai does."""
    if not infer_name or agent.name is not None:
        return
    method = cast("FrameType", cast("FrameType", inspect.currentframe()).f_back)
    # pydantic-ai's own methods have asked their caller already, and have the agent as `self`.
    if method.f_back is not None and method.f_back.f_locals.get("self") is not agent:
        agent._infer_name(method)  # pyright: ignore[reportPrivateUsage]
