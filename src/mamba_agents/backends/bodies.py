"""Reads what a server sent, of which nothing can be taken for granted."""

from typing import cast


def field(document: object, name: str) -> object:
    """Give a field of a JSON object, or None where there is none."""
    return cast("dict[str, object]", document).get(name) if isinstance(document, dict) else None


def error_text(error: object) -> str:
    """Give what an error says, be it `{"message": …}` or plain text; empty where it says nothing."""
    said = field(error, "message") or error
    return str(said) if said else ""
