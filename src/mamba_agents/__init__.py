"""The operations layer for pydantic-ai: an agent you can leave running."""
