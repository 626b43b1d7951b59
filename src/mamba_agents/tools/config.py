"""What the read-only tools may see, as settings."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class ToolsSettings(BaseModel):
    """Where the built-in tools may look."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    root: Path = Path()
    """The folder the tools may read; nothing outside it can be reached. Relative to where the program runs."""
