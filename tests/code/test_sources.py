"""Images that stay in a store, on a real S3 server: what is read, what is refused, and the same results as from files."""

import contextlib
import os
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from moto.s3.models import s3_backends
from PIL import Image

from tests.code.commands import call
from tests.code.object_store import KEY_ID, SECRET, client, serving
from thaw import cli, images
from thaw.augmentation.shards import write_views
from thaw.compute import Local
from thaw.errors import ThawError
from thaw.gate.inspection import Inspection, inspect_folder
from thaw.gate.report.manifest import write_manifest
from thaw.intake.in_place import list_images
from thaw.intake.packing import pack
from thaw.params import AugmentParams, ValidateParams
from thaw.pictures import pictures_below
from thaw.sources import FILE, Row, StoreError, listing, located, open_index, stores, typed
from thaw.sources.index import write_index
from thaw.sources.listing import find_changes, list_objects
from thaw.sources.reading import read_run, runs


@dataclass
class Store:
    client: Any
    folder: Path
    """The same files, on the disk."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("files") / "cells"
    rng = np.random.default_rng(1)
    for number in range(24):
        path = folder / ("train", "test")[number % 4 == 0] / ("cat", "dog é")[number % 2] / f"{number} %.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 30, 3), np.uint8)).save(path)
    (folder / "train" / "cat" / "bare").write_bytes((folder / "train" / "cat" / "2 %.png").read_bytes())
    (folder / "Metadata.csv").write_text("path,group\n" + "".join(
        f"{path.relative_to(folder)},{number}\n" for number, path in enumerate(sorted(folder.rglob("*.png")))
    ))  # fmt: skip
    with serving() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        store = Store(client(environment), folder)
        store.client.create_bucket(Bucket="lab")
        upload(store, "lab")
        yield store


def upload(store: Store, bucket: str) -> None:
    for path in store.folder.rglob("*"):
        if path.is_file():
            store.client.put_object(
                Bucket=bucket, Key=f"cells/{path.relative_to(store.folder).as_posix()}", Body=path.read_bytes()
            )


@pytest.fixture
def booked(store: Store, tmp_path: Path) -> Path:
    """A data folder with the index of the bucket."""
    write_index(tmp_path / "raw", "s3://lab/cells", list_objects("s3://lab/cells"))
    return tmp_path / "raw"


def inspect(root: Path, scratch_dir: Path) -> Inspection:
    return inspect_folder(ValidateParams(), root, scratch_dir, executor=Local(2), folder="data/raw")


def test_the_gate_and_augment_make_of_a_bucket_what_they_make_of_its_files(
    store: Store, booked: Path, tmp_path: Path
) -> None:
    made = []
    for name, root in (("files", store.folder), ("bucket", booked)):
        inspection = inspect(root, tmp_path / name)
        write_manifest(tmp_path / name / "manifest.parquet", inspection)
        small = AugmentParams(image_size=16, views=2)
        write_views(small, 1, root, inspection.rows.paths, [], 3, tmp_path / name / "views", Local())
        summary = inspection.summary()
        for found in summary["findings"]:
            found.pop("cure")  # which says where to mend it
        assert summary["totals"]["images"] == 25 and inspection.metadata.columns == ["group"]
        views = {path.name: path.read_bytes() for path in (tmp_path / name / "views").iterdir()}
        made.append((summary, (tmp_path / name / "manifest.parquet").read_bytes(), views))
    assert made[0] == made[1]


def test_a_hidden_key_blocks_and_is_named(store: Store, tmp_path: Path) -> None:
    key = "cells/train/cat/.ipynb_checkpoints/2-checkpoint.png"
    store.client.put_object(Bucket="lab", Key=key, Body=b"x")
    try:
        rows = list_objects("s3://lab/cells")
    finally:
        store.client.delete_object(Bucket="lab", Key=key)
    write_index(tmp_path / "raw", "s3://lab/cells", [row._replace(version="") for row in rows])
    found = inspect(tmp_path / "raw", tmp_path / "scratch").found
    hidden = next(row for row in found if row.check == "hidden")
    assert hidden.severity == "block" and hidden.path == "train/cat/.ipynb_checkpoints/"
    assert "2-checkpoint.png" in hidden.reason
    assert hidden.cure == "Move or delete it in s3://lab/cells yourself, then run `thaw data update`."


def test_an_object_that_changed_or_vanished_is_named_by_those_who_list_and_those_who_read(
    store: Store, tmp_path: Path
) -> None:
    store.client.create_bucket(Bucket="moving")
    upload(store, "moving")
    root = tmp_path / "raw"
    write_index(root, "s3://moving/cells", list_objects("s3://moving/cells"))
    inspect(root, tmp_path / "scratch")  # whose rows are kept
    changed, gone = "train/cat/2 %.png", "test/cat/4 %.png"
    store.client.put_object(Bucket="moving", Key=f"cells/{changed}", Body=b"another")
    store.client.delete_object(Bucket="moving", Key=f"cells/{gone}")
    found = {row.path: row for row in inspect(root, tmp_path / "scratch").found if row.severity == "block"}
    assert found[changed].reason == f"s3://moving/cells/{changed} changed in the store since it was booked"
    assert found[gone].reason == f"s3://moving/cells/{gone} is not in the store any more since it was booked"
    assert all("thaw data update" in found[path].cure for path in (changed, gone))
    with pytest.raises(ThawError, match=f"s3://moving/cells/{changed}: changed in the store since"):
        images.load(images.inside(root, changed), 8, 8, 3)
    with pytest.raises(ThawError, match=f"s3://moving/cells/{gone}: is not in the store any more"):
        images.load(images.inside(root, gone), 8, 8, 3)


def test_an_object_with_a_version_is_read_as_it_was_booked(store: Store, tmp_path: Path) -> None:
    store.client.create_bucket(Bucket="kept")
    store.client.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    store.client.put_object(Bucket="kept", Key="a/1.txt", Body=b"first")
    write_index(tmp_path, "s3://kept", list_objects("s3://kept"))
    store.client.put_object(Bucket="kept", Key="a/1.txt", Body=b"second")
    store.client.put_object(Bucket="kept", Key="a/folder/", Body=b"")
    assert located(tmp_path, "a/1.txt").read_bytes() == b"first"
    write_index(tmp_path, "s3://kept", list_objects("s3://kept"))
    assert [row.path for row in open_index(tmp_path)] == ["a/1.txt"]
    assert located(tmp_path, "a/1.txt").read_bytes() == b"second"


def test_what_is_listed_in_pages_is_all_of_it_and_tells_how_far_it_is(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.client.create_bucket(Bucket="pages")
    backend = s3_backends["123456789012"]["aws"]  # the server's, in this process: a request each would take long
    for number in range(1100):
        backend.put_object("pages", f"c/{number}", b"1")
    rows = list_objects("s3://pages/c")
    assert [row.path for row in rows] == sorted(str(number) for number in range(1100))
    write_index(tmp_path, "s3://pages/c", rows)
    with caplog.at_level("INFO", "thaw.sources"):
        assert find_changes(open_index(tmp_path)) == {}
    assert [(record.done, record.total) for record in caplog.records] == [(1000, 1100), (1100, 1100)]


def test_an_index_finds_what_a_dictionary_finds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parts = ["a", "a.b", "a-b", "a0", "b", "é", "字", "A b"]
    paths = sorted({"/".join(rng.choice(parts, rng.integers(1, 4))) + "/" + rng.choice(parts) for _ in range(120)})
    rows = [Row(path, path, 0, number, f"e{number}", "") for number, path in enumerate(paths)]
    write_index(tmp_path, "s3://b", rows)
    first = (tmp_path / FILE).read_bytes()
    index = open_index(tmp_path)
    assert list(index) == rows and [index[at] for at in range(len(rows))] == rows
    assert all(index.find(path) == row for path, row in zip(paths, rows, strict=True))
    assert index.find("a") is None and index.find("z") is None
    for folder in {"", *(path.rsplit("/", depth)[0] for path in paths for depth in (1, 2))}:
        prefix = f"{folder}/" if folder else ""
        expected = {path.removeprefix(prefix).split("/")[0] for path in paths if path.startswith(prefix)}
        assert set(index.children(folder)) == expected and index.is_folder(folder) == bool(expected)
    write_index(tmp_path, "s3://b", rows)
    assert (tmp_path / FILE).read_bytes() == first


CASES = {
    "a bucket that is not there": ({}, "s3://nowhere/cells", "there is no bucket 'nowhere'"),
    "an empty folder": ({}, "s3://lab/empty", "holds no object"),
    "nobody at the address": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "s3://lab/cells", "does not answer"),
    "somebody who never answers": ({"AWS_ENDPOINT_URL": "SILENT"}, "s3://lab/cells", "does not answer"),
    "no credentials": ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "s3://lab/cells", "no credentials"),
    "no such profile": ({"AWS_PROFILE": "nobody"}, "s3://lab/cells", "no credentials"),
    "credentials in the address": ({}, f"s3://key:{SECRET}@lab/cells", "the address holds credentials"),
    "an unknown scheme": ({}, "ftp://lab/cells", "no store that is read here"),
    "no bucket": ({}, "s3:///cells", "names no bucket"),
    "a package that is not installed": ({}, "gs://lab/cells", "is not installed"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_no_store_is_one_error_soon(case: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    environment, address, told = CASES[case]
    longest = max(stores._PATIENCE_SECONDS, listing._PATIENCE_SECONDS) + max(stores._READ_SECONDS, stores._CONNECT_SECONDS)
    assert longest < 30
    monkeypatch.setattr(listing, "_PATIENCE_SECONDS", 1)  # the same in less time
    monkeypatch.setattr(stores, "_READ_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for name, value in environment.items():
            value = value.replace("SILENT", f"http://127.0.0.1:{silent.getsockname()[1]}")
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
        forget()
        with pytest.raises(ThawError, match=told) as raised:
            list_objects(address)
    forget()
    assert raised.value.cure and SECRET not in str(raised.value)


def forget() -> None:
    """Open the stores anew, in the environment of now."""
    stores._open.cache_clear()
    stores._outages.clear()


def test_a_store_that_goes_away_in_a_scan_is_one_error_and_a_later_scan_reads_what_was_missing(
    store: Store, booked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = os.environ["AWS_ENDPOINT_URL"]
    write_index(booked, "s3://lab/cells", [row for row in open_index(booked) if row.path.endswith(".png")])
    monkeypatch.setattr("thaw.gate.scan.walking.find_changes", lambda index: {})  # the store was there a moment ago
    monkeypatch.setattr(stores, "_PATIENCE_SECONDS", 0.1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    forget()
    with pytest.raises(ThawError, match=r"does not answer.*24 of 24 images were not read"):
        inspect(booked, tmp_path / "scratch")
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    forget()
    found = inspect(booked, tmp_path / "scratch")
    assert found.summary()["totals"]["images"] == 24 and not [row for row in found.found if row.check == "unreadable"]


def test_a_store_that_stumbles_is_asked_again(
    booked: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, port = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://").split(":")
    with stumbling(host, int(port), falls=3) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        forget()
        assert located(booked, "train/cat/2 %.png").read_bytes() == (store.folder / "train/cat/2 %.png").read_bytes()
    forget()


@contextlib.contextmanager
def stumbling(host: str, port: int, falls: int) -> Iterator[str]:
    """A way to a server that hangs up on the first callers, and answers the next that it is busy."""
    busy = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 57\r\n\r\n<Error><Code>SlowDown</Code><Message>-</Message></Error> "
    calls: list[int] = []

    class Way(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            calls.append(len(calls))
            if calls[-1] < falls - 1:
                return
            asked = self.request.recv(65536)
            if calls[-1] < falls:
                self.request.sendall(busy)
                return
            with socket.create_connection((host, port)) as server:
                server.sendall(asked.replace(b"keep-alive", b"close"))
                while data := server.recv(65536):
                    self.request.sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Way) as way:
        threading.Thread(target=way.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{way.server_address[1]}"
        way.shutdown()
    assert len(calls) == falls + 1


def test_without_the_package_of_a_store_the_error_says_what_to_install(booked: Path) -> None:
    code = f"""
