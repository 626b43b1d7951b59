"""Counts: exact where they can be, made once, bounded from above, and never by way of the network."""

import asyncio
import copy
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiktoken
import toktok
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_ai import Agent
from pydantic_ai.messages import (
    BinaryContent,
    InstructionPart,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.native_tools import WebSearchTool
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.tools import ToolDefinition

from mamba_agents._internal.chat.convert import dicts_to_model_messages
from mamba_agents.tokens import TokenCounter, TokenizerConfig
from mamba_agents.tokens.config import Encoding
from mamba_agents.tokens.encodings import tiktoken_cache_file, tiktoken_tokenizer
from tests.tokens.vocabulary import write_vocabulary

KEY = "_mamba_agents_known"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|endofprompt|>", "<|fim_middle|>", "<|start|>", "<|return|>"]
TEXTS = st.one_of(
    st.text(),
    st.text("aA1 \n\t'sß—中文🙂\u0958"),
    st.lists(st.sampled_from([*SPECIAL, "hello", " world", "\n\n", "12345", "’s", "ΑΒΓ", "العربية"])).map("".join),
)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a count opened a connection")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    return tmp_path


def conversation(turns: int = 3) -> list[ModelMessage]:
    messages: list[ModelMessage] = [ModelRequest(parts=[SystemPromptPart("Be brief."), UserPromptPart("Go on.")])]
    for turn in range(turns):
        call = ToolCallPart("look", {"page": turn}, tool_call_id=f"c{turn}")
        messages += [
            ModelResponse(parts=[ThinkingPart("Hm."), TextPart(f"Turn {turn}"), call]),
            ModelRequest(parts=[ToolReturnPart("look", ["found", turn], f"c{turn}"), UserPromptPart("And then?")]),
        ]
    return messages


def parameters(**changes: Any) -> ModelRequestParameters:
    """New objects around the same schema, as pydantic-ai makes them for each request."""
    tool = ToolDefinition(name="look", description="Looks at a page.", parameters_json_schema=SCHEMA)
    return replace(ModelRequestParameters(function_tools=[tool]), **changes)


SCHEMA: dict[str, Any] = {"type": "object", "properties": {"page": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("encoding", "models"),
    {
        "o200k_base": (
            "gpt-5 gpt-5-mini gpt-5.2-codex gpt-4.1 gpt-4.1-nano gpt-4.5-preview gpt-4o gpt-4o-mini-2024-07-18 GPT-4o "
            "chatgpt-4o-latest o1 o1-pro o3-mini o4-mini openai:gpt-5 openai-chat:o3 azure:gpt-4o openai/gpt-4o:free "
            "openrouter:openai/gpt-5-mini ft:gpt-4o-mini-2024-07-18:acme::abc openai:ft:gpt-4o:acme::abc gpt-realtime"
        ),
        "cl100k_base": (
            "gpt-4 gpt-4-turbo gpt-4-0613 gpt-3.5-turbo gpt-35-turbo text-embedding-3-small text-embedding-ada-002 "
            "davinci-002 openai:gpt-4 ft:gpt-3.5-turbo-0613:acme::1 openai/gpt-4-turbo"
        ),
        "o200k_harmony": "gpt-oss-20b gpt-oss:120b ollama:gpt-oss:20b openai/gpt-oss-120b openai.gpt-oss-120b-1:0",
        "qwen3.5": "qwen3.5-9b Qwen/Qwen3.5-35B-A3B ollama:qwen3.5:9b",
    }.items(),
)
def test_the_name_of_a_known_model_tells_its_exact_encoding(encoding: str, models: str) -> None:
    counter = TokenCounter()
    assert {model: counter.get_encoding_for_model(model) for model in models.split()} == dict.fromkeys(
        models.split(), encoding
    )
    assert all(counter.is_exact(model) for model in models.split())
    assert {TokenCounter(model=model).get_encoding_for_model(None) for model in models.split()} == {encoding}


def test_the_table_agrees_with_the_one_of_tiktoken(empty_cache: Path) -> None:
    counter = TokenCounter()
    for model, encoding in tiktoken.model.MODEL_TO_ENCODING.items():
        if "similarity" in model or "search" in model:
            continue  # embeddings that were withdrawn in 2024
        expected = {"gpt2": "r50k_base", "p50k_edit": "p50k_base"}.get(encoding, encoding)
        assert (model, counter.get_encoding_for_model(model)) == (model, expected)
    for prefix, encoding in tiktoken.model.MODEL_PREFIX_TO_ENCODING.items():
        model = prefix + ("x" if prefix.endswith("-") else ":acme")
        assert (model, counter.get_encoding_for_model(model)) == (model, encoding)


@pytest.mark.parametrize(
    "model",
    [
        "claude-opus-4-5",
        "anthropic:claude-sonnet-4-5",
        "google:gemini-3-pro",
        "llama3.2:3b",
        "local",
        "",
        "foo1",
        "o5x",
    ],
)
def test_an_unknown_model_is_counted_with_the_default_and_not_exact(model: str) -> None:
    counter = TokenCounter()
    assert counter.get_encoding_for_model(model) == "o200k_base"
    assert not counter.is_exact(model)
    assert not counter.is_exact()


def test_what_the_settings_say_of_a_model_is_believed() -> None:
    counter = TokenCounter(TokenizerConfig(model_mapping={"mine": "cl100k_base"}))
    assert counter.is_exact("azure:mine")
    forced = TokenCounter(TokenizerConfig(encoding="cl100k_base"))
    assert forced.is_exact("gpt-4")
    assert not forced.is_exact("gpt-4o"), "its own vocabulary is another one"
    assert not forced.is_exact("mine")
    assert not TokenCounter().is_exact("qwen2.5-coder"), "another vocabulary of the same maker"


@pytest.fixture(scope="module", params=["cl100k_base", "o200k_base"])
def reference(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """OpenAI's own tokenizer, which checks the vocabulary file by its hash, and our counter beside it."""
    with pytest.MonkeyPatch.context() as patch:
        write_vocabulary(request.param, tmp_path_factory.mktemp("vocabulary"), patch)
        yield tiktoken.get_encoding(request.param), TokenCounter(TokenizerConfig(encoding=request.param))


@settings(deadline=None)  # the first example loads a vocabulary
@given(texts=st.lists(TEXTS, max_size=8))
def test_counts_are_those_of_tiktoken(reference: tuple[tiktoken.Encoding, TokenCounter], texts: list[str]) -> None:
    vocabulary, counter = reference
    expected = [len(vocabulary.encode_ordinary(text)) for text in texts]
    assert [counter.count(text) for text in texts] == counter.count_batch(texts) == expected


@pytest.mark.parametrize("encoding", ["o200k_base", "o200k_harmony", "cl100k_base", "qwen3.5"])
def test_many_texts_are_counted_as_one_by_one(encoding: Encoding) -> None:
    counter = TokenCounter(TokenizerConfig(encoding=encoding))
    texts = [f"{'line ' * (number % 50)}{number} <|endoftext|> 中文 \ud800" for number in range(700)]
    assert counter.count_batch(texts) == [counter.count(text) for text in texts]
    long = ["a word or two " * 160_000, "\udfff" * 10]
    assert counter.count_batch(long) == [counter.count(text) for text in long]
    assert counter.count_batch([]) == []


@pytest.mark.parametrize("encoding", ["p50k_base", "r50k_base"])
def test_a_vocabulary_that_is_not_there_is_estimated_and_learns(
    encoding: Encoding, empty_cache: Path, no_network: None
) -> None:
    counter = TokenCounter(TokenizerConfig(model_mapping={"old": encoding}), model="old")
    assert counter.get_encoding_for_model(None) == encoding
    assert counter.count("a" * 401) == 101
    assert counter.count("中" * 10) == 20
    assert counter.count_batch(["a" * 8, ""]) == [2, 0]
    assert not counter.is_exact()
    counter.calibrate(None, counted=1_000, reported=1_200)
    assert counter.count("a" * 400) == 120
    assert list(empty_cache.iterdir()) == []


def test_tiktoken_is_used_where_it_has_the_file_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    path = write_vocabulary("cl100k_base", tmp_path, monkeypatch)
    tokenizer = tiktoken_tokenizer("cl100k_base")
    assert tokenizer is not None
    assert tokenizer.is_exact
    texts = ["hello world", "<|endoftext|> 中文", "\ud800"]
    assert tokenizer.count_batch(texts) == TokenCounter().count_batch(texts, "gpt-4")
    path.write_bytes(b"spoilt")
    assert tiktoken_tokenizer("cl100k_base") is None
    assert path.read_bytes() == b"spoilt"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert tiktoken_cache_file("cl100k_base") is tiktoken_tokenizer("cl100k_base") is None


def test_without_tiktoken_its_vocabularies_are_estimated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_vocabulary("cl100k_base", tmp_path, monkeypatch)
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    assert tiktoken_tokenizer("cl100k_base") is None


def test_nothing_is_loaded_or_opened_before_it_is_needed(tmp_path: Path) -> None:
    code = """
import sys, socket
def refuse(*args, **kwargs): raise SystemExit("a count opened a connection")
socket.getaddrinfo = socket.socket.connect = refuse
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models import ModelRequestParameters
from mamba_agents.tokens import TokenCounter
counter, messages = TokenCounter(model="gpt-4o"), [ModelRequest.user_text_prompt("hello world")]
assert counter.upper_bound(messages) >= 6 and counter.upper_bound_parameters(ModelRequestParameters()) >= 3
assert counter.is_exact() and counter.factor() == 1.0
counter.calibrate(None, counted=100, reported=100)
loaded = {"toktok", "tiktoken"} & set(sys.modules)
assert not loaded, loaded
assert counter.count_messages(messages) == 6 and counter.count("hello world", "text-davinci-003") == 3
assert "toktok" in sys.modules and "tiktoken" not in sys.modules
"""
    environment = {"TIKTOKEN_CACHE_DIR": str(tmp_path), "PYTHONPATH": ":".join(filter(None, sys.path))}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_the_history_of_an_agent_is_counted(no_network: None) -> None:
    seen: list[AgentInfo] = []

    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.append(info)
        return ModelResponse(parts=[TextPart("done") if len(messages) > 1 else ToolCallPart("look", {"page": 1})])

    agent = Agent(FunctionModel(model), instructions="Be brief.", tools=[look])
    messages = asyncio.run(agent.run("Look at page one.")).all_messages()
    counter = TokenCounter(model="gpt-4o")
    counts = counter.message_counts(messages)
    assert len(counts) == 4
    assert counter.count_messages(messages) == sum(counts) <= counter.upper_bound(messages)
    first, second = (counter.count_request_parameters(info.model_request_parameters) for info in seen)
    assert first == second > counter.count("Be brief.") + counter.count("look")


def look(page: int) -> str:
    """Look at a page."""
    return f"page {page}"


def test_a_message_is_tokenised_once_in_its_life(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenised: list[str] = []
    truncate: Callable[..., tuple[str, int]] = toktok.truncate

    def recording(text: str, *rest: Any) -> tuple[str, int]:
        tokenised.append(text)
        return truncate(text, *rest)

    monkeypatch.setattr(toktok, "truncate", recording)
    messages = conversation()
    counter = TokenCounter(model="gpt-4o")
    counts = counter.message_counts(messages)
    first = len(tokenised)
    assert first > len(messages)
    assert counter.message_counts(messages) == counts
    assert TokenCounter(model="gpt-5").count_messages(messages) == sum(counts), "by any counter of this encoding"
    assert len(tokenised) == first
    messages.append(ModelRequest.user_text_prompt("One more."))
    assert counter.message_counts(messages)[:-1] == counts
    assert tokenised[first:] == ["One more."]
    counter.message_counts(messages, "gpt-4")
    assert len(tokenised) == 2 * (first + 1), "another encoding counts for itself"
    assert counter.message_counts(messages)[:-1] == counts


def test_without_the_cache_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    messages = conversation()
    counter = TokenCounter(TokenizerConfig(cache_tokenizer=False), model="gpt-4o")
    counts, bound = counter.message_counts(messages), counter.upper_bound(messages)
    assert not any(KEY in vars(message) for message in messages)
    kept = TokenCounter(model="gpt-4o")
    assert (kept.message_counts(messages), kept.upper_bound(messages)) == (counts, bound)
    assert all(KEY in vars(message) for message in messages)

    changing = {"type": "object", "title": "a"}
    tool = ToolDefinition(name="look", parameters_json_schema=changing)
    before = counter.count_request_parameters(ModelRequestParameters(function_tools=[tool]))
    changing["title"] = "a very much longer title than before"
    assert counter.count_request_parameters(ModelRequestParameters(function_tools=[tool])) > before


def test_a_message_with_other_parts_is_counted_anew() -> None:
    counter = TokenCounter(model="gpt-4o")
    parts: list[Any] = [UserPromptPart("hello world")]
    message = ModelRequest(parts=parts)
    assert (counter.count_messages([message]), counter.upper_bound([message])) == (6, 27)
    parts.append(UserPromptPart("hello world"))
    assert (counter.count_messages([message]), counter.upper_bound([message])) == (12, 54)
    message.parts = [UserPromptPart("hello"), UserPromptPart("you")]
    assert (counter.count_messages([message]), counter.upper_bound([message])) == (10, 40)
    assert counter.count_messages([replace(message, parts=[UserPromptPart("hi")])]) == 5


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), replace])
def test_what_is_kept_on_a_message_changes_nothing_else(copied: Callable[[ModelMessage], ModelMessage]) -> None:
    counter = TokenCounter(model="gpt-4o")
    for known in conversation():
        fresh = replace(known, parts=list(known.parts))
        dumped, shown = ModelMessagesTypeAdapter.dump_json([known]), repr(known)
        count, bound = counter.count_messages([known]), counter.upper_bound([known])
        assert known == fresh
        assert ModelMessagesTypeAdapter.dump_json([known]) == dumped
        assert repr(known) == shown
        assert ModelMessagesTypeAdapter.validate_json(dumped) == [known]
        assert ModelMessagesTypeAdapter.validate_python([known]) == [known]
        again = copied(known)
        assert again == known
        assert (counter.count_messages([again]), counter.upper_bound([again])) == (count, bound)


def test_chat_dicts_are_counted_as_the_messages_they_tell() -> None:
    dicts = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hello world"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "found"},
    ]
    counter = TokenCounter()
    assert counter.count_messages(dicts) == counter.count_messages(dicts_to_model_messages(dicts)) > 30
    assert counter.count_messages([]) == 0


