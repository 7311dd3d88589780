"""DVC's books, on a real DVC project of small stages."""

import subprocess
import sys
from pathlib import Path

import pytest

from thaw.errors import ThawError
from thaw.versioning import Books


def work(books: Books, name: str) -> None:
    spec = books.stage(name)
    snapshot = books.snapshot(name)
    books.clear(name)
    (target,) = spec.outputs.values()
    source = next(iter(spec.inputs.values()))
    target.write_text((source / "a.txt" if source.is_dir() else source).read_text())
    books.commit(name, snapshot)


def test_the_graph_gives_arguments_keys_and_order(root: Path) -> None:
    books = Books(root)
    first, second = books.stages()
    assert (first.name, second.name) == ("first", "second")
    assert first.inputs == {"raw_dir": root / "data" / "raw"}
    assert first.outputs == {"out_first_path": root / "out_first.txt"}
    assert (first.sources, first.keys) == (("src/first.py",), ("first",))
    assert (second.keys, second.metrics) == (("seed", "second"), (root / "result.json",))
    with pytest.raises(ThawError, match="first, second"):
        books.stage("third")


def test_what_was_booked_is_unchanged_for_dvc_too(root: Path) -> None:
    books = Books(root)
    for spec in books.stages():
        assert books.changed(spec.name)
        work(books, spec.name)
        assert not books.changed(spec.name)
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"], cwd=root, capture_output=True, text=True, check=True
    )
    assert "Running stage" not in done.stdout
    assert books.output_hashes("first")["out_first.txt"] == "c4ca4238a0b923820dcc509a6f75849b"  # md5 of "1"


def test_a_run_with_the_same_inputs_is_restored(root: Path) -> None:
    books = Books(root)
    work(books, "first")
    (root / "data" / "raw" / "a.txt").write_text("2")
    assert not books.restore("first", books.snapshot("first"))
    work(books, "first")
    (root / "data" / "raw" / "a.txt").write_text("1")
    (root / "out_first.txt").write_text("left by a run that failed")
    assert books.changed("first")
    assert books.restore("first", books.snapshot("first"))
    assert (root / "out_first.txt").read_text() == "1"
    assert not books.changed("first")


def test_changed_data_is_booked_when_asked(root: Path) -> None:
    books = Books(root)
    before = books.data_version()
    assert before.keys() == {"data/raw"}
    (root / "data" / "raw" / "b.txt").write_text("new")
    assert books.commit_data() == ["data/raw.dvc"]
    assert books.data_version() != before
    assert books.commit_data() == []
    assert Books(root).data_version() == books.data_version()


def test_a_folder_without_dvc_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ThawError):
        Books(tmp_path)
