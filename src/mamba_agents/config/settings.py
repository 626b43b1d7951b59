"""All settings as one object. A further subsystem is one field here; its own model lives with the subsystem."""

from collections.abc import Mapping
from functools import reduce
from typing import Any, Self, cast, override

from pydantic import BaseModel, Field, PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from mamba_agents.backends.config import LocalSettings, ModelBackendSettings
from mamba_agents.config.explanation import Explanation, explain, explain_all
from mamba_agents.config.layers import Cascade, Layer, Origin, leaves, lookup, merge, nest
from mamba_agents.config.masking import masked
from mamba_agents.config.problems import configuration_error, problems_in
from mamba_agents.config.sources import PROJECT_ENV_FILE, PROJECT_FILES, StrPath, read
from mamba_agents.config.variables import NESTING, PREFIX
from mamba_agents.context.config import CompactionConfig
from mamba_agents.tokens.budget import BudgetConfig
from mamba_agents.tokens.config import ModelRate, TokenizerConfig
from mamba_agents.tools.config import ToolsSettings


class AgentSettings(BaseSettings):
    """The settings in effect, each from the highest source that gives it.

    The sources are constructor, environment, `.env`, `config.toml` or `config.yaml`, `~/mamba.env` and defaults. They
    merge key by key, but a model given to the constructor is taken whole. They are read when the object is made, and
    only then. `_env_file` and `_config_file` name another file, or None for none.

    Raises:
        ConfigurationError: what is wrong, with file and line or variable; `details["problems"]` lists all of it.
        FileNotFoundError: a file named here does not exist.
        ValueError: a settings file named here is neither TOML nor YAML.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=NESTING,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    model_backend: ModelBackendSettings = Field(default_factory=ModelBackendSettings)
    """The server that bare model names go to, and how it is asked."""

    local: LocalSettings = Field(default_factory=LocalSettings)
    """The model that runs inside this process."""

    tools: ToolsSettings = Field(default_factory=ToolsSettings)
    """What the built-in tools may see."""

    context: CompactionConfig = Field(default_factory=CompactionConfig)
    """When a conversation is shortened, to what, and how."""

    budget: BudgetConfig = Field(default_factory=BudgetConfig)
    """How much may be spent, and what happens at the cap."""

    tokenizer: TokenizerConfig = Field(default_factory=TokenizerConfig)
    """How tokens are counted."""

    cost_rates: dict[str, ModelRate] = Field(default_factory=dict[str, ModelRate])
    """Prices in USD per million tokens, where the built-in table has none or another: by model name, `provider:model`
    or a pattern such as `gpt-4*`."""

    _cascade: Cascade = PrivateAttr(default_factory=Cascade)

    def __init__(
        self,
        *,
        _env_file: StrPath | None = PROJECT_ENV_FILE,
        _config_file: StrPath | tuple[str, ...] | None = PROJECT_FILES,
        **values: Any,
    ) -> None:
        cascade, problems = read(type(self), values, env_file=_env_file, config_file=_config_file)
        try:
            # Past BaseSettings, whose own reading tells no lines, and which takes keys of a file for its parameters.
            BaseModel.__init__(self, **cascade.merged())
        except ValidationError as error:
            problems += problems_in(error, cascade, type(self))
        if problems:  # raised out here, since pydantic's error carries the values
            raise configuration_error(problems)
        self._cascade = cascade

    @classmethod
    def from_file(cls, path: StrPath, **values: Any) -> Self:
        """The settings with this file in place of `config.toml` and `config.yaml`; all other sources count as ever."""
        return cls(_config_file=path, **values)

    def explain(self, key: str) -> Explanation:
        """Where a setting such as `model_backend.timeout` comes from, and what it shadows.

        Raises:
            ConfigurationError: the key is unknown, or that of a section.
        """
        return explain(self, self._cascade, key)

    def explain_all(self) -> list[Explanation]:
        """The explanation of every setting."""
        return explain_all(self, self._cascade)

    def model_dump_safe(self) -> dict[str, object]:
        """The settings as plain data fit for JSON and for anybody's eyes: secrets are masked."""
        return cast("dict[str, object]", masked(type(self), (), self.model_dump(mode="json")))

    @override
    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields replaced; `explain` names `model_copy` as the source of what differs."""
        copy = super().model_copy(update=update, deep=deep)
        changed = [nest(path, value) for path, value in leaves(copy) if lookup(self, path) != value]
        if changed:
            layer = Layer(source=Origin(name="model_copy"), values=reduce(merge, changed))
            copy._cascade = Cascade(layers=(layer, *self._cascade.layers))
        return copy

    @override
    def __repr_args__(self) -> Any:
        return self.model_dump_safe().items()
