"""The layer on any pydantic-ai agent: who writes summaries, what outlives a run, and what it cannot be made with."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pydantic_ai
import pytest
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, FunctionModel

from mamba_agents import CompactionConfig
from mamba_agents.context import CompactContext, CompactionStrategy, SlidingWindowStrategy
from tests.helpers import echo, reply, user

WORDS = "the quick brown fox jumps over the lazy dog " * 20
PAST = [message for turn in range(20) for message in (user(f"{turn}: {WORDS}"), reply(WORDS))]


class Deps:
    """What a run is given."""


class Summarisers:
    """Models made by name, and how often they were made and asked."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.asked = 0

    def make(self, name: str) -> Model:
        self.made.append(name)

        def summarise(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            self.asked += 1
            return ModelResponse(parts=[TextPart("Goal: count foxes.")])

        return FunctionModel(summarise, model_name=name)


def summing_up(**changes: Any) -> CompactionConfig:
    return CompactionConfig(
        **{
            "strategy": "summarize_older",
            "trigger_threshold_tokens": 3_000,
            "target_tokens": 1_500,
            "summarization_model": "small",
            **changes,
        }
    )


def test_who_writes_summaries_is_made_once_however_many_there_are() -> None:
    models = Summarisers()
    agent = pydantic_ai.Agent(echo(), capabilities=[CompactContext(summing_up(), find_model=models.make)])
    for _ in range(3):
        asyncio.run(agent.run("And now?", message_history=PAST))
    assert models.made == ["small"]
    assert models.asked >= 3


def test_who_writes_summaries_must_exist_when_the_layer_is_made_and_only_where_one_is_asked() -> None:
    models = Summarisers()
    CompactContext(summing_up(strategy="sliding_window"), find_model=models.make)
    CompactContext(summing_up(summarization_model="same"), find_model=models.make)
    assert models.made == []
    with pytest.raises(UserError, match="no-such-model"):
        CompactContext(summing_up(summarization_model="no-such-model"))


async def run(agent: pydantic_ai.Agent[Deps, str], deps: Deps) -> None:
    await agent.run("Hi.", deps=deps)


async def run_stream(agent: pydantic_ai.Agent[Deps, str], deps: Deps) -> None:
    async with agent.run_stream("Hi.", deps=deps) as stream:
        await stream.get_output()


async def left_early(agent: pydantic_ai.Agent[Deps, str], deps: Deps) -> None:
    async with agent.iter("Hi.", deps=deps) as steps:
        async for node in steps:
            if pydantic_ai.Agent.is_model_request_node(node):
                async with node.stream(steps.ctx):
                    break


@pytest.mark.parametrize("way", [run, run_stream, left_early])
@pytest.mark.parametrize("shared", [True, False])
def test_what_a_run_was_given_does_not_outlive_it_in_the_task_that_ran_it(
    way: Callable[[pydantic_ai.Agent[Deps, str], Deps], Any], *, shared: bool
) -> None:
    async def many() -> int:
        layer, given = CompactContext(), list[weakref.ref[Deps]]()
        for _ in range(5):
            deps = Deps()
            given.append(weakref.ref(deps))
            layer = layer if shared else CompactContext()
            await way(pydantic_ai.Agent(echo(), deps_type=Deps, capabilities=[layer]), deps)
            del deps
        gc.collect()
        return sum(each() is not None for each in given)

    assert asyncio.run(many()) == 0


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda: CompactContext(5), "found int as config; expected a CompactionConfig"),  # type: ignore[arg-type]
        (lambda: CompactContext({"strategy": "hybrid"}), "found dict as config; expected"),  # type: ignore[arg-type]
        (lambda: CompactContext(token_counter="gpt-4o"), "found str as token_counter; expected a"),  # type: ignore[arg-type]
        (lambda: CompactContext(find_window=8_000), "found int as find_window; expected .* window_tokens"),  # type: ignore[arg-type]
    ],
)
def test_what_a_layer_cannot_be_made_with_is_refused(make: Callable[[], CompactContext], found: str) -> None:
    with pytest.raises(TypeError, match=found):
        make()


def test_a_class_that_cannot_be_made_is_refused_with_the_layer() -> None:
    class Broken(SlidingWindowStrategy):
        def __init__(self) -> None:
            raise RuntimeError("no disk")

    strategy: type[CompactionStrategy] = Broken
    with pytest.raises(Exception, match="no disk"):
        CompactContext(CompactionConfig(strategy=strategy))
