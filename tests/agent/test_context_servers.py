"""Contexts on real servers: some refuse a long prompt, some cut it and say nothing."""

import asyncio
import json
import logging
import warnings
from typing import Any

import pydantic_ai
import pytest
from pydantic_ai.models import Model

from mamba_agents import Agent, AgentConfig, AgentSettings, CompactionConfig, TokenCounter
from mamba_agents.backends import create_local_backend, create_ollama_backend, create_openai_compatible_backend
from mamba_agents.context import SilentTruncationWarning, check_history
from mamba_agents.errors import ContextOverflowError
from tests.agent import entry_points
from tests.backends.server import Answer, ModelServer, failure, serving
from tests.helpers import prompts, reply, user

WORDS = "the quick brown fox jumps over the lazy dog " * 20
SLIDING = CompactionConfig(strategy="sliding_window")


def tokens_of(body: dict[str, Any]) -> int:
    return TokenCounter().count(json.dumps(body["messages"]))


class Refusing(ModelServer):
    """A server with a window of 2,000 tokens, in the words of vLLM."""

    refused = 0

    def answer(self, body: dict[str, Any]) -> Answer:
        size = tokens_of(body)
        if size <= 2_000:
            return Answer(WORDS, usage={"prompt_tokens": size, "completion_tokens": 200, "total_tokens": size + 200})
        self.refused += 1
        message = (
            f"This model's maximum context length is 2000 tokens. However, your messages resulted in {size} tokens. "
            "Please reduce the length of the messages."
        )
        return failure(400, {"object": "error", "message": message, "type": "BadRequestError", "code": 400})


class Cutting(ModelServer):
    """A server that reads the last 2,000 tokens of what it is sent."""

    size_of = staticmethod(tokens_of)

    def answer(self, body: dict[str, Any]) -> Answer:
        size = min(self.size_of(body), 2_000)
        return Answer("ok", usage={"prompt_tokens": size, "completion_tokens": 2, "total_tokens": size + 2})


def spoken_tokens_of(body: dict[str, Any]) -> int:
    return sum(TokenCounter().count(message["content"]) + 4 for message in body["messages"])


class CuttingChats(Cutting):
    """One that counts short messages as models do, and not as JSON."""

    size_of = staticmethod(spoken_tokens_of)


@pytest.mark.parametrize("run", entry_points.ALL, ids=lambda run: run.__name__)
def test_a_server_that_refuses_is_asked_again_with_less(run: entry_points.EntryPoint) -> None:
    with serving(kind=Refusing) as server:
        agent = Agent(
            create_openai_compatible_backend("m", base_url=server.url),
            config=AgentConfig(context=SLIDING),
        )
        for turn in range(12):
            asyncio.run(run(agent, f"{turn}: {WORDS}"))
        assert server.refused == 1
    assert prompts(agent.session().transcript) == [f"{turn}: {WORDS}" for turn in range(12)]
    assert check_history(agent.messages) == []


def test_a_server_that_tells_its_window_is_asked_for_it_and_never_refuses() -> None:
    models = {"object": "list", "data": [{"id": "m", "object": "model", "max_model_len": 2_000}]}
    with serving(kind=Refusing, models=models) as server:
        agent = Agent(create_openai_compatible_backend("m", base_url=server.url), config=AgentConfig(context=SLIDING))
        for turn in range(12):
            agent.run_sync(f"{turn}: {WORDS}")
        assert server.refused == 0
        assert len(server.bodies) == 12
    assert agent.get_context_state().window_tokens == 2_000


def test_a_prompt_too_long_for_its_server_ends_in_an_error_with_the_servers_figures() -> None:
    with serving(kind=Refusing) as server:
        agent = Agent(create_openai_compatible_backend("m", base_url=server.url), config=AgentConfig(context=SLIDING))
        with pytest.raises(ContextOverflowError, match="2000") as caught:
            agent.run_sync(WORDS * 20)
        assert caught.value.current_tokens > caught.value.max_tokens == 2_000
        assert isinstance(caught.value.__cause__, pydantic_ai.ModelHTTPError)


