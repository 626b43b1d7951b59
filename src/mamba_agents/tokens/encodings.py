"""Which vocabulary a model reads with, and the tokenizers that count by it. Nothing here touches the network."""

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from mamba_agents.tokens.config import Encoding

DEFAULT_ENCODING: Encoding = "o200k_base"

_WHOLE = 1 << 40  # more tokens than any text has, so that nothing is cut

# toktok's batch call costs some 25 µs before the first text, and 80 µs more with a thread for each core. Measured on
# two cores on 2026-11-24: from about 100 texts on it is as fast as a call for each, and threads pay above 2 MB.
_BATCH_TEXTS = 100
_THREADS_CHARACTERS = 2_000_000
_ALL_CORES, _ONE_THREAD = 0, 1

# OpenAI's rule of thumb is four characters of English a token (help.openai.com, "What are tokens", read 2026-11-24).
# The old vocabularies cut other scripts into one or two tokens a character of two or three bytes.
ASCII_BYTES_PER_TOKEN = 4.0
OTHER_BYTES_PER_TOKEN = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingChoice:
    """The vocabulary a model's text is counted with."""

    encoding: Encoding
    is_own: bool
    """Whether it is known to be the model's own."""


# By the names in tiktoken 0.14's model table (read 2026-11-24) and OpenAI's model list; the first that matches counts.
_MODELS: tuple[tuple[str, Encoding, bool], ...] = (
    (r"gpt-oss", "o200k_harmony", True),
    (r"gpt-5|gpt-4\.[15]|gpt-4o|chatgpt-4o|o[134](-|$)|codex-mini|computer-use-preview", "o200k_base", True),
    (r"gpt-(audio|realtime)", "o200k_base", True),
    (r"gpt-4(-|$)|gpt-3\.?5|text-embedding-(ada-002|3-)|(davinci|babbage)-002$", "cl100k_base", True),
    (r"text-davinci-00[23]|text-davinci-edit|code-(davinci|cushman)|(davinci|cushman)-codex", "p50k_base", True),
    (r"gpt-?2$|(text-)?(davinci|curie|babbage|ada)(-001)?$", "r50k_base", True),
    (r"qwen3\.5", "qwen3.5", True),
    # Qwen's other vocabularies are not this one, but cut numbers and Chinese as it does.
    (r"(qwen|qwq|qvq).", "qwen3.5", False),
)
_UNKNOWN = EncodingChoice(encoding=DEFAULT_ENCODING, is_own=False)


def encoding_of(model: str) -> EncodingChoice:
    """The vocabulary that the model's name tells, whichever provider or fine-tuning the name has around it."""
    for name in re.split(r"[:/]", model.lower()):
        bare = name.removeprefix("openai.")  # as Bedrock writes it
        for pattern, encoding, is_own in _MODELS:
            if re.match(pattern, bare):
                return EncodingChoice(encoding=encoding, is_own=is_own)
    return _UNKNOWN


