"""Tool calls made from a constrained choice: by hand, through a FunctionModel, and on the embedded model."""

import json
from collections.abc import AsyncIterator
from typing import Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry, Tool
from pydantic_ai.exceptions import IncompleteToolCall, UnexpectedModelBehavior
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.function import AgentInfo, DeltaThinkingCalls, DeltaThinkingPart, FunctionModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings, ToolOrOutput
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from mamba_agents.backends import ConstrainedToolsModel, create_local_backend
from mamba_agents.backends.choice import TEXT, Choice, answer_text, call_text

type Said = tuple[list[ModelMessage], AgentInfo]

PROFILE = ModelProfile(supports_json_schema_output=True)
USAGE = RequestUsage(input_tokens=5, output_tokens=7)


def speaking(
    *replies: str, finish_reason: Literal["stop", "length"] = "stop", profile: ModelProfile = PROFILE
) -> tuple[ConstrainedToolsModel, list[Said]]:
    """A constrained model whose server gives these replies, and what it was asked."""
    asked: list[Said] = []
    queue = list(replies)

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.append((messages, info))
        return ModelResponse(parts=[TextPart(queue.pop(0))], usage=USAGE, finish_reason=finish_reason)

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        asked.append((messages, info))
        for character in queue.pop(0):
            yield character

    return ConstrainedToolsModel(FunctionModel(respond, stream_function=stream, profile=profile)), asked


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def greet(name: str) -> str:
    """Greet somebody."""
    return f"Hello {name}"


def schema_asked(said: Said) -> dict[str, object]:
    output = said[1].model_request_parameters.output_object
    assert output is not None
    return cast("dict[str, object]", output.json_schema)


def texts(messages: list[ModelMessage]) -> list[str]:
    return [
        "".join(item if isinstance(item, str) else "…" for item in part.content)
        for message in messages
        for part in message.parts
        if isinstance(part, TextPart | UserPromptPart)
    ]


CALL = '{"tool": "add", "arguments": {"a": 1, "b": 2}}'


@pytest.mark.anyio
async def test_a_chosen_tool_is_called_and_the_answer_is_plain_text() -> None:
    model, asked = speaking(CALL, '{"answer": "It is 3."}')
    result = await Agent(model, tools=[add, greet]).run("What is 1 + 2?")
    assert result.output == "It is 3."
    responses = [message for message in result.all_messages() if isinstance(message, ModelResponse)]
    call = responses[0].tool_calls[0]
    assert (call.tool_name, call.args) == ("add", {"a": 1, "b": 2})
    assert (responses[0].finish_reason, responses[0].usage) == ("tool_call", USAGE)
    assert not asked[0][1].function_tools
    assert texts(asked[1][0]) == ["What is 1 + 2?", call_text("add", {"a": 1, "b": 2}), "Result of add: 3"]


@pytest.mark.anyio
async def test_the_model_is_told_the_forms_it_may_write() -> None:
    model, asked = speaking('{"answer": "Hi"}')
    await Agent(model, tools=[add], instructions="Be brief.").run("Hi")
    assert asked[0][1].instructions == (
        "Be brief.\n\nReply with JSON, in one of these forms.\n"
        'Add two numbers. {"tool": "add", "arguments": {"a": <integer>, "b": <integer>}}\n'
        'Otherwise, answer the user. {"answer": <string>}'
    )


@pytest.mark.anyio
async def test_a_request_without_tools_passes_untouched() -> None:
    model, asked = speaking("plain words")
    assert (await Agent(model).run("Hi")).output == "plain words"
    assert asked[0][1].model_request_parameters.output_object is None
    assert asked[0][1].instructions is None


@pytest.mark.anyio
async def test_a_tool_that_asks_for_another_try_is_tried_again() -> None:
    def halve(n: int) -> int:
        if n % 2:
            raise ModelRetry("n must be even")
        return n // 2

    model, asked = speaking(
        '{"tool": "halve", "arguments": {"n": 3}}', '{"tool": "halve", "arguments": {"n": 4}}', '{"answer": "2"}'
    )
    assert (await Agent(model, tools=[halve]).run("Halve it")).output == "2"
    assert "n must be even" in texts(asked[1][0])[-1]


