"""Counting messages of 400 characters, against tiktoken with the same vocabulary."""

import base64
import os
import random
import tempfile
from collections.abc import Iterator
from itertools import batched, cycle
from pathlib import Path

import tiktoken
from toktok._toktok import Tokenizer  # pyright: ignore[reportMissingTypeStubs]

from benchmarks.timing import Ratio, compare_sync
from mamba_agents.tokens import TokenCounter
from mamba_agents.tokens.encodings import tiktoken_cache_file

_CHARACTERS = 400
_ONE_BY_ONE, _IN_BULK = 100, 1_000


def counting(calls: int) -> list[Ratio]:
    """One by one and in bulk; each call gets texts that neither has seen before."""
    vocabulary, counter = _tiktoken("o200k_base"), TokenCounter(model="gpt-4o")
    texts = _texts(calls * _ONE_BY_ONE)
    assert counter.count_batch(texts) == [len(ids) for ids in vocabulary.encode_ordinary_batch(texts)]
    return [_one_by_one(vocabulary, counter, texts, calls), _in_bulk(vocabulary, counter, texts, max(5, calls // 10))]


def _one_by_one(vocabulary: tiktoken.Encoding, counter: TokenCounter, texts: list[str], calls: int) -> Ratio:
    theirs, ours = _turns(texts, _ONE_BY_ONE), _turns(texts, _ONE_BY_ONE)

    def bare() -> None:
        for text in next(theirs):
            len(vocabulary.encode_ordinary(text))

    def mamba() -> None:
        for text in next(ours):
            counter.count(text)

    return compare_sync("100 texts of 400 characters, one by one", bare, mamba, calls=calls, target=1 / 5)


def _in_bulk(vocabulary: tiktoken.Encoding, counter: TokenCounter, texts: list[str], calls: int) -> Ratio:
    theirs, ours = _turns(texts, _IN_BULK), _turns(texts, _IN_BULK)

    def bare() -> None:
        [len(ids) for ids in vocabulary.encode_ordinary_batch(next(theirs), num_threads=os.cpu_count() or 1)]

    def mamba() -> None:
        counter.count_batch(next(ours))

    return compare_sync("1,000 texts of 400 characters, in bulk", bare, mamba, calls=calls, target=1 / 10)


def _turns(texts: list[str], size: int) -> Iterator[list[str]]:
    """Give other texts at each call, and the same ones to both sides of a comparison."""
    return cycle(list(group) for group in batched(texts, size))


def _texts(count: int) -> list[str]:
    """Pieces of this project's own documents and code, the same ones on each run."""
    root = Path(__file__).parents[1]
    files = sorted([*root.glob("docs/**/*.md"), *root.glob("src/**/*.py"), *root.glob("tests/**/*.py")])
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)
    starts = random.Random(1)
    return [source[at : at + _CHARACTERS] for at in (starts.randrange(len(source)) for _ in range(count))]


def _tiktoken(encoding: str) -> tiktoken.Encoding:
    """Tiktoken without its download: the vocabulary in toktok is, byte by byte, the file whose hash it checks."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TIKTOKEN_CACHE_DIR"] = folder
        path = tiktoken_cache_file(encoding)
        assert path is not None
        tokens = enumerate(Tokenizer(encoding, "").token_byte_values())
        path.write_bytes(b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in tokens))
        return tiktoken.get_encoding(encoding)
