"""What cannot be counted is refused: found, expected, what to do."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic_ai.models.test import TestModel

from mamba_agents.tokens import TokenCounter, TokenizerConfig
from tests.helpers import reply, user

COUNTER: Any = TokenCounter()
"""Without its types, which refuse all of this before it runs."""

MODEL_IS_NO_NAME = "as model; expected its name as text"


@pytest.mark.parametrize(
    ("count", "found"),
    [
        (lambda: COUNTER.count(None), "found NoneType as text; expected text: count_messages counts messages"),
        (lambda: COUNTER.count([user("Hi.")]), "found list as text; expected text"),
        (lambda: COUNTER.count_with_margin(b"Hi."), "found bytes as text; expected text"),
        (lambda: COUNTER.count("Hi.", 5), f"found int {MODEL_IS_NO_NAME}"),
        (lambda: COUNTER.count("Hi.", ["gpt-4o"]), f"found list {MODEL_IS_NO_NAME}"),
        (lambda: COUNTER.count("Hi.", TestModel()), f"found TestModel {MODEL_IS_NO_NAME}: a Model has model_name"),
        (lambda: COUNTER.count_messages([], 5), f"found int {MODEL_IS_NO_NAME}"),
        (lambda: COUNTER.is_exact(0), f"found int {MODEL_IS_NO_NAME}"),
        (lambda: COUNTER.factor(5), f"found int {MODEL_IS_NO_NAME}"),
        (lambda: COUNTER.get_encoding_for_model(5), f"found int {MODEL_IS_NO_NAME}"),
        (lambda: COUNTER.count_batch("abc"), "found str as texts; expected a list of texts: put one into a list"),
        (lambda: COUNTER.count_batch(None), "found NoneType as texts; expected a list"),
        (lambda: COUNTER.count_batch(["a", None]), "found NoneType as one of the texts; expected text"),
        (lambda: COUNTER.fits_context("Hi.", None), r"found max_tokens=None \(NoneType\); expected a whole number"),
        (lambda: COUNTER.count_messages(None), "found NoneType as messages; expected a list of messages or of chat"),
        (lambda: COUNTER.count_messages("Hi."), "found str as messages; expected a list"),
        (lambda: COUNTER.count_messages(""), "found str as messages; expected a list"),
        (lambda: COUNTER.count_messages(user("Hi.")), "found ModelRequest as messages; .*: put it into one"),
        (lambda: COUNTER.count_messages({"role": "user"}), "found dict as messages; .*: put it into one"),
        (lambda: COUNTER.count_messages([None]), "found NoneType as message 0; expected a ModelRequest"),
        (lambda: COUNTER.message_counts(None), "found NoneType as messages; expected a list of ModelRequest"),
        (lambda: COUNTER.message_counts([None]), "found NoneType among the messages; expected ModelRequest"),
        (lambda: COUNTER.message_counts([{"role": "user"}]), "found dict among the messages; .* takes chat dicts too"),
        (lambda: COUNTER.upper_bound(None), "found NoneType as messages; expected a list of ModelRequest"),
        (lambda: COUNTER.upper_bound(["Hi."]), "found str among the messages; expected ModelRequest"),
        (lambda: COUNTER.upper_bound(["Hi."] * 9), "found str among the messages; expected ModelRequest"),
        (lambda: COUNTER.count_request_parameters(None), "found NoneType as parameters; expected ModelRequestPara"),
        (lambda: COUNTER.upper_bound_parameters({}), "found dict as parameters; expected ModelRequestParameters"),
        (
            lambda: COUNTER.calibrate("m", counted=100.5, reported=100),
            r"found counted=100.5 \(float\); expected",
        ),
        (lambda: COUNTER.calibrate("m", counted=100, reported=None), r"found reported=None \(NoneType\); expected"),
        (lambda: TokenCounter({}), "found dict as config; expected a TokenizerConfig"),  # type: ignore[arg-type]
        (lambda: TokenCounter("gpt-4o"), "found str as config; .*a model goes into TokenCounter.model="),  # type: ignore[arg-type]
        (lambda: TokenCounter(model=5), "found int as model; expected its name as text"),  # type: ignore[arg-type]
    ],
)
def test_what_is_of_another_type_is_refused_by_its_name(count: Callable[[], object], found: str) -> None:
    with pytest.raises(TypeError, match=found):
        count()


@pytest.mark.parametrize(
    ("count", "found"),
    [
        (lambda: COUNTER.fits_context("Hi.", -1), "found max_tokens=-1; expected 0 or more"),
        (lambda: COUNTER.calibrate("m", counted=-100, reported=100), "found counted=-100; expected 0 or more"),
        (lambda: COUNTER.calibrate("m", counted=100, reported=-100), "found reported=-100; expected 0 or more"),
    ],
)
def test_numbers_that_count_nothing_are_refused(count: Callable[[], object], found: str) -> None:
    with pytest.raises(ValueError, match=found):
        count()


def test_what_was_refused_teaches_nothing() -> None:
    counter = TokenCounter()
    with pytest.raises(ValueError, match="counted"):
        counter.calibrate("m", counted=-100, reported=10_000)
    assert counter.factor("m") == 1.0


def test_whatever_holds_messages_and_texts_in_an_order_is_counted() -> None:
    counter = TokenCounter(TokenizerConfig(cache_tokenizer=False))
    messages = [user("Hi."), reply("Hello.")]
    expected = counter.count_messages(messages)
    assert counter.count_messages(tuple(messages)) == sum(counter.message_counts(tuple(messages))) == expected
    assert counter.count_messages(message for message in messages) == expected  # type: ignore[arg-type]
    assert counter.count_batch(("a", "b c")) == counter.count_batch(["a", "b c"])
