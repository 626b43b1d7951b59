"""OpenAI's vocabulary files, written from those inside toktok: byte by byte the files that tiktoken would download."""

import base64
from pathlib import Path

import pytest
from toktok._toktok import Tokenizer

from mamba_agents.tokens.config import Encoding
from mamba_agents.tokens.encodings import tiktoken_cache_file


def write_vocabulary(encoding: Encoding, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the file where tiktoken looks for it, with `folder` as its cache."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
    path = tiktoken_cache_file(encoding)
    assert path is not None
    tokens = enumerate(Tokenizer(encoding, "").token_byte_values())
    path.write_bytes(b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in tokens))
    return path
