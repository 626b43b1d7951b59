"""Every error this library raises, as one tree.

::

    AgentError
    ├── ConfigurationError      a setting, a settings file or a variable is wrong
    └── ModelBackendError       a model server cannot be started, reached or understood

Errors of pydantic-ai pass through untouched.
"""

from mamba_agents.errors.tree import AgentError, ConfigurationError, ModelBackendError

__all__ = ["AgentError", "ConfigurationError", "ModelBackendError"]
