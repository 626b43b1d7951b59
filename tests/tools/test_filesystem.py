"""Reading a file and listing a folder."""

from pathlib import Path

import pytest

from mamba_agents.tools import FilesystemSecurity, list_directory, read_file


@pytest.fixture
def security(tmp_path: Path) -> FilesystemSecurity:
    return FilesystemSecurity(base_directory=tmp_path)


def test_a_text_file_is_given_as_it_is(tmp_path: Path, security: FilesystemSecurity) -> None:
    (tmp_path / "a.txt").write_bytes("één\r\ntwo\n".encode())
    assert read_file("a.txt", security=security) == "één\r\ntwo\n"


def test_another_encoding_is_read_when_asked_for(tmp_path: Path, security: FilesystemSecurity) -> None:
    (tmp_path / "wide.txt").write_bytes("één".encode("utf-16"))
    (tmp_path / "old.txt").write_bytes("één".encode("latin-1"))
    assert read_file("wide.txt", "utf-16", security=security) == "één"
    assert read_file("old.txt", encoding="latin-1", security=security) == "één"


def test_text_in_another_encoding_is_said_to_be(tmp_path: Path, security: FilesystemSecurity) -> None:
    (tmp_path / "old.txt").write_bytes("één".encode("latin-1"))
    with pytest.raises(ValueError, match=r"'old.txt' is not utf-8 text .*: try another encoding"):
        read_file("old.txt", security=security)


@pytest.mark.parametrize("encoding", ["utf-9", "hex", "a\0b", ""])
def test_what_is_no_text_encoding_is_said_to_be_none(
    tmp_path: Path, security: FilesystemSecurity, encoding: str
) -> None:
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(ValueError, match="is not a text encoding"):
        read_file("a.txt", encoding, security=security)


def test_a_binary_file_is_said_to_be_binary(tmp_path: Path, security: FilesystemSecurity) -> None:
    (tmp_path / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    with pytest.raises(ValueError, match=r"'image.png' is a binary file of 16 bytes, not text"):
        read_file("image.png", security=security)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path, security: FilesystemSecurity) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(FileNotFoundError, match="'nope' does not exist under the root folder"):
        read_file("nope", security=security)
    with pytest.raises(IsADirectoryError, match="'folder' is a folder, not a file: list_directory"):
        read_file("folder", security=security)
    with pytest.raises(NotADirectoryError, match="'file' is a file, not a folder"):
        list_directory("file", security=security)


def test_an_unreadable_file_is_one_sentence_without_the_machine_s_paths(
    tmp_path: Path, security: FilesystemSecurity
) -> None:
    (tmp_path / "closed").write_text("")
    (tmp_path / "closed").chmod(0)
    try:
        (tmp_path / "closed").read_text()
    except PermissionError:
        with pytest.raises(PermissionError, match=r"^'closed' cannot be read: Permission denied\.$"):
            read_file("closed", security=security)
    else:  # an administrator reads every file
        assert read_file("closed", security=security) == ""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.txt", "a/z.txt", "a/c/d/e.txt", ".git/objects/x", ".hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "out").symlink_to("/")
    return tmp_path


def test_a_listing_is_sorted_and_marks_folders(tree: Path, security: FilesystemSecurity) -> None:
    assert list_directory(".", security=security) == [".git/", ".hidden", "a/", "b.txt", "out"]


def test_a_listing_goes_as_deep_as_asked_but_not_into_git_or_links(tree: Path, security: FilesystemSecurity) -> None:
    two = [".git/", ".hidden", "a/", "a/c/", "a/z.txt", "b.txt", "out"]
    assert list_directory(recursive=True, security=security) == two
    assert list_directory("a", recursive=True, max_depth=9, security=security) == [
        "a/c/",
        "a/c/d/",
        "a/c/d/e.txt",
        "a/z.txt",
    ]
    assert list_directory(".git/objects", security=security) == [".git/objects/x"]


def test_a_depth_below_one_is_refused(security: FilesystemSecurity) -> None:
    with pytest.raises(ValueError, match="max_depth must be 1 or more, not 0"):
        list_directory(recursive=True, max_depth=0, security=security)