class Point(BaseModel):
    x: int
    y: int


@pytest.mark.anyio
async def test_with_output_tools_alone_there_is_no_plain_answer() -> None:
    model, asked = speaking('{"tool": "final_result", "arguments": {"x": 1, "y": 2}}')
    assert (await Agent(model, output_type=Point).run("Where?")).output == Point(x=1, y=2)
    assert '"answer"' not in json.dumps(schema_asked(asked[0]))


@pytest.mark.anyio
async def test_where_output_is_native_an_answer_has_its_schema() -> None:
    native = ModelProfile(supports_json_schema_output=True, default_structured_output_mode="native")
    model, asked = speaking(CALL, '{"answer": {"x": 3, "y": 4}}', profile=native)
    agent = Agent(model, tools=[add], output_type=Point)
    assert (await agent.run("Where?")).output == Point(x=3, y=4)
    assert "final_result" not in json.dumps(schema_asked(asked[0]))


def request_with(*tools: ToolDefinition) -> tuple[list[ModelMessage], ModelRequestParameters]:
    return [ModelRequest(parts=[UserPromptPart("Hi")])], ModelRequestParameters(function_tools=list(tools))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("choice", "offered"),
    [
        ("auto", {"add", "greet", "answer"}),
        ("required", {"add", "greet"}),
        (["add"], {"add"}),
        (ToolOrOutput(function_tools=["add"]), {"add", "answer"}),
    ],
)
async def test_tool_choice_decides_what_is_offered(choice: object, offered: set[str]) -> None:
    model, asked = speaking(CALL)
    messages, parameters = request_with(Tool(add).tool_def, Tool(greet).tool_def)
    await model.request(messages, cast("ModelSettings", {"tool_choice": choice}), parameters)
    options = cast("list[dict[str, dict[str, dict[str, str]]]]", schema_asked(asked[0])["anyOf"])
    assert {option["properties"].get("tool", {}).get("const", "answer") for option in options} == offered


@pytest.mark.anyio
async def test_tool_choice_none_leaves_a_plain_conversation() -> None:
    model, asked = speaking("plain words")
    agent = Agent(model, tools=[add], model_settings={"tool_choice": "none"})
    assert (await agent.run("Hi")).output == "plain words"
    assert asked[0][1].model_request_parameters.output_object is None


@pytest.mark.anyio
async def test_an_answer_cut_at_max_tokens_is_as_long_as_it_came() -> None:
    model, _ = speaking('{"answer": "It is a long', finish_reason="length")
    result = await Agent(model, tools=[add]).run("Hi")
    assert (result.output, result.response.finish_reason) == ("It is a long", "length")


@pytest.mark.anyio
@pytest.mark.parametrize("cut", ['{"tool": "add", "arguments": {"a": 1, "b', '{"tool": "add", "arguments": '])
async def test_a_call_cut_at_max_tokens_is_not_made(cut: str) -> None:
    model, asked = speaking(cut, cut, finish_reason="length")
    with pytest.raises(IncompleteToolCall, match="Increase the `max_tokens`"):
        await Agent(model, tools=[add], retries=1).run("Hi")
    assert texts(asked[1][0])[-1].startswith("Result of add: ")


@pytest.mark.anyio
async def test_a_call_that_is_whole_at_max_tokens_is_made() -> None:
    model, _ = speaking(CALL, finish_reason="length")
    messages, parameters = request_with(Tool(add).tool_def)
    response = await model.request(messages, None, parameters)
    assert response.tool_calls[0].args == {"a": 1, "b": 2}


