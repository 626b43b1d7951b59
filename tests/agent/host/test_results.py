"""Results that leave the process."""

import pickle
from decimal import Decimal

import pytest
from pydantic import BaseModel, TypeAdapter
from pydantic_ai import AgentRunResult, Conversation, DeferredToolRequests

from mamba_agents import Agent, AgentConfig, AgentResult, AgentSettings
from tests.helpers import call, echo, script


class City(BaseModel):
    name: str


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_result_says_all_it_said(protocol: int) -> None:
    settings = AgentSettings(cost_rates={"function:respond:stream": {"input": 1, "output": 1}})
    agent = Agent(echo(), settings=settings)
    agent.run_sync("one")
    result = agent.run_sync("two", metadata={"team": "blue"})
    copy = pickle.loads(pickle.dumps(result, protocol))
    assert type(copy) is AgentResult
    assert (copy.output, copy.data, copy.usage) == ("2: two", "2: two", result.usage)
    assert (copy.run_id, copy.session_id, copy.stop_reason) == (result.run_id, agent.session().id, "completed")
    assert copy.all_messages() == result.all_messages()
    assert copy.new_messages() == result.new_messages()
    assert copy.metadata == {"team": "blue"}
    assert isinstance(result.cost, Decimal)
    assert copy.cost == result.cost > 0


@pytest.mark.parametrize("kind", [AgentRunResult[str], AgentResult[str]])
def test_a_result_goes_through_json(kind: type[AgentRunResult[str]]) -> None:
    agent = Agent(echo())
    agent.run_sync("one")
    result = agent.run_sync("two")
    adapter = TypeAdapter(kind)
    copy = adapter.validate_json(adapter.dump_json(result))
    assert isinstance(copy, kind.__origin__)
    assert copy.output == "2: two"
    assert copy.all_messages() == result.all_messages()
    assert copy.usage == result.usage


def test_a_typed_result_goes_through_json() -> None:
    adapter = TypeAdapter(AgentResult[City])
    result = Agent(script(call("final_result", {"name": "Paris"})), output_type=City).run_sync("go")
    copy = adapter.validate_json(adapter.dump_json(result))
    assert copy.output == City(name="Paris")
    assert copy.stop_reason == "completed"


def test_a_result_that_waits_for_approval_goes_through_json() -> None:
    agent = Agent(script(call("refund"), "done"), output_type=[str, DeferredToolRequests])
    agent.tool_plain(requires_approval=True, name="refund")(lambda: "refunded")
    adapter = TypeAdapter(AgentResult[str | DeferredToolRequests])
    copy = adapter.validate_json(adapter.dump_json(agent.run_sync("go")))
    assert copy.stop_reason == "deferred"


def test_a_result_at_the_limit_says_so_after_a_round_trip() -> None:
    agent = Agent(script(call("again"), "not reached"), config=AgentConfig(max_iterations=1))
    agent.tool_plain(name="again")(lambda: "again")
    result = agent.run_sync("go")
    adapter = TypeAdapter(AgentResult[str])
    assert pickle.loads(pickle.dumps(result)).stop_reason == "max_iterations"
    assert adapter.validate_json(adapter.dump_json(result)).stop_reason == "max_iterations"


def test_a_results_conversation_goes_on_apart_from_memory() -> None:
    agent = Agent(echo())
    first = agent.run_sync("one")
    adapter = TypeAdapter(Conversation)
    stored = adapter.dump_json(first.conversation)
    agent.run_sync("two")
    branch = agent.run_sync("three", conversation=adapter.validate_json(stored))
    assert branch.output == "2: three"
    assert branch.usage.requests == 2
    assert agent.run_sync("four").output == "3: four"
