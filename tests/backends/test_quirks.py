"""Servers whose manners differ from OpenAI's. Some of these pydantic-ai smooths over; the tests keep it so."""

from collections.abc import AsyncIterable

import pytest
from pydantic_ai import Agent, AgentRunResult
from pydantic_ai.exceptions import AgentRunError, ModelAPIError, ModelHTTPError, ModelNotFoundError
from pydantic_ai.messages import TextPart, ThinkingPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models import Model
from tests.backends.server import USAGE, Answer, chunk, failure, serving, tool_call

from mamba_agents.backends import (
    ModelProfile,
    create_ollama_backend,
    create_openai_compatible_backend,
    register_profile,
)

pytestmark = pytest.mark.anyio
both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


async def ask(model: Model, *, streamed: bool, tools: bool = False) -> AgentRunResult[str]:
    agent = Agent(model)
    if tools:

        @agent.tool_plain
        def double(x: int) -> int:
            return 2 * x

        @agent.tool_plain
        def shout(word: str) -> str:
            return word.upper()

    return await agent.run("Go.", event_stream_handler=drain if streamed else None)


async def drain(context: object, events: AsyncIterable[object]) -> None:
    async for _ in events:
        pass


@both_ways
@pytest.mark.parametrize(
    ("answer", "kind", "status"),
    [
        (failure(404, {"error": "model 'x' not found"}), ModelNotFoundError, 404),
        (failure(404, "model 'x' not found"), ModelNotFoundError, 404),
        (failure(500, {"error": "model 'x' not found"}), ModelHTTPError, 500),
        (failure(500, "model 'x' not found"), ModelHTTPError, 500),
        (failure(400, {"error": {"message": "model 'x' not found"}}), ModelHTTPError, 400),
    ],
    ids=["json string", "plain text", "json string 500", "plain text 500", "json object"],
)
async def test_an_error_body_of_any_form_is_told(
    answer: Answer, kind: type[ModelHTTPError], status: int, streamed: bool
) -> None:
    with serving(answer) as server, pytest.raises(kind, match="model 'x' not found") as raised:
        await ask(create_ollama_backend("x", base_url=server.url, max_retries=0), streamed=streamed)

    assert raised.value.status_code == status


@both_ways
@pytest.mark.parametrize("error", ['"out of memory"', '{"message": "out of memory"}'])
async def test_an_error_sent_as_a_success_is_told(error: str, streamed: bool) -> None:
    told = "The server reported success and sent an error: out of memory"
    with serving(Answer(raw=f'{{"error": {error}}}')) as server, pytest.raises(ModelAPIError, match=told):
        await ask(create_ollama_backend("m", base_url=server.url), streamed=streamed)

    assert len(server.bodies) == 1


@both_ways
async def test_a_page_of_something_else_is_told(streamed: bool) -> None:
    page = Answer(raw="<html>Welcome</html>", content_type="text/html")
    told = "text/html in place of a stream" if streamed else "expected JSON data"
    with serving(page) as server, pytest.raises(AgentRunError, match=told):
        await ask(create_ollama_backend("m", base_url=server.url), streamed=streamed)


async def test_an_answer_without_choices_is_told() -> None:
    empty = Answer(raw='{"id": "1", "object": "chat.completion", "model": "m", "choices": []}')
    with serving(empty) as server, pytest.raises(ModelAPIError, match="The server sent an answer without choices"):
        await ask(create_ollama_backend("m", base_url=server.url), streamed=False)


@pytest.mark.parametrize("before", [[], [chunk({"content": "Once"})]], ids=["first", "later"])
@pytest.mark.parametrize("error", ["out of memory", {"message": "out of memory"}], ids=["string", "object"])
async def test_an_error_inside_a_stream_is_told(before: list[dict[str, object]], error: object) -> None:
    broken = Answer(chunks=[*before, {"error": error}])
    with serving(broken) as server, pytest.raises(ModelAPIError, match="out of memory") as raised:
        await ask(create_ollama_backend("m", base_url=server.url), streamed=True)

    assert raised.value.in_stream
    assert raised.value.body == error


@both_ways
async def test_missing_usage_is_said_to_be_missing(streamed: bool) -> None:
    with serving(Answer("Fine.", usage=None)) as server:
        result = await ask(create_ollama_backend("m", base_url=server.url), streamed=streamed)

    assert result.output.strip() == "Fine."
    assert result.usage.total_tokens == 0
    assert result.usage.unmeasured_requests == 1


async def test_chunks_with_null_usage_and_null_choices_are_passed_over() -> None:
    chunks = [
        chunk({"content": "a"}, usage=None),
        chunk({"content": "b"}, "stop", usage=None),
        {**chunk(usage=USAGE), "choices": None},
    ]
    with serving(Answer(chunks=chunks)) as server:
        result = await ask(create_ollama_backend("m", base_url=server.url), streamed=True)

    assert result.output == "ab"
    assert (result.usage.input_tokens, result.usage.output_tokens) == (7, 3)


