"""Half of a surrogate pair, from a file name that is not UTF-8 or a text that was cut, leaves a history exportable."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import (
    BinaryImage,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    NativeToolReturnPart,
    RetryFeedbackPart,
    RetryInfo,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.usage import RequestUsage

from mamba_agents import Agent
from mamba_agents.agent import dicts_to_model_messages, model_messages_to_dicts
from tests.agent.test_message_export import retry_prompt
from tests.helpers import call, reply, returned, script

HALF = "a\ud800b"
MARKS = "\ufdd0\ufdd1"


@dataclass
class File:
    name: str
    size: int = 5


def said(part: Any) -> str:
    """What the tool message of a result says."""
    message = ModelResponse([part]) if isinstance(part, NativeToolReturnPart) else ModelRequest([part])
    return model_messages_to_dicts([message])[0]["content"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"name": HALF}, {"name": HALF}),
        ({HALF: [HALF, 1, None, True]}, {HALF: [HALF, 1, None, True]}),
        ([{"deep": [{"deeper": HALF}]}], [{"deep": [{"deeper": HALF}]}]),
        (File(HALF), {"name": HALF, "size": 5}),
        ({"files": (File(HALF),)}, {"files": [{"name": HALF, "size": 5}]}),
        ({"name": "\udcff\ud83d\ude00", "nan": float("nan")}, {"name": "\udcff😀", "nan": None}),  # two halves are one
        ({"name": "äé€😀" + HALF}, {"name": "äé€😀" + HALF}),
        ({"raw": b"\xff", "name": HALF}, {"raw": "_w==", "name": HALF}),
    ],
)
def test_a_result_is_json_that_is_read_back_as_it_was(content: Any, expected: Any) -> None:
    for part in (ToolReturnPart("look", content, "c1"), NativeToolReturnPart("look", content, "c1")):
        text = said(part)
        assert text.encode().decode() == text
        assert json.loads(text) == expected
        assert MARKS not in text


def test_arguments_are_json_that_is_read_back_as_it_was() -> None:
    history: list[ModelMessage] = [call("look", {"name": HALF, HALF: [1]})]
    chat = model_messages_to_dicts(history)
    arguments = chat[0]["tool_calls"][0]["function"]["arguments"]
    assert arguments == '{"name":"a\\ud800b","a\\ud800b":[1]}'
    [back] = dicts_to_model_messages(chat)
    assert isinstance(back.parts[0], ToolCallPart)
    assert back.parts[0].args == arguments
    assert json.loads(arguments) == {"name": HALF, HALF: [1]}
    assert history[0].parts[0].args == {"name": HALF, HALF: [1]}


def test_text_stays_as_it_is_and_what_wraps_it_is_escaped() -> None:
    assert said(ToolReturnPart("look", HALF, "c1")) == HALF
    assert said(ToolReturnPart("look", Path(HALF), "c1")) == HALF
    assert said(ToolReturnPart("look", HALF, "c1", outcome="failed")) == '{"error":"a\\ud800b"}'
    failed = said(ToolReturnPart("look", {"name": HALF}, "c1", outcome="failed"))
    assert json.loads(json.loads(failed)["error"]) == {"name": HALF}


def test_errors_of_retries_and_results_with_files_are_exported_too() -> None:
    errors: Any = [{"type": "missing", "loc": ("name",), "msg": HALF, "input": {"name": HALF}}]
    assert '"msg": "a\\ud800b"' in said(retry_prompt(content=errors, tool_name="look", tool_call_id="c1"))
    assert '"msg":"a\\ud800b"' in said(RetryFeedbackPart(errors, retry=RetryInfo("validation_error")))
    image = BinaryImage(b"x", media_type="image/png")
    result, files = model_messages_to_dicts([returned("draw", [{"name": HALF}, image])])
    told, reference = json.loads(result["content"])
    assert (json.loads(told), image.identifier in reference) == ({"name": HALF}, True)
    assert {"type": "image_url", "image_url": {"url": image.data_uri}} in files["content"]


def test_what_was_exported_is_the_same_after_a_way_there_and_back() -> None:
    history = [call("look", {"name": HALF}), returned("look", {"name": HALF}), returned("look", HALF)]
    chat = model_messages_to_dicts(history)
    assert json.loads(json.dumps(chat)) == chat
    assert model_messages_to_dicts(dicts_to_model_messages(chat)) == chat


@pytest.mark.anyio
async def test_a_run_whose_tool_gives_such_names_shows_its_messages() -> None:
    # With usage, since pydantic-ai cannot estimate it for such arguments.
    asks = replace(call("look", {"name": HALF}), usage=RequestUsage(input_tokens=5))
    agent = Agent(script(asks, replace(reply("Seen."), usage=RequestUsage(input_tokens=9))))

    @agent.tool_plain
    def look(name: str) -> dict[str, str]:
        return {"found": name}

    await agent.run("Look.")
    _, asked, answered, _ = agent.get_messages()
    assert json.loads(asked["tool_calls"][0]["function"]["arguments"]) == {"name": HALF}
    assert json.loads(answered["content"]) == {"found": HALF}


def test_what_is_no_json_at_all_is_named_with_its_message() -> None:
    history = [call("look"), returned("look", {"found": object()})]
    with pytest.raises(
        ValueError, match=r"Message 1: found what is no JSON in a ToolReturnPart .*object.*, expected text"
    ):
        model_messages_to_dicts(history)
