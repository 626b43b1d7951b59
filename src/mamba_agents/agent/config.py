"""How an agent behaves."""

from pydantic import BaseModel, ConfigDict, Field

from mamba_agents.context.config import CompactionConfig
from mamba_agents.tokens import TokenizerConfig


class AgentConfig(BaseModel):
    """How an agent behaves, whatever model it talks to."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    system_prompt: str = ""
    """The system prompt of an agent that is given none as an argument."""

    max_iterations: int | None = Field(default=10, ge=1)
    """Model requests in one run. A run that reaches it ends with the text there is and says so in `stop_reason`;
    None is no limit of ours (pydantic-ai's own, 50 requests, holds then)."""

    track_context: bool = True
    """Whether runs remember the conversation. Without it every run starts anew, as in pydantic-ai."""

    auto_compact: bool = True
    """Whether a history is shortened by itself before a request would pass the trigger. Without it, only `compact`
    shortens it, and a request that is too long fails as in pydantic-ai."""

    context: CompactionConfig | None = None
    """When and how the history is shortened; None takes the settings'."""

    graceful_tool_errors: bool = True
    """Whether an exception in a tool is told to the model, which may try again, instead of ending the run."""

    tokenizer: TokenizerConfig | None = None
    """How the agent's `token_counter` counts; None takes the settings'."""