@both_ways
@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
async def test_reasoning_becomes_a_thinking_part(name: str, streamed: bool) -> None:
    with serving(Answer("42", reasoning={name: "Six times seven."})) as server:
        result = await ask(create_openai_compatible_backend("m", base_url=server.url), streamed=streamed)

    thinking, text = result.response.parts
    assert isinstance(thinking, ThinkingPart)
    assert isinstance(text, TextPart)
    assert (thinking.content, text.content.strip()) == ("Six times seven.", "42")


def calls(result: AgentRunResult[str]) -> list[tuple[str, object]]:
    parts = [part for message in result.new_messages() for part in message.parts]
    return [(part.tool_name, part.args_as_dict()) for part in parts if isinstance(part, ToolCallPart)]


def returns(result: AgentRunResult[str]) -> list[object]:
    parts = [part for message in result.new_messages() for part in message.parts]
    return [part.content for part in parts if isinstance(part, ToolReturnPart)]


TWO_CALLS = [("double", {"x": 4}), ("shout", {"word": "hi"})]


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(
            [
                chunk({"tool_calls": [tool_call("double", '{"x": 4}')]}),
                chunk({"tool_calls": [tool_call("shout", '{"word": "hi"}', "call-2")]}),
            ],
            id="no index",
        ),
        pytest.param(
            [
                chunk({"tool_calls": [{"index": 0, **tool_call("double", '{"x": 4}')}]}),
                chunk({"tool_calls": [{"index": 0, **tool_call("shout", '{"word": "hi"}', "call-2")}]}),
            ],
            id="the same index for every call",
        ),
        pytest.param(
            [
                chunk({"tool_calls": [{"index": 0, "function": {"name": "double", "arguments": '{"x": 4}'}}]}),
                chunk({"tool_calls": [{"index": 1, "function": {"name": "shout", "arguments": '{"word": "hi"}'}}]}),
            ],
            id="no id",
        ),
        pytest.param(
            [
                chunk({"tool_calls": [{"index": 0, **tool_call("double", '{"x"')}]}),
                chunk({"tool_calls": [{"index": 0, "id": "call-9", "function": {"arguments": ": 4}"}}]}),
                chunk({"tool_calls": [{"index": 1, **tool_call("shout", '{"word": "hi"}', "call-2")}]}),
            ],
            id="another id in every piece",
        ),
        pytest.param(
            [
                chunk({"tool_calls": [{"index": 0, **tool_call("double", '{"x"')}]}),
                chunk({"tool_calls": [{"index": 0, **tool_call("", ": 4}")}]}),
                chunk({"tool_calls": [{"index": 0, **tool_call("shout", '{"word"', "call-2")}]}),
                chunk({"tool_calls": [{"index": 0, "function": {"arguments": ': "hi"}'}}]}),
            ],
            id="the same index, in pieces",
        ),
    ],
)
async def test_streamed_tool_calls_are_told_apart(chunks: list[dict[str, object]]) -> None:
    with serving(Answer(chunks=[*chunks, chunk({}, "tool_calls")]), Answer("Done.")) as server:
        result = await ask(create_ollama_backend("m", base_url=server.url), streamed=True, tools=True)

    assert calls(result) == TWO_CALLS
    assert returns(result) == [8, "HI"]
    assert result.output.strip() == "Done."


async def test_a_model_that_streams_no_tool_calls_is_asked_without_streaming() -> None:
    register_profile(ModelProfile(name="quiet-caller", streams_tool_calls=False))
    with serving(Answer(tool_calls=[tool_call("double", '{"x": 4}')]), Answer("Eight.")) as server:
        model = create_openai_compatible_backend("quiet-caller-7b", base_url=server.url)
        result = await ask(model, streamed=True, tools=True)

    assert calls(result) == [("double", {"x": 4})]
    assert result.output == "Eight."
    assert (result.usage.requests, result.usage.output_tokens, result.usage.cost) == (2, 6, 0)
    assert [body["stream"] for body in server.bodies] == [False, False]


async def test_a_model_that_streams_no_tool_calls_still_streams_its_text() -> None:
    register_profile(ModelProfile(name="quiet-caller", streams_tool_calls=False))
    with serving(Answer("Fine.")) as server:
        await ask(create_openai_compatible_backend("quiet-caller-7b", base_url=server.url), streamed=True)

    assert server.bodies[0]["stream"] is True


@both_ways
async def test_half_a_surrogate_pair_arrives_as_the_replacement_character(streamed: bool) -> None:
    handler = drain if streamed else None
    with serving(Answer("Fine.")) as server:
        agent = Agent(create_ollama_backend("m", base_url=server.url), instructions="Be \udc00 brief.")
        result = await agent.run("A \ud83d half, a \U0001f600 whole, a \0 NUL.", event_stream_handler=handler)

    assert result.output.strip() == "Fine."
    assert [message["content"] for message in server.bodies[0]["messages"]] == [
        "Be \ufffd brief.",
        "A \ufffd half, a \U0001f600 whole, a \0 NUL.",
    ]