@pytest.mark.parametrize(
    ("dicts", "message"),
    [
        ([{"role": "user", "content": "a"}, {"content": "b"}], r"Chat message 1.*role"),
        ([{"role": "wizard", "content": "a"}], r"Chat message 0.*wizard"),
        (
            [{"role": "user", "content": "a"}, ModelRequest.user_text_prompt("b")],
            r"mixed, a dict first and as message 1 a ModelRequest",
        ),
    ],
)
def test_a_dict_that_is_no_chat_message_is_named(dicts: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TokenCounter().count_messages(dicts)


FILES = st.builds(BinaryContent, st.binary(max_size=60), media_type=st.sampled_from(["image/png", "text/csv", "a/b"]))
CONTENT = st.one_of(TEXTS, st.none(), st.lists(st.one_of(TEXTS, FILES, st.integers())), st.dictionaries(TEXTS, TEXTS))
REQUEST_PARTS = st.one_of(
    st.builds(UserPromptPart, TEXTS),
    st.builds(UserPromptPart, st.lists(st.one_of(TEXTS, FILES), max_size=3)),
    st.builds(SystemPromptPart, TEXTS),
    st.builds(ToolReturnPart, TEXTS, CONTENT, TEXTS),
)
RESPONSE_PARTS = st.one_of(
    st.builds(TextPart, TEXTS),
    st.builds(ThinkingPart, TEXTS, signature=st.one_of(st.none(), TEXTS)),
    st.builds(ToolCallPart, TEXTS, st.one_of(st.none(), TEXTS, st.dictionaries(TEXTS, TEXTS)), TEXTS),
)
MESSAGES = st.lists(
    st.one_of(
        st.builds(ModelRequest, st.lists(REQUEST_PARTS, max_size=4)),
        st.builds(ModelResponse, st.lists(RESPONSE_PARTS, max_size=4)),
    ),
    max_size=6,
)


@settings(deadline=None)  # the first example loads a vocabulary
@given(MESSAGES, st.sampled_from(["gpt-4o", "gpt-4", "gpt-oss-20b", "text-davinci-003"]))
def test_the_bound_is_above_every_count_and_both_add_up(messages: list[ModelMessage], model: str) -> None:
    counter = TokenCounter(model=model)
    bound = counter.upper_bound(messages)
    counts = counter.message_counts(messages)
    assert bound == counter.upper_bound(messages) == sum(counter.upper_bound([message]) for message in messages)
    assert all(count <= counter.upper_bound([message]) for message, count in zip(messages, counts, strict=True))
    assert counts == [counter.count_messages([message]) for message in messages]
    anew = TokenCounter(TokenizerConfig(cache_tokenizer=False), model=model)
    assert anew.message_counts(copy.deepcopy(messages)) == counts


def test_raw_counts_leave_the_factor_out() -> None:
    counter, messages = TokenCounter(model="claude-opus-4-5"), conversation()
    counts, request = counter.message_counts(messages), counter.count_request_parameters(parameters())
    counter.calibrate(None, counted=1_000, reported=2_000)
    assert counter.message_counts(messages) == [2 * count for count in counts]
    assert counter.message_counts(messages, raw=True) == counts
    assert counter.count_messages(messages) == 2 * counter.count_messages(messages, raw=True) == 2 * sum(counts)
    assert counter.count_request_parameters(parameters()) == 2 * request
    assert counter.count_request_parameters(parameters(), raw=True) == request


def test_a_request_counts_its_instructions_tools_and_output() -> None:
    counter = TokenCounter(model="gpt-4o")
    alone = counter.count_request_parameters(ModelRequestParameters())
    assert alone == 3
    one = counter.count_request_parameters(parameters())
    assert one == alone + 8 + sum(map(counter.count, ["look", "Looks at a page.", PLAIN_SCHEMA]))
    brief = parameters(instruction_parts=[InstructionPart("Be brief."), InstructionPart("Be kind.")])
    assert counter.count_request_parameters(brief) == one + 6
    output = OutputObjectDefinition(json_schema=SCHEMA, name="look", description="Looks at a page.")
    assert counter.count_request_parameters(parameters(output_object=output)) - one == one - alone
    assert counter.count_request_parameters(parameters(native_tools=[WebSearchTool()])) == one + 350
    extra = ToolDefinition(name="look", description="Looks at a page.", parameters_json_schema=dict(SCHEMA))
    assert counter.count_request_parameters(parameters(output_tools=[extra])) - one == one - alone


PLAIN_SCHEMA = '{"type":"object","properties":{"page":{"type":"integer"}}}'


def test_a_tool_that_the_model_cannot_see_yet_costs_nothing() -> None:
    counter = TokenCounter(model="gpt-4o")
    hidden = ToolDefinition(name="look", parameters_json_schema=SCHEMA, defer_loading=True)
    later = ModelRequestParameters(function_tools=[hidden])
    assert counter.count_request_parameters(later) == 3
    shown = replace(later, revealed_tool_names={"look"})
    assert counter.count_request_parameters(shown) > 3
    assert counter.upper_bound_parameters(shown) > counter.upper_bound_parameters(later)


@settings(deadline=None)  # the first example loads a vocabulary
@given(
    st.lists(st.tuples(TEXTS, st.one_of(st.none(), TEXTS), st.dictionaries(TEXTS, TEXTS)), max_size=4),
    st.lists(TEXTS, max_size=3),
)
def test_the_bound_of_a_request_is_above_its_count(tools: list[Any], instructions: list[str]) -> None:
    counter = TokenCounter(model="gpt-4o")
    request = ModelRequestParameters(
        function_tools=[ToolDefinition(name=n, description=d, parameters_json_schema=s) for n, d, s in tools],
        instruction_parts=[InstructionPart(text) for text in instructions],
    )
    count, bound = counter.count_request_parameters(request), counter.upper_bound_parameters(request)
    assert count <= bound
    assert (counter.count_request_parameters(request), counter.upper_bound_parameters(request)) == (count, bound)


def test_instructions_that_change_at_each_request_are_not_kept_for_ever() -> None:
    counter = TokenCounter(model="gpt-4o")
    for number in range(3_000):
        counter.count_request_parameters(parameters(instruction_parts=[InstructionPart(f"It is {number}.")]))
    assert len(counter._requests._counts) <= 1_024


def test_threads_count_alike() -> None:
    messages = conversation(100)
    counter = TokenCounter(model="gpt-4o")
    expected = TokenCounter(TokenizerConfig(cache_tokenizer=False), model="gpt-4o").message_counts(messages)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: counter.message_counts(messages), range(32)))
        bounds = set(pool.map(lambda _: counter.upper_bound(messages), range(32)))
    assert all(counts == expected for counts in found)
    assert len(bounds) == 1
