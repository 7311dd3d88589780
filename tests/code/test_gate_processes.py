"""The pool outlives its workers, and the store never changes a result."""

import gc
import os
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest

from tests.data.dirty import clean_folder, picture
from thaw.compute import Local
from thaw.gate.inspection import bounds, inspect_folder
from thaw.gate.scan import image as pictures
from thaw.gate.scan import store
from thaw.gate.scan.scanning import Scan, scan_shard
from thaw.gate.scan.walking import walk
from thaw.params.gate import LimitParams, ValidateParams

BOUNDS = bounds(LimitParams())


def entries(root: Path):
    return [entry for entry in walk(root) if entry.kind == "file"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return clean_folder(tmp_path / "raw", images=6)


def inspect_or_fail(data, limits, inspect=pictures.inspect):
    """As `inspect`, but a file that says so kills or hangs its process (workers are forked and see this)."""
    if data == b"kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if data == b"hang":
        time.sleep(600)
    if data == b"greedy":
        bytearray(64 << 30)
    return inspect(data, limits)


@pytest.mark.skipif(os.name != "posix", reason="the patch reaches workers by fork")
def test_a_file_that_kills_or_hangs_its_worker_costs_one_row(root, monkeypatch):
    monkeypatch.setattr("thaw.gate.scan.scanning.inspect", inspect_or_fail)
    for name, content in (
        ("train/cat/k.png", b"kill"),
        ("train/cat/k2.png", b"kill"),
        ("test/dog/h.png", b"hang"),
    ):
        (root / name).write_bytes(content)
    files = entries(root)
    shards = [files[at : at + 8] for at in range(0, len(files), 8)]
    begin = time.monotonic()
    rows = pa.Table.from_batches(Local(2).map_isolated(Scan(root, BOUNDS, 1.0), shards)).to_pylist()
    assert time.monotonic() - begin < 20
    assert sorted(row["path"] for row in rows) == sorted(entry.path for entry in files)
    problems = {row["path"]: row["problem"] for row in rows if row["problem"]}
    assert problems == {
        "train/cat/k.png": "decoder_crash",
        "train/cat/k2.png": "decoder_crash",
        "test/dog/h.png": "decoder_timeout",
    }


class Network:
    """In a cycle, as Keras's are; its end joins threads that a forked process does not have."""

    def __init__(self):
        self.owner, self.itself = os.getpid(), self

    def __del__(self):
        if os.getpid() != self.owner:
            os.abort()


def test_a_worker_does_not_collect_what_its_parent_left(root, monkeypatch):
    collect = lambda data, limits: (gc.collect(), pictures.inspect(data, limits))[1]  # noqa: E731
    monkeypatch.setattr("thaw.gate.scan.scanning.inspect", collect)
    gc.disable()
    try:
        Network()
        rows = pa.Table.from_batches(Local(2).map_isolated(Scan(root, BOUNDS, 10.0), [entries(root)])).to_pylist()
    finally:
        gc.enable()
    assert [row["path"] for row in rows if row["problem"]] == []
    assert len(rows) == len(entries(root))


def test_threads_of_opencv_in_the_parent_do_not_hang_a_worker(root):
    threads = cv2.getNumThreads()
    cv2.setNumThreads(4)
    try:
        cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (9, 9), 2)
        rows = pa.Table.from_batches(Local(2).map_isolated(Scan(root, BOUNDS, 10.0), [entries(root)]))
        assert set(rows["problem"].to_pylist()) == {""}
        assert cv2.getNumThreads() == 4
    finally:
        cv2.setNumThreads(threads)


@pytest.mark.skipif(os.name != "posix", reason="the patch reaches workers by fork")
def test_a_decoder_that_wants_all_memory_gets_an_error(root, monkeypatch):
    def inspect(data, limits, inspect=pictures.inspect):
        monkeypatch.setattr(pictures, "_inspect", lambda *_: bytearray(64 << 30))
        return inspect(data, limits)

    monkeypatch.setattr("thaw.gate.scan.scanning.inspect", inspect)
    rows = next(Local(1).map_isolated(Scan(root, BOUNDS, 10.0), [entries(root)[:3]])).to_pylist()
    assert {row["problem"] for row in rows} == {"corrupt"}
    assert "memory" in rows[0]["reason"]


