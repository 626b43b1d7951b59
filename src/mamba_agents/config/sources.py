"""Where settings come from, in the order of precedence. Everything is read here, once, when settings are made."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple, cast

from pydantic import BaseModel

from mamba_agents.config.files import Document, read_text
from mamba_agents.config.keys import annotation_at, section_model
from mamba_agents.config.layers import Cascade, Layer, Origin, merge
from mamba_agents.config.problems import Problem
from mamba_agents.config.toml_file import parse_toml
from mamba_agents.config.variables import PREFIX, Variable, is_foreign, key_path, variables_layer
from mamba_agents.errors import ConfigurationError

type StrPath = str | os.PathLike[str]

PROJECT_FILES: Final = ("config.toml", "config.yaml", "config.yml")
PROJECT_ENV_FILE: Final = ".env"
HOME_ENV_FILE: Final = "~/mamba.env"


class Reading(NamedTuple):
    """What all sources say, and what in them cannot be a setting."""

    cascade: Cascade
    problems: list[Problem]


def read(
    model: type[BaseModel],
    values: Mapping[str, object],
    *,
    env_file: StrPath | None,
    config_file: StrPath | tuple[str, ...] | None,
) -> Reading:
    """Reads every source, highest first."""
    environment, unknown = _environment(model)
    project_env, unknown_project = _env_file(env_file, model)
    home_env, unknown_home = _env_file(HOME_ENV_FILE, model)
    layers = (
        Layer(source=Origin(name="constructor"), values=merge({}, values)),
        environment,
        project_env,
        _config_file(config_file, model),
        home_env,
    )
    return Reading(Cascade(layers=layers), [*unknown, *unknown_project, *unknown_home])


def foreign_variables(model: type[BaseModel]) -> list[str]:
    """The variables with our prefix that are taken for another program's and left alone."""
    return [
        name
        for name in os.environ
        if name.upper().startswith(PREFIX)
        and annotation_at(model, key_path(name, model)) is None
        and is_foreign(name, model)
    ]


def _environment(model: type[BaseModel]) -> tuple[Layer, list[Problem]]:
    variables = [
        Variable(name, value, Origin(variable=name))
        for name, value in os.environ.items()
        if name.upper().startswith(PREFIX)
    ]
    return variables_layer(Origin(name="environment"), variables, model, ours=False)


def _env_file(file: StrPath | None, model: type[BaseModel]) -> tuple[Layer, list[Problem]]:
    if file is None:
        return _nothing(), []
    shown = os.fspath(file)
    path = Path(shown)
    # A folder called .env is what virtual environments used to be called.
    text = None if path.is_dir() and shown == PROJECT_ENV_FILE else read_text(_expanded(path), shown)
    if text is None:
        if shown in {PROJECT_ENV_FILE, HOME_ENV_FILE}:
            return _nothing(), []
        raise FileNotFoundError(f"{shown}: no such file; AgentSettings(_env_file=None) reads none.")
    return variables_layer(Origin(file=shown), _assignments(text, shown), model, ours=True)


def _assignments(text: str, shown: str) -> Iterator[Variable]:
    from mamba_agents.config.dotenv_file import parse_dotenv  # noqa: PLC0415  # needed only where there is such a file

    for name, value, line in parse_dotenv(text, shown, PREFIX):
        yield Variable(name, value, Origin(file=shown, line=line, variable=name))


def _config_file(file: StrPath | tuple[str, ...] | None, model: type[BaseModel]) -> Layer:
    if file is None:
        return _nothing()
    if isinstance(file, tuple):
        return _found_config_file(file, model)
    shown = os.fspath(file)
    layer = _read_config_file(shown, model)
    if layer is None:
        raise FileNotFoundError(f"{shown}: no such settings file; `mamba-agents config init` writes one.")
    return layer


def _found_config_file(names: tuple[str, ...], model: type[BaseModel]) -> Layer:
    """The one of these files that exists; two would leave open which of them counts."""
    layers = [layer for name in names if (layer := _read_config_file(name, model)) is not None]
    if len(layers) > 1:
        files = [str(layer.source) for layer in layers]
        raise ConfigurationError(
            f"found {' and '.join(files)} in the same folder, expected one of them; "
            f"move what you need into one and remove the other.",
            files=files,
        )
    return layers[0] if layers else _nothing()


def _read_config_file(shown: str, model: type[BaseModel]) -> Layer | None:
    path = _expanded(Path(shown))
    if path.suffix not in {".toml", ".yaml", ".yml"}:
        raise ValueError(f"{shown}: found the suffix {path.suffix!r}, expected .toml, .yaml or .yml.")
    text = read_text(path, shown)
    if text is None:
        return None
    document = _parse(text, path.suffix, shown)
    origins = {key: Origin(file=shown, line=line) for key, line in document.lines.items()}
    return Layer(source=Origin(file=shown), values=_without_empty_sections(document.values, model), origins=origins)


def _parse(text: str, suffix: str, shown: str) -> Document:
    if suffix == ".toml":
        return parse_toml(text, shown)
    from mamba_agents.config.yaml_file import parse_yaml  # noqa: PLC0415  # needed only where there is such a file

    return parse_yaml(text, shown)


def _without_empty_sections(values: Mapping[str, object], model: type[BaseModel]) -> dict[str, object]:
    """The values without sections that YAML reads as null, which they are when all they hold is commented out."""
    kept: dict[str, object] = {}
    for name, value in values.items():
        field = model.model_fields.get(name)
        section = field and section_model(field.annotation)
        if section and isinstance(value, dict):
            kept[name] = _without_empty_sections(cast("dict[str, object]", value), section)
        elif not section or value is not None:
            kept[name] = value
    return kept


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # nobody's home can be told, so nothing is in it
        return path


def _nothing() -> Layer:
    return Layer(source=Origin(), values={})