@pytest.mark.anyio
@pytest.mark.parametrize("cut", ["", "{", '{"to', '{"tool": "ad', '{"tool": "add"', '{"answer": "'])
async def test_a_reply_cut_before_it_chose_says_so(cut: str) -> None:
    model, _ = speaking(cut, finish_reason="length")
    with pytest.raises(UnexpectedModelBehavior, match="Increase the `max_tokens`"):
        await Agent(model, tools=[add]).run("Hi")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "reply",
    [
        "Sure!",
        "[1]",
        '{"tool": "rm", "arguments": {}}',
        '{"words": 1}',
        '{"answer": "ha',
        '{"tool": "add", "arguments": [1]}',
    ],
)
async def test_a_server_that_ignores_the_schema_is_told_apart(reply: str) -> None:
    model, _ = speaking(reply)
    with pytest.raises(UnexpectedModelBehavior, match="must enforce response_format=json_schema"):
        await Agent(model, tools=[add]).run("Hi")


@pytest.mark.anyio
async def test_a_streamed_answer_comes_piece_by_piece() -> None:
    said = 'He said "Grüße" \\ \n😀 {"tool": 1}'
    model, _ = speaking(json.dumps({"answer": said}))
    async with Agent(model, tools=[add]).run_stream("Hi") as stream:
        pieces = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]
    assert "".join(pieces) == said
    assert len(pieces) > 10
    assert stream.response.parts == [TextPart(said)]
    assert stream.response.usage.output_tokens > 0


@pytest.mark.anyio
async def test_a_streamed_call_is_made_like_any_other() -> None:
    model, _ = speaking(CALL, '{"answer": "It is 3."}')
    async with Agent(model, tools=[add]).run_stream("What is 1 + 2?") as stream:
        assert await stream.get_output() == "It is 3."
    kinds = [part.part_kind for message in stream.all_messages() for part in message.parts]
    assert kinds == ["user-prompt", "tool-call", "tool-return", "text"]


@pytest.mark.anyio
async def test_a_stream_can_be_cancelled() -> None:
    model, _ = speaking('{"answer": "One two three"}')
    async with Agent(model, tools=[add]).run_stream("Hi") as stream:
        await anext(stream.stream_text(delta=True, debounce_by=None))
        await stream.cancel()
    assert stream.response.state == "interrupted"


@pytest.mark.anyio
async def test_thoughts_stay_beside_the_choice() -> None:
    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[ThinkingPart("Hm."), TextPart('{"answer": "Yes"}')])

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaThinkingCalls]:
        yield {0: DeltaThinkingPart(content="Hm.")}
        yield '{"answer": "Yes"}'

    agent = Agent(ConstrainedToolsModel(FunctionModel(respond, stream_function=stream, profile=PROFILE)), tools=[add])
    expected = [ThinkingPart("Hm."), TextPart("Yes")]
    assert (await agent.run("Hi")).response.parts == expected
    async with agent.run_stream("Hi") as streamed:
        await streamed.get_output()
    assert streamed.response.parts == expected


class Node(BaseModel):
    name: str
    children: list["Node"] = []


@pytest.mark.anyio
async def test_a_cut_document_is_not_taken_for_a_whole_one() -> None:
    class Note(BaseModel):
        text: str
        tags: list[str] = []

    native = ModelProfile(supports_json_schema_output=True, default_structured_output_mode="native")
    model, _ = speaking('{"answer": {"text": "a", "ta', finish_reason="length", profile=native)
    with pytest.raises(UnexpectedModelBehavior, match=r"output retries|token limit"):
        await Agent(model, tools=[add], output_type=Note, retries=0).run("Note it")


def test_an_answers_definitions_do_not_meet_a_tools() -> None:
    schema = {"type": "object", "properties": {"x": {"$ref": "#/$defs/add"}}, "$defs": {"add": {"type": "boolean"}}}
    definitions = Choice(tools=[Tool(add).tool_def], answer=schema).schema["$defs"]
    assert set(cast("dict[str, object]", definitions)) == {"add", ".answer", ".answer.add"}


