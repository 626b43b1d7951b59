"""Which figures are believed: those of a provider that fit what was sent, and no others."""

import pydantic_ai
import pytest
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from mamba_agents import Agent, AgentConfig, CompactionConfig, TokenCounter
from tests.helpers import prompts

COUNTER = TokenCounter()
WORDS = "the quick brown fox jumps over the lazy dog " * 4


class Counting:
    """A model that reports what it is sent, and notes it."""

    def __init__(self) -> None:
        self.requests: list[list[ModelMessage]] = []

    def model(self, name: str = "gpt-4o") -> FunctionModel:
        return FunctionModel(self._respond, model_name=name)

    def sizes(self) -> list[int]:
        return list(map(COUNTER.count_messages, self.requests))

    def _respond(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.requests.append(messages)
        usage = RequestUsage(input_tokens=COUNTER.count_messages(messages), output_tokens=2)
        return ModelResponse(parts=[TextPart("ok")], usage=usage)


async def conversation(turns: int) -> list[ModelMessage]:
    """A conversation as a process reads it that did not have it."""
    agent, history = pydantic_ai.Agent(Counting().model()), []
    for turn in range(turns):
        history = (await agent.run(f"{turn}: {WORDS}", message_history=history)).all_messages()
    return ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json(history))


@pytest.mark.anyio
async def test_what_was_reported_for_a_longer_history_is_not_believed_of_a_part_of_it() -> None:
    part = (await conversation(100))[-8:]
    size = COUNTER.count_messages(part)
    seen = Counting()
    context = CompactionConfig(strategy="sliding_window", trigger_threshold_tokens=2_000, target_tokens=1_500)
    agent = Agent(seen.model(), config=AgentConfig(context=context))
    await agent.run("And now?", message_history=part)
    assert len(seen.requests[-1]) == 9
    agent.context_manager.add_messages(part)
    assert size <= agent.get_token_count() <= 1.1 * size
    assert not agent.should_compact()
    await agent.run("And now?")
    assert len(prompts(seen.requests[-1])) == 5


@pytest.mark.anyio
async def test_a_whole_history_is_still_measured_by_what_was_reported_for_it() -> None:
    history = await conversation(3)
    seen = Counting()
    agent = Agent(seen.model())
    agent.context_manager.add_messages(history)
    assert agent.get_token_count() == history[-1].usage.input_tokens + 2
    await agent.run("And now?")
    assert agent.get_token_count() == seen.sizes()[-1] + 2


@pytest.mark.anyio
@pytest.mark.parametrize("said", ["window_tokens", "default_window_tokens"])
async def test_a_window_smaller_than_any_server_has_is_kept_to(said: str) -> None:
    seen = Counting()
    context = CompactionConfig(strategy="sliding_window", **{said: 300})
    agent = Agent(seen.model("nobody-knows"), config=AgentConfig(context=context))
    for turn in range(30):
        await agent.run(f"{turn}: {WORDS}")
    assert max(seen.sizes()) <= 300
