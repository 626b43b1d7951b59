"""Errors keep their fields."""

import pickle

import pytest

from mamba_agents.errors import AgentError, ConfigurationError, ModelBackendError


@pytest.mark.parametrize("kind", [AgentError, ConfigurationError, ModelBackendError])
def test_an_error_survives_pickling_with_fields_and_cause(kind: type[AgentError]) -> None:
    error = kind("found a, expected b; do c", cause=ValueError("why"), found="a")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert str(back) == back.message == "found a, expected b; do c"
    assert back.details == {"found": "a"}
    assert repr(back.__cause__) == "ValueError('why')"


def test_they_are_one_tree() -> None:
    assert issubclass(ConfigurationError, AgentError)
    assert issubclass(ModelBackendError, AgentError)
    assert AgentError("plain").__cause__ is None
