"""A long conversation on a real model with a real window."""

import pytest
from pydantic_ai.messages import ToolCallPart, ToolReturnPart
from pydantic_ai.toolsets import FunctionToolset

from mamba_agents import Agent, AgentConfig, CompactionConfig
from mamba_agents.backends import create_local_backend
from mamba_agents.context import HybridStrategy, check_history
from mamba_agents.sessions import ContextCompacted

CITIES = ("Paris", "London", "Rome", "Oslo", "Tokyo", "Lima", "Cairo", "Delhi")
TURNS = 200
WINDOW = 8_192

# Without a model: SmolLM2 takes minutes for a summary.
BY_ITSELF = HybridStrategy(["selective_pruning", "importance_scoring", "sliding_window"])
QUICK = CompactionConfig(strategy=BY_ITSELF, trigger_fraction=0.5, target_fraction=0.2)


def get_weather(city: str) -> str:
    """Get today's weather in a city."""
    return f"{city}: sunny, 21 degrees, wind from the west at 12 km/h, humidity 40 per cent."


@pytest.mark.model
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(
    ("config", "longest", "copies"),
    [
        pytest.param(QUICK, 0.5 * WINDOW, 1, id="to-half-of-the-window"),
        pytest.param(CompactionConfig(), WINDOW, 2, id="by-default", marks=pytest.mark.slow),
    ],
)
def test_the_embedded_model_carries_two_hundred_turns_with_tools_through_compaction(
    config: CompactionConfig, longest: float, copies: int
) -> None:
    model = create_local_backend(context_window=WINDOW, parallel=1, constrained_tools=True, temperature=0.0)
    agent = Agent(
        model,
        system_prompt="Use get_weather for the weather.",
        config=AgentConfig(context=config, max_iterations=2),
    )
    tools = FunctionToolset([get_weather])
    with_tools, compactions = set(range(3)), 0
    for turn in range(TURNS):
        # A turn with a tool takes the model seconds: there are some at the start and some after each compaction.
        if turn in with_tools:
            prompt, use, most = f"What is the weather in {CITIES[turn % 8]}?", [tools], 32
        else:
            prompt, use, most = " ".join([note(turn)] * copies), [], 1
        agent.run_sync(prompt, toolsets=use, model_settings={"max_tokens": most})
        if len(agent.context_manager.get_compaction_history()) > compactions:
            compactions += 1
            with_tools |= set(range(turn + 1, turn + 3))
    rows = agent.get_usage_history()
    sizes = [row.usage.prompt_tokens for row in rows if row.kind == "response"]
    assert 0.9 * longest < max(sizes) <= min(1.02 * longest, WINDOW)
    assert len(sizes) >= TURNS
    session = agent.session()
    events = [event for event in session.events() if isinstance(event, ContextCompacted)]
    assert len(events) == compactions >= 1
    said = session.transcript
    called = [part for message in said for part in message.parts if isinstance(part, ToolCallPart)]
    answered = [part for message in said for part in message.parts if isinstance(part, ToolReturnPart)]
    assert len(called) == len(answered) >= 3
    assert sum(note(turn) in str(message) for turn in range(3, TURNS) for message in said) >= TURNS - len(with_tools)
    assert check_history(agent.messages) == []
    assert len(agent.messages) < len(said)
    assert agent.get_cost() == 0


def note(turn: int) -> str:
    here, there = CITIES[turn % 8], CITIES[(turn + 3) % 8]
    return f"Note {turn}: {here} to {there}, {turn % 24}:{turn % 60:02}, platform {turn % 13}. Say ok."
