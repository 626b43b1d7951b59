"""What real runs of pydantic-ai leave behind keeps every law."""

from collections.abc import AsyncIterator

import pytest
from pydantic_ai import (
    Agent,
    BinaryContent,
    DeferredToolRequests,
    DeferredToolResults,
    ImageUrl,
    ModelRetry,
    RunContext,
    Tool,
    ToolReturn,
    capture_run_messages,
)
from pydantic_ai.capabilities import Capability
from pydantic_ai.messages import (
    InstructionBaselinePart,
    InstructionDeltaPart,
    LoadCapabilityReturnPart,
    ModelMessage,
    ModelResponse,
    ModelSettingsDeltaPart,
    NativeToolCallPart,
    NativeToolReturnPart,
    RetryFeedbackPart,
    TextPart,
    ThinkingPart,
    ToolAvailabilityDeltaPart,
    ToolCallPart,
    ToolReturnPart,
    ToolSearchReturnPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from mamba_agents.context.laws import check_history
from tests.helpers import call, reply, script

pytestmark = pytest.mark.anyio


def sound(messages: list[ModelMessage]) -> list[ModelMessage]:
    found = check_history(messages)
    assert found == [], "\n".join(map(str, found))
    assert check_history(messages, original=messages) == []
    return messages


def kinds(messages: list[ModelMessage]) -> set[type]:
    return {type(part) for message in messages for part in message.parts}


def both(first: ToolCallPart, second: ToolCallPart) -> ModelResponse:
    return ModelResponse(parts=[TextPart("Both."), first, second])


async def test_parallel_calls_retries_and_unknown_tools() -> None:
    def divide(a: int) -> float:
        if a == 0:
            raise ModelRetry("not by zero")
        return 1 / a

    model = script(
        both(ToolCallPart("divide", {"a": 0}, "call-1"), ToolCallPart("divide", {"a": 2}, "call-2")),
        call("divide", '{"a": "no number"}'),
        call("no_such_tool"),
        "0.5",
        call("divide", {"a": 4}),
        "0.25",
    )
    agent = Agent(model, tools=[divide], retries=5, system_prompt="Count.", instructions="Be exact.")
    first = await agent.run("1 / 2?")
    second = await agent.run("1 / 4?", message_history=sound(first.all_messages()))
    assert ToolReturnPart in kinds(sound(second.all_messages()))


async def test_an_answer_that_was_refused_and_one_that_was_empty() -> None:
    agent = Agent(script("no", ModelResponse(parts=[]), "yes"), retries=3)

    @agent.output_validator
    def agreed(answer: str) -> str:
        if answer != "yes":
            raise ModelRetry("say yes")
        return answer

    messages = sound((await agent.run("?")).all_messages())
    assert RetryFeedbackPart in kinds(messages)


async def test_calls_that_wait_for_approval_and_then_get_it_under_other_instructions() -> None:
    days = iter(["Monday", "Tuesday", "Wednesday"])
    model = script(
        both(ToolCallPart("look", {}, "call-1"), ToolCallPart("delete", {}, "call-2")),
        call("delete", call_id="call-2"),
        "Gone.",
    )
    agent = Agent(
        model,
        output_type=[str, DeferredToolRequests],
        tools=[Tool(lambda: "a file", name="look"), Tool(lambda: "deleted", name="delete", requires_approval=True)],
        instructions=lambda: next(days),
    )
    waiting = await agent.run("Delete it.")
    for approved in (False, True):
        assert isinstance(waiting.output, DeferredToolRequests)
        history = sound(waiting.all_messages())
        waiting = await agent.run(
            message_history=history, deferred_tool_results=DeferredToolResults(approvals={"call-2": approved})
        )
    assert waiting.output == "Gone."
    sound(waiting.all_messages())


async def test_signed_thinking_before_calls_and_answers() -> None:
    thought = ThinkingPart("hm", signature="c2ln", provider_name="anthropic")
    redacted = ThinkingPart("", id="redacted_thinking", signature="c2ln", provider_name="anthropic")
    model = script(
        ModelResponse(parts=[thought, redacted, ToolCallPart("look", {}, "call-1")]),
        ModelResponse(parts=[thought, TextPart("A file.")]),
    )
    agent = Agent(model, tools=[Tool(lambda: "a file", name="look")])
    sound((await agent.run("What is there?")).all_messages())


async def test_files_in_prompts_and_results() -> None:
    picture = BinaryContent(b"\x89PNG\r\n\x1a\n", media_type="image/png")
    returns = iter([picture, ToolReturn("see below", content=["the file:", picture], metadata={"n": 1})])
    model = script(call("look"), call("look"), "A cat.")
    agent = Agent(model, tools=[Tool(lambda: next(returns), name="look")])
    sound((await agent.run(["What is this?", ImageUrl("https://example.org/cat.png"), picture])).all_messages())


async def test_tools_that_are_searched_for() -> None:
    def refund(order: int) -> str:
        """Pay an order back."""
        return f"order {order} paid back"

    model = script(call("search_tools", {"queries": ["refund"]}), call("refund", {"order": 7}, "call-2"), "Done.")
    agent = Agent(model, tools=[Tool(refund, defer_loading=True), Tool(lambda: 1, name="look")])
    messages = sound((await agent.run("Refund order 7.")).all_messages())
    assert ToolSearchReturnPart in kinds(messages)


async def test_a_capability_that_is_loaded_and_whose_instructions_change() -> None:
    texts = iter(["Refunds need a reason.", "Refunds need two reasons.", "Refunds need two reasons."])
    billing = Capability(
        id="billing", description="Refunds.", defer_loading=True, instructions=lambda: next(texts, "No refunds.")
    )
    model = script(call("load_capability", {"id": "billing"}), call("look", call_id="call-2"), "Done.", "Again.")
    agent = Agent(model, capabilities=[billing], tools=[Tool(lambda: 1, name="look")])
    first = await agent.run("Refund order 7.")
    second = await agent.run("And order 8.", message_history=sound(first.all_messages()))
    assert kinds(sound(second.all_messages())) >= {LoadCapabilityReturnPart, InstructionDeltaPart}


async def test_instructions_whose_changes_are_appended() -> None:
    limits = iter(["5 USD", "4 USD", "3 USD", "2 USD"])
    agent = Agent(script(call("look"), "Done.", "Done."), tools=[Tool(lambda: 1, name="look")])

    @agent.instructions(name="limits", on_change="append")
    def limit() -> str:
        return f"Spend at most {next(limits)}."

    first = await agent.run("Buy it.")
    second = await agent.run("Buy another.", message_history=sound(first.all_messages()))
    assert kinds(sound(second.all_messages())) >= {InstructionBaselinePart, InstructionDeltaPart}


async def test_effort_that_changes() -> None:
    agent = Agent(script("1", "2", "3"))
    messages: list[ModelMessage] = []
    for effort in ("low", "high", "low"):
        run = await agent.run("Think.", message_history=messages, model_settings={"thinking": effort})
        messages = sound(run.all_messages())
    changes = [part for message in messages for part in message.parts if isinstance(part, ModelSettingsDeltaPart)]
    assert [part.top_level for part in changes] == [True, False, False]


async def test_tools_that_come_up_in_the_middle_of_a_run() -> None:
    agent = Agent(script(call("grow"), call("later", call_id="call-2"), "Done."), tools=[])

    @agent.tool_plain
    def grow() -> str:
        agent.tool_plain(later)
        return "There is another tool now."

    def later() -> str:
        return "I am it."

    assert ToolAvailabilityDeltaPart in kinds(sound((await agent.run("Grow.")).all_messages()))


async def test_tools_of_the_provider() -> None:
    asked = NativeToolCallPart("web_search", {"query": "x"}, "n-1", provider_name="anthropic")
    found = NativeToolReturnPart("web_search", [], "n-1", provider_name="anthropic")
    late = NativeToolCallPart("tool_search", {"query": "y"}, "n-2", provider_name="anthropic")
    model = script(
        ModelResponse(parts=[asked, found, late, ToolCallPart("look", {}, "call-1")]),
        ModelResponse(parts=[NativeToolReturnPart("tool_search", [], "n-2"), TextPart("Nothing.")]),
    )
    agent = Agent(model, tools=[Tool(lambda: 1, name="look")])
    sound((await agent.run("Search.")).all_messages())


@pytest.fixture
def streaming() -> FunctionModel:
    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | dict[int, DeltaToolCall]]:
        yield "I will look"
        yield {0: DeltaToolCall(name="look", json_args='{"pa', tool_call_id="call-1")}
        yield {0: DeltaToolCall(json_args='th": "a"}')}

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return reply("Done.")

    return FunctionModel(respond, stream_function=stream)


