"""No secret is shown, whatever is done with settings."""

import json
import logging
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel, Field, JsonValue, SecretStr

from mamba_agents.config import AgentSettings
from mamba_agents.errors import ConfigurationError

type Write = Callable[[str, str], Path]

KEY = "sk-live-0123456789"
PLACES = {
    "config.toml": f'[model_backend]\napi_key = "{KEY}"\nheaders.Authorization = "Bearer {KEY}"\n'
    f'base_url = "https://me:{KEY}@example.org/v1?api_key={KEY}&v=1"\n',
    ".env": f"MAMBA_MODEL_BACKEND__API_KEY={KEY}\nMAMBA_MODEL_BACKEND__HEADERS__Authorization={KEY}\n",
    "~/mamba.env": f'MAMBA_MODEL_BACKEND={{"api_key": "{KEY}", "headers": {{"Cookie": "{KEY}"}}}}\n',
}


@pytest.fixture
def settings(write: Write, monkeypatch: pytest.MonkeyPatch) -> AgentSettings:
    for name, text in PLACES.items():
        write(name, text)
    monkeypatch.setenv("MAMBA_MODEL_BACKEND__API_KEY", KEY)
    return AgentSettings(model_backend={"headers": {"X-Token": KEY}})


def test_a_secret_still_reaches_its_use(settings: AgentSettings) -> None:
    assert settings.model_backend.api_key is not None
    assert settings.model_backend.api_key.get_secret_value() == KEY


def test_no_text_of_settings_shows_a_secret(settings: AgentSettings, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("app").warning("%s %r", settings, settings)
    shown = [str(settings), repr(settings), f"{settings}", json.dumps(settings.model_dump_safe()), caplog.text]
    shown += [text for each in settings.explain_all() for text in (str(each), repr(each))]
    assert all("**********" in text for text in shown[:5])
    assert [text for text in shown if KEY in text] == []


def test_pydantic_settings_own_debug_log_shows_no_secret(
    write: Write, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PYDANTIC_SETTINGS_DEBUG", "1")
    write("config.toml", PLACES["config.toml"])
    with caplog.at_level(logging.DEBUG):
        AgentSettings()
    assert KEY not in caplog.text


def test_a_safe_dump_keeps_what_is_no_secret(settings: AgentSettings) -> None:
    backend = settings.model_dump_safe()["model_backend"]
    assert isinstance(backend, dict)
    assert backend["base_url"] == "https://**********@example.org/v1?api_key=**********&v=1"
    assert backend["timeout"] == 30.0
    assert backend["api_key"] == "**********"


def test_an_explanation_masks_shadowed_secrets_and_shows_that_they_are_there(settings: AgentSettings) -> None:
    explained = settings.explain("model_backend.api_key")
    assert (explained.value, [low.value for low in explained.shadowed]) == ("**********", ["**********"] * 3 + [None])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.toml", f'[model_backend]\napi_kye = "{KEY}"'),
        ("config.toml", f'[model_backend]\napi_key = ["{KEY}"]'),
        ("config.toml", f'[model_backend]\napi_key = {{ x = "{KEY}" }}'),
        ("config.toml", f'[model_backend]\nheaders = "{KEY}"'),
        ("config.toml", f'[model_backend]\ntimeout = "{KEY * 2}"'),
        ("config.toml", f'[model_backend]\nbase_url = "ftp://me:{KEY}@example.org"'),
        ("config.toml", f'[model_backend]\napi_key = "{KEY}'),
        ("config.toml", f"[model_backend]\napi_key = {KEY}"),
        ("config.yaml", f'model_backend:\n  api_key: "{KEY}'),
        ("config.yaml", f"model_backend:\n  api_key: *{KEY}"),
        ("config.yaml", f"model_backend:\n  api_key: !{KEY} x"),
        ("config.yaml", f"model_backend:\n  api_key: key: {KEY}"),
        (".env", f'MAMBA_MODEL_BACKEND__API_KEY="{KEY}'),
        (".env", f"MAMBA_API_KEY={KEY}"),
        (".env", f"MAMBA_MODEL_BACKEND={KEY}"),
    ],
)
def test_no_error_shows_a_secret(name: str, text: str, write: Write) -> None:
    write(name, text)
    with pytest.raises(ConfigurationError) as caught:
        AgentSettings()
    printed = "".join(traceback.format_exception(caught.value))
    assert name in printed
    assert KEY not in printed
    assert KEY not in repr(caught.value.details)


class Account(BaseModel):
    name: str
    password: SecretStr


class Own(AgentSettings):
    people: list[Account] = Field(default_factory=list[Account])
    """Models with secrets."""

    accounts: list[dict[str, SecretStr]] = Field(default_factory=list[dict[str, SecretStr]])
    """Secrets deep inside."""

    notes: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """Of a type that names itself."""


def test_secrets_deep_inside_are_masked(write: Write) -> None:
    people = f'[{{"name": "ada", "password": "{KEY}"}}]'
    write("config.toml", f'[[accounts]]\nada = "{KEY}"\n[notes]\na = [1, {{ b = 2 }}]\n')
    write(".env", f"MAMBA_PEOPLE={people}\n")
    write("~/mamba.env", f"MAMBA_PEOPLE={people}\n")
    settings = Own()
    assert settings.explain("accounts").value == [{"ada": "**********"}]
    explained = settings.explain("people")
    assert explained.value == explained.shadowed[0].value == [{"name": "ada", "password": "**********"}]
    assert settings.explain("notes.a").value == [1, {"b": 2}]
    assert KEY not in repr(settings)
