"""Counts."""

import pytest
from pydantic import ValidationError

from mamba_agents.tokens import TokenCounter, TokenizerConfig


def test_text_is_counted_with_openais_vocabularies() -> None:
    counter = TokenCounter()
    # Counted with OpenAI's tokenizer page, 2026-11: o200k and cl100k agree on plain English.
    assert counter.count("hello world") == 2
    assert counter.count("") == 0
    assert counter.get_encoding_for_model("gpt-4o") == "o200k_base"
    for model in ("gpt-4", "gpt-4-turbo", "gpt-3.5-turbo", "openai:gpt-4", "text-embedding-3-small"):
        assert counter.get_encoding_for_model(model) == "cl100k_base"


def test_what_looks_like_a_special_token_is_text() -> None:
    assert TokenCounter().count("<|endoftext|>") > 1


def test_a_lone_surrogate_is_counted_as_what_is_sent_for_it() -> None:
    assert TokenCounter().count("a \ud800 b") == TokenCounter().count("a ? b")


def test_the_encoding_can_be_set_for_all_or_for_a_model() -> None:
    assert TokenCounter(TokenizerConfig(encoding="cl100k_base")).get_encoding_for_model("gpt-4o") == "cl100k_base"
    mapped = TokenCounter(TokenizerConfig(model_mapping={"mine": "cl100k_base"}))
    assert mapped.get_encoding_for_model("mine") == mapped.get_encoding_for_model("any:mine") == "cl100k_base"
    text = "人工智能正在改变世界"
    counts = {TokenCounter(TokenizerConfig(encoding=name)).count(text) for name in ("cl100k_base", "o200k_base")}
    assert len(counts) == 2
    with pytest.raises(ValidationError, match="encoding"):
        TokenizerConfig(encoding="nonsense")  # type: ignore[arg-type]


def test_the_margin_is_on_top_and_decides_what_fits() -> None:
    counter = TokenCounter(TokenizerConfig(safety_margin=0.5))
    assert (counter.count("a b c"), counter.count_with_margin("a b c")) == (3, 5)
    assert counter.fits_context("a b c", 5)
    assert not counter.fits_context("a b c", 4)
