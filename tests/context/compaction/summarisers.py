"""Summarisers that a test can watch, and histories to sum up."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pydantic_ai.messages import CompactionPart, ModelMessage, ModelRequest, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings

from mamba_agents.tokens import TokenCounter
from tests.helpers import call, reply, returned, user

NOTES = """## Goal
Book the cheapest seat.
## Decisions
- Take the train.
## Facts
- It leaves at noon.
## Files and identifiers
- the booking BK-77
## Open ends
- The return trip."""


@dataclass(kw_only=True)
class Summariser:
    """Gives these replies in turn, the last for ever, and keeps what it was asked; an exception is raised."""

    replies: list[str | ModelResponse | Exception]
    window: int | None = None
    asked: list[list[ModelMessage]] = field(default_factory=list)
    settings: list[ModelSettings | None] = field(default_factory=list)

    async def respond(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.asked.append(messages)
        self.settings.append(info.model_settings)
        given = self.replies[min(len(self.asked), len(self.replies)) - 1]
        if isinstance(given, Exception):
            raise given
        return reply(given) if isinstance(given, str) else given

    @property
    def model(self) -> FunctionModel:
        profile = ModelProfile(context_window=self.window) if self.window else None
        return FunctionModel(self.respond, profile=profile, model_name="summariser")

    @property
    def prompts(self) -> list[str]:
        """What it was given to read, request by request."""
        return [str(part.content) for messages in self.asked for part in messages[-1].parts]

    def sizes(self, counter: TokenCounter) -> list[int]:
        """The tokens of each request with its instructions and the longest reply it allows."""
        return [
            counter.count(prompt) + counter.count(messages[-1].instructions or "") + (settings or {})["max_tokens"]
            for prompt, messages, settings in zip(self.prompts, self.asked, self.settings, strict=True)
            if isinstance(messages[-1], ModelRequest)
        ]


def good() -> Summariser:
    return Summariser(replies=[NOTES])


def turns(count: int, *, start: int = 0, result: Callable[[int], object] | None = None) -> list[ModelMessage]:
    """Turns of a prompt, a call, its result and an answer; each with values of its own."""
    messages: list[ModelMessage] = []
    for number in range(start, start + count):
        content = result(number) if result else {"path": f"/data/{number}.json", "text": "lorem ipsum " * 30}
        messages += [
            user(f"Please look at the order ORD-{1000 + number}."),
            call("lookup", {"id": f"ORD-{1000 + number}"}, f"call-{number}"),
            returned("lookup", content, f"call-{number}"),
            reply(f"Order {number} is fine."),
        ]
    return messages


def summaries(messages: Iterable[ModelMessage]) -> list[str]:
    """The contents of the summaries in a history."""
    return [part.content or "" for m in messages for part in m.parts if isinstance(part, CompactionPart)]


def texts(messages: Iterable[ModelMessage]) -> str:
    """All that a history says, for looking something up in it."""
    return json.dumps([[repr(part) for part in message.parts] for message in messages], ensure_ascii=False)


def long_reply(words: int) -> ModelResponse:
    return ModelResponse(parts=[TextPart("## Facts\n" + "really " * words)])
