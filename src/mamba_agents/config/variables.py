"""Environment variables as settings: `MAMBA_MODEL_BACKEND__TIMEOUT` is `model_backend.timeout`."""

import json
from collections.abc import Iterable
from typing import Final, NamedTuple, cast

from pydantic import BaseModel

from mamba_agents.config.keys import KeyPath, annotation_at, dotted, is_json, is_text, section_model
from mamba_agents.config.layers import Layer, Origin, merge, nest
from mamba_agents.config.nearest import VERY_CLOSE, hint, nearest
from mamba_agents.config.problems import Problem

PREFIX: Final = "MAMBA_"
NESTING: Final = "__"


class Variable(NamedTuple):
    """A variable with our prefix, and where it is set."""

    name: str
    value: str | None
    origin: Origin


def variables_layer(
    source: Origin, variables: Iterable[Variable], model: type[BaseModel], *, ours: bool
) -> tuple[Layer, list[Problem]]:
    """What the variables set, and those that set nothing.

    `ours` says that nobody else writes to this source. Elsewhere a variable that is unlike any of ours may stay:
    mamba, the package manager, uses the same prefix.
    """
    values: dict[str, object] = {}
    origins: dict[KeyPath, Origin] = {}
    problems: list[Problem] = []
    # A section given as JSON comes first, so that the variables of its keys refine it.
    for variable in sorted(variables, key=lambda v: v.name.count(NESTING)):
        path = key_path(variable.name, model)
        annotation = annotation_at(model, path)
        if annotation is None:
            if ours or not is_foreign(variable.name, model):
                problems.append(Problem(variable.origin, f"no such setting; {hint(model, path, variable_name)}"))
            continue
        try:
            values = merge(values, nest(path, _parse(variable.value, annotation)))
            origins[path] = variable.origin
        except ValueError as error:
            problems.append(Problem(variable.origin, f"{dotted(path)}: {error}"))
    return Layer(source=source, values=values, origins=origins), problems


def key_path(name: str, model: type[BaseModel]) -> KeyPath:
    """The key a variable speaks of; lower case, except the names that users give inside mappings."""
    path: KeyPath = ()
    for part in name[len(PREFIX) :].split(NESTING):
        declared = section_model(annotation_at(model, path)) is not None or annotation_at(model, path) is None
        path = (*path, part.lower() if declared else part)
    return path


def variable_name(key: str) -> str:
    """The variable that sets a key."""
    return PREFIX + key.replace(".", NESTING).upper()


def is_foreign(name: str, model: type[BaseModel]) -> bool:
    """Whether a variable that sets nothing is most likely another program's."""
    return NESTING not in name and nearest(model, key_path(name, model), close=VERY_CLOSE) is None


def _parse(text: str | None, annotation: object) -> object:
    if text is None:
        raise ValueError("found a name without a value, expected NAME=value.")
    if not is_json(annotation):
        return text
    try:
        return cast("object", json.loads(text))
    except (ValueError, RecursionError):
        if is_text(annotation):
            return text
    raise ValueError('found text that is not JSON, expected a value such as {"name": "value"}.')
