"""A context window, and where it is known from."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Window:
    """How many tokens a model takes at once, prompt and answer together."""

    tokens: int

    source: str
    """Where the number comes from, in words: "Ollama /api/ps", "the model's profile", …"""

    is_provisional: bool = False
    """Whether the model is not loaded yet, so that its server may give it another window when it is."""
