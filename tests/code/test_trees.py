"""A folder is copied so that it needs nothing else, and takes its place whole or not at all."""

import os
import socket
from pathlib import Path

import pytest

from thaw.errors import ThawError
from thaw.trees import copy_tree, is_empty, taking_place, unchanged_on_failure


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "mine" / "cells"
    for name in ("a/1.png", "b/2.png"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    return source


def copy(source: Path, tmp_path: Path) -> tuple[Path, int]:
    """The copy, the original having been moved away, and how many files it took."""
    seen: list[None] = []
    copy_tree(source, tmp_path / "copy", lambda: seen.append(None))
    (tmp_path / "mine").rename(tmp_path / "gone")
    return tmp_path / "copy", len(seen)


def test_links_within_the_folder_stay_links_and_work_in_the_copy(source: Path, tmp_path: Path) -> None:
    (source / "b" / "relative.png").symlink_to("../a/1.png")
    (source / "b" / "absolute.png").symlink_to(source / "a" / "1.png")
    (source / "b" / "folder").symlink_to("../a")
    copied, count = copy(source, tmp_path)
    for name in ("relative.png", "absolute.png", "folder/1.png"):
        assert (copied / "b" / name).read_text() == "a/1.png"
    assert {str((copied / "b" / name).readlink()) for name in ("relative.png", "absolute.png")} == {
        "../a/1.png"
    }
    assert (copied / "b" / "folder").is_symlink()
    assert count == 2


def test_of_links_that_leave_the_folder_the_content_is_copied(source: Path, tmp_path: Path) -> None:
    outside = source.parent / "outside"
    (outside / "sub").mkdir(parents=True)
    (outside / "sub" / "3.png").write_text("3")
    (outside / "again.png").symlink_to("sub/3.png")
    (outside / "home.png").symlink_to(source / "a" / "1.png")
    (outside / "sub" / "round").symlink_to(outside)
    (source / "a" / "3.png").symlink_to("../../outside/sub/3.png")
    (source / "c").symlink_to(outside)
    copied, count = copy(source, tmp_path)
    assert (copied / "a" / "3.png").read_text() == "3" and not (copied / "a" / "3.png").is_symlink()
    assert not (copied / "c").is_symlink()
    assert (copied / "c" / "again.png").read_text() == "3"
    assert (copied / "c" / "home.png").read_text() == "a/1.png"
    assert (copied / "c" / "sub" / "round").readlink() == Path("..")
    assert count == 4


@pytest.mark.parametrize("target", ["nowhere.png", "self.png", "/", "../.."])
def test_a_link_that_cannot_be_kept_is_named(source: Path, tmp_path: Path, target: str) -> None:
    (source / "a" / "self.png").symlink_to(target)
    with pytest.raises(ThawError, match=r"a/self\.png"):
        copy_tree(source, tmp_path / "copy", lambda: None)


def test_a_folder_around_the_copy_is_not_copied_into_itself(source: Path, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (source / "a" / "all").symlink_to(tmp_path / "project")
    with pytest.raises(ThawError, match="a/all"):
        copy_tree(source, tmp_path / "project" / "copy", lambda: None)


def test_a_pipe_or_a_socket_is_named_and_never_opened(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(source / "a" / "pipe")
    with pytest.raises(ThawError, match=r"a/pipe"):
        copy_tree(source, tmp_path / "copy", lambda: None)
    (source / "a" / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(source / "a")  # the name of a socket has to be short
        server.bind("socket")
        with pytest.raises(ThawError, match=r"a/socket"):
            copy_tree(source, tmp_path / "copy2", lambda: None)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("new", "raw"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text(name)
    return tmp_path / "new", tmp_path / "raw"


def test_the_old_folder_goes_aside(places: tuple[Path, Path]) -> None:
    new, raw = places
    with taking_place(new, raw) as old:
        assert old == raw.with_name("raw.old-1")
    assert (raw / "x").read_text() == "new"
    assert (raw.with_name("raw.old-1") / "x").read_text() == "raw"


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_after_a_failure_both_are_where_they_were(
    places: tuple[Path, Path], kind: type[BaseException]
) -> None:
    new, raw = places
    with pytest.raises(kind), taking_place(new, raw):
        raise kind
    assert ((new / "x").read_text(), (raw / "x").read_text()) == ("new", "raw")
    assert set(raw.parent.iterdir()) == {new, raw}


def test_when_the_last_rename_fails_the_old_folder_comes_back(places: tuple[Path, Path]) -> None:
    new, raw = places
    with pytest.raises(FileNotFoundError), taking_place(new / "missing", raw):
        raise AssertionError("never reached")
    assert (raw / "x").read_text() == "raw"


def test_an_old_folder_that_cannot_come_back_is_named(places: tuple[Path, Path]) -> None:
    new, raw = places
    with pytest.raises(ThawError, match=r"raw\.old-1.*could not be put back"), taking_place(new, raw):
        new.mkdir()  # so that the new folder cannot go back, and its place stays taken
        (new / "y").write_text("")
        raise ValueError("full")
    assert (raw.with_name("raw.old-1") / "x").read_text() == "raw"


def test_an_empty_folder_is_not_kept_aside(places: tuple[Path, Path]) -> None:
    new, raw = places
    (raw / "x").unlink()
    assert is_empty(raw) and is_empty(raw / "missing") and not is_empty(new)
    with taking_place(new, raw):
        pass
    assert list(raw.parent.iterdir()) == [raw]


def test_small_files_are_as_they_were_after_a_failure(tmp_path: Path) -> None:
    kept, made = tmp_path / "kept", tmp_path / "made"
    kept.write_text("before")
    with pytest.raises(ValueError), unchanged_on_failure(kept, made):
        kept.write_text("after")
        made.write_text("after")
        raise ValueError
    assert kept.read_text() == "before" and not made.exists()
