"""Where a setting comes from."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mamba_agents.config import AgentSettings, Shadowed
from mamba_agents.errors import ConfigurationError

type Write = Callable[[str, str], Path]


def test_each_source_is_told_so_that_it_can_be_found(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("~/mamba.env", "\n\nMAMBA_LOCAL__THREADS=2\n")
    write("config.yaml", "model_backend:\n  timeout: 5\n")
    write(".env", "# mine\nexport MAMBA_MODEL_BACKEND__MODEL=qwen3\n")
    monkeypatch.setenv("MAMBA_LOCAL__CONTEXT_WINDOW", "512")
    settings = AgentSettings(tools={"root": "src"})
    sources = {each.key: each.source for each in settings.explain_all()}
    assert sources["tools.root"] == "constructor"
    assert sources["local.context_window"] == "environment variable MAMBA_LOCAL__CONTEXT_WINDOW"
    assert sources["model_backend.model"] == ".env:2 (MAMBA_MODEL_BACKEND__MODEL)"
    assert sources["model_backend.timeout"] == "config.yaml:2"
    assert sources["local.threads"] == "~/mamba.env:3 (MAMBA_LOCAL__THREADS)"
    assert sources["model_backend.max_retries"] == "default"


def test_an_explanation_has_value_source_shadowed_values_and_description(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("config.toml", "[model_backend]\n\ntimeout = 5\n")
    monkeypatch.setenv("MAMBA_MODEL_BACKEND__TIMEOUT", "7")
    explained = AgentSettings().explain("model_backend.timeout")
    assert explained.value == 7
    assert (explained.file, explained.line, explained.variable) == (None, None, "MAMBA_MODEL_BACKEND__TIMEOUT")
    assert explained.shadowed == (Shadowed(value=5, source="config.toml:3"), Shadowed(value=30.0, source="default"))
    assert explained.description
    assert str(explained).splitlines() == [
        "model_backend.timeout = 7.0",
        "  from environment variable MAMBA_MODEL_BACKEND__TIMEOUT",
        "  instead of 5 from config.toml:3",
        "  instead of 30.0 from default",
        f"  {explained.description}",
    ]


def test_entries_of_a_mapping_are_explained_one_by_one(write: Write) -> None:
    write("config.toml", '[cost_rates."gpt-4.1"]\ninput = 2\noutput = 8\n')
    settings = AgentSettings()
    assert settings.explain("cost_rates.gpt-4.1.output").source == "config.toml:3"
    assert settings.explain("cost_rates.gpt-4.1.cache_read").source == "default"
    assert settings.explain("tokenizer.model_mapping").value == {}
    with pytest.raises(ConfigurationError, match=r"explain one of cost_rates\.gpt-4\.1\.input"):
        settings.explain("cost_rates")


def test_a_section_names_its_settings(project: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"local holds several settings; explain one of local\.model_path, "):
        AgentSettings().explain("local")


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("model_backend.timeot", "model_backend.timeout"),
        ("modelbackend.timeout", "model_backend.timeout"),
        ("timeout", "model_backend.timeout"),
        ("local.contextwindow", "local.context_window"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(wrong: str, meant: str, project: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"{wrong} is not a setting; did you mean {meant}"):
        AgentSettings().explain(wrong)


def test_a_key_like_no_other_is_answered_with_those_there_are(project: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"known are local\.model_path, local\.context_window"):
        AgentSettings().explain("local.zzzzzz")
