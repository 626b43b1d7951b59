"""The command line: `mamba-agents run`, `chat`, `demo` and `config`.

Nothing heavy is loaded before a command is known to need it.
"""

from mamba_agents.cli.main import main

__all__ = ["main"]