class Tokenizer(Protocol):
    """Counts text by one vocabulary."""

    is_exact: bool
    """Whether the counts are the vocabulary's own, not an estimate of them."""

    def count(self, text: str) -> int:
        """The tokens of the text; what looks like a special token is text."""
        ...

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text, in order."""
        ...


def is_bundled(encoding: Encoding) -> bool:
    """Whether the vocabulary ships with toktok, so that it is always there."""
    return encoding in _TOKTOK_ENCODINGS


def load_tokenizer(encoding: Encoding) -> Tokenizer:
    """The best there is on this machine: exact from toktok, exact from what tiktoken has cached, or an estimate."""
    if is_bundled(encoding):
        return _ToktokTokenizer(encoding)
    return tiktoken_tokenizer(encoding) or EstimatingTokenizer()


_TOKTOK_ENCODINGS = frozenset({"cl100k_base", "o200k_base", "o200k_harmony", "qwen3.5"})


class _ToktokTokenizer:
    is_exact = True

    def __init__(self, encoding: Encoding) -> None:
        import toktok  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs] - loads a library of 8 MB

        self._encoding, self._truncate, self._batch_count = encoding, toktok.truncate, toktok.batch_count

    def count(self, text: str) -> int:
        try:
            return self._truncate(text, _WHOLE, self._encoding)[1]
        except UnicodeEncodeError:
            return self._truncate(_without_surrogates(text), _WHOLE, self._encoding)[1]

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        large = sum(map(len, texts)) >= _THREADS_CHARACTERS
        if len(texts) < _BATCH_TEXTS and not large:
            return [self.count(text) for text in texts]
        threads = _ALL_CORES if large else _ONE_THREAD
        try:
            return self._batch_count(texts, self._encoding, threads)
        except UnicodeEncodeError:
            return self._batch_count([_without_surrogates(text) for text in texts], self._encoding, threads)


class EstimatingTokenizer:
    """Counts by bytes, for a vocabulary that is not on this machine."""

    is_exact = False

    def count(self, text: str) -> int:
        """One token for four ASCII bytes or one and a half others, rounded up."""
        size = byte_length(text)
        ascii_size = len(text) if text.isascii() else sum(map(str.isascii, text))
        return -int(-(ascii_size / ASCII_BYTES_PER_TOKEN + (size - ascii_size) / OTHER_BYTES_PER_TOKEN) // 1)

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        """The estimate of each text, in order."""
        return [self.count(text) for text in texts]


def byte_length(text: str) -> int:
    """The bytes of the text as it is sent, of which a byte-pair token covers at least one."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _without_surrogates(text: str) -> str:
    """Lone surrogates cannot be sent; a question mark goes in their place."""
    return text.encode("utf-8", "replace").decode("utf-8")


# Address and SHA-256 of the vocabularies, as in tiktoken 0.14's `tiktoken_ext.openai_public` (read 2026-11-24).
_PUBLIC = "https://openaipublic.blob.core.windows.net/encodings/"
_TIKTOKEN_FILES: dict[str, tuple[str, str]] = {
    "cl100k_base": (
        _PUBLIC + "cl100k_base.tiktoken",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
    "o200k_base": (
        _PUBLIC + "o200k_base.tiktoken",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
    "p50k_base": (
        _PUBLIC + "p50k_base.tiktoken",
        "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
    ),
    "r50k_base": (
        _PUBLIC + "r50k_base.tiktoken",
        "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
    ),
}


def tiktoken_tokenizer(encoding: str) -> Tokenizer | None:
    """Tiktoken's tokenizer, if tiktoken is installed and has the very file of the vocabulary in its cache.

    Without it tiktoken would download the file, and delete one that is not as it should be.
    """
    path = tiktoken_cache_file(encoding)
    if path is None or not _holds(path, _TIKTOKEN_FILES[encoding][1]):
        return None
    try:
        return _TiktokenTokenizer(encoding)
    except ImportError:
        return None


def tiktoken_cache_file(encoding: str) -> Path | None:
    """Where tiktoken would keep the vocabulary; None when its cache is switched off."""
    default = str(Path(tempfile.gettempdir(), "data-gym-cache"))
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR", default))
    address = _TIKTOKEN_FILES[encoding][0]
    return Path(folder, hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()) if folder else None


def _holds(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


class _TiktokenTokenizer:
    is_exact = True

    def __init__(self, encoding: str) -> None:
        from tiktoken import Encoding as Vocabulary  # noqa: PLC0415 - an optional library of several MB
        from tiktoken_ext import openai_public  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]

        # Made here and not by `get_encoding`, which would keep the vocabulary for as long as the process runs.
        definition = cast("Callable[[], dict[str, Any]]", getattr(openai_public, encoding))
        self._vocabulary = Vocabulary(**definition())

    def count(self, text: str) -> int:
        return len(self._vocabulary.encode_ordinary(_without_surrogates(text)))

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        return [self.count(text) for text in texts]
