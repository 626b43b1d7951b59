"""With all that can be off switched off, ours is the stock agent: same output, same messages, same errors."""

from functools import partial

import pydantic_ai
import pytest

import mamba_agents
from tests.agent.host import scenarios_of_runs, scenarios_of_streams, scenarios_of_tools
from tests.agent.host.scenario import SCENARIOS, Seen, seen
from tests.host_plugin import AS_STOCK

TABLE = (scenarios_of_runs, scenarios_of_streams, scenarios_of_tools)


@pytest.mark.anyio
@pytest.mark.parametrize("name", SCENARIOS)
async def test_ours_does_what_the_stock_agent_does(name: str) -> None:
    stock = await seen(SCENARIOS[name], pydantic_ai.Agent)
    ours = await seen(SCENARIOS[name], partial(mamba_agents.Agent, config=AS_STOCK))
    assert stock != Seen(), "the scenario shows nothing"
    assert ours == stock
