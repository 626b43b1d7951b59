"""What importing may load: the price every command and every worker pays at its start."""

import subprocess
import sys

import pytest

PROVIDER_SDKS = {"anthropic", "cohere", "google.genai", "groq", "mistralai", "openai", "xai_sdk"}
HEAVY = PROVIDER_SDKS | {"fastmcp", "jinja2", "mcp", "pydantic_ai", "rich", "sqlalchemy", "typer", "xllamacpp", "yaml"}


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules, sep='\\n')"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(run.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import mamba_agents") & HEAVY == set()


def test_help_and_completion_wait_for_nothing_but_the_parser() -> None:
    assert loaded_by("import mamba_agents.cli") & HEAVY == {"typer"}


@pytest.mark.parametrize(
    "statement",
    [
        "from mamba_agents import Agent",
        "from mamba_agents import AgentSettings; AgentSettings(_env_file=None)",
        "import mamba_agents.backends, mamba_agents.tools",
    ],
)
def test_no_room_loads_a_provider_or_the_embedded_engine_before_it_is_used(statement: str) -> None:
    assert loaded_by(statement) & (PROVIDER_SDKS | {"fastmcp", "mcp", "sqlalchemy", "xllamacpp"}) == set()
