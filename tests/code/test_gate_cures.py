"""The gate's cures are commands that work as they are printed: each is run by bash, and what it is for is gone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.dirty import clean_folder, picture
from thaw.batches import apply_moves, undo_last
from thaw.cleaning import clean_command, plan_renames
from thaw.compute import Local
from thaw.errors import ThawError
from thaw.gate.checks import CHECKS
from thaw.gate.findings import Finding
from thaw.gate.inspection import Inspection, inspect_folder
from thaw.params import ValidateParams

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
COMMAND = re.compile("`((?:thaw|find) [^`]+)`")
CURED = {
    "hidden", "junk", "name_not_utf8", "empty_file", "truncated", "foreign_file", "wrong_suffix", "duplicate",
    "duplicate_across_splits", "near_duplicate", "empty_folder",
}  # fmt: skip


def inspect(root: Path) -> Inspection:
    clean, folder = clean_command(root), str(root)
    return inspect_folder(ValidateParams(), root, root.parent / "scratch", executor=Local(1), clean=clean, folder=folder)


def found(root: Path) -> dict[str, list[Finding]]:
    rows: dict[str, list[Finding]] = {}
    for row in inspect(root).found:
        rows.setdefault(row.check, []).append(row)
    return rows


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    root = clean_folder(tmp_path / "my raw")
    cat = root / "train" / "cat"
    for name, data in ((".DS_Store", b"x"), ("Thumbs.db", b"x"), ("empty.png", b""), ("notes.txt", b"hello")):
        (cat / name).write_bytes(data)
    Path(os.fsdecode(os.fsencode(cat) + b"/\xff.png")).write_bytes(b"x")
    (cat / "nothing").mkdir()
    whole = (cat / "train000.png").read_bytes()
    (cat / "cut.png").write_bytes(whole[: len(whole) // 2])
    picture(9001).save(cat / "photo.jpg?w=600", "JPEG", quality=95)
    (cat / "train001 (1).png").write_bytes((cat / "train001.png").read_bytes())
    (root / "test" / "cat" / "seen.png").write_bytes((cat / "train002.png").read_bytes())
    picture(9002).save(cat / "a.png")
    picture(9002).save(cat / "b.jpg", quality=60)
    return root


def test_each_command_does_what_it_is_printed_for(faulty: Path) -> None:
    before = found(faulty)
    assert set(before) >= CURED
    commands = {check: COMMAND.findall(before[check][0].cure) for check in CURED}
    assert all(commands.values())
    printed = {command for each in commands.values() for command in each}
    shown = {command.removesuffix(" --apply") for command in printed if command.endswith(" --apply")}
    for command in sorted(printed - shown):  # what only shows is run as far by what applies it
        done = subprocess.run(["bash", "-c", command], env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    after = found(faulty)
    assert not CURED & set(after)
    assert not [row for rows in after.values() for row in rows if row.severity == "block"]


def test_every_command_in_a_cure_names_a_check_that_can_be_moved() -> None:
    for check in CHECKS.values():
        for named in re.findall(r"--check (\w+)", check.cure):
            assert CHECKS[named].movable


@pytest.mark.parametrize(
    ("names", "renamed"),
    [
        (["crawl"], ["crawl.jpg"]),
        (["photo.jpg_large", "photo.jpg?w=600", "photo.jpg!d"], ["photo.jpg", "photo_2.jpg", "photo_3.jpg"]),
        (["x.JPEG_"], ["x.JPEG"]),
        (["x.png"], ["x.jpg"]),
        (["x.png_large"], ["x.png_large.jpg"]),
        (["image.php", "photo."], ["image.php.jpg", "photo.jpg"]),
        (["x.png", "X.bmp"], ["X.jpg", "x_2.jpg"]),
        (["train000"], ["train000.jpg"]),
    ],
)
def test_a_picture_gets_the_suffix_of_its_format_and_its_name_back(
    tmp_path: Path, names: list[str], renamed: list[str]
) -> None:
    root = clean_folder(tmp_path / "raw", images=1)
    cat = root / "train" / "cat"
    before = {path.name for path in cat.iterdir()}
    for number, name in enumerate(names):
        picture(9100 + number).save(cat / name, "JPEG", quality=95)
    moves = plan_renames(inspect(root))
    apply_moves(root, moves)
    assert {path.name for path in cat.iterdir()} - before == set(renamed)
    assert "wrong_suffix" not in found(root)
    undo_last(root)
    assert {path.name for path in cat.iterdir()} - before == set(names)


def test_no_other_picture_is_written_over(tmp_path: Path) -> None:
    root = clean_folder(tmp_path / "raw", images=1)
    cat = root / "train" / "cat"
    picture(9200).save(cat / "x.jpg", quality=95)
    picture(9201).save(cat / "x.jpg_large", "JPEG", quality=95)
    apply_moves(root, plan_renames(inspect(root)))
    assert {"x.jpg", "x_2.jpg"} <= {path.name for path in cat.iterdir()}


def test_a_picture_that_metadata_names_keeps_its_name(tmp_path: Path) -> None:
    root = clean_folder(tmp_path / "raw", images=1)
    picture(9300).save(root / "train" / "cat" / "crawl", "JPEG")
    (root / "metadata.csv").write_text("path,kind\ntrain/cat/crawl,a\n")
    with pytest.raises(ThawError, match="has rows for 1"):
        plan_renames(inspect(root))
