"""`mamba-agents run`: one question, one answer."""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click
from pydantic_ai import UserContent

from mamba_agents.agent import Agent, AgentResult
from mamba_agents.cli.agents import make_agent, model_of
from mamba_agents.cli.attachments import Attachment, checked, fitted, gather, prompt_with
from mamba_agents.cli.options import AgentOptions
from mamba_agents.cli.terminal import AnswerWriter, note, status_line


def run_prompt(prompt: str, files: Sequence[Path], options: AgentOptions, *, as_json: bool) -> None:
    """Ask about the files and standard input, and print the answer."""
    if not checked(prompt, "the prompt").strip():
        raise click.UsageError("the prompt is empty: say what to do.")
    checked(options.system, "the system prompt")
    agent = make_agent(options)
    question = prompt_with(prompt, _fitted(gather(files), agent))
    try:
        asyncio.run(_print_json(agent, question) if as_json else stream_answer(agent, question))
    except KeyboardInterrupt:
        note("stopped")
        raise


async def stream_answer(agent: Agent[object, str], question: str | Sequence[UserContent]) -> None:
    """Print the answer as it comes, and then what it took."""
    begin = time.monotonic()
    with closing(AnswerWriter()) as answer:
        async with agent.stream(question) as stream:
            async for text in stream:
                answer.write(text)
    if stream.result is not None:
        note(status_line(stream.result, time.monotonic() - begin))


async def _print_json(agent: Agent[object, str], question: str | Sequence[UserContent]) -> None:
    begin = time.monotonic()
    result = await agent.run(question)
    print(json.dumps(_as_data(result, time.monotonic() - begin)))


def _as_data(result: AgentResult[str], seconds: float) -> dict[str, object]:
    usage = result.usage
    return {
        "output": result.output,
        "model": result.response.model_name,
        "usage": {
            "requests": usage.requests,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cache_read_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        # A string, so that no reader rounds it; null when it is unknown.
        "cost_usd": None if result.cost is None else str(result.cost),
        "session_id": result.session_id,
        "run_id": result.run_id,
        "stop_reason": result.stop_reason,
        "duration_seconds": round(seconds, 3),
    }


def _fitted(attachments: list[Attachment], agent: Agent[object, str]) -> list[Attachment]:
    """Cut what is too long for the model, and say so; a model whose context window is unknown is sent everything."""
    window = model_of(agent).context_window if attachments else None
    if window is None:
        return attachments
    kept = fitted(attachments, window, agent.token_counter)
    for attachment in kept:
        if attachment.left_out:
            note(
                f"{attachment.name}: the last {attachment.left_out:,} characters were left out;"
                f" the model has room for {window:,} tokens"
            )
    return kept
