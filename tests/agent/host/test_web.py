"""Front ends of the web on an agent of ours: pydantic-ai's own page, AG-UI and the Vercel AI SDK."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from ag_ui.core import RunAgentInput, UserMessage
from pydantic_ai import DeferredToolRequests, ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.ui.ag_ui import AGUIAdapter
from pydantic_ai.ui.vercel_ai import VercelAIAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from mamba_agents import Agent, AgentConfig
from tests.helpers import echo, prompts


def said(*texts: str) -> dict[str, Any]:
    """What the Vercel AI SDK posts: the whole conversation, the page's own."""
    messages = [
        {"id": f"m{n}", "role": "user" if n % 2 == 0 else "assistant", "parts": [{"type": "text", "text": text}]}
        for n, text in enumerate(texts)
    ]
    return {"trigger": "submit-message", "id": "thread", "messages": messages}


def events(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def text(chunks: Iterable[dict[str, Any]]) -> str:
    return "".join(chunk["delta"] for chunk in chunks if "text-delta" in str(chunk.get("type")).lower()).strip()


def client(app: Starlette) -> TestClient:
    return TestClient(app, base_url="http://localhost")


def test_the_page_answers_and_streams() -> None:
    chunks = events(client(Agent(echo()).to_web()).post("/api/chat", json=said("hello there")))
    assert text(chunks) == "1: hello there"
    assert sum(chunk["type"] == "text-delta" for chunk in chunks) == 3
    assert chunks[-1]["type"] == "finish"


def test_the_pages_history_and_the_agents_memory_stay_apart() -> None:
    agent = Agent(echo())
    agent.run_sync("before")
    page = client(agent.to_web())
    assert text(events(page.post("/api/chat", json=said("one")))) == "1: one"
    assert text(events(page.post("/api/chat", json=said("one", "1: one", "two")))) == "2: two"
    assert prompts(agent.messages) == ["before"]
    assert agent.get_usage().request_count == 3
    assert agent.run_sync("after").output == "2: after"


def shows_instructions() -> FunctionModel:
    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Any:
        yield str(info.instructions)

    return FunctionModel(stream_function=stream)


def test_the_system_prompt_is_with_every_turn_of_the_page() -> None:
    page = client(Agent(shows_instructions(), system_prompt="You are a clerk.").to_web(instructions="Be kind."))
    for conversation in (said("one"), said("one", "an answer", "two")):
        assert text(events(page.post("/api/chat", json=conversation))) == "You are a clerk.\n\nBe kind."


def test_the_page_offers_the_agents_model_and_others() -> None:
    configuration = client(Agent("test").to_web(models={"Other": echo()})).get("/api/configure").json()
    assert [model["name"] for model in configuration["models"]] == ["Test", "Other"]


def calls_then_tells(name: str) -> FunctionModel:
    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Any:
        last = messages[-1].parts[-1]
        if last.part_kind == "tool-return":
            yield f"told {last.content}"
        else:
            yield {0: DeltaToolCall(name, "{}", tool_call_id="1")}

    return FunctionModel(stream_function=stream)


def test_a_failing_tool_is_told_to_the_model_and_the_page_gets_its_answer() -> None:
    agent = Agent(calls_then_tells("broken"))

    @agent.tool_plain
    def broken() -> str:
        raise ValueError("no such order")

    chunks = events(client(agent.to_web()).post("/api/chat", json=said("go")))
    assert text(chunks) == "told ValueError: no such order"


def test_the_limit_of_iterations_holds_on_the_page() -> None:
    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Any:
        yield {0: DeltaToolCall("again", "{}", tool_call_id=str(len(messages)))}

    agent = Agent(FunctionModel(stream_function=stream), config=AgentConfig(max_iterations=2))

    @agent.tool_plain
    def again() -> str:
        return "again"

    chunks = events(client(agent.to_web()).post("/api/chat", json=said("go")))
    assert text(chunks) == "Stopped after 2 model requests without an answer."


def serve(adapter: Any, agent: Agent[Any, Any], **options: Any) -> TestClient:
    async def answer(request: Request) -> Response:
        return await adapter.dispatch_request(request, agent=agent, **options)

    return client(Starlette(routes=[Route("/", answer, methods=["POST"])]))


def test_the_vercel_adapter_streams_and_leaves_memory_alone() -> None:
    agent = Agent(echo())
    front_end = serve(VercelAIAdapter, agent, sdk_version=6)
    assert text(events(front_end.post("/", json=said("one", "1: one", "two")))) == "2: two"
    assert agent.messages == []


def test_the_vercel_adapter_asks_for_approval_and_goes_on() -> None:
    agent = Agent(calls_then_tells("refund"), output_type=[str, DeferredToolRequests])

    @agent.tool_plain(requires_approval=True)
    def refund() -> str:
        return "refunded"

    front_end = serve(VercelAIAdapter, agent, sdk_version=6)
    asked = next(c for c in events(front_end.post("/", json=said("go"))) if c["type"] == "tool-approval-request")
    conversation = said("go")
    conversation["messages"].append(
        {
            "id": "m1",
            "role": "assistant",
            "parts": [
                {
                    "type": "tool-refund",
                    "toolCallId": "1",
                    "state": "approval-responded",
                    "input": {},
                    "approval": {"id": asked["approvalId"], "approved": True},
                }
            ],
        }
    )
    assert text(events(front_end.post("/", json=conversation))) == "told refunded"


def run_input(*messages: UserMessage, thread: str = "thread") -> dict[str, Any]:
    given = RunAgentInput(
        thread_id=thread, run_id="run", state={}, messages=list(messages), tools=[], context=[], forwarded_props=None
    )
    return given.model_dump(by_alias=True)


def test_ag_ui_streams_under_its_thread_and_leaves_memory_alone() -> None:
    agent = Agent(echo())
    agent.session("thread").run_sync("said elsewhere")
    front_end = serve(AGUIAdapter, agent)
    seen = events(front_end.post("/", json=run_input(UserMessage(id="1", content="hello"))))
    assert [event["type"] for event in seen][:2] == ["RUN_STARTED", "TEXT_MESSAGE_START"]
    assert "".join(event.get("delta", "") for event in seen).strip() == "1: hello"
    assert seen[-1]["type"] == "RUN_FINISHED"
    assert prompts(agent.session("thread").messages) == ["said elsewhere"]


def test_a_server_can_give_ag_ui_the_history_of_a_session() -> None:
    agent = Agent(echo())
    agent.session("thread").run_sync("said elsewhere")
    front_end = serve(AGUIAdapter, agent, message_history=agent.session("thread").messages)
    seen = events(front_end.post("/", json=run_input(UserMessage(id="1", content="hello"))))
    assert "".join(event.get("delta", "") for event in seen).strip() == "2: hello"


@pytest.mark.anyio
async def test_what_ag_ui_gives_at_its_end_is_our_result() -> None:
    agent = Agent(echo())
    results: list[Any] = []

    async def keep(result: Any) -> None:
        results.append(result)

    adapter = AGUIAdapter(
        agent=agent, run_input=RunAgentInput.model_validate(run_input(UserMessage(id="1", content="hello")))
    )
    async for _ in adapter.run_stream(on_complete=keep):
        pass
    assert [(type(r).__name__, r.stop_reason, r.session_id) for r in results] == [
        ("AgentResult", "completed", "thread")
    ]
