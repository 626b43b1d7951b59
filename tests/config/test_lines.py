"""Every way to write a key leads to the line it stands on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mamba_agents.config import AgentSettings
from mamba_agents.config.toml_file import parse_toml

type Write = Callable[[str, str], Path]

TOML = '''\
# a comment with [brackets] and = signs
local.threads = 2

[model_backend]   # the server
"model" = """
[not.a.table]
timeout = 1
"""
timeout = 3.5
headers = { X-Team = "blue", X-Trace = "on" }

[ cost_rates . "gpt-4.1" ]
input = 1
output = 2
[tokenizer.model_mapping]
a = "cl100k_base"
'''

YAML = """\
# a comment
local: {threads: 2}
model_backend:
  model: |
    [not.a.table]
    timeout: 1

  timeout: 3.5
  headers:
    X-Team: blue
    X-Trace: "on"
cost_rates:
  gpt-4.1: &price
    input: 1
    output: 2
  gpt-4.1-mini:
    <<: *price
    output: 1
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_toml_keys_are_found_on_their_lines(newline: str, write: Write) -> None:
    write("config.toml", TOML.replace("\n", newline))
    lines = {each.key: each.line for each in AgentSettings().explain_all() if each.file}
    assert lines == {
        "model_backend.model": 5,
        "model_backend.timeout": 9,
        "model_backend.headers.X-Team": 10,
        "model_backend.headers.X-Trace": 10,
        "local.threads": 2,
        "tokenizer.model_mapping.a": 16,
        "cost_rates.gpt-4.1.input": 13,
        "cost_rates.gpt-4.1.output": 14,
    }


def test_yaml_keys_are_found_on_their_lines(write: Write) -> None:
    write("config.yaml", YAML)
    lines = {each.key: each.line for each in AgentSettings().explain_all() if each.file}
    assert lines == {
        "model_backend.model": 4,
        "model_backend.timeout": 8,
        "model_backend.headers.X-Team": 10,
        "model_backend.headers.X-Trace": 11,
        "local.threads": 2,
        "cost_rates.gpt-4.1.input": 14,
        "cost_rates.gpt-4.1.output": 15,
        "cost_rates.gpt-4.1-mini.input": 16,
        "cost_rates.gpt-4.1-mini.output": 18,
    }


def test_rows_of_tables_are_counted() -> None:
    text = "[[a]]\nx = 1\n[[a.b]]\ny = 1\n[[a]]\nx = 2\n[a.c]\nz = [\n  1,\n]\n[d]\n"
    lines = parse_toml(text, "file").lines
    assert {".".join(map(str, path)): line for path, line in lines.items()} == {
        "a.0": 1,
        "a.0.x": 2,
        "a.0.b.0": 3,
        "a.0.b.0.y": 4,
        "a.1": 5,
        "a.1.x": 6,
        "a.1.c": 7,
        "a.1.c.z": 8,
        "d": 11,
    }
