"""A program with a durable agent, started twice by its test: `python durable_app.py <database> <workflow id> <log>`.

Its first life ends in the middle of the tool; its second goes on where the first one ended.
"""

import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSConfig, SetWorkflowID
from pydantic_ai import ModelMessage, ModelResponse
from pydantic_ai.durable_exec.dbos import DBOSDurability
from pydantic_ai.models.function import AgentInfo, FunctionModel
from sqlalchemy import event
from sqlalchemy.engine import Engine

from mamba_agents import Agent
from tests.helpers import call, reply


@event.listens_for(Engine, "connect")
def with_unixepoch(connection: Any, _: object) -> None:
    """DBOS needs a function that SQLite has since 3.42."""
    if sqlite3.sqlite_version_info < (3, 42):
        connection.create_function("unixepoch", -1, lambda *_: time.time())


def tell(what: str) -> None:
    with Path(sys.argv[3]).open("a") as log:
        log.write(f"{what}\n")


def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    tell(f"model asked with {len(messages)}")
    return call("look") if len(messages) == 1 else reply(f"seen {messages[-1].parts[0].content}")


agent = Agent(FunctionModel(respond), name="clerk", capabilities=[DBOSDurability()])


@agent.tool_plain
async def look() -> str:
    tell("tool ran")
    if Path(sys.argv[3]).read_text().count("tool ran") == 1:
        os._exit(7)
    raise ValueError("nothing there")


@DBOS.workflow()
async def ask(prompt: str) -> tuple[str, str]:
    result = await agent.run(prompt)
    return result.output, result.stop_reason


def config(database: str) -> DBOSConfig:
    return DBOSConfig(
        name="host-test",
        system_database_url=f"sqlite:///{database}",
        run_admin_server=False,
        application_version="1",
        executor_id="one",
        log_level="ERROR",
    )


if __name__ == "__main__":
    DBOS(config=config(sys.argv[1]))
    DBOS.launch()
    for _ in range(2):
        with SetWorkflowID(sys.argv[2]):
            tell(str(DBOS.start_workflow(ask, "go").get_result()))
    DBOS.destroy()