async def test_a_stream_that_was_cut_and_a_prompt_after_it(streaming: FunctionModel) -> None:
    agent = Agent(streaming, tools=[Tool(lambda path: path, name="look")])
    with capture_run_messages() as messages:
        async with agent.run_stream("What is there?") as stream:
            async for _ in stream.stream_response(debounce_by=None):
                break
            await stream.cancel()
    cut = sound(list(messages))
    assert cut[-1].state == "interrupted"  # pyright: ignore[reportAttributeAccessIssue]
    sound((await agent.run("Go on.", message_history=cut)).all_messages())


async def test_a_run_that_failed_in_a_tool() -> None:
    def explode() -> str:
        raise RuntimeError("no")

    agent = Agent(
        script(both(ToolCallPart("look", {}, "call-1"), ToolCallPart("explode", {}, "call-2")), "Done."),
        tools=[Tool(lambda: 1, name="look"), explode],
    )
    with capture_run_messages() as messages, pytest.raises(RuntimeError):
        await agent.run("Try.")
    failed = sound(list(messages))
    sound((await agent.run("Once more.", message_history=failed)).all_messages())


async def test_content_that_a_tool_puts_into_the_talk() -> None:
    def note(ctx: RunContext[None]) -> str:
        ctx.enqueue("By the way: it rains.")
        return "noted"

    model = script(both(ToolCallPart("note", {}, "call-1"), ToolCallPart("note", {}, "call-2")), "Done.", "Done.")
    sound((await Agent(model, tools=[note]).run("Note it twice.")).all_messages())
