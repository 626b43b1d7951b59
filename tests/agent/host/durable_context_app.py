"""A durable agent whose run is shortened: `python durable_context_app.py <database> <workflow id> <log>`.

Its first life ends after the history was shortened, in the middle of a tool; its second goes on where the first ended.
"""

import os
import sys
from pathlib import Path

from dbos import DBOS, SetWorkflowID
from pydantic_ai import ModelMessage, ModelResponse, UsageLimits
from pydantic_ai.durable_exec.dbos import DBOSDurability
from pydantic_ai.models.function import AgentInfo, FunctionModel

from mamba_agents import Agent, AgentConfig, CompactionConfig
from mamba_agents.context import check_history
from mamba_agents.sessions import ContextCompacted
from tests.agent.host.durable_app import config, tell
from tests.helpers import call, reply

LOOKS = 12
PAGE = "the quick brown fox jumps over the lazy dog " * 20


def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    seen = [part for message in messages for part in message.parts if part.part_kind == "tool-return"]
    number = int(seen[-1].content.split(":")[0]) + 1 if seen else 0
    tell(f"asked for {number}, {'valid' if not check_history(messages) else 'not valid'}, {size(messages)}")
    return call("look", {"n": number}, f"call-{number}") if number < LOOKS else reply("done")


def size(messages: list[ModelMessage]) -> str:
    return "short" if agent.token_counter.count_messages(messages) <= 1_500 else "long"


agent = Agent(
    FunctionModel(respond),
    name="reader",
    capabilities=[DBOSDurability()],
    config=AgentConfig(
        max_iterations=None,
        context=CompactionConfig(strategy="sliding_window", trigger_threshold_tokens=1_500, target_tokens=800),
    ),
)


@agent.tool_plain
async def look(n: int) -> str:
    if n == LOOKS - 2 and Path(sys.argv[3]).read_text().count("a life begins") == 1:
        os._exit(7)
    return f"{n}: {PAGE}"


@DBOS.workflow()
async def read_all(prompt: str) -> tuple[str, int, int, int]:
    result = await agent.run(prompt, usage_limits=UsageLimits(request_limit=None))
    compactions = sum(isinstance(event, ContextCompacted) for event in agent.session().events())
    looks = sum(part.part_kind == "tool-return" for message in result.transcript for part in message.parts)
    return result.output, looks, compactions, len(agent.get_usage_history())


if __name__ == "__main__":
    tell("a life begins")
    DBOS(config=config(sys.argv[1]))
    DBOS.launch()
    with SetWorkflowID(sys.argv[2]):
        output, looks, compactions, rows = DBOS.start_workflow(read_all, "Look at everything.").get_result()
    tell(f"{output}: {looks} looks, shortened: {compactions > 1}, {rows} rows")
    DBOS.destroy()
