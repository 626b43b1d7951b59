"""A settings file to start from: every setting with its description, commented out at its default."""

import json
from collections.abc import Iterator
from textwrap import wrap
from typing import Final, Literal

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from mamba_agents.config.keys import keys_of

type FileFormat = Literal["toml", "yaml"]

_BEGINNING: Final = """\
# Settings of this project's agents, each at its default. To change one, remove the # before it.
# The environment and .env win over this file; `mamba-agents config show` tells what is in effect and why.
"""
_WIDTH: Final = 100


def settings_template(model: type[BaseModel], file_format: FileFormat) -> str:
    """The text of a file that changes nothing until a line of it is taken out of its comment."""
    return "\n".join([_BEGINNING, *_lines(model, (), file_format)])


def _lines(model: type[BaseModel], above: tuple[str, ...], file_format: FileFormat) -> Iterator[str]:
    keys = [key for key in keys_of(model, above) if key.path[:-1] == above]
    # TOML counts everything below a section's name as its own, so sections come last.
    for key in sorted(keys, key=lambda key: key.section is not None):
        margin = "  " * len(above) if file_format == "yaml" else ""
        comment = f"{margin}# "
        yield from wrap(key.field.description or "", _WIDTH, initial_indent=comment, subsequent_indent=comment)
        if key.section:
            # A section that is absent by default would come to be by its mere name.
            margin += "#" if key.default is None else ""
            yield f"{margin}{key.path[-1]}:" if file_format == "yaml" else f"{margin}[{key.dotted}]"
            yield ""
            yield from _lines(key.section, key.path, file_format)
        else:
            assigned = ": " if file_format == "yaml" else " = "
            yield f"{margin}#{key.path[-1]}{assigned}{_literal(key.default)}".rstrip()
            yield ""


def _literal(default: object) -> str:
    """The value as JSON, which TOML and YAML read too; nothing for None, which TOML has no word for."""
    return "" if default is None else json.dumps(to_jsonable_python(default), ensure_ascii=False)
