"""What the packages promise to hand out."""

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

import mamba_agents

PACKAGES = [
    "mamba_agents",
    *(
        f"mamba_agents.{module.name}"
        for module in pkgutil.iter_modules(mamba_agents.__path__)
        if module.ispkg and not module.name.startswith("_")
    ),
]
PROMISED = {
    "mamba_agents": [
        "Agent",
        "AgentSettings",
        "CompactionConfig",
        "CompactionResult",
        "ContextManager",
        "ContextState",
        "CostBreakdown",
        "Session",
        "TokenCounter",
        "TokenUsage",
        "UsageRecord",
        "UsageTracker",
        "__version__",
    ],
    "mamba_agents.agent": ["Agent", "AgentConfig", "AgentResult", "dicts_to_model_messages", "model_messages_to_dicts"],
    "mamba_agents.backends": ["create_local_backend", "create_ollama_backend", "get_profile", "health_check"],
    "mamba_agents.config": ["AgentSettings", "ModelBackendSettings"],
    "mamba_agents.context": ["CompactContext", "CompactionConfig", "ContextManager", "ContextState", "check_history"],
    "mamba_agents.context.compaction": [
        "CompactionStrategy",
        "HybridStrategy",
        "ImportanceScoringStrategy",
        "SelectivePruningStrategy",
        "SlidingWindowStrategy",
        "SummarizeOlderStrategy",
    ],
    "mamba_agents.errors": [
        "AgentError",
        "BudgetExceededError",
        "ConfigurationError",
        "ContextOverflowError",
        "ModelBackendError",
    ],
    "mamba_agents.sessions": ["Session", "SessionStore"],
    "mamba_agents.testing": ["broken_histories", "histories"],
    "mamba_agents.tokens": ["BudgetConfig", "CostEstimator", "TokenCounter", "TokenizerConfig", "UsageTracker"],
    "mamba_agents.tools": ["glob_search", "grep_search", "list_directory", "read_file"],
    "mamba_agents.tools.filesystem": ["list_directory", "read_file"],
    "mamba_agents.tools.search": ["glob_search", "grep_search"],
}


@pytest.mark.parametrize(("path", "names"), PROMISED.items(), ids=PROMISED)
def test_a_promised_import_path_hands_out_its_names(path: str, names: list[str]) -> None:
    module = importlib.import_module(path)
    assert [name for name in names if not hasattr(module, name)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_exported_name_exists(package: str) -> None:
    """That the list is sorted, the linter holds."""
    module = importlib.import_module(package)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("package", PACKAGES[1:])
def test_a_packages_front_door_has_a_docstring_and_no_logic(package: str) -> None:
    source = importlib.import_module(package).__file__
    assert source is not None
    tree = ast.parse(Path(source).read_text())
    assert ast.get_docstring(tree)
    statements = [type(node).__name__ for node in tree.body[1:]]
    assert {*statements} <= {"Import", "ImportFrom", "Assign", "FunctionDef"}, statements


def test_the_top_level_hands_out_what_the_rooms_define() -> None:
    for name in set(mamba_agents.__all__) - {"__version__"}:
        value = getattr(mamba_agents, name)
        assert value.__name__ == name
        assert value.__module__.startswith("mamba_agents.")


def test_a_name_that_is_not_there_fails_as_on_any_module() -> None:
    with pytest.raises(AttributeError, match="'mamba_agents' has no attribute 'Agnet'"):
        _ = mamba_agents.Agnet


def test_dir_lists_the_exports() -> None:
    assert set(dir(mamba_agents)) == set(mamba_agents.__all__)
