"""What settings there are: the tree of keys, read from the models that declare them."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, TypeAliasType, Union, cast, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

type KeyPath = tuple[str | int, ...]
"""The names from the top to a value; numbers are places in a list."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """A declared setting, or a section of them."""

    path: tuple[str, ...]
    field: FieldInfo
    section: type[BaseModel] | None
    """The model of a section's own keys; None for a setting."""

    @property
    def dotted(self) -> str:
        """The key as `explain` takes it."""
        return ".".join(self.path)

    @property
    def default(self) -> object:
        """What holds when no source says otherwise."""
        return default_of(self.field)


@cache
def keys_of(model: type[BaseModel], above: tuple[str, ...] = ()) -> tuple[Key, ...]:
    """Every key of a settings model in the order of declaration, each section before its keys."""
    return tuple(_keys(model, above))


def _keys(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        section = section_model(field.annotation)
        yield Key(path=(*above, name), field=field, section=section)
        if section is not None:
            yield from keys_of(section, (*above, name))


def dotted(path: KeyPath) -> str:
    """The path as a person writes it."""
    return printable(".".join(map(str, path)))


def printable(text: str) -> str:
    """The text on one line that any terminal can show."""
    return text if text.isprintable() else ascii(text)[1:-1]


def annotation_at(model: type[BaseModel], path: KeyPath) -> object | None:
    """The type declared at a path, through sections, mappings and lists; None where nothing is declared."""
    annotation: object = model
    for name in path:
        annotation = _below(annotation, name)
    return annotation


def _below(annotation: object, name: str | int) -> object | None:
    section = section_model(annotation)
    if section is None:
        return entry_type(annotation)
    field = section.model_fields.get(str(name))
    return field.annotation if field else None


def field_at(model: type[BaseModel], path: KeyPath) -> FieldInfo | None:
    """The field declared at a path; None for what is only an entry of one."""
    section = section_model(annotation_at(model, path[:-1]))
    return section.model_fields.get(str(path[-1])) if section else None


def default_of(field: FieldInfo) -> object:
    """What a field holds when no source says otherwise."""
    return cast("object", field.get_default(call_default_factory=True, validated_data={}))


def section_model(annotation: object) -> type[BaseModel] | None:
    """The model among a type's alternatives."""
    return next((m for m in _alternatives(annotation) if isinstance(m, type) and issubclass(m, BaseModel)), None)


def entry_type(annotation: object) -> object | None:
    """The type of what a mapping or list holds; None for everything else."""
    for alternative in _alternatives(annotation):
        if _is_subclass(get_origin(alternative), Mapping):
            return get_args(alternative)[1]
        if _is_subclass(get_origin(alternative), Sequence | AbstractSet):
            return get_args(alternative)[0]
    return None


def is_json(annotation: object) -> bool:
    """Whether a variable gives the value as JSON, as it must for sections, mappings and lists."""
    return section_model(annotation) is not None or entry_type(annotation) is not None


def is_text(annotation: object) -> bool:
    """Whether plain text is a value too."""
    return str in _alternatives(annotation)


def is_secret_at(model: type[BaseModel], path: KeyPath) -> bool:
    """Whether nobody may see what is at a path: a secret, what is inside one, or a key that no section declares."""
    annotation: object = model
    for name in path:
        below = _below(annotation, name)
        if below is None:
            return section_model(annotation) is not None or is_secret(annotation)
        annotation = below
    return is_secret(annotation)


def is_secret(annotation: object, within: tuple[object, ...] = ()) -> bool:
    """Whether a value of this type is, or holds, what nobody may see."""
    if annotation is SecretStr or annotation is SecretBytes:
        return True
    # A type alias may name itself.
    return annotation not in within and any(is_secret(each, (*within, annotation)) for each in _arguments(annotation))


def _arguments(annotation: object) -> tuple[object, ...]:
    if isinstance(annotation, TypeAliasType):
        return (annotation.__value__,)
    return get_args(annotation)[: 1 if get_origin(annotation) is Annotated else None]


def _alternatives(annotation: object) -> Iterator[object]:
    if isinstance(annotation, TypeAliasType) or get_origin(annotation) is Annotated:
        yield from _alternatives(_arguments(annotation)[0])
    elif get_origin(annotation) in {Union, UnionType}:
        for argument in get_args(annotation):
            yield from _alternatives(argument)
    else:
        yield annotation


def _is_subclass(origin: object, bases: type | UnionType) -> bool:
    return isinstance(origin, type) and issubclass(origin, bases)
