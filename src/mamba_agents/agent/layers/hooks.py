"""Which of pydantic-ai's hooks a capability has."""

from inspect import isfunction
from typing import Any

from pydantic_ai.capabilities import AbstractCapability

_NO_HOOKS = {"apply", "from_spec", "get_description", "get_ordering", "get_serialization_name", "visit_and_replace"}
"""Methods that do nothing in a run: they say what a capability is and where it belongs, or lead to others."""

HOOKS = frozenset(
    name for name, member in vars(AbstractCapability).items() if isfunction(member) and not name.startswith("_")
).difference(_NO_HOOKS)
"""What pydantic-ai may ask of a capability for a run."""


def has_own(capability: AbstractCapability[Any], hook: str) -> bool:
    """Whether a capability does something at a hook: most do at one or two."""
    return getattr(type(capability), hook) is not getattr(AbstractCapability, hook) or hook in vars(capability)
