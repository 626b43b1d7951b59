"""Turns a script (what a user asks, which tools a model calls, what it says) into messages.

A script chooses its next step from what the tools really returned. `recorded` runs it as the model of a real
`pydantic_ai.Agent`; `played` calls the tools itself and writes the same messages, thousands of times faster.
"""

import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from pydantic_ai import Agent, ModelRetry
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import UsageLimits


@dataclass(frozen=True)
class Ask:
    """What the user asks; a turn begins."""

    text: str


@dataclass(frozen=True)
class Say:
    """The model's last words in a turn."""

    text: str


@dataclass(frozen=True)
class Calls:
    """Tools that the model calls at once."""

    calls: Sequence[tuple[str, Mapping[str, object]]]
    text: str = ""
    """What the model says with them."""


type Script = Generator[Ask | Say | Calls, list[Any], Any]
"""Sends back what the tools returned for `Calls`, and an empty list for the rest."""


def use(tool: str, /, saying: str = "", **arguments: object) -> Calls:
    """One call."""
    return Calls(calls=((tool, arguments),), text=saying)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A script with the tools it calls."""

    name: str
    system_prompt: str
    tools: Sequence[Callable[..., object]]
    script: Script
    ids: str = "unique"
    """How calls are numbered: `unique`, `per_reply` (each reply begins anew) or `per_turn`, as providers differ."""

    json_arguments: bool = False
    """Whether arguments are a JSON string, as some providers send them."""

    rng: Random = field(default_factory=Random)


MODEL = "scripted"
"""Where a response names its model, two in a row are refused, as they are of every real one."""


class _Replies:
    """Makes the responses of a scene, with its call ids."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._numbers = count(1)

    def new_turn(self) -> None:
        if self._scene.ids == "per_turn":
            self._numbers = count(1)

    def response(self, step: Say | Calls) -> ModelResponse:
        text = [TextPart(step.text)] if step.text else []
        if isinstance(step, Say):
            return ModelResponse(parts=text, model_name=MODEL)
        if self._scene.ids == "per_reply":
            self._numbers = count(0)
        calls = [ToolCallPart(name, self._arguments(args), tool_call_id=self._id()) for name, args in step.calls]
        return ModelResponse(parts=[*text, *calls], model_name=MODEL)

    def _arguments(self, arguments: Mapping[str, object]) -> dict[str, object] | str:
        return json.dumps(arguments, ensure_ascii=False) if self._scene.json_arguments else dict(arguments)

    def _id(self) -> str:
        number = next(self._numbers)
        return f"call_{self._scene.rng.getrandbits(64):016x}" if self._scene.ids == "unique" else f"call_{number}"


def played(scene: Scene) -> list[ModelMessage]:
    """The messages of a scene, its tools called by hand."""
    tools = {tool.__name__: tool for tool in scene.tools}
    replies, messages, results = _Replies(scene), list[ModelMessage](), list[object]()
    for step in _steps(scene.script, results):
        results.clear()
        if isinstance(step, Ask):
            replies.new_turn()
            system = [] if messages else [SystemPromptPart(scene.system_prompt)]
            messages.append(ModelRequest(parts=[*system, UserPromptPart(step.text)]))
            continue
        response = replies.response(step)
        messages.append(response)
        if response.tool_calls:
            returned = [_returned(tools[part.tool_name], part) for part in response.tool_calls]
            messages.append(ModelRequest(parts=returned))
            results.extend(part.content for part in returned)
    return messages


async def recorded(scene: Scene) -> list[ModelMessage]:
    """The messages of a scene whose script is the model of a real agent, which runs the tools."""
    replies, messages, results = _Replies(scene), list[ModelMessage](), list[object]()
    steps = _steps(scene.script, results)

    async def respond(history: list[ModelMessage], info: AgentInfo) -> ModelResponse:  # noqa: ARG001
        results[:] = [part.content for part in history[-1].parts if isinstance(part, ToolReturnPart)]
        step = next(steps)
        assert not isinstance(step, Ask), f"found the question {step.text!r}; expected a reply to the one before"
        return replies.response(step)

    agent = Agent(FunctionModel(respond), tools=list(scene.tools), system_prompt=scene.system_prompt, retries=9)
    for ask in steps:
        assert isinstance(ask, Ask), f"found {ask}; expected a question"
        replies.new_turn()
        run = await agent.run(ask.text, message_history=messages, usage_limits=UsageLimits(request_limit=None))
        messages = run.all_messages()
        results.clear()
    return messages


def _steps(script: Script, results: list[Any]) -> Iterator[Ask | Say | Calls]:
    """The steps of a script; before it is asked for the next, `results` must hold what the last one brought."""
    try:
        step = next(script)
        while True:
            yield step
            step = script.send(list(results))
    except StopIteration:
        return


def _returned(tool: Callable[..., object], part: ToolCallPart) -> ToolReturnPart:
    try:
        content = tool(**part.args_as_dict())
    except ModelRetry as error:
        content, outcome = error.message, "retried"
    else:
        outcome = "success"
    return ToolReturnPart(part.tool_name, content, tool_call_id=part.tool_call_id, outcome=outcome)
