"""TOML files, with the line of every key."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import cast

from mamba_agents.config.files import Document, fail
from mamba_agents.config.keys import KeyPath
from mamba_agents.config.layers import lookup


def parse_toml(text: str, shown: str) -> Document:
    """The content of a TOML file."""
    try:
        return Document(values=tomllib.loads(text), lines=_toml_lines(text))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r" \(at line (\d+), column \d+\)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        problem = str(error).removesuffix(found[0] if found else " (at end of document)")
        fail(shown, line, f"not valid TOML: {problem[:1].lower()}{problem[1:]}")
    except RecursionError:
        fail(shown, None, "nested too deeply")


def _toml_lines(text: str) -> dict[KeyPath, int]:
    """Where each key of a valid document stands.

    `tomllib` tells no positions, but it reads a statement alone as well as in its document.
    """
    lines: dict[KeyPath, int] = {}
    rows: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for line, statement in _toml_statements(text):
        content = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _table_path(content, rows)
            lines.setdefault(table, line)
        else:
            for path in _paths(content):
                lines.setdefault(table + path, line)
    return lines


def _toml_statements(text: str) -> Iterator[tuple[int, str]]:
    start, statement = 1, ""
    for number, line in enumerate(text.split("\n"), start=1):
        statement += line + "\n"
        try:
            tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # a list or a text that goes on in the next line
        yield start, statement
        start, statement = number + 1, ""


def _table_path(header: Mapping[str, object], rows: dict[KeyPath, int]) -> KeyPath:
    """The path a header leads to. `rows` counts those of each list of tables, whose newest is meant."""
    path: KeyPath = ()
    for plain in _paths(header):
        path = (*path, plain[-1])
        if isinstance(lookup(header, plain), list):
            rows[path] = rows.get(path, -1) + 1
        if path in rows:
            path = (*path, rows[path])
    return path


def _paths(content: object, above: KeyPath = ()) -> Iterator[KeyPath]:
    if isinstance(content, dict):
        for name, value in cast("dict[str, object]", content).items():
            yield (*above, name)
            yield from _paths(value, (*above, name))