import sys
sys.modules["s3fs"] = None
from pathlib import Path
from thaw.sources import located
try:
    located(Path({str(booked)!r}), "train/cat/2 %.png").read_bytes()
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ThawError s3://: the package" in done.stdout and "pip install 'thaw[s3]'" in done.stdout


@pytest.mark.parametrize("key", ["a/../b.jpg", "a//b.jpg", "/b.jpg", "./b.jpg", "a/b.jpg/"])
def test_a_key_that_is_no_path_is_refused_by_its_name(key: str, store: Store) -> None:
    store.client.create_bucket(Bucket="odd")
    store.client.put_object(Bucket="odd", Key=f"cells/{key}", Body=b"1")
    with pytest.raises(ThawError, match=f"s3://odd/cells/{key}: a key that is no path"):
        list_objects("s3://odd/cells")
    store.client.delete_object(Bucket="odd", Key=f"cells/{key}")


def test_a_folder_behind_an_address_is_read_where_it_is(store: Store, tmp_path: Path) -> None:
    write_index(tmp_path / "raw", f"file://{store.folder}", list_objects(f"file://{store.folder}"))
    path = "train/dog é/3 %.png"
    assert located(tmp_path / "raw", path).read_bytes() == (store.folder / path).read_bytes()
    os.utime(store.folder / path, (1, 1))
    with pytest.raises(StoreError, match="changed in the store"):
        located(tmp_path / "raw", path).read_bytes()


