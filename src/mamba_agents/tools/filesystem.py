"""Reading a file and listing a folder, under one root."""

import codecs
import os
import stat
from pathlib import Path

from mamba_agents.tools.security import FilesystemSecurity
from mamba_agents.tools.signature import model_facing
from mamba_agents.tools.walking import walk

_SNIFFED_BYTES = 8192
"""How much of a file is looked at to tell text from binary; git and ripgrep look at about as much."""


@model_facing
def read_file(path: str, encoding: str = "utf-8", *, security: FilesystemSecurity | None = None) -> str:
    """Read a text file.

    Args:
        path: The file, relative to the root folder.
        encoding: The text encoding of the file.
    """
    security = security or FilesystemSecurity()
    target = security.validate_read(path)
    return _decode(read_bytes(target, security), encoding, security.relative(target))


@model_facing
def list_directory(
    path: str = ".", recursive: bool = False, max_depth: int = 2, *, security: FilesystemSecurity | None = None
) -> list[str]:
    """List a folder, sorted. Every line is a path that the other tools take; folders end with a slash.

    Symbolic links and the .git folder are named but not entered.

    Args:
        path: The folder, relative to the root folder.
        recursive: Whether to list the folders inside it as well.
        max_depth: How many levels to list when recursive; 1 is the folder itself.
    """
    if max_depth < 1:
        raise ValueError(f"max_depth must be 1 or more, not {max_depth}.")
    security = security or FilesystemSecurity()
    folder = validate_folder(path, security)
    depth = max_depth if recursive else 1
    return [entry.shown(security) for entry in walk(folder, enter=lambda entry: len(entry.parts) < depth)]


def validate_folder(path: str, security: FilesystemSecurity) -> Path:
    """Resolve the path of an existing folder under the root."""
    target = security.validate_path(path)
    if not stat.S_ISDIR(security.status(target, path).st_mode):
        raise NotADirectoryError(f"{security.relative(target)!r} is a file, not a folder.")
    return target


def read_bytes(target: Path, security: FilesystemSecurity) -> bytes:
    """Read a validated file; never follow a link put in its place since, nor wait on a pipe."""
    shown = security.relative(target)
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with open(os.open(target, flags), "rb") as file:  # noqa: PTH123  Path.open takes no flags
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise PermissionError(f"{shown!r} is not a regular file and is not read.")
            data = file.read(security.max_file_size + 1)
    except OSError as error:
        if error.errno is None:
            raise
        raise type(error)(f"{shown!r} cannot be read: {error.strerror}.") from error
    if len(data) > security.max_file_size:
        # Its size was checked before: it grew since, or it is one of those that report none, such as under /proc.
        raise ValueError(security.too_large(shown, len(data)))
    return data


def is_binary(data: bytes) -> bool:
    """Whether the bytes look like no text: a NUL near their start."""
    return b"\0" in data[:_SNIFFED_BYTES]


def _decode(data: bytes, encoding: str, shown: str) -> str:
    codec = _text_codec(encoding)
    if is_binary(data) and not codec.startswith(("utf-16", "utf-32")):
        raise ValueError(f"{shown!r} is a binary file of {len(data):,} bytes, not text.")
    try:
        return data.decode(codec)
    except UnicodeError as error:
        raise ValueError(f"{shown!r} is not {encoding} text ({error}): try another encoding.") from error


def _text_codec(encoding: str) -> str:
    try:
        " ".encode(encoding)  # refuses the codecs that turn bytes into bytes
        return codecs.lookup(encoding).name
    except (LookupError, ValueError) as error:
        raise ValueError(f"{encoding!r} is not a text encoding: use one such as 'utf-8' or 'latin-1'.") from error
