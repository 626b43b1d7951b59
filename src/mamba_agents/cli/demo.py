"""`mamba-agents demo`: a tour of what stands around a model, with the one that runs in this process."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field
from pydantic_ai import ModelMessage, ToolCallPart, ToolOutput, UserContent
from rich.console import Console
from rich.table import Table

import mamba_agents
from mamba_agents.agent import Agent
from mamba_agents.cli.attachments import Attachment, prompt_with
from mamba_agents.cli.terminal import AnswerWriter, in_dollars, printable, status_line
from mamba_agents.config import AgentSettings
from mamba_agents.tools import glob_search

_SHOWN_CHARACTERS = 1_200
"""How much of the file the model is given: on one busy core it reads about a hundred tokens a second."""

_EXPLAINED = ("model_backend.max_tokens", "local.threads")

_INTRODUCTION = """\
This tour runs on a model inside this process: no key, no account, no network. Unless you chose another, it is SmolLM2 \
with 135 million parameters, about a thousandth of what people work with. It talks fluently, mixes things up and makes \
things up. Believe nothing it says, and look at what happens around it: any other model takes its place by name."""


class Project(BaseModel):
    """What the model is to tell about a project."""

    name: str = Field(max_length=40)
    language: Literal["Python", "Rust", "JavaScript"]
    is_library: bool


def count_files(ending: Literal[".md", ".toml", ".py"]) -> str:
    """Count the files of one kind in this folder."""
    return f"{len(glob_search(f'*{ending}'))} files in this folder end with {ending}."


def show_demo() -> None:
    """Take the tour in the current folder; fails when there is no model to run."""
    asyncio.run(Tour().take())


class Tour:
    """The steps in their order; the conversation of the first one goes on through those after it."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.settings = AgentSettings(model_backend={"temperature": 0, "max_tokens": 120})
        self.agent = Agent("local", settings=self.settings)
        self._step = 0

    async def take(self) -> None:
        """Show every step."""
        begin = time.monotonic()
        self.console.print(_INTRODUCTION)
        await self._stream_an_answer()
        await self._go_on()
        await self._fill_a_type()
        await self._call_a_tool()
        self._show_spending()
        self._explain_settings()
        self.console.print(f"\nThe tour took {time.monotonic() - begin:.0f} s. Next: mamba-agents chat --model local")

    async def _stream_an_answer(self) -> None:
        file = _file_to_ask_about()
        text = file.read_text("utf-8", "replace")[:_SHOWN_CHARACTERS]
        self._begin("An answer, streamed", f"The model is given the first {len(text):,} characters of {file.name}.")
        question = f"What is {_title(text)}? Answer in one sentence."
        self._ask(question, "agent.stream(question)")
        await self._answer(prompt_with(question, [Attachment(name=file.name, content=text)]))

    async def _go_on(self) -> None:
        self._begin("Memory", "This means nothing without the answer before it. The file is not attached again.")
        question = "Say the same in five words."
        self._ask(question, "agent.stream(question)")
        await self._answer(question)
        self._note(f"{len(self.agent.messages)} messages are remembered")

    async def _fill_a_type(self) -> None:
        self._begin("A typed output", "The reply is held to a schema: always a valid Project, not always a true one.")
        question = "Describe the project."
        self._ask(question, "agent.run(question, output_type=Project)")
        begin = time.monotonic()
        result = await self.agent.run(question, output_type=Project)
        self._say(repr(result.output))
        self._note(status_line(result, time.monotonic() - begin))

    async def _call_a_tool(self) -> None:
        self._begin(
            "A tool call, in a conversation of its own",
            "This model never learnt to call tools. Its reply is held to the form of a call, so name and arguments are"
            " valid; which argument it picks is a guess. What the tool returns is real.",
        )
        question = "How many Markdown files are in this folder?"
        self._ask(question, 'agent.session("files").run(question, output_type=ToolOutput(count_files))')
        begin = time.monotonic()
        result = await self.agent.session("files").run(
            question, output_type=ToolOutput(count_files, name="count_files")
        )
        self._say(f"{_call(result.new_messages())} -> {result.output}")
        self._note(status_line(result, time.monotonic() - begin))

    def _show_spending(self) -> None:
        self._begin("Usage and cost", "Every request is on record; a model of your own costs nothing.")
        table = Table("request", "tokens in", "of them cached", "tokens out", "cost", box=None, pad_edge=False)
        for number, record in enumerate(self.agent.get_usage_history(), 1):
            usage = record.usage
            counts = (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)
            table.add_row(str(number), *(f"{count:,}" for count in counts), in_dollars(record.cost))
        self.console.print(table)
        total = self.agent.get_usage()
        self._note(
            f"{total.total_tokens:,} tokens in {total.request_count} requests · {in_dollars(self.agent.get_cost())}"
        )

    def _explain_settings(self) -> None:
        self._begin("Settings, explained", "Constructor, environment, .env, project file, user file, default: who won?")
        for key in _EXPLAINED:
            self._code(f"settings.explain({key!r})")
            self._say(str(self.settings.explain(key)))

    def _begin(self, title: str, about: str) -> None:
        self._step += 1
        self.console.print(f"\n[bold]{self._step}. {title}[/bold]\n{about}")

    def _ask(self, question: str, code: str) -> None:
        self._code(code)
        self.console.print(f"[bold]>[/bold] {question}")

    async def _answer(self, prompt: str | Sequence[UserContent]) -> None:
        begin = time.monotonic()
        with closing(AnswerWriter()) as answer:
            async with self.agent.stream(prompt) as stream:
                async for text in stream:
                    answer.write(text)
        if stream.result is not None:
            self._note(status_line(stream.result, time.monotonic() - begin))

    def _say(self, text: str) -> None:
        self.console.print(printable(text), markup=False)

    def _note(self, text: str) -> None:
        self.console.print(text, markup=False, style="dim")

    def _code(self, code: str) -> None:
        self.console.print(code, markup=False, style="cyan")


def _file_to_ask_about() -> Path:
    """Give the folder's README, else what this package says of itself."""
    readme = Path("README.md")
    return readme if readme.is_file() else Path(mamba_agents.__file__)


def _title(text: str) -> str:
    first = text.partition("\n")[0]
    return first.removeprefix("# ").strip() if first.startswith("# ") else "this project"


def _call(messages: Sequence[ModelMessage]) -> str:
    """Write the last tool call as code."""
    calls = [part for message in messages for part in message.parts if isinstance(part, ToolCallPart)]
    arguments = ", ".join(f"{name}={value!r}" for name, value in calls[-1].args_as_dict().items())
    return f"{calls[-1].tool_name}({arguments})"
