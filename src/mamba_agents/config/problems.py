"""What is wrong with settings, said so that the reader can mend it and learns no secret."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mamba_agents.config.keys import KeyPath, dotted, is_secret_at
from mamba_agents.config.layers import MISSING, Cascade, Layer, Origin, lookup
from mamba_agents.config.nearest import hint, nearest
from mamba_agents.errors import ConfigurationError

LONGEST_SHOWN: Final = 24
"""Longer text may be a key that was put in the wrong place, so only its length is told."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where."""

    origin: Origin
    text: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.text}"


def configuration_error(problems: Sequence[Problem]) -> ConfigurationError:
    """All problems as one error; `details["problems"]` has them one by one."""
    lines = tuple(dict.fromkeys(map(str, problems)))
    message = lines[0] if len(lines) == 1 else f"{len(lines)} settings are wrong:\n  " + "\n  ".join(lines)
    return ConfigurationError(message, problems=lines)


def problems_in(error: ValidationError, cascade: Cascade, model: type[BaseModel]) -> Iterator[Problem]:
    """The findings of pydantic, each at its source; a file that is not ours at all is one problem."""
    merged = cascade.merged()
    foreign: set[KeyPath] = set()
    for layer in cascade.layers:
        if layer.source.file and _is_foreign(layer.values, model):
            foreign |= {(name,) for name in layer.values}
            yield _not_ours(layer, model)
    for path, findings in _by_path(error, merged).items():
        if path not in foreign:
            origin = cascade.origin(_present(path, merged))
            yield Problem(origin, _sentence(path, findings, lookup(merged, path), model))


def _is_foreign(values: Mapping[str, object], model: type[BaseModel]) -> bool:
    """Whether none of the keys is a setting, or so much as like one."""
    return len(values) > 1 and not any(name in model.model_fields or nearest(model, (name,)) for name in values)


def _not_ours(layer: Layer, model: type[BaseModel]) -> Problem:
    first = (next(iter(layer.values)),)
    text = (
        f"{dotted(first)} is not a setting, and no other key of the file is; {hint(model, first)} If it is another "
        f"program's file, start in another folder, or leave it out with AgentSettings(_config_file=None)."
    )
    return Problem(layer.origin(first), text)


def _by_path(error: ValidationError, merged: Mapping[str, object]) -> dict[KeyPath, list[ErrorDetails]]:
    """The findings by the value they are about, since each alternative of a type has its own."""
    findings: dict[KeyPath, list[ErrorDetails]] = {}
    for item in error.errors(include_url=False):
        path = item["loc"] if item["type"] == "missing" else _present(item["loc"], merged)
        findings.setdefault(path, []).append(item)
    return findings


def _present(location: KeyPath, merged: Mapping[str, object]) -> KeyPath:
    """As much of pydantic's location as leads to a value; the rest names alternatives of the type."""
    length = len(location)
    while length and lookup(merged, location[:length]) is MISSING:
        length -= 1
    return location[:length]


def _sentence(path: KeyPath, findings: list[ErrorDetails], value: object, model: type[BaseModel]) -> str:
    key = dotted(path)
    match findings[0]["type"]:
        case "extra_forbidden":
            return f"{key} is not a setting; {hint(model, path)}"
        case "missing":
            return f"{key} is missing; give it a value."
        case "value_error":
            return f"{key}: {findings[0]['msg'].removeprefix('Value error, ')}"
        case _:
            secret = is_secret_at(model, path)
            expected = " or ".join(dict.fromkeys(_expected(finding) for finding in findings))
            return f"{key}: found {_found(value, secret=secret)}, expected {expected}."


def _expected(finding: ErrorDetails) -> str:
    if finding["type"] in {"model_type", "dict_type", "mapping_type", "model_attributes_type"}:
        return "a section of keys with values"
    message = finding["msg"].partition(", unable to parse")[0]
    for beginning in ("Input should be ", "Value should "):
        message = message.removeprefix(beginning)
    return message[:1].lower() + message[1:]


def _found(value: object, *, secret: bool) -> str:
    match value:
        case None:
            return "nothing"
        case dict():
            return "a section"
        case list():
            return "a list"
        case str() if secret or len(value) > LONGEST_SHOWN:
            return f"text of {len(value)} characters"
        case str() | bool() | int() | float() if not secret:
            return ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
        case _:
            return f"a value of type {type(value).__name__}"