def test_a_server_that_cuts_the_prompt_and_says_nothing_is_noticed_and_met(caplog: pytest.LogCaptureFixture) -> None:
    with serving(kind=Cutting) as server:
        agent = Agent(create_ollama_backend("llama3.2", base_url=server.url), config=AgentConfig(context=SLIDING))
        agent.context_manager.add_messages([user(WORDS), reply(WORDS)] * 30)
        with (
            caplog.at_level(logging.WARNING, logger="mamba_agents.context"),
            pytest.warns(SilentTruncationWarning, match="OLLAMA_CONTEXT_LENGTH"),
        ):
            agent.run_sync("And now?")
        assert "OLLAMA_CONTEXT_LENGTH" in caplog.text
        assert tokens_of(server.bodies[-1]) > 10_000
        with warnings.catch_warnings(action="error"):
            for turn in range(5):
                agent.run_sync(f"And in turn {turn}?")
        assert max(map(tokens_of, server.bodies[1:])) <= 2_000


@pytest.mark.parametrize("words", [1, 2, 5, 20])
@pytest.mark.parametrize("name", ["gpt-4o", "llama3.2"])
@pytest.mark.parametrize("said", [{}, {"window_tokens": 16_000}], ids=["no window said", "too large a window said"])
def test_a_server_that_cuts_a_chat_of_short_turns_is_noticed_soon(words: int, name: str, said: dict[str, int]) -> None:
    with serving(kind=CuttingChats) as server, warnings.catch_warnings(record=True, action="always") as caught:
        context = SLIDING.model_copy(update=said)
        agent = Agent(create_ollama_backend(name, base_url=server.url), config=AgentConfig(context=context))
        for turn in range(260 // words + 10):
            agent.run_sync(f"{turn}: " + "please note this short sentence of mine. " * words)
        sizes = list(map(spoken_tokens_of, server.bodies))
    assert [warning.category for warning in caught] == [SilentTruncationWarning]
    assert 2_000 < max(sizes) < 3_000
    assert max(sizes[sizes.index(max(sizes)) + 1 :]) <= 2_000


def test_a_server_that_reads_all_raises_no_alarm() -> None:
    with serving(kind=Cutting) as server, warnings.catch_warnings(action="error"):
        agent = Agent(create_ollama_backend("llama3.2", base_url=server.url), config=AgentConfig(context=SLIDING))
        for turn in range(8):
            agent.run_sync(f"{turn}: {WORDS[:400]}")
        for turn in range(20):
            agent.run_sync(f"{turn}?")
        assert len(server.bodies) == 28


def test_another_model_may_write_the_summaries_named_as_an_agents_is() -> None:
    with serving(kind=Refusing) as server, serving(Answer("Goal: to count foxes.")) as other:
        settings = AgentSettings(model_backend={"base_url": other.url}, _env_file=None, _config_file=None)
        context = CompactionConfig(strategy="summarize_older", summarization_model="tiny", window_tokens=2_000)
        agent = Agent(
            create_openai_compatible_backend("m", base_url=server.url),
            settings=settings,
            config=AgentConfig(context=context),
        )
        for turn in range(8):
            agent.run_sync(f"{turn}: {WORDS}")
        assert server.refused == 0
        assert {body["model"] for body in server.bodies} == {"m"}
        assert {body["model"] for body in other.bodies} == {"tiny"}
    assert {row.model for row in agent.get_usage_history() if row.kind == "compaction"} == {"tiny"}


@pytest.mark.model
def test_llama_cpp_refuses_a_long_prompt_and_gets_a_shorter_one() -> None:
    agent = Agent(
        create_local_backend(context_window=1_024, parallel=1, max_tokens=8),
        config=AgentConfig(context=SLIDING.model_copy(update={"window_tokens": 100_000})),
    )
    agent.context_manager.add_messages([user(WORDS), reply(WORDS)] * 8)
    result = agent.run_sync("Name a planet.")
    assert 0 < result.usage.input_tokens <= 1_024
    assert agent.get_context_state().window_tokens == 1_024
    assert agent.run_sync("Name another one.").output
    assert len(agent.messages) < len(agent.session().transcript) == 20


@pytest.mark.model
def test_a_prompt_that_llama_cpp_cannot_take_at_all_is_told_with_the_figures() -> None:
    agent = Agent(
        create_local_backend(context_window=1_024, parallel=1, max_tokens=8),
        config=AgentConfig(context=SLIDING.model_copy(update={"window_tokens": 100_000})),
    )
    with pytest.raises(ContextOverflowError) as caught:
        agent.run_sync(WORDS * 10)
    assert caught.value.max_tokens == 1_024
    assert caught.value.current_tokens > 1_024


@pytest.mark.model
def test_the_window_of_the_embedded_model_is_known_without_asking(embedded_model: Model) -> None:
    assert Agent(embedded_model).get_context_state().window_tokens == embedded_model.context_window
