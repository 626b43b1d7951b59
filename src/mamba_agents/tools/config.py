"""What the read-only tools may see, as settings."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class ToolsSettings(BaseModel):
    """Where the built-in tools may look when the command line hands them to a model."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    root: Path = Path()
    """The folder that `--tools` of the command line may read. In code, `sandboxed_tools` is told its own."""
