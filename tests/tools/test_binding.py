"""The tools in the hands of a model."""

import inspect
from pathlib import Path

import pytest
from pydantic_ai import Agent, Tool
from pydantic_ai.messages import ModelResponse, ToolReturnPart
from pydantic_ai.models.test import TestModel
from tests.helpers import call, script

from mamba_agents.tools import (
    FilesystemSecurity,
    glob_search,
    grep_search,
    list_directory,
    read_file,
    sandboxed_tools,
)

NAMES = ["read_file", "list_directory", "glob_search", "grep_search"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "note.txt").write_text("one\ntwo\nthree\n")
    (tmp_path / "folder").mkdir()
    return tmp_path


async def returned(root: Path | FilesystemSecurity, name: str, **arguments: object) -> ToolReturnPart:
    """What the model is told when it calls one tool."""
    agent = Agent(script(call(name, arguments), "done"), tools=sandboxed_tools(root))
    result = await agent.run("go")
    (part,) = [part for message in result.all_messages() for part in message.parts if part.part_kind == "tool-return"]
    assert isinstance(part, ToolReturnPart)
    return part


async def schemas(tools: list[Tool[object]]) -> dict[str, dict[str, object]]:
    model = TestModel(call_tools=[])
    await Agent(model, tools=tools).run("x")
    parameters = model.last_model_request_parameters
    assert parameters is not None
    return {tool.name: tool.parameters_json_schema for tool in parameters.function_tools}


@pytest.mark.anyio
async def test_a_model_sees_no_security_parameter(root: Path) -> None:
    for tools in (sandboxed_tools(root), [Tool(f) for f in (read_file, list_directory, glob_search, grep_search)]):
        seen = await schemas(tools)
        assert list(seen) == NAMES
        assert "security" not in str(seen)


@pytest.mark.anyio
async def test_every_parameter_is_described_to_the_model(root: Path) -> None:
    for schema in (await schemas(sandboxed_tools(root))).values():
        assert all("description" in parameter for parameter in schema["properties"].values())  # type: ignore[attr-defined]


@pytest.mark.anyio
async def test_a_model_cannot_hand_in_rules_of_its_own(root: Path) -> None:
    forged = call("read_file", {"path": "/etc/passwd", "security": {"sandbox_mode": False}})
    for tools in ([Tool(read_file)], sandboxed_tools(root)):
        result = await Agent(script(forged, "gave up"), tools=tools).run("go")
        assert result.output == "gave up"
        assert b"root:" not in result.all_messages_json()


def test_a_person_still_may(root: Path) -> None:
    assert "security" not in inspect.signature(read_file).parameters
    assert read_file("note.txt", security=FilesystemSecurity(base_directory=root)).startswith("one")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "arguments", "content"),
    [
        ("read_file", {"path": "note.txt"}, "one\ntwo\nthree\n"),
        ("list_directory", {}, "folder/\nnote.txt"),
        ("list_directory", {"path": "folder"}, "(nothing found)"),
        ("glob_search", {"pattern": "*.txt"}, "note.txt"),
        ("glob_search", {"pattern": "*.md"}, "(nothing found)"),
        (
            "grep_search",
            {"pattern": "two", "path": ".", "context_lines": 1},
            "note.txt-1-one\nnote.txt:2:two\nnote.txt-3-three",
        ),
    ],
)
async def test_a_result_is_plain_text(root: Path, name: str, arguments: dict[str, object], content: str) -> None:
    part = await returned(root, name, **arguments)
    assert (part.outcome, part.content) == ("success", content)


@pytest.mark.anyio
async def test_a_refusal_is_a_failed_call_the_model_can_act_on(root: Path) -> None:
    part = await returned(root, "read_file", path="../x")
    assert part.outcome == "failed"
    assert part.content == "'../x' is outside the root folder: give a path relative to the root."


@pytest.mark.anyio
async def test_refusals_in_a_row_do_not_end_a_run(root: Path) -> None:
    attempts = [call("read_file", {"path": f"missing-{i}"}, f"call-{i}") for i in range(5)]
    result = await Agent(script(*attempts, "gave up"), tools=sandboxed_tools(root)).run("go")
    assert result.output == "gave up"


@pytest.mark.anyio
async def test_a_long_output_is_cut_and_says_so(root: Path) -> None:
    (root / "long.txt").write_text("x" * 60_000)
    part = await returned(root, "read_file", path="long.txt")
    assert str(part.content).endswith("x\n[… 10,000 characters left out]")
    assert len(str(part.content)) < 50_100
    part = await returned(root, "grep_search", pattern="x", path="long.txt")
    assert part.content == f"long.txt:1:{'x' * 500}[… 59,500 characters left out]"


@pytest.mark.anyio
async def test_a_search_that_stopped_early_says_so(root: Path) -> None:
    part = await returned(root, "grep_search", pattern="o", path=".", max_results=1)
    assert part.content == "note.txt:1:one\n[stopped at max_results=1: there may be more]"
    part = await returned(root, "grep_search", pattern="one", path=".", max_results=2)
    assert part.content == "note.txt:1:one"
    (root / "other.txt").write_text("")
    part = await returned(root, "glob_search", pattern="*", max_results=1)
    assert part.content == "note.txt\n[stopped at max_results=1: there may be more]"


@pytest.mark.anyio
async def test_a_name_that_is_not_utf_8_can_be_sent(root: Path) -> None:
    (root / "bad-\udcff.txt").write_text("")
    part = await returned(root, "glob_search", pattern="bad*")
    assert str(part.content) == "bad-\\udcff.txt"


def test_a_root_that_is_no_folder_is_refused_at_once(root: Path) -> None:
    for missing in (root / "note.txt", root / "nope"):
        with pytest.raises(NotADirectoryError, match="does not exist or is not a folder"):
            sandboxed_tools(missing)


@pytest.mark.anyio
async def test_calls_in_one_response_are_all_answered(root: Path) -> None:
    parts = [part for i in range(20) for part in call("read_file", {"path": "note.txt"}, f"call-{i}").parts]
    agent = Agent(script(ModelResponse(parts=parts), "done"), tools=sandboxed_tools(root))
    history = (await agent.run("go")).all_messages()
    assert [part.content for part in history[2].parts if isinstance(part, ToolReturnPart)] == ["one\ntwo\nthree\n"] * 20
