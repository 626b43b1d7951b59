"""The file that `config init` writes."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from mamba_agents.config import AgentSettings, settings_template
from mamba_agents.config.template import FileFormat

type Write = Callable[[str, str], Path]


class Window(BaseModel):
    """A section of an application's own."""

    width: int = 80
    """In characters."""


class Own(AgentSettings):
    window: Window | None = None
    """Absent unless it is set."""


FORMATS: list[FileFormat] = ["toml", "yaml"]


@pytest.mark.parametrize("file_format", FORMATS)
def test_as_written_it_changes_nothing(file_format: FileFormat, write: Write) -> None:
    path = write(f"mine.{file_format}", settings_template(AgentSettings, file_format))
    settings = AgentSettings.from_file(path)
    assert settings == AgentSettings()
    assert {each.source for each in settings.explain_all()} == {"default"}


@pytest.mark.parametrize("file_format", FORMATS)
def test_each_line_taken_out_of_its_comment_is_at_the_default(file_format: FileFormat, write: Write) -> None:
    text = settings_template(AgentSettings, file_format)
    active = re.sub(r"^( *)#(\w+ ?[:=].+)$", r"\1\2", text, flags=re.MULTILINE)
    settings = AgentSettings.from_file(write(f"mine.{file_format}", active))
    assert settings == AgentSettings()
    from_file = {each.key for each in settings.explain_all() if each.file}
    assert from_file == {each.key for each in settings.explain_all() if each.value is not None} - {
        each.key for each in settings.explain_all() if each.value == {} and not each.file
    }
    assert from_file > {"model_backend.timeout", "local.threads", "tools.root"}


@pytest.mark.parametrize("file_format", FORMATS)
def test_it_describes_every_setting(file_format: FileFormat) -> None:
    text = settings_template(AgentSettings, file_format)
    for each in AgentSettings().explain_all():
        name = each.key.rpartition(".")[2]
        assert re.search(rf"^ *# .+\n *#{name} ?[:=]", text, flags=re.MULTILINE)


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_section_that_is_absent_by_default_stays_absent(file_format: FileFormat, write: Write) -> None:
    text = settings_template(Own, file_format)
    assert Own.from_file(write(f"mine.{file_format}", text)).window is None
    active = text.replace("#[window]", "[window]").replace("#window:", "window:").replace("#width", "width")
    assert Own.from_file(write(f"mine.{file_format}", active)).window == Window()
