"""`mamba-agents config`: what the settings are, where they come from, and what is wrong with them."""

# pyright: reportUnknownMemberType=false
# Typer's Option and Argument name a generic class of click's without its parameters.

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import click
import typer

from mamba_agents.cli.failures import FAILED, DebuggableCommand

if TYPE_CHECKING:
    from mamba_agents.config import AgentSettings, Explanation

app = typer.Typer(no_args_is_help=True, help="Show, explain, check and begin settings.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(cls=DebuggableCommand)
def show(as_json: AsJson = False) -> None:
    """Show every setting in effect and its source; secrets are masked."""
    explained = _settings()().explain_all()
    if as_json:
        _print_json({each.key: {"value": each.value, "source": each.source} for each in explained})
        return
    rows = [(each.key, each.shown_value, each.source) for each in explained]
    key_width, value_width = (max(len(row[column]) for row in rows) for column in (0, 1))
    for key, value, source in rows:
        print(f"{key:{key_width}}  {value:{value_width}}  {source}")


@app.command(cls=DebuggableCommand)
def explain(
    key: Annotated[str, typer.Argument(help="A setting or a section, such as model_backend.timeout.")],
    as_json: AsJson = False,
) -> None:
    """Tell a setting's value, its source, and which values of lower sources do not count because of it."""
    explained = _explanations(key)
    if as_json:
        _print_json([asdict(each) for each in explained] if len(explained) > 1 else asdict(explained[0]))
    else:
        print("\n\n".join(map(str, explained)))


@app.command(cls=DebuggableCommand)
def check(
    file: Annotated[Path | None, typer.Argument(help="A file to check in place of the project's.")] = None,
) -> None:
    """Check all sources, and print one line for each problem; exit code 1 if there are any."""
    from mamba_agents.config import foreign_variables  # noqa: PLC0415
    from mamba_agents.errors import ConfigurationError  # noqa: PLC0415

    settings = _settings()
    try:
        settings.from_file(file) if file else settings()
    except ConfigurationError as error:
        print(*cast("tuple[str, ...]", error.details.get("problems", (str(error),))), sep="\n")
        raise typer.Exit(FAILED) from None
    except (FileNotFoundError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    for name in foreign_variables(settings):
        print(f"{name}: not a setting; left to the program it belongs to.")
    print("No problems.")


@app.command(cls=DebuggableCommand)
def schema() -> None:
    """Print the JSON Schema of settings files, for editors."""
    _print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **_settings().model_json_schema()})


@app.command(cls=DebuggableCommand)
def init(
    file_format: Annotated[Literal["toml", "yaml"], typer.Option("--format", help="What to write.")] = "toml",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if there is one.")] = False,
) -> None:
    """Write a settings file with every setting described, at its default and commented out."""
    from mamba_agents.config import PROJECT_FILES, settings_template  # noqa: PLC0415

    path = Path(f"config.{file_format}")
    others = [name for name in PROJECT_FILES if name != path.name and Path(name).exists()]
    if others:
        raise FileExistsError(
            f"{others[0]} is there already, and beside {path} neither could be read; remove it first."
        )
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(settings_template(_settings(), file_format))
    except FileExistsError:
        raise FileExistsError(f"{path} is there already; --force replaces it.") from None
    print(f"Wrote {path}; it changes nothing until you take a line out of its comment.")


def _explanations(key: str) -> "list[Explanation]":
    """Of every setting in a section, or of the one."""
    if not key.strip():
        raise click.UsageError("the key is empty: name a setting or a section, such as model_backend.timeout.")
    settings = _settings()()
    inside = [each for each in settings.explain_all() if each.key.startswith(f"{key}.")]
    return inside or [settings.explain(key)]


def _settings() -> "type[AgentSettings]":
    # Loaded when a command runs, so that help does not wait for it.
    from mamba_agents.config import AgentSettings  # noqa: PLC0415

    return AgentSettings


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, default=str, ensure_ascii=False))
