"""Hooks reach every capability that has them, as on pydantic-ai's own agent, and none that has not is missed."""

import inspect
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pydantic_ai
import pytest
from pydantic_ai import AgentRunResult, ModelMessage, ModelResponse, RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from mamba_agents import Agent
from mamba_agents.agent.layers.dispatch import SelectiveCapabilities
from mamba_agents.agent.layers.hooks import HOOKS
from mamba_agents.agent.layers.seat import Seat
from mamba_agents.config import AgentSettings
from mamba_agents.tokens import ModelRate
from tests.helpers import call, echo, reply, script

pytestmark = pytest.mark.anyio

IN_RUNS = [name for name in sorted(HOOKS) if name.startswith(("before_", "after_", "wrap_", "on_", "prepare_"))]
LEFT_OUT = [name for name in IN_RUNS if vars(SelectiveCapabilities).get(name) is not None]
"""Those that are not asked of a capability that has none of its own."""


def recording(base: type[AbstractCapability[Any]] = AbstractCapability) -> tuple[AbstractCapability[Any], list[str]]:
    """A capability with every hook there is, and the list of those that were called."""
    called: list[str] = []

    def recorded(name: str) -> Callable[..., Any]:
        def hook(self: AbstractCapability[Any], *arguments: Any, **named: Any) -> Any:
            called.append(name)
            return getattr(super(kind, self), name)(*arguments, **named)

        return hook

    kind = type("Recording", (base,), {name: recorded(name) for name in IN_RUNS})
    return kind(), called


async def play(make: Callable[..., pydantic_ai.Agent[Any, Any]]) -> list[str]:
    """The hooks that are called in a run with a tool that fails once, a typed output that does so too, and events."""
    capability, called = recording()

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        number = len(messages) // 2
        calls = [call("double", {"of": "x"}), call("double", {"of": 2}), call("final_result", {"value": "no"})]
        return calls[number] if number < 3 else call("final_result", {"response": 4})

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[DeltaToolCalls]:
        for part in respond(messages, info).parts:
            assert isinstance(part, ToolCallPart)
            yield {0: DeltaToolCall(part.tool_name, part.args_as_json_str(), tool_call_id=part.tool_call_id)}

    agent = make(FunctionModel(stream_function=stream), output_type=int, capabilities=[capability])

    @agent.tool_plain
    def double(of: int) -> int:
        return 2 * of

    result = await agent.run("go")
    assert result.output == 4
    return called


async def test_a_capability_is_asked_at_the_hooks_that_pydantic_ais_agent_asks_it_at() -> None:
    stock, ours = await play(pydantic_ai.Agent), await play(Agent)
    assert ours == stock
    assert {
        "before_run",
        "wrap_tool_execute",
        "on_tool_validate_error",
        "after_node_run",
        "wrap_run_event_stream",
    } <= set(ours)


@pytest.mark.parametrize("name", LEFT_OUT)
async def test_a_hook_that_is_left_out_would_give_back_what_it_was_given(name: str) -> None:
    given = {each: object() for each in inspect.signature(getattr(AbstractCapability, name)).parameters}
    given.pop("self")

    async def handler(*arguments: object) -> object:
        return arguments[0] if arguments else "handled"

    async def stream() -> Any:
        yield "event"

    given |= {"handler": handler} if "handler" in given else {}
    given |= {"stream": stream()} if "stream" in given else {}
    answer: Any = getattr(AbstractCapability[Any](), name)(**given)
    if name == "wrap_run_event_stream":
        assert [event async for event in answer] == ["event"]
    else:
        answer = await answer
        assert answer in [*given.values(), "handled"] or (answer is None and name == "before_run")


@dataclass
class BecomesAnother(AbstractCapability[Any]):
    """Has no hook but one: it makes one of each run that has."""

    seen: list[str] = field(default_factory=list[str])

    async def for_run(self, ctx: RunContext[Any]) -> AbstractCapability[Any]:
        capability, called = recording()
        self.seen = called
        return capability


async def test_what_a_capability_becomes_for_a_run_is_asked_at_its_own_hooks() -> None:
    other = BecomesAnother()
    agent = Agent(echo(), capabilities=[other])
    await agent.run("first")
    first = other.seen
    await agent.run("second")
    assert first
    assert other.seen == first
    assert other.seen is not first


