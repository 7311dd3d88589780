"""`thaw relabel`: images and their rows go to another class and come back to the byte; a wrong list changes nothing."""

import csv
import os
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from tests.code.commands import call
from tests.code.test_gate_cleaning import inspect, snapshot
from tests.data.dirty import clean_folder, picture
from thaw.batches import CLEAN, RELABEL, apply_moves, undo_last, unfinished
from thaw.cleaning import plan_moves
from thaw.errors import ThawError
from thaw.relabelling import Relabelling, go_on, plan
from thaw.sources.index import Row, write_index
from thaw.versioning import DvcRepo

ROOT = Path(__file__).parents[2]


def reviewed(root: Path, *rows: tuple[str, str], text: str = "") -> Path:
    """A list beside the folder."""
    path = root.parent / "reviewed.csv"
    lines = [f"{image},{label},because" for image, label in rows]
    path.write_text(text or "\n".join(["path,suggested_label,why", *lines]) + "\n", encoding="utf-8")
    return path


def carry_out(root: Path, *rows: tuple[str, str]) -> Relabelling:
    found = plan(root, reviewed(root, *rows))
    apply_moves(root, found.moves, RELABEL, found.contents)
    return found


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Cats and dogs without splits, with a table."""
    root = clean_folder(tmp_path / "raw", 4, ("",))
    rows = ["path;probability;confidence;breed;note"]
    rows += [f"cat/{n:03d}.png;0,1;0.9;cat;a cat" for n in range(4)]
    rows += [f"data/raw/dog/{n:03d}.png;0,8;0.9;dog;dog" for n in range(4)]
    (root / "metadata.csv").write_bytes("\r\n".join(["sep=;", *rows, ""]).encode("cp1252"))
    return root


def test_in_both_layouts_an_image_goes_to_the_folder_of_its_class_in_its_split(tmp_path):
    root = clean_folder(tmp_path / "raw", 3)
    before = snapshot(root)
    moved = (root / "test/cat/test001.png").read_bytes()
    found = carry_out(root, ("test/cat/test001.png", "dog"), ("train/dog/train000.png", "cat"))
    assert [(move.path, move.target) for move in found.moves] == [
        ("test/cat/test001.png", "test/dog/test001_2.png"),  # the dogs have one of that name
        ("train/dog/train000.png", "train/cat/train000_2.png"),
    ]
    assert (root / "test/dog/test001_2.png").read_bytes() == moved
    assert sum(len(files) for _, _, files in os.walk(root)) == 12
    undo_last(root, RELABEL)
    assert snapshot(root) == before


def test_the_table_follows_and_all_other_bytes_of_it_stay(flat):
    before = snapshot(flat)
    text = (flat / "metadata.csv").read_bytes()
    found = carry_out(flat, ("cat/001.png", "dog"), ("dog/003.png", "cat"))
    expected = text.replace(b"cat/001.png;0,1;0.9;cat;a cat", b"dog/001_2.png;;;dog;a cat")
    expected = expected.replace(b"data/raw/dog/003.png;0,8;0.9;dog;dog", b"cat/003_2.png;;;cat;dog")
    assert (flat / "metadata.csv").read_bytes() == expected
    assert found.notes == [
        "metadata.csv: 2 rows get their new path",
        "metadata.csv: probability is emptied in 2 of them: it speaks against the new label",
        "metadata.csv: confidence is emptied in 2 of them: it was of the old label",
    ]
    undo_last(flat, RELABEL)
    assert snapshot(flat) == before


def test_the_gate_reads_the_new_table_without_a_fault(flat):
    rows = [f"{label}/{n:03d}.png,{p}\n" for label, p in (("cat", 0.1), ("dog", 0.8)) for n in range(4)]
    (flat / "metadata.csv").write_text("path,probability\n" + "".join(rows))
    carry_out(flat, ("cat/001.png", "dog"))
    checks = {row.check for row in inspect(flat).found}
    assert "probability_missing" in checks
    assert not {"metadata_missing_row", "metadata_extra_row", "probability_contradicts", "metadata_invalid"} & checks


def test_a_probability_that_agrees_with_the_new_label_stays(flat):
    rows = [("cat/000.png", 0.1), ("cat/001.png", 0.1), ("cat/002.png", 0.9), ("dog/000.png", 0.8)]
    (flat / "metadata.csv").write_text("path,probability_dog\n" + "".join(f"{path},{p}\n" for path, p in rows))
    carry_out(flat, ("cat/002.png", "dog"))
    table = pd.read_csv(flat / "metadata.csv")
    assert table.set_index("path")["probability_dog"]["dog/002_2.png"] == 0.9


def test_folders_and_lists_in_another_unicode_form_are_the_same_class(tmp_path):
    root = clean_folder(tmp_path / "raw", 3, ("",))
    folder = unicodedata.normalize("NFD", "Übung")
    (root / "dog").rename(root / folder)
    carry_out(root, ("cat\\001.png", "Übung"))
    assert sorted(path.name for path in root.iterdir()) == sorted(["cat", folder])
    assert (root / folder / "001_2.png").exists()


def test_a_class_that_a_split_lacks_gets_a_folder_there_which_an_undo_removes(tmp_path):
    root = clean_folder(tmp_path / "raw", 3)
    shutil.rmtree(root / "test/dog")
    before = snapshot(root)
    carry_out(root, ("test/cat/test000.png", "dog"))
    assert (root / "test/dog/test000.png").exists()
    undo_last(root, RELABEL)
    assert snapshot(root) == before


def renames(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """Have the process die at the rename after `limit` of them."""
    rename, done = os.rename, [0]

    def dying(source: str, target: str) -> None:
        if done[0] == limit:
            raise KeyboardInterrupt
        done[0] += 1
        rename(source, target)

    monkeypatch.setattr(os, "rename", dying)


@pytest.mark.parametrize("limit", range(5))
@pytest.mark.parametrize("then", ["go on", "undo"])
def test_killed_anywhere_it_is_finished_by_the_same_list_or_undone(flat, monkeypatch, limit, then):
    before, rows = snapshot(flat), [("cat/001.png", "dog"), ("cat/002.png", "dog"), ("dog/003.png", "cat")]
    whole = shutil.copytree(flat, flat.parent / "whole" / "raw")
    carry_out(whole, *rows)
    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        renames(dying, limit)
        carry_out(flat, *rows)
    assert [move.path for move in unfinished(flat, RELABEL)] == [path for path, _ in rows]
    if then == "go on":
        assert plan(flat, reviewed(flat, *rows), go_on(flat)).moves == []
        assert files(flat) == files(whole)
    undo_last(flat, RELABEL)
    assert snapshot(flat) == before


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_an_undo_that_was_killed_goes_on(flat, monkeypatch):
    before = snapshot(flat)
    carry_out(flat, ("cat/001.png", "dog"), ("cat/002.png", "dog"))
    for limit in (1, 1, 1):
        with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
            renames(dying, limit)
            undo_last(flat, RELABEL)
    undo_last(flat, RELABEL)
    assert snapshot(flat) == before


def test_what_was_written_into_the_table_since_is_not_lost(flat):
    carry_out(flat, ("cat/001.png", "dog"))
    with (flat / "metadata.csv").open("a") as file:
        file.write("cat/000.png;;;;again\r\n")
    after = snapshot(flat)
    with pytest.raises(ThawError, match="was changed since"):
        undo_last(flat, RELABEL)
    assert snapshot(flat) == after


def test_cleanings_and_relabellings_are_undone_the_last_first(flat):
    before = snapshot(flat)
    carry_out(flat, ("cat/001.png", "dog"))
    (flat / "dog/broken.png").write_bytes(b"")
    apply_moves(flat, plan_moves(inspect(flat)))
    with pytest.raises(ThawError, match=r"made by `thaw clean`(?s:.*)thaw clean \S+raw --undo"):
        undo_last(flat, RELABEL)
    undo_last(flat, CLEAN)
    (flat / "dog/broken.png").unlink()
    with pytest.raises(ThawError, match=r"made by `thaw relabel`(?s:.*)thaw relabel --undo"):
        undo_last(flat, CLEAN)
    undo_last(flat, RELABEL)
    assert files(flat).keys() == {os.fsdecode(path).removeprefix(f"{flat}/") for path, seen in before.items() if seen[3]}


@pytest.mark.parametrize(
    ("text", "reason", "cure"),
    [
        ("path,suggested_label\n", "has no rows", "label_suspects.csv"),
        ("", "is empty", "Write a CSV"),
        ("a,b\n1,2\n", "no column path and no column suggested_label", "path,label,suggested_label"),
        ("path,suggested_label\ncat/000.png\n", "line 2 has 1 values for 2 columns", "delete it"),
        ("path,suggested_label\ncat/009.png,dog\n", "line 2: cat/009.png: there is no such image", "Delete the row"),
        ("path,suggested_label\ncat/000.png,dgo\n", "no class 'dgo'", "Did you mean dog?"),
        ("path,suggested_label\ncat/000.png,\n", "has no suggested_label", "one of cat, dog"),
        ("path,suggested_label\ncat/000.png,cat\n", "is labelled cat already", "Delete the row"),
        ("path,suggested_label,label\ncat/000.png,dog,dog\n", "the list says dog", "Write cat"),
        ("path,suggested_label\ncat/000.png,dog\ncat/000.png,dog\n", "cat/000.png: stands in line 2, too", "one of the two"),
        ("path,suggested_label\n../raw/cat/000.png,dog\n", "leads out", "CLASS/IMAGE"),
        ("path,suggested_label\n/etc/passwd,dog\n", "leads out", "CLASS/IMAGE"),
        ("path,suggested_label\ncat/moved.png,dog\n", "dog/moved.png is: it was moved already", "Delete the row"),
        ("path,suggested_label\nmetadata.csv,dog\n", "no such image", "Delete the row"),
        ("path,suggested_label\n,dog\n", "the cell is empty", "path"),
        ("path,suggested_label\ncat/8.png,dog\ncat/9.png,dog\ncat/7.png,dog\n", "in a class's folder; 2 more", "row"),
    ],
)  # fmt: skip
def test_a_wrong_list_is_one_message_and_changes_nothing(flat, text, reason, cure):
    picture(7).save(flat / "dog/moved.png")
    before, path = snapshot(flat.parent), reviewed(flat, text=text or " ")
    before = snapshot(flat.parent)
    with pytest.raises(ThawError) as error:
        plan(flat, path)
    assert reason in error.value.reason
    assert cure in error.value.cure
    assert snapshot(flat.parent) == before


def test_a_picture_and_a_list_that_is_not_there_are_refused(flat):
    with pytest.raises(ThawError, match="zero bytes"):
        plan(flat, flat / "cat/000.png")
    with pytest.raises(ThawError, match="no such file"):
        plan(flat, flat.parent / "gone.csv")


@pytest.mark.parametrize(
    ("objects", "cure"), [(("cat/1.png", "dog/1.png"), "Move each image"), (("a.tar", "a.tar"), "in shards")]
)
def test_images_in_a_store_are_refused_with_what_to_do_there(tmp_path, objects, cure):
    rows = [Row(path, name, 0, 1, "e", "") for path, name in zip(("cat/1.png", "dog/1.png"), objects, strict=True)]
    write_index(tmp_path / "raw", "s3://lab/pets", rows)
    with pytest.raises(ThawError, match="s3://lab/pets") as error:
        plan(tmp_path / "raw", reviewed(tmp_path / "raw", ("cat/1.png", "dog")))
    assert cure in error.value.cure


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with data/raw under DVC."""
    root = tmp_path_factory.mktemp("template") / "project"
    clean_folder(root / "data/raw", 3, ("",))
    for name in ("dvc.yaml", "params.yaml"):
        (root / name).write_bytes((ROOT / name).read_bytes())
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=root, check=True, env={**os.environ, "DVC_NO_ANALYTICS": "1"})
    with closing(DvcRepo(root)) as repo:
        repo.add(root / "data/raw")
    return root


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Iterator[Path]:
    yield shutil.copytree(template, tmp_path / "project", symlinks=True)