def test_the_pool_gives_what_the_plain_function_gives_in_order(root):
    files = entries(root)
    shards = [files[at : at + 5] for at in range(0, len(files), 5)]
    rows = pa.Table.from_batches(Local(3).map_isolated(Scan(root, BOUNDS, 10.0), shards))
    assert rows.to_pylist() == scan_shard(root, files, BOUNDS).to_pylist()


def test_the_pool_stops_its_workers_when_it_is_left(root):
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    others = set(children.read_text().split())
    scan = Local(2).map_isolated(Scan(root, BOUNDS, 10.0), [[entry] for entry in entries(root)])
    next(scan)
    workers = set(children.read_text().split()) - others
    assert workers
    scan.close()
    assert not workers & set(children.read_text().split())


def scan(root: Path, path: Path) -> pa.Table:
    list(store.scan(root, entries(root), BOUNDS, path, Local(2), 10.0))
    return store.read_rows(path).sort_by("path")


def settle(root: Path) -> None:
    """Let the clock tick on, so that files count as settled."""
    del root
    time.sleep(0.05)


def test_a_second_scan_opens_no_file(root, tmp_path, monkeypatch):
    settle(root)
    first = scan(root, tmp_path / "rows.arrow")
    monkeypatch.setattr(
        Local, "map_isolated", lambda self, work, shards: pytest.fail("read") if list(shards) else []
    )
    assert scan(root, tmp_path / "rows.arrow").equals(first)


def test_a_changed_file_is_read_again_even_with_its_old_time_and_size(root, tmp_path):
    settle(root)
    scan(root, tmp_path / "rows.arrow")
    path = root / "train/cat/train000.png"
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    again = scan(root, tmp_path / "rows.arrow")
    assert again.equals(scan(root, tmp_path / "fresh.arrow"))
    assert [row["path"] for row in again.to_pylist() if row["problem"] == "corrupt"] == [
        "train/cat/train000.png"
    ]


def test_removed_and_added_files_leave_and_enter_the_store(root, tmp_path):
    settle(root)
    scan(root, tmp_path / "rows.arrow")
    (root / "train/cat/train000.png").unlink()
    picture(99).save(root / "train/cat/new.png")
    assert scan(root, tmp_path / "rows.arrow").equals(scan(root, tmp_path / "fresh.arrow"))


@pytest.mark.parametrize("content", [b"", b"rubbish" * 999])
def test_a_broken_store_is_no_store(root, tmp_path, content):
    (tmp_path / "rows.arrow").write_bytes(content)
    assert scan(root, tmp_path / "rows.arrow").equals(scan(root, tmp_path / "fresh.arrow"))


def test_other_limits_make_the_store_void(root, tmp_path):
    settle(root)
    scan(root, tmp_path / "rows.arrow")
    small = bounds(LimitParams(max_megapixels=0.001))
    list(store.scan(root, entries(root), small, tmp_path / "rows.arrow", Local(2), 10.0))
    assert set(store.read_rows(tmp_path / "rows.arrow")["problem"].to_pylist()) == {"decompression_bomb"}


def test_a_link_that_comes_to_lead_out_is_not_read(root, tmp_path):
    files = entries(root)
    secret = tmp_path / "secret.png"
    picture(1).save(secret)
    path = root / files[0].path
    path.unlink()
    path.symlink_to(secret)
    row = scan_shard(root, files[:1], BOUNDS).to_pylist()[0]
    assert row["problem"] == "unreadable"
    assert row["sha256"] is None


def test_kept_near_duplicates_serve_only_the_very_same_pictures(tmp_path, monkeypatch):
    root = clean_folder(tmp_path / "raw", 4)
    picture(1).resize((70, 70)).save(root / "train/cat/like.png")
    params, scratch = ValidateParams(), tmp_path / "scratch"
    first = inspect_folder(params, root, scratch).found
    assert "near_duplicate" in {row.check for row in first}
    with monkeypatch.context() as patch:
        patch.setattr("thaw.gate.duplicates.find_near_clusters", lambda *_: pytest.fail("searched again"))
        assert inspect_folder(params, root, scratch).found == first
    (root / "train/cat/like.png").unlink()
    assert (
        inspect_folder(params, root, scratch).found == inspect_folder(params, root, tmp_path / "fresh").found
    )
    (scratch / "near.json").write_text("[]")
    assert (
        inspect_folder(params, root, scratch).found == inspect_folder(params, root, tmp_path / "fresh").found
    )
