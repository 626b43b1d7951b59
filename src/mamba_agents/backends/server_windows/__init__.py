"""What model servers say of their context windows: which pages, read how, asked in what order."""

from mamba_agents.backends.server_windows.asking import Server, ask_window
from mamba_agents.backends.server_windows.window import Window

__all__ = ["Server", "Window", "ask_window"]
