import json
from dataclasses import replace

import pytest
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
)

from mamba_agents.context.compaction import SelectivePruningStrategy
from mamba_agents.context.compaction.receipts import RECEIPT_KEY, is_receipt
from mamba_agents.tokens import TokenCounter, TokenizerConfig
from tests.context.compaction.laws import COUNTER, holds_its_laws
from tests.helpers import call, reply, returned, user

pytestmark = pytest.mark.anyio

LINES = "\n".join(f"line {number} of a rather long file" for number in range(80))


def strategy() -> SelectivePruningStrategy:
    return SelectivePruningStrategy(token_counter=COUNTER)


def read(path: str, call_id: str, text: str = LINES, **more: object) -> list[ModelMessage]:
    return [call("read_file", {"path": path, **more}, call_id), returned("read_file", text, call_id)]


def result_of(message: ModelMessage) -> ToolReturnPart:
    [part] = message.parts
    assert isinstance(part, ToolReturnPart)
    return part


def blanked(messages: list[ModelMessage]) -> list[int]:
    return [
        index
        for index, message in enumerate(messages)
        if any(isinstance(part, ToolReturnPart) and is_receipt(part) for part in message.parts)
    ]


async def pruned(history: list[ModelMessage], below: int, preserve_recent: int = 0) -> list[ModelMessage]:
    """The history, brought `below` so many tokens under what it has."""
    return (await strategy().compact(history, COUNTER.count_messages(history) - below, preserve_recent)).messages


def test_laws_hold_for_two_thousand_histories() -> None:
    holds_its_laws(strategy())


async def test_chat_dicts_come_back_as_chat_dicts() -> None:
    history = [
        {"role": "user", "content": "read it"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "read_file", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": LINES},
        {"role": "assistant", "content": "I see"},
        {"role": "user", "content": "and now?"},
    ]
    result = await strategy().compact(history, 100)
    assert [message["role"] for message in result.messages] == ["user", "assistant", "tool", "assistant", "user"]
    assert "left out to save space" in str(result.messages[2]["content"])
    again = await strategy().compact(result.messages, 1)
    assert again.messages == result.messages, "a receipt is known as one after it lost its mark"


async def test_a_receipt_says_what_was_there_and_how_to_get_it_back() -> None:
    history = [user("look"), *read("a.py", "c1"), user("and now?")]
    result = await strategy().compact(history, 100)
    part = result_of(result.messages[2])
    tokens = COUNTER.message_counts(history)[2]
    assert part.content == (
        f"[read_file(path='a.py') gave 80 lines, {tokens:,} tokens; left out to save space. It began: "
        "line 0 of a rather long file. Call it again to see them.]"
    )
    assert part.metadata == {RECEIPT_KEY: True}
    assert part.tool_call_id == "c1"


async def test_a_tool_whose_name_does_not_say_that_it_only_reads_is_called_again_with_care() -> None:
    history = [user("go"), call("run_tests", {"suite": "all"}), returned("run_tests", LINES), user("and now?")]
    result = await strategy().compact(history, 100)
    content = str(result_of(result.messages[2]).content)
    assert content.startswith("[run_tests(suite='all') gave ")
    assert content.endswith("Call it again if that changes nothing.]")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("all well\n" * 80, " gave 80 lines, "),
        ("all well\n" * 79 + "all well", " gave 80 lines, "),
        ("one long line " * 40 + "\n", " gave 133 tokens; left out to save space. Call it again"),
        ("\n\n  all well\nand so on" * 20, "It began: all well. Call it again"),
        ("All is well!\nAnd so on." * 20, "It began: All is well! Call it again"),
        (" \n\t" * 300, "; left out to save space. Call it again"),
    ],
)
async def test_a_receipt_counts_lines_and_keeps_its_sentences_apart(text: str, said: str) -> None:
    history = [user("look"), *read("a.py", "c1", text), user("and now?")]
    assert said in str(result_of((await strategy().compact(history, 1)).messages[2]).content)


