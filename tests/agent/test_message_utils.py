"""Chat dicts become history and come out as they went in; history becomes chat dicts that a history can be made of."""

import base64
import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_ai import Agent
from pydantic_ai.messages import (
    BinaryImage,
    CachePoint,
    CompactionPart,
    FilePart,
    ImageUrl,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

from mamba_agents.agent.message_utils import dicts_to_model_messages, model_messages_to_dicts
from tests.helpers import call, reply, script

type Chat = list[dict[str, Any]]


def through_json(messages: list[ModelMessage]) -> list[ModelMessage]:
    return ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json(messages))


def as_json(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def calls(*arguments: str) -> list[dict[str, Any]]:
    return [
        {"id": f"c{n}", "type": "function", "function": {"name": "look", "arguments": text}}
        for n, text in enumerate(arguments, start=1)
    ]


texts = st.text(max_size=12)
data = st.binary(max_size=8).map(lambda raw: base64.b64encode(raw).decode())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
extras = st.dictionaries(
    st.sampled_from(["name", "index", "cache_control", "annotations", "of"]), json_values, max_size=2
)
names = st.none() | texts
call_ids = st.sampled_from(["c1", "c2", "c3", ""])


def shape(required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Dicts of a shape, with keys of the server's own beside it."""
    return st.builds(lambda own, known: own | known, extras, st.fixed_dictionaries(required, optional=optional))


def typed(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return shape({"type": st.just(kind), **fields})


addresses = st.just("https://x.y/a.png") | st.builds(
    "data:{};base64,{}".format,
    st.sampled_from(["image/png", "audio/wav", "video/mp4", "", "a;b=c"]),
    data | st.just("?"),
)
media = shape({"url": texts | addresses}, detail=st.sampled_from(["auto", "low"]))
audio = shape({"data": data | addresses, "format": st.sampled_from(["wav", "mp3", "mpeg", "opus"])})
file_data = data | addresses | st.builds("data:application/pdf;base64,{}".format, data)
files = shape({"file_id": texts}, filename=texts) | shape({"file_data": file_data}, filename=st.just("a.pdf") | texts)
text_parts = typed("text", text=texts)
user_parts = st.one_of(
    text_parts,
    typed("image_url", image_url=media),
    typed("audio_url", audio_url=media),
    typed("video_url", video_url=media),
    typed("input_audio", input_audio=audio),
    typed("file", file=files),
)
assistant_parts = text_parts | typed("refusal", refusal=texts)
functions = shape({"name": texts, "arguments": st.sampled_from(["{}", '{ "a" :1}', '{"a": ', "", "null"]) | texts})
tool_calls = shape({"id": call_ids, "function": functions}, type=st.just("function"))


def one_of_lists(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return texts | st.lists(parts, max_size=3)


assistant_optional = {
    "name": names,
    "refusal": names,
    "reasoning_content": names,
    "tool_calls": st.none() | st.lists(tool_calls, max_size=3),
}
chats = st.lists(
    st.one_of(
        shape({"role": st.sampled_from(["system", "developer"]), "content": one_of_lists(text_parts)}, name=names),
        shape({"role": st.just("user"), "content": one_of_lists(user_parts)}, name=names),
        shape(
            {"role": st.just("assistant"), "content": st.none() | one_of_lists(assistant_parts)}, **assistant_optional
        ),
        shape({"role": st.just("assistant"), "tool_calls": st.lists(tool_calls, min_size=1, max_size=2)}),
        st.builds(
            lambda message, name: message | name,
            shape({"role": st.just("tool"), "tool_call_id": call_ids, "content": one_of_lists(text_parts)}),
            st.fixed_dictionaries({"name": names}),
        ),
    ),
    max_size=6,
)


@settings(deadline=None, max_examples=300)
@given(chats)
def test_chat_messages_come_out_as_they_went_in_also_through_storage(chat: Chat) -> None:
    before = copy.deepcopy(chat)
    messages = dicts_to_model_messages(chat)
    assert chat == before
    # As JSON text, since Python takes True for 1.
    assert as_json(model_messages_to_dicts(messages)) == as_json(chat)
    assert as_json(model_messages_to_dicts(through_json(messages))) == as_json(chat)


request_parts = st.one_of(
    st.builds(SystemPromptPart, texts, scope=st.sampled_from(["conversation", "request"])),
    st.builds(UserPromptPart, texts),
    st.builds(
        UserPromptPart,
        st.lists(
            st.one_of(
                texts,
                st.just(CachePoint()),
                st.builds(ImageUrl, texts),
                st.builds(BinaryImage, st.binary(max_size=8), media_type=st.just("image/png")),
            ),
            max_size=3,
        ),
    ),
    st.builds(ToolReturnPart, texts, json_values, call_ids, outcome=st.sampled_from(["success", "failed", "retried"])),
    st.builds(ToolReturnPart, texts, st.just(BinaryImage(b"x", media_type="image/png")), call_ids),
    st.builds(CompactionPart, names),
)
call_arguments = st.none() | texts | st.dictionaries(texts, json_values, max_size=2)
response_parts = st.one_of(
    st.builds(TextPart, texts),
    st.builds(ThinkingPart, texts),
    st.builds(ToolCallPart, texts, call_arguments, call_ids),
    st.builds(NativeToolCallPart, texts, call_arguments, call_ids),
    st.builds(NativeToolReturnPart, texts, json_values, call_ids),
    st.builds(CompactionPart, names),
    st.just(FilePart(BinaryImage(b"x", media_type="image/png"))),
)
histories = st.lists(
    st.one_of(
        st.builds(ModelRequest, st.lists(request_parts, max_size=3), instructions=names),
        st.builds(
            ModelResponse,
            st.lists(response_parts, max_size=5),
            provider_details=st.none() | st.fixed_dictionaries({"refusal": texts}),
        ),
    ),
    max_size=6,
)


@settings(deadline=None, max_examples=300)
@given(histories)
def test_chat_messages_made_of_a_history_make_a_history_that_says_the_same(history: list[ModelMessage]) -> None:
    chat = model_messages_to_dicts(history)
    assert json.loads(json.dumps(chat)) == chat
    assert model_messages_to_dicts(dicts_to_model_messages(chat)) == chat


@settings(deadline=None)
@given(histories)
def test_all_that_was_said_is_in_the_chat_messages(history: list[ModelMessage]) -> None:
    said = json.dumps(model_messages_to_dicts(history))
    for part in (part for message in history for part in message.parts):
        if isinstance(part, TextPart | ThinkingPart) or (
            isinstance(part, UserPromptPart) and isinstance(part.content, str)
        ):
            assert json.dumps(part.content)[1:-1] in said
        if isinstance(part, ToolCallPart | NativeToolCallPart) and isinstance(part.args, str):
            assert json.dumps(part.args)[1:-1] in said


@pytest.mark.parametrize(
    "chat",
    [
        pytest.param(
            [{"role": "assistant", "content": None, "tool_calls": calls("{}")}], id="content None beside calls"
        ),
        pytest.param([{"role": "assistant", "content": "", "tool_calls": calls("{}")}], id="content '' beside calls"),
        pytest.param([{"role": "assistant", "tool_calls": calls("{}")}], id="no content beside calls"),
        pytest.param([{"role": "assistant", "content": "", "tool_calls": calls('{ "a" : 1 }')}], id="odd whitespace"),
        pytest.param([{"role": "assistant", "content": None, "tool_calls": calls('{"a": ')}], id="invalid arguments"),
        pytest.param([{"role": "user", "content": [{"type": "text", "text": "Hi"}]}], id="list content"),
        pytest.param([{"role": "developer", "content": "Hi"}], id="developer"),
        pytest.param([{"role": "user", "content": "A"}, {"role": "user", "content": "B"}], id="user after user"),
        pytest.param([{"role": "assistant", "content": "A"}, {"role": "assistant", "content": "B"}], id="two answers"),
        pytest.param([{"role": "tool", "tool_call_id": "c9", "content": "x"}], id="result without call"),
        pytest.param([{"role": "user", "content": "A"}, {"role": "system", "content": "B"}], id="system in the middle"),
        pytest.param([{"role": "user", "content": "A", "name": "bob"}], id="name"),
    ],
)
def test_details_that_differ_are_kept_apart(chat: Chat) -> None:
    assert model_messages_to_dicts(through_json(dicts_to_model_messages(chat))) == chat


def test_a_chat_becomes_the_history_a_run_would_have_made() -> None:
    messages = dicts_to_model_messages(
        [
            {"role": "system", "content": "Be kind"},
            {"role": "user", "content": "Look twice"},
            {"role": "assistant", "content": None, "reasoning_content": "Hm", "tool_calls": calls('{"a":1}', "{}")},
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "tool", "tool_call_id": "c2", "content": "two"},
            {"role": "assistant", "content": "Seen"},
        ]
    )
    assert [[part.part_kind for part in message.parts] for message in messages] == [
        ["system-prompt", "user-prompt"],
        ["thinking", "tool-call", "tool-call"],
        ["tool-return", "tool-return"],
        ["text"],
    ]
    results = messages[2].parts
    assert [(part.tool_name, part.content) for part in results] == [("look", "one"), ("look", "two")]
    assert all(message.metadata is None for message in messages)


def test_an_image_given_as_data_becomes_bytes_a_model_of_any_provider_takes() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}
    [message] = dicts_to_model_messages([{"role": "user", "content": [image]}])
    assert message.parts[0].content == [
        BinaryImage(b"\0\0\0", media_type="image/png", vendor_metadata={"detail": "low"})
    ]


def test_a_message_changed_after_it_was_read_says_what_it_says_now() -> None:
    listed = [{"type": "text", "text": "The code is "}, {"type": "text", "text": "1234"}]
    messages = dicts_to_model_messages(
        [{"role": "developer", "content": listed, "name": "bob"}, {"role": "assistant", "content": "", "n": 1}]
    )
    messages[1].parts = [TextPart("Fine")]
    for text in ("Redacted", "It is redacted now"):
        messages[0].parts[0].content = text
        assert "1234" not in str(through_json(messages))
        assert [message["content"] for message in model_messages_to_dicts(messages)] == [text, "Fine"]


def test_a_prompt_made_shorter_after_it_was_read_says_what_it_says_now() -> None:
    cached = {"type": "text", "text": "Secret", "cache_control": {"type": "ephemeral"}}
    messages = dicts_to_model_messages([{"role": "user", "content": [cached]}, {"role": "user", "content": [cached]}])
    messages[0].parts[0].content = "Redacted"
    messages[0].parts[1].content = []
    assert [message["content"] for message in model_messages_to_dicts(messages)] == ["Redacted", []]


def test_a_part_added_after_it_was_read_leaves_no_name_on_the_wrong_message() -> None:
    messages = dicts_to_model_messages([{"role": "user", "content": "A", "name": "bob"}])
    messages[0].parts = [UserPromptPart("B"), *messages[0].parts]
    assert model_messages_to_dicts(messages) == [{"role": "user", "content": "B"}, {"role": "user", "content": "A"}]


def test_what_is_read_shares_nothing_with_what_was_given_or_what_comes_out() -> None:
    given: Chat = [{"role": "user", "content": "A", "own": {"list": [1]}}]
    messages = dicts_to_model_messages(given)
    given[0]["own"]["list"].append(2)
    first: Any = model_messages_to_dicts(messages)
    first[0]["own"]["list"].append(3)
    assert model_messages_to_dicts(messages) == [{"role": "user", "content": "A", "own": {"list": [1]}}]


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ("hello", "Chat message 1: found str, expected a valid dictionary"),
        ({"content": "x"}, "Chat message 1: found nothing, expected the key 'role'"),
        ({"role": "robot", "content": "x"}, "found 'role' 'robot', expected one of 'system', 'developer', 'user'"),
        ({"role": "user"}, "Chat message 1.content: found nothing, expected a value"),
        ({"role": "user", "content": None}, "1.content: found NoneType, expected a valid string or a valid list"),
        ({"role": "user", "content": 5}, "1.content: found int, expected a valid string or a valid list"),
        ({"role": "user", "content": ["x"]}, r"1.content\[0\]: found str, expected a valid dictionary"),
        ({"role": "user", "content": [{"type": "smell"}]}, r"1.content\[0\]: found 'type' 'smell', expected one of"),
        (
            {"role": "user", "content": [{"type": "file", "file": {}}]},
            "Chat message 1: .* expected file_id or file_data",
        ),
        (
            {"role": "user", "content": [{"type": "file", "file": {"file_data": "?"}}]},
            "Chat message 1: found data that is not base64",
        ),
        (
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "?", "format": "wav"}}]},
            "Chat message 1: found data that is not base64",
        ),
        ({"role": "system", "content": [{"type": "image_url"}]}, r"1.content\[0\].*expected 'text'|found nothing"),
        ({"role": "assistant"}, r"Chat message 1: found .* only the keys \['role'\], expected content, tool_calls"),
        (
            {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function"}]},
            r"1.tool_calls\[0\].function: found nothing, expected a value",
        ),
        (
            {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": {}}}]},
            r"1.tool_calls\[0\].function.arguments: found dict, expected a valid string",
        ),
        ({"role": "tool", "content": "x"}, "1.tool_call_id: found nothing, expected a value"),
        ({"role": "user", "content": "x", "own": b"x"}, "1.own: found bytes, expected a valid JSON value"),
        ({"role": "user", "content": "x", "own": float("nan")}, "1.own: found float, expected a finite number"),
    ],
)
def test_what_is_not_a_chat_message_is_refused_with_its_place_and_what_was_expected(bad: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        dicts_to_model_messages([{"role": "user", "content": "fine"}, bad])


def test_a_complaint_shows_no_value() -> None:
    with pytest.raises(ValueError, match="found dict") as caught:
        dicts_to_model_messages([{"role": "user", "content": {"password": "hunter2"}}])
    assert "hunter2" not in str(caught.value)


@pytest.mark.anyio
async def test_a_run_goes_on_from_a_chat_with_tool_calls() -> None:
    seen: list[ModelMessage] = []

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.extend(messages)
        return reply("Still 7")

    chat: Chat = [
        {"role": "developer", "content": "Be exact"},
        {"role": "user", "content": "How many?", "name": "bob"},
        {"role": "assistant", "content": "", "tool_calls": calls('{ "a":1}', '{"a": ')},
        {"role": "tool", "tool_call_id": "c1", "content": "7"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "error"}]},
        {"role": "assistant", "content": "7"},
    ]
    result = await Agent(FunctionModel(respond)).run("Sure?", message_history=dicts_to_model_messages(chat))
    assert [part.part_kind for message in seen for part in message.parts] == [
        *["system-prompt", "user-prompt", "tool-call", "tool-call"],
        *["tool-return", "tool-return", "text", "user-prompt"],
    ]
    after = [{"role": "user", "content": "Sure?"}, {"role": "assistant", "content": "Still 7"}]
    assert model_messages_to_dicts(result.all_messages()) == [*chat, *after]


@pytest.mark.anyio
async def test_a_run_is_seen_as_the_chat_it_was() -> None:
    agent = Agent(script(call("add", {"a": 1, "b": 2}), "3"), instructions="Be exact")

    @agent.tool_plain
    def add(a: int, b: int) -> dict[str, int]:
        return {"sum": a + b}

    result = await agent.run("1 + 2?")
    function = {"name": "add", "arguments": '{"a":1,"b":2}'}
    assert model_messages_to_dicts(result.all_messages()) == [
        {"role": "system", "content": "Be exact"},
        {"role": "user", "content": "1 + 2?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call-1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "call-1", "content": '{"sum":3}'},
        {"role": "assistant", "content": "3"},
    ]