STAGES = """
stages:
  look:
    cmd: python -c "open('look.txt', 'w').write('seen')"
    deps: [data/raw]
    outs: [look.txt]
  apart:
    cmd: python -c "open('apart.txt', 'w').write('seen')"
    outs: [apart.txt]
"""


def ran(project: Path) -> list[str]:
    """The stages that `dvc repro` runs."""
    from dvc.repo import Repo

    with contextlib.chdir(project), Repo() as repo:
        return [stage.name for stage in repo.reproduce() if not stage.is_data_source]


def test_the_commands_book_a_bucket_and_take_up_what_changed(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dvc.repo import Repo

    store.client.create_bucket(Bucket="live")
    upload(store, "live")
    key = "cells/train/cat/.ipynb_checkpoints/2-checkpoint.png"
    store.client.put_object(Bucket="live", Key=key, Body=b"x")
    project = tmp_path / "project"
    project.mkdir()
    (project / "dvc.yaml").write_text(STAGES)
    Repo.init(str(project), no_scm=True).close()
    error = call("data", "add", "s3://nowhere/cells", cwd=project)
    assert "there is no bucket 'nowhere'" in error and "The project is as it was" in error
    assert not list((project / "data").iterdir())

    assert cli.app(["validate", "s3://live/cells"], standalone_mode=False) == 2
    assert "Blocked s3://live/cells: " in (said := capsys.readouterr().out) and ".ipynb_checkpoints/" in said
    assert call("data", "add", "s3://live/cells/", cwd=project) == ""
    assert [path.name for path in (project / "data" / "raw").iterdir()] == [FILE]
    booked = (project / "data" / "raw.dvc").read_bytes()
    assert set(ran(project)) == {"look", "apart"} and ran(project) == []
    assert "holds data already" in call("data", "add", "s3://live/cells", cwd=project)
    assert "s3://live/cells, where thaw moves nothing" in call("clean", "data/raw", "--apply", "-q", cwd=project)
    assert call("data", "update", cwd=project) == "" and (project / "data" / "raw.dvc").read_bytes() == booked
    assert "s3://live/cells: nothing changed" in capsys.readouterr().out

    store.client.delete_object(Bucket="live", Key=key)
    store.client.put_object(Bucket="live", Key="cells/train/cat/2 %.png", Body=b"another")
    assert call("data", "update", cwd=project) == ""
    told = "1 changed (train/cat/2 %.png), 1 gone (train/cat/.ipynb_checkpoints/2-checkpoint.png)"
    assert told in capsys.readouterr().out
    assert (project / "data" / "raw.dvc").read_bytes() != booked
    assert ran(project) == ["look"]
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(secret.encode() in data for data in written for secret in (SECRET, KEY_ID))


def test_shards_in_a_bucket_are_read_by_ranges_of_many_images(store: Store, tmp_path: Path) -> None:
    names = pack(store.folder, tmp_path / "out", 20_000, lambda done, total: None)
    for name in names:
        store.client.upload_file(str(tmp_path / "out" / name), "lab", f"shards/{name}")
    root = tmp_path / "raw"
    write_index(root, "s3://lab/shards", *list_images("s3://lab/shards"))
    made = []
    for name, folder in (("files", store.folder), ("shards", root)):
        inspection = inspect(folder, tmp_path / name)
        write_manifest(tmp_path / name / "manifest.parquet", inspection)
        made.append((inspection.summary()["totals"], (tmp_path / name / "manifest.parquet").read_bytes()))
    assert made[0] == made[1]
    rows = list(open_index(root))
    assert len(list(runs(rows))) == len(names) > 2
    for run in runs(rows):
        assert read_run(open_index(root), run) == [(store.folder / row.path).read_bytes() for row in run]


def test_what_is_typed_below_an_indexed_folder_is_in_the_store(store: Store, booked: Path) -> None:
    file = typed(booked / "train" / "cat" / "2 %.png")
    assert file.is_file() and file.read_bytes() == (store.folder / "train" / "cat" / "2 %.png").read_bytes()
    assert str(file) == "s3://lab/cells/train/cat/2 %.png" and not typed(booked / "none.png").is_file()
    below = {path.relative_to(store.folder).as_posix() for path in pictures_below(store.folder)}
    assert {str(path).removeprefix("s3://lab/cells/") for path in pictures_below(typed(booked))} == below - {"train/cat/bare"}
    assert typed(store.folder) == store.folder
