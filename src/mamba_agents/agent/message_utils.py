"""Conversations as OpenAI chat messages: a view for export, and a way in."""

from mamba_agents._internal.chat.convert import dicts_to_model_messages, model_messages_to_dicts
from mamba_agents._internal.chat.types import ChatMessage

__all__ = ["ChatMessage", "dicts_to_model_messages", "model_messages_to_dicts"]
