"""What is no history, or no chat, is refused with what was found, what may stand there and what to do."""

from typing import Any

import pytest

from mamba_agents import ContextManager, TokenCounter
from mamba_agents.agent import dicts_to_model_messages, model_messages_to_dicts
from mamba_agents.context import check_history
from tests.helpers import reply, user

ROLES = "'system', 'developer', 'user', 'assistant', 'tool'"
FINE = {"role": "user", "content": "fine"}


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ({"content": "x"}, f"found nothing, expected the key 'role' with one of {ROLES}"),
        ({}, f"found nothing, expected the key 'role' with one of {ROLES}"),
        ({"role": "robot", "content": "x"}, f"found 'role' 'robot', expected one of {ROLES}"),
        ({"role": None, "content": "x"}, f"found 'role' NoneType, expected one of {ROLES}"),
        ({"role": ["user"], "content": "x"}, f"found 'role' list, expected one of {ROLES}"),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_a_chat_message_without_a_role_is_told_which_there_are(
    message: dict[str, object], complaint: str, place: int
) -> None:
    chat = [FINE] * place + [message, {"content": "also wrong"}]
    for refused in (dicts_to_model_messages, ContextManager().add_messages, TokenCounter().count_messages):
        with pytest.raises(ValueError, match=complaint) as caught:
            refused(chat)
        assert str(caught.value).startswith(f"Chat message {place}: ")


@pytest.mark.parametrize(
    ("role", "kinds"),
    [
        ("user", "'text', 'image_url', 'audio_url', 'video_url', 'input_audio', 'file'"),
        ("assistant", "'text', 'refusal'"),
    ],
)
def test_a_piece_without_a_type_is_told_which_there_are(role: str, kinds: str) -> None:
    pieces = [{"type": "text", "text": "fine"}, {"text": "x"}]
    with pytest.raises(
        ValueError, match=rf"0.content\[1\]: found nothing, expected the key 'type' with one of {kinds}"
    ):
        dicts_to_model_messages([{"role": role, "content": pieces}])


def test_history_is_not_taken_for_chat_dicts() -> None:
    with pytest.raises(
        ValueError, match=r"Chat message 1: found ModelRequest, .* this is no chat dict but history already"
    ):
        dicts_to_model_messages([FINE, user("Hi")])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, "found NoneType as"),
        ("Hi", "found str as"),
        (b"Hi", "found bytes as"),
        (5, "found int as"),
        (object(), "found object as"),
        (FINE, "found dict as"),
        ({}, "found dict as"),
        (user("Hi"), "found ModelRequest as"),
        (reply("Hi"), "found ModelResponse as"),
    ],
)
def test_what_is_no_list_is_refused_by_all_that_take_one(given: Any, found: str) -> None:
    for take in (check_history, model_messages_to_dicts):
        with pytest.raises(TypeError, match=f"{found} the history; expected a list of messages"):
            take(given)
    with pytest.raises(TypeError, match=f"{found} chat messages; expected a list of dicts"):
        dicts_to_model_messages(given)
    if given is not None:
        with pytest.raises(TypeError, match=f"{found} the original history; expected a list of messages"):
            check_history([user("Hi")], original=given)


def test_a_single_one_is_told_to_be_put_into_a_list() -> None:
    for take in (check_history, model_messages_to_dicts):
        with pytest.raises(TypeError, match="expected a list of messages: put it into one"):
            take(user("Hi"))  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"expected a list of messages: turn chat dicts .* dicts_to_model_messages"):
            take(FINE)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected a list of dicts: put it into one"):
        dicts_to_model_messages(FINE)  # type: ignore[arg-type]


@pytest.mark.parametrize("item", [None, "Hi", FINE, [user("Hi")]])
def test_what_is_no_message_is_named_by_its_place(item: Any) -> None:
    found = f"found {type(item).__name__} as message 1; expected a ModelRequest or a ModelResponse"
    for take in (check_history, model_messages_to_dicts):
        with pytest.raises(TypeError, match=found):
            take([user("Hi"), item])


def test_messages_may_come_one_by_one() -> None:
    history = [user("Hi"), reply("Hello"), user("And?")]
    assert model_messages_to_dicts(iter(history)) == model_messages_to_dicts(history)  # type: ignore[arg-type]
    assert check_history(iter(history), original=iter(history)) == []  # type: ignore[arg-type]
