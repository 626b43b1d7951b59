"""YAML files, with the line of every key. Imported only where there is one, since loading PyYAML takes long."""

import re
from typing import Final, Protocol, cast

import yaml

from mamba_agents.config.files import Document, fail
from mamba_agents.config.keys import KeyPath, dotted

MOST_KEYS: Final = 10_000
"""More than any settings file has; aliases can make millions of a few lines."""

_TAG: Final = "tag:yaml.org,2002:"


class _Loader(Protocol):
    """The part of PyYAML's loader that is used here, with its types."""

    def get_single_node(self) -> yaml.Node | None: ...
    def construct_document(self, node: yaml.Node) -> object: ...
    def construct_object(self, node: yaml.Node) -> object: ...


def parse_yaml(text: str, shown: str) -> Document:
    """The content of a YAML file: plain data only, every key text and given once."""
    try:
        loader = cast("_Loader", yaml.SafeLoader(text))
        root = loader.get_single_node()
        if root is None:
            return Document(values={}, lines={})
        if not isinstance(root, yaml.MappingNode):
            fail(shown, 1, f"found {_kind(root)}, expected keys with values")
        lines = _Lines(loader, shown).read(root)
        return Document(values=cast("dict[str, object]", loader.construct_document(root)), lines=lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        fail(shown, mark.line + 1 if mark else None, f"not valid YAML: {_without_names(error.problem or '')}")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        fail(shown, line, "not valid YAML: found a character that YAML does not allow")
    except RecursionError:
        fail(shown, None, "nested too deeply, or an alias stands inside what it names")


class _Lines:
    """Collects where each key stands, and stops at what the loader would let pass."""

    def __init__(self, loader: _Loader, shown: str) -> None:
        self._loader = loader
        self._shown = shown
        self._lines: dict[KeyPath, int] = {}

    def read(self, root: yaml.Node) -> dict[KeyPath, int]:
        self._enter(root, ())
        return self._lines

    def _enter(self, node: yaml.Node, path: KeyPath) -> None:
        if len(self._lines) > MOST_KEYS:
            fail(self._shown, None, f"found more than {MOST_KEYS:,} keys, aliases followed; no settings file has them")
        if isinstance(node, yaml.MappingNode):
            for key, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
                self._add((*path, self._name(key)), key, value)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(cast("list[yaml.Node]", node.value)):
                self._add((*path, index), item, item)
        else:
            self._check_scalar(node)

    def _add(self, path: KeyPath, key: yaml.Node, value: yaml.Node) -> None:
        line = _line(key)
        if path in self._lines and path[-1] != "<<":
            fail(self._shown, line, f"{dotted(path)} is given twice, first on line {self._lines[path]}")
        self._lines[path] = line
        self._enter(value, path)

    def _name(self, key: yaml.Node) -> str:
        if key.tag not in {_TAG + "str", _TAG + "merge"}:
            fail(self._shown, _line(key), f"found {_kind(key)} as a key, expected text; put it in quotes")
        return cast("str", key.value)

    def _check_scalar(self, node: yaml.Node) -> None:
        try:
            self._loader.construct_object(node)
        except ValueError:
            fail(self._shown, _line(node), f"found what looks like {_kind(node)} and is none; put it in quotes")


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _kind(node: yaml.Node) -> str:
    kind = str(node.tag).removeprefix(_TAG)
    names = {"str": "text", "seq": "a list", "map": "a mapping", "int": "a number", "float": "a number"}
    return names.get(kind, f"a value of type {kind}")


def _without_names(problem: str) -> str:
    """The parser's sentence without what it quotes from the file, beyond single characters and its own <tokens>."""
    told = re.sub(r"'(<stream end>|\\x00)'", "the end of the file", problem)
    return re.sub(r" (['\"])(?!(?:.{1,2}|<[a-z ]+>)\1).{3,}\1", "", told)