def test_the_command_tells_moves_and_books_and_undo_books_the_old_version(project, capsys):
    booked = (project / "data/raw.dvc").read_bytes()
    before = snapshot(project / "data/raw")
    list_path = reviewed(project / "data", ("cat/000.png", "dog"))
    assert call("relabel", str(list_path), cwd=project) == ""
    assert capsys.readouterr().out.splitlines() == [
        "cat/000.png -> dog/000_2.png",
        "1 path would be relabelled; --apply relabels them",
    ]
    assert (project / "data/raw.dvc").read_bytes() == booked
    assert snapshot(project / "data/raw") == before
    assert call("relabel", str(list_path), "--apply", cwd=project) == ""
    out = capsys.readouterr().out
    assert "1 path relabelled" in out and "thaw run" in out
    assert (project / "data/raw.dvc").read_bytes() != booked
    status = [sys.executable, "-m", "dvc", "status", "data/raw.dvc"]
    assert "up to date" in subprocess.run(status, cwd=project, capture_output=True, text=True).stdout
    assert "moved already" in call("relabel", str(list_path), "--apply", cwd=project)
    assert call("relabel", "--undo", cwd=project) == ""
    assert (project / "data/raw.dvc").read_bytes() == booked
    assert snapshot(project / "data/raw") == before
    assert "nothing to bring back" in call("relabel", "--undo", cwd=project)
    assert "takes a LIST, or --undo alone" in call("relabel", cwd=project)


def test_json_has_the_moves_of_a_list_that_a_spreadsheet_saved(project, capsys):
    list_path = project / "reviewed.csv"
    with list_path.open("w", encoding="utf-16", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerows([["Path", "Label", "Suggested_Label"], ["cat/000.png", "cat", "dog"]])
    assert call("relabel", str(list_path), "--json", cwd=project) == ""
    assert '"target": "dog/000_2.png"' in capsys.readouterr().out
