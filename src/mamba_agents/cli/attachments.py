"""What is put before a model besides the question: standard input, text files and images."""

import mimetypes
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Timer
from typing import BinaryIO

import click
from pydantic_ai import BinaryContent, UserContent

from mamba_agents.cli.terminal import note
from mamba_agents.tokens import TokenCounter
from mamba_agents.tools.filesystem import is_binary

_MAX_BYTES = 20_000_000
"""The most that is read of one file; no model takes more."""

_TEXT_SHARE = 0.6
"""The part of the context window that attached text may fill: the question and the answer need room, and a small model
has more tokens for the same text than the vocabulary it is counted with."""


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """One input, by the name the model is told."""

    name: str
    content: str | BinaryContent
    left_out: int = 0
    """How many characters at the end of a text were too many for the model."""

    def for_model(self) -> str | BinaryContent:
        """Give what goes to the model; text stands between tags that name it."""
        if isinstance(self.content, BinaryContent):
            return self.content
        cut = f"\n[… {self.left_out:,} characters left out]" if self.left_out else ""
        return f'<document name="{self.name}">\n{self.content}{cut}\n</document>'


def gather(files: Sequence[Path]) -> list[Attachment]:
    """Read the files, and standard input when it is a pipe or a file."""
    attachments = [_attachment(str(path), _read(path)) for path in files]
    if sys.stdin is None or sys.stdin.isatty():
        return attachments
    piped = _attachment("standard input", _read_standard_input())
    return [piped, *attachments] if piped.content else attachments


def fitted(attachments: Sequence[Attachment], context_window: int, counter: TokenCounter) -> list[Attachment]:
    """Cut the ends of the texts that are too long for the model, the longest first."""
    texts = {a: counter.count(a.content) for a in attachments if isinstance(a.content, str)}
    room = int(context_window * _TEXT_SHARE)
    kept: dict[Attachment, Attachment] = {}
    for i, (attachment, size) in enumerate(sorted(texts.items(), key=lambda item: item[1])):
        share = room // (len(texts) - i)
        kept[attachment] = attachment if size <= share else _cut(attachment, share / size)
        room -= min(size, share)
    return [kept.get(attachment, attachment) for attachment in attachments]


def prompt_with(prompt: str, attachments: Sequence[Attachment]) -> str | list[UserContent]:
    """Put the question after what it is about."""
    contents = [attachment.for_model() for attachment in attachments]
    text = "\n\n".join([*(content for content in contents if isinstance(content, str)), prompt])
    images = [content for content in contents if isinstance(content, BinaryContent)]
    return [text, *images] if images else text


def checked(text: str, name: str) -> str:
    """Refuse text that no model can be sent."""
    if "\0" in text:
        raise click.UsageError(f"{name} is not text: it holds a NUL character.")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise click.UsageError(f"{name} is not valid UTF-8 text.")
    return text


def _cut(attachment: Attachment, part: float) -> Attachment:
    if isinstance(attachment.content, BinaryContent):
        return attachment
    length = int(len(attachment.content) * part)
    return replace(attachment, content=attachment.content[:length], left_out=len(attachment.content) - length)


def _read(path: Path) -> bytes:
    try:
        with _opened(path) as file:
            return file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise click.UsageError(f"cannot read {str(path)!r}: {reason}.") from error


def _opened(path: Path) -> BinaryIO:
    """Open a file, and nothing that would be waited for or never ends."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ValueError("it is not a regular file; standard input takes pipes")
    return path.open("rb")


def _read_standard_input() -> bytes:
    # A program that was started with an open pipe for its input, and nobody to close it, would seem to hang.
    hint = Timer(3, note, ["reading standard input; it goes on when that ends (Ctrl-D, or start with </dev/null)"])
    hint.daemon = True
    hint.start()
    try:
        return sys.stdin.buffer.read(_MAX_BYTES + 1)
    finally:
        hint.cancel()


def _attachment(name: str, data: bytes) -> Attachment:
    if len(data) > _MAX_BYTES:
        raise click.UsageError(f"{name} is too large: more than {_MAX_BYTES:,} bytes.")
    media_type = mimetypes.guess_type(name)[0] or ""
    if media_type.startswith("image/") and media_type != "image/svg+xml":
        return Attachment(name=name, content=BinaryContent(data, media_type=media_type))
    if is_binary(data):
        raise click.UsageError(f"{name} is a binary file, neither text nor an image.")
    try:
        return Attachment(name=name, content=checked(data.decode("utf-8-sig"), name))
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{name} is not UTF-8 text ({error.reason} at byte {error.start:,}).") from error
