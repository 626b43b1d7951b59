"""A model inside this process: llama.cpp, its server on loopback, and the weights it runs on."""

from mamba_agents.backends.local.backend import create_local_backend
from mamba_agents.backends.local.weights import installed_weights

__all__ = ["create_local_backend", "installed_weights"]
