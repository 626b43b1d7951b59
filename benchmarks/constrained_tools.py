"""Measures how often a small model, constrained to a choice of tools, chooses the right one.

The replies are valid by construction; whether they are right is up to the model. Run it with
`python -m benchmarks.constrained_tools [model.gguf]`.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pydantic_ai import Agent
from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings
from rich.console import Console
from rich.table import Table

from mamba_agents.backends import create_local_backend


def get_weather(city: str) -> str:
    """Get today's weather in a city."""
    return f"sunny in {city}"


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def read_file(path: str) -> str:
    """Read a text file."""
    return f"contents of {path}"


def send_email(to: str, subject: str) -> str:
    """Send an email to somebody."""
    return f"sent {subject!r} to {to}"


TOOLS: list[Callable[..., object]] = [get_weather, add, read_file, send_email]

# A prompt, and the tool that it needs; None where it needs none.
PROMPTS: dict[str, str | None] = {
    "What is the weather in Paris?": "get_weather",
    "Will it rain in London today?": "get_weather",
    "Get the weather for Tokyo.": "get_weather",
    "Is it cold in Oslo?": "get_weather",
    "Add 12 and 30.": "add",
    "What is 3 plus 4?": "add",
    "Calculate the sum of 100 and 250.": "add",
    "How much is 17 + 5?": "add",
    "Read the file notes.txt.": "read_file",
    "What does README.md say?": "read_file",
    "Show me the contents of config.toml.": "read_file",
    "Open the file src/main.py and read it.": "read_file",
    "Send an email to bob@example.com about lunch.": "send_email",
    "Email anna@example.com that the report is done.": "send_email",
    "Write a mail to team@example.com with the subject Hello.": "send_email",
    "Send carl@example.com an email about the meeting.": "send_email",
    "Hello, how are you?": None,
    "Tell me a joke.": None,
    "Thank you very much!": None,
    "What is your name?": None,
}


SETTINGS = ModelSettings(temperature=0.0, max_tokens=120)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a model did with one prompt."""

    wanted: str | None
    chosen: str | None
    valid: bool
    """Whether it answered, or called a tool with arguments that the tool took."""


async def first_choice(model: Model, prompt: str, tools: Iterable[Callable[..., object]]) -> Outcome:
    agent = Agent(model, tools=list(tools), retries=0, model_settings=SETTINGS)
    wanted, chosen = PROMPTS[prompt], None
    try:
        async with agent.iter(prompt) as run:
            async for node in run:
                if not Agent.is_call_tools_node(node):
                    continue
                if not (calls := node.model_response.tool_calls):
                    break
                chosen = calls[0].tool_name
                async with node.stream(run.ctx) as events:
                    async for _ in events:
                        pass
                break
    except AgentRunError:
        return Outcome(wanted=wanted, chosen=chosen, valid=False)
    return Outcome(wanted=wanted, chosen=chosen, valid=True)


async def outcomes(model: Model, tools: list[Callable[..., object]]) -> list[Outcome]:
    """Try every prompt that needs one of these tools, or none."""
    known = {tool.__name__ for tool in tools} | {None}
    return [await first_choice(model, prompt, tools) for prompt, wanted in PROMPTS.items() if wanted in known]


def row(tools: int, tried: list[Outcome]) -> tuple[str, ...]:
    calls = [outcome for outcome in tried if outcome.wanted]
    answers = [outcome for outcome in tried if not outcome.wanted]
    return (str(tools), _share(tried, "valid"), _share(calls, "right"), _share(answers, "right"))


def _share(tried: list[Outcome], what: str) -> str:
    good = [outcome for outcome in tried if (outcome.valid if what == "valid" else outcome.chosen == outcome.wanted)]
    return f"{len(good)} of {len(tried)}"


def main() -> None:
    path = sys.argv[1] if len(sys.argv) > 1 else None
    model = create_local_backend(path, constrained_tools=True)
    table = Table("tools", "valid", "right calls", "right answers", title=f"{model.model_name}, constrained")
    for count in (1, len(TOOLS)):
        table.add_row(*row(count, asyncio.run(outcomes(model, TOOLS[:count]))))
    Console().print(table)


if __name__ == "__main__":
    main()
