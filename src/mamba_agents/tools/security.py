"""What a tool may touch: one root folder, by extension and by size."""

import os
import stat
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class FilesystemSecurity(BaseModel):
    """The rules a tool checks every path against.

    Refusals are ordinary errors (`PermissionError`, `FileNotFoundError`, `IsADirectoryError`, `ValueError`) of one
    sentence. They show paths relative to the root, so that a model can act on them and learns nothing about the rest of
    the machine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    sandbox_mode: bool = True
    """Refuse every path that leads out of `base_directory`, symbolic links followed."""

    base_directory: Path = Path()
    """The root: relative paths start here. Looked up at each call, so a relative one follows the current folder."""

    allowed_extensions: frozenset[str] | None = None
    """When given, only files with one of these endings are read; the dot and the case do not matter."""

    denied_extensions: frozenset[str] = frozenset()
    """Files with one of these endings are never read; `.env` also covers a file of that whole name."""

    max_file_size: int = Field(default=10_000_000, gt=0)
    """The largest file that is read, in bytes."""

    @field_validator("allowed_extensions", "denied_extensions")
    @classmethod
    def _normalise(cls, extensions: frozenset[str] | None) -> frozenset[str] | None:
        return extensions and frozenset("." + extension.lower().lstrip(".") for extension in extensions)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if both := sorted(self.denied_extensions & (self.allowed_extensions or frozenset())):
            raise ValueError(f"{', '.join(both)} is in allowed_extensions and in denied_extensions: keep it in one")
        return self

    @property
    def root(self) -> Path:
        """The base directory with every symbolic link resolved."""
        return Path(os.path.realpath(self.base_directory.expanduser()))

    def validate_path(self, path: str | Path) -> Path:
        """Give the absolute path that `path` leads to, symbolic links resolved; it need not exist.

        Raises `PermissionError` when it leads out of the root and `ValueError` when it can be no path.
        """
        text = str(path)
        if not text or "\0" in text:
            raise ValueError(f"{text!r} is not a path: it is empty or holds a NUL character.")
        try:
            os.fsencode(text)
        except UnicodeEncodeError as error:
            raise ValueError(f"{text!r} is not a path: it holds characters no file name can have.") from error
        # Not Path.resolve: before Python 3.13 it raises RuntimeError for a loop of links.
        target = Path(os.path.realpath(self.root / text))
        if self.sandbox_mode and not target.is_relative_to(self.root):
            raise PermissionError(f"{text!r} is outside the root folder: give a path relative to the root.")
        return target

    def validate_read(self, path: str | Path) -> Path:
        """Give the absolute path of a regular file that the rules allow to be read.

        A device, socket or pipe is refused without being opened.
        """
        target = self.validate_path(path)
        shown = self.relative(target)
        mode = self.status(target, path).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(f"{shown!r} is a folder, not a file: list_directory shows what is in it.")
        if not stat.S_ISREG(mode):
            raise PermissionError(f"{shown!r} is not a regular file (a device, socket or pipe) and is not read.")
        if not self.allows_extension(target.name):
            raise PermissionError(f"{shown!r} has an extension that may not be read here.")
        if (size := target.stat().st_size) > self.max_file_size:
            raise ValueError(self.too_large(shown, size))
        return target

    def status(self, target: Path, given: str | Path) -> os.stat_result:
        """`os.stat` of a validated path, its errors in one sentence that shows the path as it was `given`."""
        try:
            return target.stat()
        except FileNotFoundError as error:
            hint = " ('~' is not expanded)" if str(given).startswith("~") else ""
            raise FileNotFoundError(f"{str(given)!r} does not exist under the root folder{hint}.") from error
        except OSError as error:
            raise type(error)(f"{str(given)!r} cannot be reached: {error.strerror}.") from error

    def allows_extension(self, name: str) -> bool:
        """Whether a file of this name may be read."""
        folded = name.lower()
        allowed = self.allowed_extensions is None or folded.endswith(tuple(self.allowed_extensions))
        return allowed and not folded.endswith(tuple(self.denied_extensions))

    def relative(self, target: Path) -> str:
        """Show a validated path as the tools do: relative to the root, with forward slashes."""
        return target.relative_to(self.root, walk_up=True).as_posix()

    def too_large(self, shown: str, size: int) -> str:
        """Say that a file is over the limit."""
        return f"{shown!r} has {size:,} bytes; files over {self.max_file_size:,} bytes are not read here."
