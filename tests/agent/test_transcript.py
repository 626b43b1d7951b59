"""What a result has of its run, whatever a compaction inside it took out."""

import asyncio
import pickle

import pydantic_ai
import pytest

from mamba_agents import Agent, AgentConfig, AgentResult, CompactionConfig
from mamba_agents.context.laws import check_history
from tests.agent.strict_model import StrictModel, calls, says
from tests.helpers import prompts

WORDS = "the quick brown fox jumps over the lazy dog " * 20
UNLIMITED = pydantic_ai.UsageLimits(request_limit=None)


def config() -> AgentConfig:
    return AgentConfig(context=CompactionConfig(strategy="sliding_window"), max_iterations=None)


async def streamed(agent: Agent, prompt: str) -> AgentResult:
    """The result of a run that was read as text."""
    stream = agent.stream(prompt, usage_limits=UNLIMITED)
    assert [piece async for piece in stream]
    assert stream.result is not None
    return stream.result


@pytest.mark.parametrize("remembers", [True, False])
@pytest.mark.parametrize("streams", [True, False])
def test_a_result_has_all_that_its_run_said_whatever_a_compaction_took_out(*, remembers: bool, streams: bool) -> None:
    model = StrictModel(calls(30, "look"), window=4_000)
    agent = Agent(model, config=config().model_copy(update={"track_context": remembers}))

    @agent.tool_plain
    def look(n: int) -> str:
        return f"{n}: {WORDS}"

    prompt = "Look at everything."
    result = asyncio.run(streamed(agent, prompt)) if streams else agent.run_sync(prompt, usage_limits=UNLIMITED)
    assert prompts(result.transcript) == [prompt]
    assert check_history(result.transcript) == []
    assert len(result.new_messages()) < len(result.transcript) == 62
    assert {message.run_id for message in result.transcript} == {result.run_id}
    assert pickle.loads(pickle.dumps(result)).transcript == result.transcript


def test_a_run_that_was_not_shortened_has_its_messages_for_a_transcript() -> None:
    agent = Agent(StrictModel(says("short"), window=4_000), config=config())
    agent.run_sync("first")
    result = agent.run_sync("second")
    assert result.transcript == result.new_messages()
    assert prompts(result.transcript) == ["second"]
