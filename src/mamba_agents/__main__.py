"""`python -m mamba_agents` is the command `mamba-agents`."""

from mamba_agents.cli import main

main()