def test_definitions_of_two_tools_do_not_meet() -> None:
    def grow(node: Node) -> None:
        """Grow."""

    other = {"type": "object", "properties": {"node": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": {"type": "integer"}}}
    tools = [Tool(grow).tool_def, ToolDefinition(name="count", parameters_json_schema=other)]
    definitions = cast("dict[str, dict[str, object]]", Choice(tools=tools, answer=None).schema["$defs"])
    assert set(definitions) == {"grow", "grow.Node", "count", "count.Node"}
    assert definitions["count.Node"] == {"type": "integer"}
    assert '"#/$defs/grow.Node"' in json.dumps(definitions["grow.Node"])


@pytest.mark.parametrize(
    ("reference", "moved"),
    [
        ("#", "#/$defs/t"),
        ("#/$defs/A", "#/$defs/t.A"),
        ("#/definitions/A", "#/$defs/t.A"),
        ("#/properties/a", "#/$defs/t/properties/a"),
    ],
)
def test_every_local_reference_still_leads_to_its_schema(reference: str, moved: str) -> None:
    schema = {"type": "object", "properties": {"a": {}, "b": {"$ref": reference}}, "default": {"$ref": reference}}
    tool = ToolDefinition(name="t", parameters_json_schema=schema)
    arguments = cast("dict[str, dict[str, dict[str, object]]]", Choice(tools=[tool], answer=None).schema["$defs"])["t"]
    assert arguments["properties"]["b"] == {"$ref": moved}
    assert arguments["default"] == {"$ref": reference}


def test_strings_without_a_bound_get_one_where_asked() -> None:
    def note(text: str, day: Literal["mon", "tue"]) -> None:
        """Note."""

    choice = Choice(tools=[Tool(note).tool_def], answer=TEXT, max_string_length=50)
    properties = cast("dict[str, dict[str, dict[str, object]]]", choice.schema["$defs"])["note"]["properties"]
    assert properties["text"] == {"type": "string", "maxLength": 50}
    assert "maxLength" not in properties["day"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc$", max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_-]{0,20}", fullmatch=True)


@given(names=st.lists(NAMES, min_size=1, max_size=4, unique=True), arguments=st.dictionaries(st.text("abc"), JSON))
def test_a_call_spelled_out_reads_back_as_itself(names: list[str], arguments: dict[str, object]) -> None:
    choice = Choice(tools=[ToolDefinition(name=name) for name in names], answer=TEXT)
    part = choice.read(call_text(names[-1], arguments), cut=False)
    assert isinstance(part, ToolCallPart)
    assert (part.tool_name, part.args) == (names[-1], arguments)


@given(answer=st.text(st.characters(exclude_categories=["Cs"]), min_size=1), cut_at=st.integers(0, 200))
def test_an_answer_spelled_out_reads_back_as_itself_and_grows_while_it_comes(answer: str, cut_at: int) -> None:
    choice, reply = Choice(tools=[ToolDefinition(name="t")], answer=TEXT), answer_text(answer)
    assert choice.read(reply, cut=False) == TextPart(answer)
    assert answer.startswith(choice.answer_so_far(reply[:cut_at]))


@pytest.mark.model
@pytest.mark.anyio
async def test_the_embedded_model_calls_a_tool_and_answers() -> None:
    called: list[str] = []

    def get_weather(city: str) -> str:
        """Get today's weather in a city."""
        called.append(city)
        return "sunny"

    agent = Agent(create_local_backend(), tools=[get_weather], model_settings={"temperature": 0.0, "max_tokens": 60})
    result = await agent.run("What is the weather in Paris?")
    assert called == ["Paris"]
    assert isinstance(result.output, str)
    assert result.usage.requests == 2


@pytest.mark.model
@pytest.mark.anyio
async def test_the_embedded_model_keeps_to_the_hardest_schema(embedded_model: Model) -> None:
    def plant(root: Node, kind: Literal["oak", "elm"], height: float | None = None) -> str:
        """Plant a tree."""
        return f"{root.name} {kind} {height}"

    model = ConstrainedToolsModel(embedded_model, max_string_length=20)
    settings = ModelSettings(tool_choice="required", temperature=0.0, max_tokens=120)
    messages, parameters = request_with(Tool(plant).tool_def, Tool(add).tool_def)
    response = await model.request(messages, settings, parameters)
    assert response.tool_calls[0].tool_name in {"plant", "add"}
    assert response.usage.cost == 0
