"""Sync calls work wherever Python runs them."""

import asyncio
import contextvars
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from mamba_agents.agent import Agent
from tests.helpers import call, echo, prompts, reply

who = contextvars.ContextVar("who", default="nobody")


def test_context_variables_of_the_caller_reach_the_model_and_the_tools() -> None:
    seen: list[str] = []

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.append(who.get())
        return reply("done") if isinstance(messages[-1].parts[-1], ToolReturnPart) else call("look")

    agent = Agent(FunctionModel(respond))
    agent.tool_plain(lambda: seen.append(f"tool: {who.get()}"), name="look")
    who.set("alice")
    agent.run_sync("a")
    assert seen == ["alice", "tool: alice", "alice"]


async def main_with_a_loop(agent: Agent[Any, Any]) -> str:
    return agent.run_sync("inside a running loop").output


def test_it_works_inside_a_running_event_loop() -> None:
    assert asyncio.run(main_with_a_loop(Agent(echo()))) == "1: inside a running loop"


@pytest.mark.parametrize("is_async_tool", [False, True])
def test_it_works_inside_tools(is_async_tool: bool) -> None:
    inner = Agent(echo())

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        last = messages[-1].parts[-1]
        return reply(str(last.content)) if isinstance(last, ToolReturnPart) else call("ask")

    outer = Agent(FunctionModel(respond))
    if is_async_tool:

        @outer.tool_plain(name="ask")
        async def ask_async() -> str:
            return inner.run_sync("from a tool").output  # on the background loop's own thread
    else:

        @outer.tool_plain(name="ask")
        def ask() -> str:
            return inner.run_sync("from a tool").output

    assert outer.run_sync("a").output == "1: from a tool"
    assert outer.run_sync("b").output == "2: from a tool"


def test_a_sync_stream_can_be_read_and_left() -> None:
    agent = Agent(echo())
    with agent.run_stream_sync("one two three") as stream:
        assert list(stream.stream_text(delta=True)) == ["1: one two three "]
    with agent.run_stream_sync("four five", model_settings={}) as stream:
        for text in stream.stream_text(delta=True, debounce_by=None):
            assert text == "2: "
            break
    assert agent.run_sync("six").output == "3: six"
    assert prompts(agent.messages) == ["one two three", "four five", "six"]


def test_an_error_in_a_sync_stream_reaches_the_caller() -> None:
    async def fail(messages: list[ModelMessage], info: AgentInfo) -> Any:
        yield "so far "
        raise ConnectionError("gone")

    agent = Agent(FunctionModel(stream_function=fail))
    with (
        pytest.raises(ConnectionError, match="gone"),
        agent.run_stream_sync("a") as stream,
    ):
        list(stream.stream_text(delta=True, debounce_by=None))

    async def fail_at_once(messages: list[ModelMessage], info: AgentInfo) -> Any:
        raise ConnectionError("never there")
        yield ""

    with pytest.raises(ConnectionError, match="never there"):
        Agent(FunctionModel(stream_function=fail_at_once)).run_stream_sync("a")


def test_all_sync_calls_share_one_loop_so_that_pooled_clients_can_be_shared() -> None:
    loops: set[int] = set()

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        loops.add(id(asyncio.get_running_loop()))
        return reply("done")

    agent = Agent(FunctionModel(respond))
    threads = [threading.Thread(target=agent.session(str(i)).run_sync, args=("a",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loops) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_it_works_in_a_child_after_a_fork() -> None:
    agent = Agent(echo())
    assert agent.run_sync("parent").output == "1: parent"
    child = os.fork()
    if child == 0:
        is_right = False
        try:
            is_right = agent.run_sync("child").output == "2: child"
        finally:
            os._exit(0 if is_right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert agent.run_sync("parent again").output == "2: parent again"


def run_script(script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_ctrl_c_cancels_the_run_waits_for_it_and_keeps_what_was_said() -> None:
    process = run_script("""
        import asyncio, time
        from mamba_agents.agent import Agent
        from pydantic_ai.models.function import FunctionModel

        async def wait(messages, info):
            print("started", flush=True)
            try:
                await asyncio.sleep(60)
            finally:
                time.sleep(0.2)
                print("cleaned up", flush=True)

        agent = Agent(FunctionModel(wait))
        try:
            agent.run_sync("hello")
        except KeyboardInterrupt:
            print("interrupted", [event.outcome for event in agent.session().events()[-1:]], len(agent.messages))
    """)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert out.splitlines() == ["cleaned up", "interrupted ['cancelled'] 1"]
    assert err == ""


def test_an_exit_inside_a_tool_leaves_the_loop_alive_for_the_next_call() -> None:
    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return call("leave") if prompts(messages)[-1] == "exit" else reply("still here")

    agent = Agent(FunctionModel(respond))

    @agent.tool_plain
    async def leave() -> None:
        sys.exit(3)

    with pytest.raises(SystemExit):
        agent.run_sync("exit")
    assert agent.run_sync("and now?").output == "still here"


def test_a_process_ends_at_once_after_sync_calls() -> None:
    process = run_script("""
        from mamba_agents.agent import Agent
        from pydantic_ai.models.test import TestModel
        print(Agent(TestModel(custom_output_text="bye")).run_sync("hello").output)
    """)
    assert process.communicate(timeout=30) == ("bye\n", "")
    assert process.returncode == 0


@pytest.mark.parametrize("name", ["run_sync", "run_stream_sync"])
def test_a_misspelt_keyword_is_told(name: str) -> None:
    with pytest.raises(TypeError, match="nonsense"):
        getattr(Agent(echo()), name)("a", nonsense=1)


def test_a_sync_stream_that_is_dropped_frees_its_session() -> None:
    agent = Agent(echo())
    stream = agent.run_stream_sync("a b c")
    assert agent.messages == []
    del stream
    gc.collect()
    assert agent.run_sync("d").output.endswith(": d")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_run_leaves_the_session_usable_in_both_processes() -> None:
    started, release = threading.Event(), threading.Event()

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if prompts(messages)[-1] == "parent":
            started.set()
            release.wait(30)
        return reply("done")

    agent = Agent(FunctionModel(respond))
    thread = threading.Thread(target=agent.run_sync, args=("parent",))
    thread.start()
    started.wait(30)
    child = os.fork()
    if child == 0:
        is_right = False
        try:
            is_right = agent.run_sync("child").output == "done"
        finally:
            os._exit(0 if is_right else 1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    release.set()
    thread.join()
    assert status == 0
    assert prompts(agent.messages) == ["parent"]
