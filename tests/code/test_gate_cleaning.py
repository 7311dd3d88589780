"""`thaw clean`: what leaves, and that everything comes back to the byte, the time and the permission."""

import os
import stat
from pathlib import Path

import pytest

from tests.data.dirty import Planter, clean_folder, picture
from thaw.batches import apply_moves, quarantine_dir, undo_last
from thaw.cleaning import plan_moves
from thaw.errors import ThawError
from thaw.gate.inspection import Inspection, inspect_folder
from thaw.params import ValidateParams


def inspect(root: Path) -> Inspection:
    return inspect_folder(ValidateParams(), root, root.parent / "scratch")


def snapshot(root: Path) -> dict[bytes, tuple]:
    """Kind, permissions, time and content of every path."""
    seen = {}
    for folder, _, files in os.walk(os.fsencode(root)):
        for path in [folder, *(os.path.join(folder, name) for name in files)]:  # noqa: PTH118
            status = os.lstat(path)
            content: object = None
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)  # noqa: PTH115
            elif stat.S_ISREG(status.st_mode):
                content = Path(os.fsdecode(path)).read_bytes()
            seen[path] = (status.st_mode, status.st_mtime_ns, status.st_size, content)
    return seen


@pytest.fixture
def dirty(tmp_path: Path) -> Path:
    root = clean_folder(tmp_path / "raw")
    Planter(root).plant_all()
    odd = root / "train/cat/._odd name é 漢字.png"
    odd.write_bytes(b"x")
    odd.chmod(0o604)
    os.utime(odd, ns=(1, 123_456_789))
    os.utime(root / "train/cat", ns=(5, 987_654_321))
    return root


def test_apply_then_undo_leaves_the_tree_identical(dirty):
    before = snapshot(dirty)
    moves = plan_moves(inspect(dirty))
    apply_moves(dirty, moves)
    after = snapshot(dirty)
    assert len(after) < len(before) - 30
    assert len(undo_last(dirty)) == len(moves)
    assert snapshot(dirty) == before


def test_a_cleaned_folder_has_nothing_left_to_move(dirty):
    apply_moves(dirty, plan_moves(inspect(dirty)))
    assert plan_moves(inspect(dirty)) == []


def test_batches_come_back_one_by_one(dirty):
    before = snapshot(dirty)
    apply_moves(dirty, plan_moves(inspect(dirty)))
    between = snapshot(dirty)
    named = plan_moves(inspect(dirty), ["exif_orientation"])
    assert [move.path for move in named] == ["train/cat/turned.jpg"]
    apply_moves(dirty, named)
    undo_last(dirty)
    assert snapshot(dirty) == between
    undo_last(dirty)
    assert snapshot(dirty) == before
    with pytest.raises(ThawError, match="nothing to bring back"):
        undo_last(dirty)


def test_planning_touches_nothing(dirty):
    before = snapshot(dirty.parent)
    plan_moves(inspect(dirty))
    after = snapshot(dirty.parent)
    scratch = os.fsencode(dirty.parent / "scratch")
    assert {
        path: seen for path, seen in after.items() if not path.startswith(scratch)
    }.keys() == before.keys()
    assert not quarantine_dir(dirty).exists()


def test_label_conflicts_and_leaks_move_only_when_named(dirty):
    paths = {move.path for move in plan_moves(inspect(dirty))}
    assert not paths & {
        "train/dog/label.png",
        "train/cat/label.png",
        "train/dog/leak.png",
        "test/dog/leak.png",
    }
    leaks = plan_moves(inspect(dirty), ["duplicate_across_splits"])
    assert [move.path for move in leaks] == ["train/dog/leak.png"]


def test_of_equal_pictures_one_stays(dirty):
    moved = {move.path for move in plan_moves(inspect(dirty))}
    assert {"train/dog/one.png", "train/dog/two.png", "train/dog/pixels.bmp"} - moved == {"train/dog/one.png"}


def test_undo_overwrites_nothing(dirty):
    apply_moves(dirty, plan_moves(inspect(dirty)))
    picture(5).save(dirty / "train/cat/empty.png")
    with pytest.raises(ThawError, match=r"train/cat/empty\.png: another file"):
        undo_last(dirty)
    (dirty / "train/cat/empty.png").unlink()
    undo_last(dirty)


def test_a_move_that_fails_is_told_and_can_be_undone(dirty, monkeypatch):
    before = snapshot(dirty)
    moves = plan_moves(inspect(dirty))
    rename, calls = os.rename, []

    def full_disk(source, target):
        calls.append(source)
        if len(calls) == 5:
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "rename", full_disk)
    with pytest.raises(ThawError, match="No space left"):
        apply_moves(dirty, moves)
    monkeypatch.setattr(os, "rename", rename)
    assert len(undo_last(dirty)) == 4
    assert snapshot(dirty) == before


def test_an_unknown_check_is_refused(dirty):
    with pytest.raises(ThawError, match="no check whose files can be moved"):
        plan_moves(inspect(dirty), ["imbalance"])
