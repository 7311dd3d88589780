"""Rows of many images: brought in order out of memory, columns of text, places, and what is written of them."""

from itertools import pairwise
from os.path import splitext
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.dirty import clean_folder
from thaw.compute import Local
from thaw.gate import mapped
from thaw.gate.checks.structure import count_images, usable
from thaw.gate.findings import Findings, shorten
from thaw.gate.inspection import bounds, inspect_folder
from thaw.gate.mapped import Batches, sort_by_path
from thaw.gate.report import manifest
from thaw.gate.rows import Rows, gather
from thaw.gate.scan import store
from thaw.gate.scan.scanning import ROW
from thaw.gate.scan.walking import Entry
from thaw.layout import Layout
from thaw.params import ValidateParams
from thaw.params.gate import LimitParams

NAMES = [
    "train/cat/a.jpg",
    "train/cat/b (1).jpg",
    "train/" + normalize("NFD", "Käfer") + "/c.jpg",
    "train/" + normalize("NFC", "Käfer") + "/d.jpg",
    "Test/dog/deep/e.png",
    "validation/f.png",
    "other/dog/g.png",
    "h.png",
    "train-2/x/i.png",
    "train/cat.d/j",
]


def scanned(names: list[str], *sizes: int) -> pa.Table:
    """Rows of ROW in batches of `sizes`."""
    rows = [
        {
            "path": name,
            "bytes": number,
            "problem": "" if number % 3 else "corrupt",
            "format": ("JPEG", None, "PNG")[number % 3],
            "descriptor": number.to_bytes(2, "big") * 128 if number % 2 else None,
        }
        for number, name in enumerate(names)
    ]
    cuts = np.cumsum([0, *sizes]).tolist()
    assert cuts[-1] == len(rows)
    parts = [rows[start:stop] for start, stop in pairwise(cuts)]
    return pa.Table.from_batches([pa.RecordBatch.from_pylist(part, schema=ROW) for part in parts], ROW)


def test_rows_are_brought_in_order_and_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    names = [f"train/{number % 7}/{number:03d}.jpg" for number in rng.permutation(500).tolist()]
    table = scanned(names, 1, 99, 250, 0, 150)
    wanted = sorted(table.to_pylist(), key=lambda row: row["path"])
    monkeypatch.setattr(mapped, "BATCH_ROWS", 64)
    found = sort_by_path(table, tmp_path)
    assert found.to_pylist() == wanted
    assert max(map(len, found.to_batches())) == 64
    assert not list(tmp_path.iterdir())
    assert sort_by_path(found, tmp_path) is found
    assert len(sort_by_path(ROW.empty_table(), tmp_path)) == 0


def test_rows_are_taken_from_several_batches_without_joining_all():
    table = scanned([f"{number}.jpg" for number in range(300)], 0, 100, 1, 199)
    batches, pool = Batches(table), pa.default_memory_pool()
    wide = pa.table({"path": ["x" * 1000] * 40_000})
    for numbers in ([], [7], [299, 0, 100, 101, 0, 99]):
        rows = np.array(numbers, np.int64)
        assert batches.take(rows).to_pylist() == [table.slice(row, 1).to_pylist()[0] for row in numbers]
    many = Batches(pa.concat_tables([wide] * 20))
    before = pool.max_memory()
    assert many.take(np.array([5, 700_000])).to_pylist() == [{"path": "x" * 1000}] * 2
    assert pool.max_memory() - before < wide.nbytes


@pytest.mark.parametrize("has_splits", [True, False])
def test_every_image_stands_where_its_path_says(has_splits: bool, tmp_path: Path):
    layout = Layout(has_splits=has_splits)
    unread = {"train/cat/a0.jpg": Entry("train/cat/a0.jpg", "unreadable", 5)}
    rows = gather(scanned(NAMES, 3, 7), unread, layout, tmp_path)
    assert list(rows.paths) == sorted([*NAMES, *unread])
    for at, path in enumerate(rows.paths):
        place = layout.place(path)
        assert (rows.splits[at], rows.labels[at]) == (place.split, place.label), path
    assert rows.table["bytes"].to_pylist()[rows.paths.index("train/cat/a0.jpg")] == 5


def test_columns_are_read_as_if_they_were_lists(tmp_path: Path):
    rows = gather(scanned(NAMES, 3, 7), {}, Layout(has_splits=True), tmp_path)
    names = sorted(NAMES)
    assert [rows.paths[at] for at in range(len(names))] == names
    assert (rows.paths[-1], rows.paths[2:5], rows.paths[::-3]) == (names[-1], names[2:5], names[::-3])
    assert rows.words("format").tolist() == [text or "" for text in rows.table["format"].to_pylist()]
    assert rows.are_in([names[3], "nowhere", names[0]]).tolist() == [at in (0, 3) for at in range(len(names))]
    assert not rows.are_in([]).any()


