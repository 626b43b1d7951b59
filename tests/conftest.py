"""What every test may use."""

import os

import pytest
from pydantic_ai.models import Model

from mamba_agents.backends import create_local_backend

# Set before anything imports a model library: no test reaches a network beyond loopback.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# The tests start many processes; each would compile every module anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps a file on one worker, and every test of the embedded model on one: the engine starts once."""
    for item in items:
        group = "model" if item.get_closest_marker("model") else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No key, setting or home file of the machine reaches a test."""
    for name in list(os.environ):
        if name.startswith("MAMBA_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def embedded_model() -> Model:
    """The model of the installed weights, without constrained tools; its server starts with the first request."""
    return create_local_backend(constrained_tools=False)
