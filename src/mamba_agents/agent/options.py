"""pydantic-ai's keyword arguments that our methods pass on, as types, so that editors and checkers know them."""

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from pydantic_ai import (
    AgentCapability,
    AgentModelSettings,
    AgentRetries,
    AgentSpec,
    AnyConcurrencyLimit,
    CancellationToken,
    Conversation,
    DeferredToolResults,
    EndStrategy,
    ModelMessage,
    RunContext,
    RunUsage,
    TemplateStr,
    UsageLimits,
    UserContent,
)
from pydantic_ai.agent.abstract import AgentInstructions, AgentMetadata
from pydantic_ai.models import KnownModelName, Model
from pydantic_ai.tools import DocstringFormat, ToolPrepareFunc
from pydantic_ai.toolsets import AbstractToolset

type Prompt = str | Sequence[UserContent] | None
"""What a user says; None goes on with the history as it is."""


class HostOptions[DepsT](TypedDict, total=False):
    """What `Agent(…)` passes on to pydantic-ai's constructor, with its meaning there."""

    name: str | None
    description: TemplateStr[DepsT] | str | None
    retries: int | AgentRetries | None
    validation_context: Any | Callable[[RunContext[DepsT]], Any]
    defer_model_check: bool
    end_strategy: EndStrategy
    metadata: AgentMetadata[DepsT] | None
    tool_timeout: float | None
    max_concurrency: AnyConcurrencyLimit


class RunOptions[DepsT](TypedDict, total=False):
    """What every run method takes besides the prompt and the output type, with its meaning in pydantic-ai.

    `conversation_id` names the session; `message_history` and `conversation` take the place of memory for the run.
    """

    conversation: Conversation | None
    message_history: Sequence[ModelMessage] | None
    deferred_tool_results: DeferredToolResults | None
    conversation_id: str | None
    run_id: str | None
    model: Model | KnownModelName | str | None
    instructions: AgentInstructions[DepsT]
    deps: DepsT
    model_settings: AgentModelSettings[DepsT] | None
    usage_limits: UsageLimits | None
    cancellation_token: CancellationToken | None
    timeout: float | None
    usage: RunUsage | None
    metadata: AgentMetadata[DepsT] | None
    retries: int | AgentRetries | None
    infer_name: bool
    toolsets: Sequence[AbstractToolset[DepsT]] | None
    capabilities: Sequence[AgentCapability[DepsT]] | None
    workspace: Any
    spec: dict[str, Any] | AgentSpec | None


class ToolOptions[DepsT](TypedDict, total=False):
    """What the `tool` and `tool_plain` decorators pass on to pydantic-ai's, with its meaning there."""

    name: str | None
    description: str | None
    retries: int | None
    prepare: ToolPrepareFunc[DepsT] | None
    args_validator: Any
    docstring_format: DocstringFormat
    require_parameter_descriptions: bool
    schema_generator: Any
    strict: bool | None
    sequential: bool
    requires_approval: bool
    metadata: dict[str, Any] | None
    tool_kind: Any
    timeout: float | None
    defer_loading: bool
    include_return_schema: bool | None