async def test_metadata_of_an_application_stays_beside_the_mark() -> None:
    history = [user("look"), *read("a.py", "c1"), user("and now?")]
    result_of(history[2]).metadata = {"shown": True}
    result = await strategy().compact(history, 100)
    assert result_of(result.messages[2]).metadata == {"shown": True, RECEIPT_KEY: True}


async def test_what_was_read_again_goes_before_what_is_older() -> None:
    history = [user("look"), *read("old.py", "c1"), *read("a.py", "c2"), *read("a.py", "c3"), user("and now?")]
    result = await pruned(history, 50)
    assert blanked(result) == [4]
    assert "A later call gave it anew." in str(result_of(result[4]).content)


@pytest.mark.parametrize(("more", "first"), [({"encoding": "utf-8"}, 4), ({"offset": 10}, 2)])
async def test_a_call_with_more_arguments_gives_anew_unless_they_narrow_it(more: dict[str, object], first: int) -> None:
    history = [user("look"), *read("x", "c1"), *read("a.py", "c2"), *read("a.py", "c3", **more), user("and now?")]
    assert blanked(await pruned(history, 50)) == [first]


@pytest.mark.parametrize(
    ("first", "again", "blank"),
    [
        ({"path": "a", "depth": 2}, {"depth": 2, "path": "a"}, 4),
        ({"path": "a"}, '{"path": "a"}', 4),
        ('{"path": "a", "depth": 2}', '{"depth": 2, "path": "a"}', 4),
        ({"paths": ["a"]}, {"paths": ["a"]}, 4),
        ({"paths": ["a"]}, {"paths": ["b"]}, 2),
        ('{"path": "a', '{"path": "a', 4),
        ({"path": "a"}, {"path": "b"}, 2),
    ],
    ids=str,
)
async def test_calls_are_the_same_whatever_form_their_arguments_have(
    first: dict[str, object] | str, again: dict[str, object] | str, blank: int
) -> None:
    old, others = read("old.py", "c1"), [call("list", args, str(at)) for at, args in enumerate((first, again))]
    history = [user("look"), *old, others[0], returned("list", LINES, "0"), others[1], returned("list", LINES, "1")]
    assert blanked(await pruned([*history, user("and now?")], 50)) == [blank]


async def test_results_of_one_message_give_each_other_nothing_anew() -> None:
    twice = ModelResponse(parts=[ToolCallPart("list", {}, tool_call_id=each) for each in ("c2", "c3")])
    given = ModelRequest(parts=[ToolReturnPart("list", LINES, tool_call_id=each) for each in ("c2", "c3")])
    history = [user("look"), *read("old.py", "c1"), twice, given, user("and now?")]
    assert blanked(await pruned(history, 50)) == [2]


async def test_a_later_call_that_failed_gives_nothing_anew() -> None:
    failed = ModelRequest(parts=[ToolReturnPart("read_file", "no such file", tool_call_id="c3", outcome="failed")])
    history = [user("look"), *read("x", "c1"), *read("a.py", "c2"), call("read_file", {"path": "a.py"}, "c3"), failed]
    assert blanked(await pruned([*history, user("and now?")], 50)) == [2]


async def test_the_oldest_go_first_and_only_as_many_as_needed() -> None:
    history = [user("look"), *read("a", "c1"), *read("b", "c2"), *read("c", "c3"), user("and now?")]
    assert blanked(await pruned(history, 50)) == [2]
    assert blanked(await pruned(history, COUNTER.message_counts(history)[2])) == [2, 4]


async def test_recent_turns_are_spared_while_that_is_enough() -> None:
    history = [user("one"), *read("a", "c1"), reply("ok"), user("two"), *read("b", "c2"), reply("ok"), user("now?")]
    assert blanked(await pruned(history, 50, preserve_recent=2)) == [2]
    assert blanked(await pruned(history, 700, preserve_recent=2)) == [2, 6]
    assert blanked(await pruned(history, 50, preserve_recent=9)) == [2]


