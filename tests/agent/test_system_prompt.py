"""The system prompt is with every request."""

from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, SystemPromptPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from mamba_agents.agent import Agent, AgentConfig
from tests.agent import entry_points
from tests.agent.entry_points import EntryPoint
from tests.helpers import call, reply, user

pytestmark = pytest.mark.anyio


def tells_its_prompt() -> FunctionModel:
    """Answers with the instructions and system prompts it is sent."""

    def read(messages: list[ModelMessage], info: AgentInfo) -> str:
        parts = [part.content for message in messages for part in message.parts if isinstance(part, SystemPromptPart)]
        return "|".join([*parts, info.instructions or ""])

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return reply(read(messages, info))

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Any:
        yield read(messages, info)

    return FunctionModel(respond, stream_function=stream)


@pytest.mark.parametrize("enter", entry_points.ALL, ids=lambda enter: enter.__name__)
async def test_it_holds_on_every_turn_and_a_new_one_from_the_next_on(enter: EntryPoint) -> None:
    agent = Agent(tells_its_prompt(), system_prompt="Be brief.")
    assert [await enter(agent, "a"), await enter(agent, "b")] == ["Be brief."] * 2
    agent.set_system_prompt("Be kind.")
    assert agent.get_system_prompt() == "Be kind."
    assert await enter(agent, "c") == "Be kind."


async def test_it_holds_beside_instructions_and_with_a_history_of_the_callers() -> None:
    agent = Agent(tells_its_prompt(), system_prompt="Be brief.", instructions=["In French."])
    assert (await agent.run("a")).output == "Be brief.\n\nIn French."
    assert (await agent.run("b", message_history=[user("x"), reply("y")])).output == "Be brief.\n\nIn French."


async def test_it_can_change_inside_a_run() -> None:
    sent: list[str | None] = []

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        sent.append(info.instructions)
        return reply("done") if isinstance(messages[-1].parts[-1], ToolReturnPart) else call("switch")

    agent = Agent(FunctionModel(respond), system_prompt="before")
    agent.tool_plain(lambda: agent.set_system_prompt("after"), name="switch")
    await agent.run("a")
    assert sent == ["before", "after"]


async def test_that_of_the_config_only_fills_in() -> None:
    config = AgentConfig(system_prompt="from config")
    assert (await Agent(tells_its_prompt(), config=config).run("a")).output == "from config"
    assert (await Agent(tells_its_prompt(), system_prompt="mine", config=config).run("a")).output == "mine"


async def test_without_memory_it_is_sent_as_pydantic_ai_sends_it() -> None:
    config = AgentConfig(track_context=False)
    agent = Agent(tells_its_prompt(), system_prompt=["One.", "Two."], config=config)
    assert (await agent.run("a")).output == "One.|Two.|"
    assert agent.get_system_prompt() == "One.\n\nTwo."
    agent.set_system_prompt("Three.")
    assert agent.get_system_prompt() == "Three."
    assert (await agent.run("a")).output == "Three."


async def test_an_agent_without_one_sends_none() -> None:
    sent: list[tuple[str | None, int]] = []

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        sent.append((info.instructions, len(messages[0].parts)))
        return reply("done")

    agent = Agent(FunctionModel(respond))
    assert agent.get_system_prompt() == ""
    await agent.run("a")
    assert sent == [(None, 1)]


async def test_a_system_prompt_that_is_no_text_is_refused_and_the_old_one_stays() -> None:
    agent = Agent(tells_its_prompt(), system_prompt="Be brief.")
    for replace in (agent.set_system_prompt, agent.session().context.set_system_prompt):
        with pytest.raises(TypeError, match="found int as the system prompt; expected text"):
            replace(5)  # type: ignore[arg-type]
    assert agent.get_system_prompt() == "Be brief."
