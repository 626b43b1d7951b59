"""Finding files by name and lines by content."""

from pathlib import Path

import pytest

from mamba_agents.tools import FilesystemSecurity, GrepMatch, glob_search, grep_search

TREE = {
    "README.md": "# Title\nMamba here\r\nlast",
    "src/app.py": "import os\nMAMBA = 1\nmamba = 2\n",
    "src/pkg/core.py": "def mamba(): ...\n",
    "src/pkg/data.bin": "mamba\0mamba",
    ".git/config": "mamba",
    ".github/ci.yml": "mamba: true",
}


@pytest.fixture
def security(tmp_path: Path) -> FilesystemSecurity:
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text.encode())
    (tmp_path / "src" / "link").symlink_to("..")
    return FilesystemSecurity(base_directory=tmp_path)


@pytest.mark.parametrize(
    ("pattern", "root_dir", "found"),
    [
        ("*.md", ".", ["README.md"]),
        ("**/*.py", ".", ["src/app.py", "src/pkg/core.py"]),
        ("src/**/*.py", ".", ["src/app.py", "src/pkg/core.py"]),
        ("src/*/*.py", ".", ["src/pkg/core.py"]),
        ("**/pkg/**", ".", ["src/pkg/core.py", "src/pkg/data.bin"]),
        ("*.py", "src", ["src/app.py"]),
        ("**/[ac]*.py", ".", ["src/app.py", "src/pkg/core.py"]),
        ("**/*.yml", ".", [".github/ci.yml"]),
        ("./src//app.py", ".", ["src/app.py"]),
        ("**/config", ".", []),
        ("config", ".git", [".git/config"]),
        ("src", ".", []),
    ],
)
def test_a_pattern_finds_files_in_order(
    security: FilesystemSecurity, pattern: str, root_dir: str, found: list[str]
) -> None:
    assert glob_search(pattern, root_dir, security=security) == found


def test_two_stars_mean_one_folder_when_not_recursive(security: FilesystemSecurity) -> None:
    assert glob_search("**/*.py", recursive=False, security=security) == ["src/app.py"]


def test_as_many_files_as_asked_for(security: FilesystemSecurity) -> None:
    assert glob_search("**", max_results=2, security=security) == [".github/ci.yml", "README.md"]
    with pytest.raises(ValueError, match="max_results"):
        glob_search("**", max_results=0, security=security)


@pytest.mark.parametrize("pattern", ["../x", "a/../../x", "/etc/*", "", "."])
def test_a_pattern_that_could_leave_is_refused(security: FilesystemSecurity, pattern: str) -> None:
    with pytest.raises(ValueError, match="must be relative"):
        glob_search(pattern, security=security)


def test_a_pattern_of_many_stars_ends(security: FilesystemSecurity, tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(60):
        folder = folder / "a"
    folder.mkdir(parents=True)
    assert glob_search("**/a/" * 40 + "b", security=security) == []
    assert glob_search("*a" * 400, security=security) == []


def test_lines_are_found_in_the_order_of_their_files(security: FilesystemSecurity) -> None:
    found = grep_search("mamba", ".", security=security)
    assert [(match.file, match.line_number, match.line) for match in found] == [
        (".github/ci.yml", 1, "mamba: true"),
        ("src/app.py", 3, "mamba = 2"),
        ("src/pkg/core.py", 1, "def mamba(): ..."),
    ]


def test_case_files_and_depth_narrow_a_search(security: FilesystemSecurity) -> None:
    def files(**options: object) -> list[str]:
        return [match.file for match in grep_search("mamba", security=security, **options)]  # type: ignore[arg-type]

    assert files(path="README.md") == []
    assert files(path="README.md", ignore_case=True) == ["README.md"]
    assert files(path=".", file_pattern="*.py") == ["src/app.py", "src/pkg/core.py"]
    assert files(path="src", recursive=False) == ["src/app.py"]
    assert files(path=".", max_results=1) == [".github/ci.yml"]


def test_context_stops_at_the_ends_of_a_file(security: FilesystemSecurity) -> None:
    (match,) = grep_search("Mamba", "README.md", context_lines=5, security=security)
    assert match == GrepMatch("README.md", 2, "Mamba here", ("# Title",), ("last",))


def test_plain_text_is_no_expression(security: FilesystemSecurity) -> None:
    assert len(grep_search("mamba()", "src", security=security)) == 2
    (match,) = grep_search("mamba()", "src", regex=False, security=security)
    assert match.file == "src/pkg/core.py"
    with pytest.raises(ValueError, match=r"is not a regular expression .*regex=false"):
        grep_search("mamba(", "src", security=security)


def test_a_binary_file_is_passed_over_in_a_folder_and_named_by_itself(security: FilesystemSecurity) -> None:
    assert "src/pkg/data.bin" not in [match.file for match in grep_search("mamba", "src/pkg", security=security)]
    with pytest.raises(ValueError, match=r"'src/pkg/data.bin' is a binary file"):
        grep_search("mamba", "src/pkg/data.bin", security=security)


def test_bytes_that_are_no_text_do_not_stop_a_search(security: FilesystemSecurity, tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_bytes("één mamba".encode("latin-1"))
    (match,) = grep_search("mamba", "old.txt", security=security)
    assert match.line == "\ufffd\ufffdn mamba"


@pytest.mark.parametrize("number", [{"max_results": 0}, {"context_lines": -1}])
def test_a_number_too_small_is_refused_by_name(security: FilesystemSecurity, number: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(number))} must be at least"):
        grep_search("a", ".", security=security, **number)


def test_an_expression_that_backtracks_for_ever_is_stopped(
    security: FilesystemSecurity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mamba_agents.tools.search.TIMEOUT_SECONDS", 0.2)
    (tmp_path / "long.txt").write_text("a" * 60 + "b")
    for path in ("long.txt", "."):
        with pytest.raises(TimeoutError, match=r"was stopped: use a simpler pattern"):
            grep_search("(a|a)*$", path, security=security)


@pytest.mark.parametrize("pattern", ["((a{1000}){1000}){1000}", "(?R)?a", "(?1)(a)", "(" * 400 + ")" * 400, "a" * 5000])
def test_an_expression_that_cannot_be_compiled_in_bounds_is_refused(security: FilesystemSecurity, pattern: str) -> None:
    with pytest.raises(ValueError, match=r"pattern is too long|not a regular expression"):
        grep_search(pattern, ".", security=security)
