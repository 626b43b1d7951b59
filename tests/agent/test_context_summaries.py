"""Requests for summaries keep to the window of the model that writes them, whoever knows it."""

import pytest
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.usage import RequestUsage

from mamba_agents import Agent, AgentConfig, CompactionConfig, TokenCounter
from tests.helpers import prompts, reply, user

COUNTER = TokenCounter()
WORDS = "the quick brown fox jumps over the lazy dog " * 8
WINDOW = 2_000

pytestmark = pytest.mark.anyio


class Small:
    """A server with a small window, which refuses what is longer in the words of llama.cpp."""

    def __init__(self, *, refuses: bool) -> None:
        self.refuses = refuses
        self.summaries: list[int] = []
        self.refused: list[int] = []

    def respond(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        size = COUNTER.count_messages(messages) + COUNTER.count(info.instructions or "")
        if "<transcript>" in str(prompts(messages)):
            self.summaries.append(size)
        if size > WINDOW and self.refuses:
            self.refused.append(size)
            message = "the request exceeds the available context size, try increasing it"
            error = {"code": 400, "message": message, "type": "exceed_context_size_error", "n_prompt_tokens": size}
            raise ModelHTTPError(400, "small", {"error": {**error, "n_ctx": WINDOW}})
        usage = RequestUsage(input_tokens=size, output_tokens=8)
        return ModelResponse(parts=[TextPart("## Goal\ncount foxes")], usage=usage)


@pytest.mark.parametrize("strategy", ["summarize_older", "hybrid"])
@pytest.mark.parametrize("knows", ["settings", "nobody"])
async def test_a_summary_of_a_long_history_fits_the_window_that_the_context_keeps_to(strategy: str, knows: str) -> None:
    server = Small(refuses=knows == "nobody")
    model = FunctionModel(server.respond, model_name="small", profile=ModelProfile(context_window=128_000))
    context = CompactionConfig(strategy=strategy, window_tokens=WINDOW if knows == "settings" else None)
    agent = Agent(model, config=AgentConfig(context=context))
    agent.context_manager.add_messages(
        [user(f"{turn}: {WORDS}") if turn % 2 == 0 else reply(WORDS) for turn in range(80)]
    )
    await agent.run("And now?")
    (compacted,) = agent.context_manager.get_compaction_history()
    assert compacted.strategy == "summarize_older"
    assert compacted.notes == ()
    assert server.summaries
    assert max(server.summaries) <= WINDOW
    assert len(server.refused) == (knows == "nobody")


async def test_a_summary_that_the_server_calls_too_long_is_asked_for_in_smaller_pieces() -> None:
    server = Small(refuses=True)
    model = FunctionModel(server.respond, model_name="small")
    context = CompactionConfig(strategy="summarize_older", window_tokens=4 * WINDOW, target_fraction=0.1)
    agent = Agent(model, config=AgentConfig(context=context))
    agent.context_manager.add_messages(
        [user(f"{turn}: {WORDS}") if turn % 2 == 0 else reply(WORDS) for turn in range(80)]
    )
    result = await agent.context_manager.compact()
    assert server.refused
    assert result.strategy == "summarize_older"
    assert min(server.summaries) <= WINDOW
