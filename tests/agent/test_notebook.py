"""The agent inside Jupyter, where a loop is always running: a real notebook in a real kernel."""

import asyncio

import nbformat
import pytest
from nbclient import NotebookClient

SETUP = """
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.messages import ModelResponse, TextPart
from mamba_agents import Agent

def respond(messages, info):
    return ModelResponse(parts=[TextPart(f"answer {len(messages)}")])

async def stream(messages, info):
    yield "answer "
    yield str(len(messages))

agent = Agent(FunctionModel(respond, stream_function=stream))
"""
SYNC = "print(agent.run_sync('one').output)"
AWAITED = "print((await agent.run('two')).output)"
STREAMED = """
deltas = agent.stream('three')
async for delta in deltas:
    print(delta, end='|')
print(deltas.result.output)
"""
SYNC_AGAIN = "print(agent.run_sync('four').output, len(agent.messages))"


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(output.get("text", "") for output in cell.outputs).strip()


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[nbformat.NotebookNode]:
    code = [SETUP, SYNC, AWAITED, STREAMED, SYNC_AGAIN]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in code])
    folder = tmp_path_factory.mktemp("notebook")
    client = NotebookClient(notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    asyncio.run(client.async_execute())
    return notebook.cells


def test_run_sync_works_inside_the_kernels_running_loop(cells: list[nbformat.NotebookNode]) -> None:
    assert printed(cells[1]) == "answer 1"


def test_top_level_await_goes_on_with_the_same_conversation(cells: list[nbformat.NotebookNode]) -> None:
    assert printed(cells[2]) == "answer 3"


def test_a_stream_prints_its_deltas_and_then_has_a_result(cells: list[nbformat.NotebookNode]) -> None:
    assert printed(cells[3]) == "answer |5|answer 5"


def test_sync_and_awaited_runs_share_one_memory(cells: list[nbformat.NotebookNode]) -> None:
    assert printed(cells[4]) == "answer 7 8"
