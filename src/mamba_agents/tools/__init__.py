"""Tools for an agent: reading, listing and searching files, read-only under a root folder.

`Agent(model, tools=sandboxed_tools("."))` hands them all to an agent. Each is also a plain function to call by hand,
with `security=FilesystemSecurity(…)` for other rules than the current folder as the root; a model never sees that
parameter.
"""

from mamba_agents.tools.binding import sandboxed_tools
from mamba_agents.tools.config import ToolsSettings
from mamba_agents.tools.filesystem import list_directory, read_file
from mamba_agents.tools.search import GrepMatch, glob_search, grep_search
from mamba_agents.tools.security import FilesystemSecurity

__all__ = [
    "FilesystemSecurity",
    "GrepMatch",
    "ToolsSettings",
    "glob_search",
    "grep_search",
    "list_directory",
    "read_file",
    "sandboxed_tools",
]