def test_usable_images_are_counted_by_class(tmp_path: Path):
    rows = gather(scanned(NAMES, 10), {}, Layout(has_splits=True), tmp_path)
    findings = Findings(ValidateParams().severity)
    findings.mark("corrupt", "train/cat/a.jpg", "")
    findings.mark("hidden", "not/there.jpg", "")
    classes = {"train": {"cat", "Käfer", "empty"}, "test": {"dog"}}
    wanted = {split: dict.fromkeys(sorted(labels), 0) for split, labels in sorted(classes.items())}
    for path, split, label in zip(rows.paths, rows.splits, rows.labels, strict=True):
        if path != "train/cat/a.jpg" and label in wanted.get(split, {}):
            wanted[split][label] += 1
    assert count_images(rows, classes, findings) == wanted
    assert usable(rows, findings).tolist() == [path != "train/cat/a.jpg" for path in rows.paths]


def test_the_manifest_is_the_same_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = clean_folder(tmp_path / "raw", 5)
    first = next((root / "train/cat").iterdir())
    (root / "train/cat/zz.png").write_bytes(first.read_bytes())
    inspection = inspect_folder(ValidateParams(), root, tmp_path / "scratch")
    manifest.write_manifest(tmp_path / "whole.parquet", inspection)
    monkeypatch.setattr(manifest, "_GROUP_ROWS", 4)
    manifest.write_manifest(tmp_path / "pieces.parquet", inspection)
    whole, pieces = pq.read_table(tmp_path / "whole.parquet"), pq.read_table(tmp_path / "pieces.parquet")
    assert pq.ParquetFile(tmp_path / "pieces.parquet").num_row_groups == -(-len(inspection.rows) // 4)
    assert whole.equals(pieces)
    cluster = dict(zip(whole["path"].to_pylist(), whole["cluster"].to_pylist(), strict=True))
    assert cluster["train/cat/zz.png"] == cluster[f"train/cat/{first.name}"] == f"train/cat/{first.name}"


def test_suffixes_and_places_are_those_of_each_path_by_itself(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("thaw.gate.rows.BATCH_ROWS", 64)
    rng = np.random.default_rng(0)
    made = {"".join(rng.choice(list("aB./é\n "), rng.integers(1, 13))) for _ in range(3000)}
    table = pa.Table.from_pylist([{"path": path} for path in sorted(made)], schema=ROW)
    for layout in (Layout(has_splits=False), Layout(has_splits=True)):
        rows = gather(table, {}, layout)
        assert rows.of_suffixes(str).tolist() == [splitext(path)[1] for path in rows.paths]  # noqa: PTH122
        places = [layout.place_of_picture(path) for path in rows.paths]
        assert rows.splits.tolist() == [place.split for place in places]
        assert rows.labels.tolist() == [place.label for place in places]


def test_a_scan_keeps_its_rows_in_few_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "_SHARD_FILES", 2)
    monkeypatch.setattr(store, "_WRITTEN_ROWS", 9)
    inspect_folder(ValidateParams(), clean_folder(tmp_path / "raw", 5), tmp_path / "scratch")
    sizes = list(map(len, store.read_rows(tmp_path / "scratch/rows.arrow").to_batches()))
    assert sizes == [10, 10]


def test_written_findings_are_so_many_a_check(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("thaw.gate.findings.LISTED", 2)
    rows = [{"check": check, "path": str(number)} for number in range(3) for check in ("dark", "bright")]
    rows.append({"check": "alpha", "path": "9"})
    summary = {"status": "warn", "checks": {"dark": 3, "bright": 3, "alpha": 1}, "findings": rows}
    short = shorten(summary)
    assert short["findings"] == [*rows[:4], rows[-1]]
    assert short["left_out"] == {"dark": 1, "bright": 1}
    assert short["checks"] == summary["checks"]
    monkeypatch.setattr("thaw.gate.findings.LISTED", 3)
    assert shorten(summary) == summary


def test_rows_know_no_path_of_an_empty_folder():
    rows = Rows(ROW.empty_table(), np.empty(0, object), np.empty(0, object))
    assert list(rows.paths) == []
    assert len(rows.words("format")) == 0
    assert len(rows.are_in(["a"])) == 0


@pytest.mark.parametrize("count", [1, 7, 64, 65, 200])
def test_every_file_is_in_one_shard_and_the_last_shards_are_small(tmp_path: Path, count: int):
    """So that workers end together; the pictures are empty files, which are rows too."""
    dealt: list[list[str]] = []

    class Dealt(Local):
        def map_isolated(self, work, shards):
            for shard in shards:
                dealt.append([entry.path for entry in shard])
                yield work.work(shard, lambda index: None)

    entries = [Entry(f"a/{number:03d}.png", "file", inode=number) for number in range(count)]
    (tmp_path / "a").mkdir()
    for entry in entries:
        (tmp_path / entry.path).touch()
    list(store.scan(tmp_path, entries, bounds(LimitParams()), tmp_path / "rows.arrow", Dealt(), 9.0))
    assert [path for shard in dealt for path in shard] == [entry.path for entry in entries]
    sizes = list(map(len, dealt))
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) <= 64
    assert sizes[-1] <= 8
