"""What `run` and `chat` are told about the agent they make."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class AgentOptions:
    """The options that `run` and `chat` share, with their meaning on the command line."""

    model: str | None
    system: str
    tools: bool
    root: Path | None
    memory: bool
