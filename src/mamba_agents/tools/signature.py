"""Keeping what only a program may set out of what a model sees."""

import inspect
from collections.abc import Callable


def model_facing[Function: Callable[..., object]](function: Function) -> Function:
    """Hide the `security` parameter from the signature, and so from every tool schema.

    A model could otherwise hand in rules of its own.
    """
    signature = inspect.signature(function)
    shown = [parameter for name, parameter in signature.parameters.items() if name != "security"]
    function.__dict__["__signature__"] = signature.replace(parameters=shown)
    return function
