"""No path leads out of the root, and what is refused is refused in words a model can act on."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mamba_agents.tools import FilesystemSecurity, glob_search, grep_search, list_directory, read_file

SECRET = "canary-7f3a"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with every kind of way out, beside a secret."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text(SECRET)
    (tmp_path / "root-twin").mkdir()
    (tmp_path / "root-twin" / "secret.txt").write_text(SECRET)
    root = tmp_path / "root"
    (root / "inner" / "deep").mkdir(parents=True)
    (root / "inner" / "deep" / "note.txt").write_text("hello")
    (root / "link-file").symlink_to(tmp_path / "outside" / "secret.txt")
    (root / "link-folder").symlink_to(tmp_path / "outside")
    (root / "inner" / "up").symlink_to("../../outside")
    (root / "loop").symlink_to("loop")
    (root / "slash").symlink_to("/")
    return root


WAYS_OUT = [
    "../outside/secret.txt",
    "inner/../../outside/secret.txt",
    "inner/deep/../../../outside/secret.txt",
    "../root-twin/secret.txt",
    "..",
    "/etc/passwd",
    "//etc/passwd",
    "/proc/self/root/etc/passwd",
    "link-file",
    "link-folder/secret.txt",
    "link-folder/../outside/secret.txt",
    "inner/up/secret.txt",
    "slash/etc/passwd",
    "./././../outside/secret.txt",
]


@pytest.mark.parametrize("path", WAYS_OUT)
def test_a_way_out_is_refused_by_every_tool(root: Path, path: str) -> None:
    security = FilesystemSecurity(base_directory=root)
    for tool in (read_file, list_directory, lambda p, security: grep_search(".", p, security=security)):
        with pytest.raises(PermissionError, match="outside the root folder: give a path relative to the root"):
            tool(path, security=security)
    with pytest.raises(PermissionError, match="outside the root"):
        glob_search("*", path, security=security)


@pytest.mark.parametrize("path", ["", "a\0b", "\ud800.txt"])
def test_what_can_be_no_path_is_refused(root: Path, path: str) -> None:
    with pytest.raises(ValueError, match="is not a path"):
        read_file(path, security=FilesystemSecurity(base_directory=root))


def test_a_tilde_is_a_name_like_any_other(root: Path) -> None:
    security = FilesystemSecurity(base_directory=root)
    with pytest.raises(FileNotFoundError, match="'~' is not expanded"):
        read_file("~/.bashrc", security=security)
    (root / "~notes").write_text("mine")
    assert read_file("~notes", security=security) == "mine"


def test_an_absolute_path_under_the_root_is_fine(root: Path) -> None:
    path = str(root / "inner" / "deep" / "note.txt")
    assert read_file(path, security=FilesystemSecurity(base_directory=root)) == "hello"


def test_a_link_that_stays_inside_is_followed(root: Path) -> None:
    (root / "shortcut").symlink_to("inner/deep/note.txt")
    assert read_file("shortcut", security=FilesystemSecurity(base_directory=root)) == "hello"


def test_the_root_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(root)
    security = FilesystemSecurity(base_directory=tmp_path / "alias")
    assert read_file("inner/deep/note.txt", security=security) == "hello"


def test_a_loop_of_links_and_a_name_too_long_are_one_sentence(root: Path) -> None:
    security = FilesystemSecurity(base_directory=root)
    with pytest.raises(OSError, match=r"^'loop' cannot be reached: .+\.$"):
        read_file("loop", security=security)
    with pytest.raises(OSError, match=r"cannot be reached: File name too long\.$"):
        read_file("a" * 5000, security=security)


def test_devices_pipes_and_sockets_are_refused_and_never_opened(root: Path) -> None:
    os.mkfifo(root / "pipe")  # opening it would wait for a writer, and the test with it
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(root / "socket"))
    security = FilesystemSecurity(base_directory=root)
    for name in ("pipe", "socket"):
        with pytest.raises(PermissionError, match="not a regular file"):
            read_file(name, security=security)
    with pytest.raises(PermissionError, match="not a regular file"):
        read_file("null", security=FilesystemSecurity(base_directory=Path("/dev")))
    assert [match.file for match in grep_search("hello", ".", security=security)] == ["inner/deep/note.txt"]


def test_without_the_sandbox_any_path_is_read(root: Path) -> None:
    security = FilesystemSecurity(base_directory=root, sandbox_mode=False)
    assert read_file("../outside/secret.txt", security=security) == SECRET


def test_extensions_decide_what_is_read_whatever_their_case(root: Path) -> None:
    for name in ("a.PY", "b.txt", ".env", "c.env"):
        (root / name).write_text("needle")
    allowed = FilesystemSecurity(base_directory=root, allowed_extensions=frozenset({"py"}))
    denied = FilesystemSecurity(base_directory=root, denied_extensions=frozenset({".ENV"}))
    assert read_file("a.PY", security=allowed) == "needle"
    assert [match.file for match in grep_search("needle", ".", security=allowed)] == ["a.PY"]
    assert [match.file for match in grep_search("needle", ".", security=denied)] == ["a.PY", "b.txt"]
    for security, name in ((allowed, "b.txt"), (denied, ".env"), (denied, "c.env")):
        with pytest.raises(PermissionError, match="extension"):
            read_file(name, security=security)


def test_an_extension_both_allowed_and_denied_fails_at_once() -> None:
    with pytest.raises(ValidationError, match=r"\.py is in allowed_extensions and in denied_extensions"):
        FilesystemSecurity(allowed_extensions=frozenset({"py"}), denied_extensions=frozenset({".py"}))


def test_a_file_over_the_limit_is_refused_with_both_sizes(root: Path) -> None:
    (root / "large.log").write_text("x" * 11)
    security = FilesystemSecurity(base_directory=root, max_file_size=10)
    with pytest.raises(ValueError, match="has 11 bytes; files over 10 bytes are not read"):
        read_file("large.log", security=security)
    assert grep_search("x", ".", security=security) == []


def test_a_file_that_hides_its_size_is_still_bounded() -> None:
    # Files under /proc say that they have no bytes at all.
    security = FilesystemSecurity(base_directory=Path("/proc/self"), max_file_size=10)
    with pytest.raises(ValueError, match="over 10 bytes"):
        read_file("status", security=security)


def test_the_default_root_is_the_current_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "inner")
    assert read_file("deep/note.txt") == "hello"
    with pytest.raises(PermissionError):
        read_file("../link-file")


entries = ["inner", "deep", "up", "loop", "slash", "link-file", "link-folder", "outside", "secret.txt", "root-twin"]
oddities = ["..", ".", "", "~", "etc", "passwd", "proc", "self", "root", "\0", "\ud800", "*", "**"]
names = st.sampled_from(entries) | st.sampled_from(oddities)
paths = st.one_of(
    st.lists(names | st.text(max_size=5), max_size=8).map("/".join),
    st.lists(names, max_size=6).map(lambda parts: "/" + "/".join(parts)),
    st.text(max_size=30),
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=paths)
def test_no_path_at_all_shows_what_is_outside(root: Path, path: str) -> None:
    security = FilesystemSecurity(base_directory=root)
    seen: list[str] = []
    for tool in (
        lambda: [read_file(path, security=security)],
        lambda: list_directory(path, recursive=True, max_depth=4, security=security),
        lambda: glob_search(path or "*", security=security),
        lambda: glob_search("**", path, security=security),
        lambda: [match.line for match in grep_search(".", path, security=security)],
    ):
        try:
            seen += tool()
        except (OSError, ValueError) as error:
            seen.append(str(error).replace(repr(path), ""))
    text = "\n".join(seen)
    assert SECRET not in text
    assert str(root.parent) not in text
    assert "root:x:" not in text
