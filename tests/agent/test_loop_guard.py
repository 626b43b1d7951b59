"""A run whose model repeats itself ends."""

import logging
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart

from mamba_agents import Agent
from mamba_agents.errors import BudgetExceededError
from mamba_agents.tokens import BudgetConfig, BudgetWarning
from tests.agent.budgets import budgeted, plain, priced, replies

pytestmark = pytest.mark.anyio

type Args = dict[str, object] | str | None


def calls(*args: Args, name: str = "look", text: str | None = None) -> ModelResponse:
    """A response with one call for each of these arguments."""
    parts: list[Any] = [] if text is None else [TextPart(text)]
    return ModelResponse(parts=[*parts, *(ToolCallPart(name, each) for each in args)])


def agent_that_says(*responses: ModelResponse | str, limit: int = 3, **options: Any) -> Agent[Any, Any]:
    config = BudgetConfig(max_repeated_calls=limit, **options)
    agent = budgeted(priced(replies(*responses)), config, retries=5)
    add_tools(agent)
    return agent


def add_tools(agent: Any) -> None:
    @agent.tool_plain
    def look(x: int = 0, y: list[int] | None = None) -> str:
        return "nothing"

    @agent.tool_plain
    def other(x: int = 0) -> str:
        return "nothing"


async def test_the_same_call_so_many_times_in_a_row_ends_the_run_with_the_text_there_is() -> None:
    agent = agent_that_says(calls({"x": 1}, text="Let me see."), calls({"x": 1}))
    result = await agent.run("Hi")
    assert result.output == "Let me see."
    assert result.stop_reason == "loop"
    assert result.usage.requests == 3


async def test_without_any_text_it_says_what_was_repeated() -> None:
    result = await agent_that_says(calls({"x": 1})).run("Hi")
    assert result.output == "Stopped after the same call of look 3 times in a row."


@pytest.mark.parametrize(
    "forms",
    [
        [{"x": 1, "y": [2, 3]}, {"y": [2, 3], "x": 1}],
        ['{"x": 1, "y": [2, 3]}', '{"y":[2,3],"x":1}'],
        [{"x": 1, "y": [2, 3]}, '{"y":[2,3],"x":1}'],
        [None, "{}"],
        [{}, ""],
        ["{not json", "{not json"],
    ],
)
async def test_the_form_of_the_arguments_does_not_matter(forms: Sequence[Args]) -> None:
    agent = agent_that_says(*(calls(each) for each in forms), "Done.", limit=2)
    assert (await agent.run("Hi")).stop_reason == "loop"


@pytest.mark.parametrize(
    "responses",
    [
        [calls({"x": 1}), calls({"x": 2}), calls({"x": 1}), "Done."],
        [calls({"x": 1}), calls({"x": 1}, name="other"), calls({"x": 1}), "Done."],
        [calls({"y": [1, 2]}), calls({"y": [2, 1]}), "Done."],
        [calls({"x": 1}, {"x": 2}), calls({"x": 1}, {"x": 2}), "Done."],
    ],
)
async def test_another_call_between_begins_the_row_anew(responses: Sequence[ModelResponse | str]) -> None:
    result = await agent_that_says(*responses, limit=2).run("Hi")
    assert (result.output, result.stop_reason) == ("Done.", "completed")


async def test_calls_beside_each_other_count_each() -> None:
    result = await agent_that_says(calls({"x": 1}, {"x": 1}, {"x": 1}), "Done.").run("Hi")
    assert result.stop_reason == "loop"
    assert result.usage.requests == 1


async def test_a_row_is_of_one_run() -> None:
    agent = agent_that_says(calls({"x": 1}), "One.", calls({"x": 1}), "Two.", limit=2)
    assert [(await agent.run("Hi")).stop_reason for _ in range(2)] == ["completed", "completed"]


async def test_it_may_raise_instead() -> None:
    agent = agent_that_says(calls({"x": 1}), on_exceeded="raise")
    with pytest.raises(BudgetExceededError, match="same arguments 3 times in a row") as caught:
        await agent.run("Hi")
    assert (caught.value.unit, caught.value.limit, caught.value.spent) == ("calls", 3, 3)


async def test_it_may_only_warn_once_for_a_row(caplog: pytest.LogCaptureFixture) -> None:
    row = [calls({"x": 1})] * 6
    agent = agent_that_says(*row, calls({"x": 2}), *[calls({"x": 1}, {"x": 1})] * 2, "Done.", on_exceeded="warn")
    with caplog.at_level(logging.WARNING, "mamba_agents.budget"), pytest.warns(BudgetWarning) as caught:
        result = await agent.run("Hi")
    assert result.output == "Done."
    assert len(caught) == len(caplog.records) == 2
    assert "look: found the same tool call" in caplog.text


class Answer(BaseModel):
    number: int


async def test_a_run_with_a_typed_output_raises_where_it_cannot_stop() -> None:
    agent = budgeted(priced(replies(calls({"x": 1}))), BudgetConfig(max_repeated_calls=3), output_type=Answer)
    add_tools(agent)
    with pytest.raises(BudgetExceededError):
        await agent.run("Hi")


async def test_it_works_on_a_plain_agent_too() -> None:
    agent = plain(priced(replies(calls({"x": 1}))), BudgetConfig(max_repeated_calls=2))
    add_tools(agent)
    assert (await agent.run("Hi")).output == "Stopped after the same call of look 2 times in a row."
