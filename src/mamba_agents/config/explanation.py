"""Why a setting has the value it has."""

import json
from dataclasses import dataclass

from pydantic import BaseModel

from mamba_agents.config.keys import KeyPath, default_of, dotted, field_at
from mamba_agents.config.layers import DEFAULT, Cascade, leaves, lookup
from mamba_agents.config.masking import masked
from mamba_agents.config.nearest import hint
from mamba_agents.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Shadowed:
    """A value that does not count, because a higher source has another."""

    value: object
    """As it was written, so text where it comes from a variable; secrets are masked."""

    source: str


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A setting's value, where it comes from, and what it keeps from counting."""

    key: str
    value: object
    """The value in effect; secrets are masked."""

    source: str
    """`constructor`, `default`, `environment variable NAME`, `file:line`, or `file:line (NAME)`."""

    file: str | None
    line: int | None
    variable: str | None
    shadowed: tuple[Shadowed, ...]
    """Highest first; the last is the default, unless that is what counts."""

    description: str

    @property
    def shown_value(self) -> str:
        """The value as a line of text."""
        return _shown(self.value)

    def __str__(self) -> str:
        lines = [f"{self.key} = {self.shown_value}", f"from {self.source}"]
        lines += [f"instead of {_shown(low.value)} from {low.source}" for low in self.shadowed]
        return "\n  ".join([*lines, *self.description.splitlines()])


def explain(settings: BaseModel, cascade: Cascade, key: str) -> Explanation:
    """The explanation of one setting, or a `ConfigurationError` for what is none."""
    paths = {dotted(path): path for path, _ in leaves(settings)}
    if key in paths:
        return _explanation(settings, cascade, paths[key])
    inside = [known for known in paths if known.startswith(f"{key}.")]
    if inside:
        raise ConfigurationError(f"{key} holds several settings; explain one of {', '.join(inside)}.", key=key)
    raise ConfigurationError(f"{key} is not a setting; {hint(type(settings), tuple(key.split('.')))}", key=key)


def explain_all(settings: BaseModel, cascade: Cascade) -> list[Explanation]:
    """The explanation of every setting, in the order of declaration."""
    return [_explanation(settings, cascade, path) for path, _ in leaves(settings)]


def _explanation(settings: BaseModel, cascade: Cascade, path: KeyPath) -> Explanation:
    field = field_at(type(settings), path)
    heard = list(cascade.saying(path))
    if field and not field.is_required():
        heard.append((DEFAULT, default_of(field)))
    origin = heard[0][0]
    shown = [(str(source), masked(type(settings), path, value)) for source, value in heard]
    return Explanation(
        key=dotted(path),
        value=masked(type(settings), path, lookup(settings, path)),
        source=str(origin),
        file=origin.file,
        line=origin.line,
        variable=origin.variable,
        shadowed=tuple(Shadowed(value=value, source=source) for source, value in shown[1:]),
        description=_description(type(settings), path),
    )


def _description(model: type[BaseModel], path: KeyPath) -> str:
    """What the field says of itself; an entry of a mapping is described by the mapping."""
    fields = (field_at(model, path[:length]) for length in range(len(path), 0, -1))
    return next((field.description or "" for field in fields if field), "")


def _shown(value: object) -> str:
    return "not set" if value is None else json.dumps(value, default=str, ensure_ascii=False)
