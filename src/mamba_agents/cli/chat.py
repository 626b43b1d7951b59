"""`mamba-agents chat`: a conversation."""

import asyncio
import signal
import sys
import time
from collections.abc import Generator
from contextlib import closing, contextmanager

from mamba_agents.agent import Agent
from mamba_agents.cli.agents import make_agent, model_named, model_of
from mamba_agents.cli.attachments import checked
from mamba_agents.cli.failures import FAILED, describe
from mamba_agents.cli.lines import LineReader, line_reader
from mamba_agents.cli.markdown import MarkdownWriter
from mamba_agents.cli.options import AgentOptions
from mamba_agents.cli.terminal import AnswerWriter, in_dollars, note, status_line

_HELP = """/help          this list
/usage         tokens and cost of this conversation
/clear         forget the conversation
/model [name]  show the model, or go on with another one
/exit          leave, as Ctrl-D does
Ctrl-C stops an answer."""


def chat_with(options: AgentOptions) -> None:
    """Talk until the person leaves; with nobody there to see it, a failed turn shows in the exit code."""
    checked(options.system, "the system prompt")
    chat = Chat(make_agent(options))
    asyncio.run(chat.talk(line_reader()))
    if chat.has_failed and not sys.stdin.isatty():
        raise SystemExit(FAILED)


class Chat:
    """One conversation: lines in, answers and what commands say out."""

    def __init__(self, agent: Agent[object, str]) -> None:
        self.agent = agent
        self.model = model_of(agent)
        self.has_failed = False
        self._commands = {"/help": self._help, "/usage": self._usage, "/clear": self._clear, "/model": self._model}

    async def talk(self, lines: LineReader) -> None:
        """Answer line after line."""
        note(f"{self.model.model_name} · /help lists the commands, /exit or Ctrl-D leaves")
        while (line := await lines.read()) is not None:
            word, _, rest = line.strip().partition(" ")
            if word in ("/exit", "/quit"):
                return
            try:
                await self._take(word, rest.strip(), line)
            except Exception as error:  # noqa: BLE001  a failed turn does not end the conversation
                self.has_failed = True
                note(describe(error))

    async def _take(self, word: str, rest: str, line: str) -> None:
        if command := self._commands.get(word):
            note(command(rest))
        elif word.startswith("/") and word[1:].isalpha():
            note(f"{word} is no command; /help lists them")
        elif word:
            await self._answer(checked(line, "the message"))

    async def _answer(self, prompt: str) -> None:
        task = asyncio.create_task(self._stream(prompt))
        with _stopping(task):
            await asyncio.wait([task])
        if task.cancelled():
            note("stopped; what came is remembered")
        else:
            task.result()

    async def _stream(self, prompt: str) -> None:
        begin = time.monotonic()
        with closing(MarkdownWriter() if sys.stdout.isatty() else AnswerWriter()) as answer:
            async with self.agent.stream(prompt, model=self.model) as stream:
                async for text in stream:
                    answer.write(text)
        if stream.result is not None:
            note(status_line(stream.result, time.monotonic() - begin))

    def _help(self, _: str) -> str:
        return _HELP

    def _usage(self, _: str) -> str:
        usage = self.agent.get_usage()
        return (
            f"{usage.request_count} requests · {usage.prompt_tokens:,} tokens in, {usage.completion_tokens:,} out · "
            f"{in_dollars(self.agent.get_cost())}"
        )

    def _clear(self, _: str) -> str:
        if not self.agent.config.track_context:
            return "nothing is remembered (--no-memory)"
        self.agent.clear_context()
        return "the conversation is forgotten"

    def _model(self, name: str) -> str:
        if name:
            self.model = model_named(name, self.agent.settings)
        return self.model.model_name


@contextmanager
def _stopping(task: asyncio.Task[None]) -> Generator[None]:
    """Let Ctrl-C end the task and not the program."""
    loop = asyncio.get_running_loop()

    def stop(_signal: int, _frame: object) -> None:
        loop.call_soon_threadsafe(task.cancel)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
