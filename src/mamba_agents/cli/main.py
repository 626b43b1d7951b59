"""The command `mamba-agents`: its options and help, which must not wait for what its commands import."""

# pyright: reportUnknownMemberType=false
# Typer's Option and Argument name a generic class of click's without its parameters.

import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import click
import typer

from mamba_agents._version import __version__
from mamba_agents.cli.config import app as config_app
from mamba_agents.cli.failures import DebuggableCommand, Invocation, report
from mamba_agents.cli.options import AgentOptions

app = typer.Typer(
    name="mamba-agents",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 it was tried and failed, 2 what was given is wrong, 130 stopped by Ctrl-C.",
)
app.add_typer(config_app, name="config")

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="'provider:name', a name your server knows, or 'local'. Default: the setting model_backend.model.",
    ),
]
System = Annotated[str, typer.Option("--system", "-s", help="The system prompt.")]
Tools = Annotated[bool, typer.Option("--tools", help="Let the model read, list and search files, read-only.")]
Root = Annotated[
    Path | None,
    typer.Option("--root", help="The folder that --tools may see. Default: the setting tools.root.", metavar="FOLDER"),
]


def main() -> None:
    """Run the command that the arguments name, and exit."""
    invocation = Invocation()
    try:
        _prepare_streams()
        code = app(standalone_mode=False, obj=invocation)
    except Exception as error:  # noqa: BLE001  whatever it is, it is told in one line
        code = report(error, debug=invocation.debug)
    sys.exit(code)


def _prepare_streams() -> None:
    """Make the standard streams take whatever is written to them; a closed one is None until here."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115  open as long as the process
    if sys.stdout is None:
        raise click.UsageError("standard output is closed: there is no place for the answer.")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a model may say what the encoding cannot


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"mamba-agents {__version__}")
        raise typer.Exit


@app.callback()
def begin(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001  handled by its callback
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Agents you can leave running, from the command line. Try: mamba-agents demo"""  # noqa: D400  ends with a command
    context.obj.debug = debug


@app.command(cls=DebuggableCommand)
def run(
    prompt: Annotated[str, typer.Argument(help="What to ask.", show_default=False)],
    files: Annotated[list[Path] | None, typer.Argument(help="Text files and images to ask it about.")] = None,
    model: Model = None,
    system: System = "",
    tools: Tools = False,
    root: Root = None,
    no_memory: Annotated[
        bool, typer.Option("--no-memory", help="Keep no conversation. One question has none: only chat differs.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the answer.")] = False,
) -> None:
    """Ask once: the answer goes to standard output, tokens, cost and time to standard error.

    Standard input, when it is a pipe or a file, is attached like FILES:

    cat README.md | mamba-agents run --model local "What is this project?"
    """
    from mamba_agents.cli.run import run_prompt  # noqa: PLC0415

    options = AgentOptions(model=model, system=system, tools=tools, root=root, memory=not no_memory)
    run_prompt(prompt, files or [], options, as_json=json)


@app.command(cls=DebuggableCommand)
def chat(
    model: Model = None,
    system: System = "",
    tools: Tools = False,
    root: Root = None,
    no_memory: Annotated[
        bool, typer.Option("--no-memory", help="Remember nothing: every message stands alone.")
    ] = False,
) -> None:
    """Talk with a model that remembers the conversation.

    Ctrl-C stops an answer, Ctrl-D leaves, /help lists the commands. For example:

    mamba-agents chat --model local
    """
    from mamba_agents.cli.chat import chat_with  # noqa: PLC0415

    chat_with(AgentOptions(model=model, system=system, tools=tools, root=root, memory=not no_memory))


@app.command(cls=DebuggableCommand)
def demo() -> None:
    """Take a tour with the model that runs in this process: no key, no account."""
    from mamba_agents.cli.demo import show_demo  # noqa: PLC0415

    show_demo()
