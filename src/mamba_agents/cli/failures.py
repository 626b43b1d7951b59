"""What a failed command says: one clear line, and a traceback only when asked for."""

import re
import traceback
from dataclasses import dataclass
from typing import Any, cast, override

import click
from typer.core import TyperCommand

from mamba_agents.cli.terminal import note
from mamba_agents.errors import AgentError, ConfigurationError

FAILED = 1
"""It was tried and did not succeed."""
MISUSED = 2
"""What was given is wrong, and nothing was asked of a model."""

_PROVIDER_EXTRAS = frozenset({"anthropic", "bedrock", "cohere", "google", "groq", "huggingface", "mistral", "xai"})
"""The extras of pydantic-ai that are extras of ours by the same name."""

_KEPT_CHARACTERS = 500
"""How much of the beginning and of the end of a line that is too long is shown."""


@dataclass
class Invocation:
    """What is known about this call of the program, also when its command fails."""

    debug: bool = False


class DebuggableCommand(TyperCommand):
    """A command that takes `--debug` after its name as well as before it."""

    @override
    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), _DEBUG]


def report(error: Exception, *, debug: bool) -> int:
    """Say on standard error what went wrong, and give the exit code."""
    if debug:
        traceback.print_exception(error)
    if line := describe(error):  # there is none where the help was shown instead
        note(f"mamba-agents: {line}")
    return _explained(error)[1]


def describe(error: Exception) -> str:
    """Give the one line that tells a person what went wrong."""
    line = " ".join(_explained(error)[0].split())
    return line if len(line) <= 2 * _KEPT_CHARACTERS else f"{line[:_KEPT_CHARACTERS]} … {line[-_KEPT_CHARACTERS:]}"


def _explained(error: Exception) -> tuple[str, int]:
    match error:
        case click.ClickException():
            return error.format_message(), error.exit_code
        case ConfigurationError():
            return str(error), MISUSED
        case AgentError() | OSError():
            return str(error), FAILED
        case ImportError() if extra := re.search(r"pydantic-ai-slim\[([\w-]+)\]", str(error)):
            return _without_extra(extra[1], str(error)), MISUSED
        case _:
            return _explained_by_host(error)


def _without_extra(extra: str, hint: str) -> str:
    """Name our extra where there is one; what pydantic-ai says is right for the others."""
    if extra not in _PROVIDER_EXTRAS:
        return hint
    return (
        f"the model's provider needs the extra '{extra}' of mamba-agents, which is not installed:"
        f" run `pip install 'mamba-agents[{extra}]'`."
    )


def _explained_by_host(error: Exception) -> tuple[str, int]:
    # Loaded already, if the error can be one of these.
    from pydantic_ai.exceptions import AgentRunError, ModelHTTPError, UserError  # noqa: PLC0415

    match error:
        case UserError() if key := re.search(r"[A-Z_]+_API_KEY", str(error)):
            return f"the model's provider needs a key: set {key[0]}. '--model local' needs none.", MISUSED
        case UserError():
            return str(error), MISUSED
        case ModelHTTPError():
            return f"the server of {error.model_name} answered {error.status_code}: {_said(error.body)}", FAILED
        case AgentRunError():
            return _with_root_cause(error), FAILED
        case _:
            message = f"an unexpected {type(error).__name__}: {error} (run it again with --debug for the traceback)"
            return message, FAILED


def _said(body: object) -> str:
    """Take the message out of an error's body, where it has one."""
    if isinstance(body, dict):
        fields = cast("dict[str, object]", body)
        return str(fields.get("message", fields))
    return str(body or "nothing more")


def _with_root_cause(error: Exception) -> str:
    """Add what an error came from: `Connection error.` alone tells nobody what to do."""
    root: BaseException = error
    while root.__cause__ is not None:
        root = root.__cause__
    message = str(error)
    return message if root is error or str(root) in message else f"{message} ({root})"


def _remember(context: click.Context, _: click.Parameter, value: Any) -> None:
    if value:
        context.find_root().obj.debug = True


_DEBUG = click.Option(
    ["--debug"], is_flag=True, expose_value=False, callback=_remember, help="Show the traceback of an error."
)
