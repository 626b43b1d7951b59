"""The settings themselves; that they reach the wire is shown in test_factory.py and test_resolve.py."""

import pytest
from pydantic import ValidationError

from mamba_agents.backends import LocalSettings, ModelBackendSettings

LIMITS = {"context_window": 10_000_000, "threads": 1024, "parallel": 1024}


def test_defaults() -> None:
    assert ModelBackendSettings().model_dump() == {
        "base_url": None,
        "api_key": None,
        "model": None,
        "timeout": 30.0,
        "max_retries": 3,
        "temperature": None,
        "max_tokens": None,
        "headers": {},
        "constrained_tools": None,
    }
    assert (LocalSettings().model_path, LocalSettings().threads) == (None, 1)


@pytest.mark.parametrize("settings", [ModelBackendSettings, LocalSettings])
def test_settings_are_frozen_and_know_their_keys(settings: type[ModelBackendSettings] | type[LocalSettings]) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        settings().model = "m"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        settings.model_validate({"modle": "m"})
    assert all(field.description for field in settings.model_fields.values())


def test_secrets_are_in_no_repr_and_no_dump() -> None:
    settings = ModelBackendSettings.model_validate({"api_key": "hunter2", "headers": {"X-Key": "hunter3"}})

    for shown in [repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())]:
        assert "hunter" not in shown


def test_a_password_in_the_address_is_shown_nowhere_and_kept_for_use() -> None:
    settings = ModelBackendSettings(base_url="http://me:hunter2@[::1]:80/v1?a=b")

    for shown in [repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump(mode="json"))]:
        assert "http://**********@[::1]:80/v1?a=b" in shown
        assert "hunter2" not in shown
    assert settings.base_url == "http://me:hunter2@[::1]:80/v1?a=b"


def test_an_address_without_a_password_is_shown_as_it_is() -> None:
    settings = ModelBackendSettings(base_url="http://host/v1")

    assert "base_url='http://host/v1'" in repr(settings)
    assert settings.model_dump(mode="json")["base_url"] == "http://host/v1"


def test_a_wrong_address_is_refused_without_showing_its_password() -> None:
    with pytest.raises(ValidationError, match=r"'ftp://host/v1' does not start with http:// or https://") as raised:
        ModelBackendSettings(base_url="ftp://me:hunter2@host/v1")

    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"api_key": "sk-hunter2\n"}, "the key contains a space, a line break"),
        ({"api_key": "sk-hunter2é"}, "not ASCII"),
        ({"headers": {"X Team": "hunter2"}}, "'X Team' is no header's name"),
        ({"headers": {"": "hunter2"}}, "'' is no header's name"),
        ({"headers": {"X-Team": "hunter2\r\nX-Other: a"}}, "the value of 'X-Team' has a line break"),
        ({"headers": {"X-Team": "hunter2 "}}, "outer space"),
        ({"headers": {"X-Team": "hunter2é"}}, "non-ASCII"),
    ],
)
def test_what_no_header_can_carry_is_refused_without_being_shown(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as raised:
        ModelBackendSettings.model_validate(wrong)

    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("value", ["", "a", "a b", "a\tb", "Bearer ~!x="])
def test_plain_text_is_a_headers_value(value: str) -> None:
    assert ModelBackendSettings.model_validate({"headers": {"X_Team.1": value}}).headers


@pytest.mark.parametrize("wrong", [{name: value} for name in LIMITS for value in (0, LIMITS[name] + 1)])
def test_the_embedded_models_numbers_have_limits(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        LocalSettings.model_validate(wrong)