async def test_the_newest_exchange_is_never_blanked() -> None:
    history = [user("look"), *read("a", "c1"), *read("b", "c2")]
    result = await strategy().compact(history, 1)
    assert blanked(result.messages) == [2]
    assert not result.reached_target
    assert result.removed_count == 0


async def test_small_failed_and_typed_results_and_those_with_files_stay() -> None:
    image = BinaryContent(data=b"x" * 100, media_type="image/png")
    odd = [
        ToolReturnPart("a", "short", tool_call_id="c0"),
        ToolReturnPart("a", LINES, tool_call_id="c1", outcome="failed"),
        ToolReturnPart("a", LINES, tool_call_id="c2", tool_kind="of-mine"),
        ToolReturnPart("a", [LINES, image], tool_call_id="c3"),
    ]
    calls = ModelResponse(parts=[ToolCallPart("a", {}, tool_call_id=part.tool_call_id) for part in odd])
    history = [user("go"), calls, ModelRequest(parts=odd), user("and now?")]
    result = await strategy().compact(history, 1)
    assert result.messages == history


def calibrated() -> TokenCounter:
    counter = TokenCounter(model="of-my-own")
    for _ in range(20):
        counter.calibrate(None, counted=1_000, reported=1_337)
    return counter


@pytest.mark.parametrize("counter", [TokenCounter(TokenizerConfig(cache_tokenizer=False)), calibrated()])
async def test_figures_are_the_counters_also_where_it_keeps_none_or_scales_them(counter: TokenCounter) -> None:
    calls = ModelResponse(parts=[ToolCallPart("list", {"at": each}, tool_call_id=each) for each in ("c2", "c3")])
    given = ModelRequest(parts=[ToolReturnPart("list", LINES, tool_call_id=each) for each in ("c2", "c3")])
    history = [user("look"), *read("a.py", "c1"), calls, given, user("and now?")]
    result = await SelectivePruningStrategy(token_counter=counter).compact(history, 1)
    assert blanked(result.messages) == [2, 4]
    assert result.tokens_after == counter.count_messages([replace(message) for message in result.messages])


async def test_a_receipt_is_not_pruned_again() -> None:
    history = [user("look"), *read("a.py", "c1"), user("and now?")]
    once = await strategy().compact(history, 1)
    twice = await strategy().compact(once.messages, 1)
    assert twice.messages == once.messages


@pytest.mark.parametrize("as_text", [False, True])
async def test_long_arguments_of_old_calls_go_last_and_stay_readable(*, as_text: bool) -> None:
    args: dict[str, object] = {"path": "a.py", "text": LINES}
    history = [
        user("write"),
        call("write_file", json.dumps(args) if as_text else args, "c1"),
        returned("write_file", "ok", "c1"),
        user("and now?"),
    ]
    result = await strategy().compact(history, 120)
    [part] = result.messages[1].parts
    assert isinstance(part, ToolCallPart)
    assert isinstance(part.args, str) is as_text
    assert part.args_as_dict()["path"] == "a.py"
    assert str(part.args_as_dict()["text"]).startswith("[80 lines, ")
    assert result.reached_target


async def test_arguments_stay_where_thinking_or_a_provider_signed_the_call() -> None:
    thought = ThinkingPart("hm", signature="signed", provider_name="anthropic")
    made = ToolCallPart("write_file", {"text": LINES}, tool_call_id="c1")
    signed = ToolCallPart("write_file", {"text": LINES}, tool_call_id="c2", provider_details={"thought_signature": "x"})
    history: list[ModelMessage] = [
        user("write"),
        ModelResponse(parts=[thought, made]),
        returned("write_file", "ok", "c1"),
        ModelResponse(parts=[signed]),
        returned("write_file", "ok", "c2"),
        user("and now?"),
    ]
    result = await strategy().compact(history, 1)
    assert result.messages == history