async def test_a_hook_that_is_given_to_one_capability_alone_is_asked() -> None:
    capability = AbstractCapability[Any]()

    async def after_run(ctx: RunContext[Any], *, result: AgentRunResult[Any]) -> AgentRunResult[Any]:
        result.output = result.output.upper()
        return result

    capability.after_run = after_run
    assert (await Agent(script("quiet"), capabilities=[capability]).run("go")).output == "QUIET"


class Doubling(WrapperModel):
    """A model that reports twice of what was sent."""

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        response = await self.wrapped.request(messages, model_settings, model_request_parameters)
        response.usage.input_tokens *= 2
        return response


class Doubles(AbstractCapability[Any]):
    """Puts its own wrapper around the model."""

    def get_wrapper_model(self, model: Model) -> Model:
        return Doubling(model)


@pytest.mark.parametrize(("capabilities", "cost"), [([], "0.001"), ([Doubles()], "0.002")])
@pytest.mark.parametrize("given_to", ["agent", "run"])
async def test_what_others_put_around_the_model_is_inside_of_what_we_put_there(
    capabilities: list[AbstractCapability[Any]], cost: str, given_to: str
) -> None:
    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        response = reply("answer")
        response.usage = RequestUsage(input_tokens=1_000)
        return response

    settings = AgentSettings.model_construct(cost_rates={"m": ModelRate(input=Decimal(1), output=Decimal(1))})
    model = FunctionModel(respond, model_name="m")
    agent = Agent(model, settings=settings, capabilities=capabilities if given_to == "agent" else [])
    result = await agent.run("go", capabilities=capabilities if given_to == "run" else [])
    assert result.cost == Decimal(cost)


async def test_an_agent_that_runs_inside_a_hook_of_another_leaves_that_ones_model_alone() -> None:
    class Asks(AbstractCapability[Any]):
        """Asks another agent before each request."""

        async def before_model_request(self, ctx: RunContext[Any], request_context: Any) -> Any:
            await inner.run("what do you think?")
            return request_context

    settings = AgentSettings.model_construct(cost_rates={"m": ModelRate(input=Decimal(1), output=Decimal(1))})

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        response = reply("answer")
        response.usage = RequestUsage(input_tokens=1_000)
        return response

    model = FunctionModel(respond, model_name="m")
    inner = Agent(model, settings=settings)
    outer = Agent(model, settings=settings, capabilities=[Asks()])
    await outer.run("go")
    assert [agent.get_cost() for agent in (inner, outer)] == [Decimal("0.001"), Decimal("0.001")]


async def test_a_layer_with_a_hook_that_its_seat_does_not_pass_on_is_refused() -> None:
    class Counts(AbstractCapability[Any]):
        async def before_model_request(self, ctx: RunContext[Any], request_context: Any) -> Any:
            return request_context

        async def before_run(self, ctx: RunContext[Any]) -> None:
            raise AssertionError

    with pytest.raises(TypeError, match="found Counts with before_run, which nobody would ask it for here"):
        Seat(layers=[Counts()])


@pytest.mark.parametrize("hook", sorted(HOOKS))
async def test_a_seat_passes_a_hook_on_or_refuses_it(hook: str) -> None:
    capability = type("One", (AbstractCapability,), {hook: lambda self, *arguments, **named: None})()
    if hook in vars(Seat):
        assert Seat(layers=[capability]).layers == [capability]
    else:
        with pytest.raises(TypeError, match=f"found One with {hook}"):
            Seat(layers=[capability])


async def test_layers_without_a_hook_for_errors_are_not_asked_for_one() -> None:
    asked: list[str] = []

    class Mends(AbstractCapability[Any]):
        async def on_tool_execute_error(self, ctx: RunContext[Any], *, error: Exception, **named: Any) -> Any:
            asked.append(str(error))
            return "mended"

    seat = Seat(layers=[AbstractCapability[Any](), Mends()])
    agent = pydantic_ai.Agent(script(call("fail"), "done"), capabilities=[seat])

    @agent.tool_plain
    def fail() -> str:
        raise OSError("no")

    assert (await agent.run("go")).output == "done"
    assert asked == ["no"]
