"""Agents described in YAML, JSON or a dictionary."""

from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, cast

import pydantic_ai
from pydantic_ai import AgentSpec

_THEIRS = cast("FunctionType", cast("MethodType", pydantic_ai.Agent.from_spec).__func__)


def from_spec[AgentT](make: Callable[..., AgentT], spec: dict[str, Any] | AgentSpec, **options: Any) -> AgentT:
    """The agent that a spec describes, made by `make`; `options` are those of pydantic-ai's `from_spec`."""
    # Theirs makes an agent of its own class, by name (2.62): it runs here with `make` under that name, so that all it
    # reads from a spec, now and in later versions, holds for ours.
    ours = FunctionType(_THEIRS.__code__, {**_THEIRS.__globals__, "Agent": make}, closure=_THEIRS.__closure__)
    ours.__kwdefaults__ = _THEIRS.__kwdefaults__
    return ours(make, spec, **options)


def spec_model(spec: dict[str, Any] | AgentSpec | None) -> str | None:
    """The model that a spec names."""
    return spec.model if isinstance(spec, AgentSpec) else (spec or {}).get("model")
