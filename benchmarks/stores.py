"""Images that stay where they are: the stages up to `extract` over tar shards and a bucket, and files beside shards in DVC.

    python -m benchmarks.stores [--images 200000] [--objects 20000] [--bucket-images 200000] [--files 20000] [--folder DIR]

Prints Markdown. The images are small photographs of scikit-image, varied; the bucket is moto's server in another process on
this machine, which is slower than a real store and without its latency.
"""

import argparse
import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
from PIL import Image

from benchmarks.staged import Staged
from thaw.params import Params

SIDE = 64
PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "rocket", "coins", "moon", "page", "text", "clock")


def photographs() -> list[Image.Image]:
    """Those that come with scikit-image, at three sizes each."""
    from skimage import data

    whole = [Image.fromarray(getattr(data, name)()).convert("RGB") for name in PHOTOGRAPHS]
    return [picture.resize((size, size), Image.Resampling.BOX) for picture in whole for size in (128, 224, 320)]


def draw(number: int, sources: list[Image.Image]) -> bytes:
    """Parts of two photographs, blended, turned and lit otherwise; one in a hundred is the one before it, saved anew."""
    seed = number - 1 if number % 100 == 99 else number
    rng = random.Random(seed)
    parts = []
    for _ in range(2):
        source = rng.choice(sources)
        left, top = (rng.randrange(length - SIDE) for length in source.size)
        part = source.crop((left, top, left + SIDE, top + SIDE))
        parts.append(part.transpose(Image.Transpose(rng.randrange(7))))
    light, shift = rng.uniform(0.7, 1.3), rng.uniform(-20, 20)
    picture = Image.blend(parts[0], parts[1], rng.uniform(0.2, 0.5)).point([light * level + shift for level in range(256)] * 3)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90 if seed == number else 70)
    return file.getvalue()


def images(count: int) -> Iterator[tuple[str, bytes]]:
    """`<class>/<number>.jpg` of each, by path."""
    sources = photographs()
    for number in range(count):
        yield f"{('cat', 'dog')[number >= count // 2]}/{number:08d}.jpg", draw(number, sources)


def write_shards(folder: Path, count: int, shard_bytes: int = 64_000_000) -> None:
    """As `thaw data pack` writes them, without the files."""
    folder.mkdir(parents=True)
    archive: tarfile.TarFile | None = None
    number = 0
    for path, data in images(count):
        if archive is None or archive.offset >= shard_bytes:
            if archive:
                archive.close()
            archive = tarfile.open(folder / f"shard-{number:05d}.tar", "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
            number += 1
        member = tarfile.TarInfo(path)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    if archive:
        archive.close()


class Watch:
    """Seconds, and the peak of each process's own memory: this one's and its children's.

    Pages of mapped files, which the system takes back when it needs them, are counted apart, as `mapped`.
    """

    def __enter__(self) -> "Watch":
        self.driver = self.worker = self.mapped = 0
        self._others = {child.pid for child in psutil.Process().children(recursive=True)}  # a store's server
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._begin = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._begin
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        this = psutil.Process()
        while not self._end.wait(0.2):
            try:
                memory = this.memory_info()
                self.driver = max(self.driver, memory.rss - memory.shared)
                self.mapped = max(self.mapped, memory.shared)
                own = [child for child in this.children(recursive=True) if child.pid not in self._others]
                children = [child.memory_info() for child in own]
                self.worker = max([self.worker, *(each.rss - each.shared for each in children)])
            except psutil.Error:
                continue


def stages(root: Path, folder: Path) -> None:
    """Print a row for each stage from `validate` to `extract`, on the images that `root` is an index of."""
    (folder / "raw_dir").symlink_to(root)
    staged = Staged(folder, Params(augment={"image_size": SIDE, "views": 1}))
    print("\n| stage | seconds | driver's peak | mapped | a worker's peak |\n|---|---|---|---|---|", flush=True)
    for name, call in staged.stages().items():
        with Watch() as watch:
            call()
        told = " | ".join(f"{size / 1e6:,.0f} MB" for size in (watch.driver, watch.mapped, watch.worker))
        print(f"| `{name}` | {watch.seconds:.0f} | {told} |", flush=True)


def gate(root: Path, scratch_dir: Path) -> tuple[Watch, dict[str, int]]:
    from thaw.gate.inspection import inspect_folder
    from thaw.params import ValidateParams

    with Watch() as watch:
        summary = inspect_folder(ValidateParams(), root, scratch_dir).summary()
    return watch, {"images": summary["totals"]["images"], **summary["checks"]}


def timed(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def index(address: str, root: Path) -> float:
    from thaw.intake.in_place import list_images
    from thaw.sources.index import write_index

    return timed(lambda: write_index(root, address, *list_images(address)))


def row(what: str, count: int, index_seconds: float, watch: Watch, found: dict[str, int], size: int) -> str:
    again = f"{found.get('near_duplicate', 0):,}"
    return (
        f"| {what} | {count:,} | {index_seconds:.1f} s | {size / 1e6:.1f} MB | {watch.seconds:.0f} s | "
        f"{count / watch.seconds:,.0f} | {again} | {watch.driver / 1e6:,.0f} MB | {watch.worker / 1e6:,.0f} MB |"
    )


_GATE_HEAD = """
| images | how many | index | its size | gate | images/s | near duplicates | driver's peak | a worker's peak |
|---|---|---|---|---|---|---|---|---|"""


def bench_shards(folder: Path, count: int) -> None:
    made = timed(lambda: write_shards(folder / "shards", count))
    size = sum(path.stat().st_size for path in (folder / "shards").iterdir())
    print(f"\n{count:,} images of {SIDE} x {SIDE} in tar shards of {size / 1e6:,.0f} MB, made in {made:.0f} s\n")
    print(_GATE_HEAD, flush=True)
    seconds = index(f"file://{folder / 'shards'}", folder / "local")
    watch, found = gate(folder / "local", folder / "scratch")
    print(row("tar shards on the disk", count, seconds, watch, found, index_size(folder / "local")), flush=True)
    (folder / "stages").mkdir()
    stages(folder / "local", folder / "stages")


def index_size(root: Path) -> int:
    from thaw.sources import FILE

    return (root / FILE).stat().st_size


def bench_bucket(folder: Path, objects: int, packed: int) -> None:
    """Images that are an object each, and images in shards that are objects."""
    from thaw.sources import stores

    with Server() as store:
        store.create_bucket(Bucket="bench")
        for path, data in images(objects):
            store.put_object(Bucket="bench", Key=f"objects/{path}", Body=data)
        write_shards(folder / "small", packed, 8_000_000)  # moto reads an object whole for each range of it
        for path in sorted((folder / "small").iterdir()):
            store.upload_file(str(path), "bench", f"shards/{path.name}")
        print(_GATE_HEAD, flush=True)
        for what, count in (("objects", objects), ("shards", packed)):
            stores._open.cache_clear()
            seconds = index(f"s3://bench/{what}", folder / f"bucket-{what}")
            watch, found = gate(folder / f"bucket-{what}", folder / f"scratch-{what}")
            print(row(f"{what} in a bucket", count, seconds, watch, found, index_size(folder / f"bucket-{what}")), flush=True)


class Server:
    """moto's server in a process of its own, and Amazon's client of it."""

    def __enter__(self) -> Any:
        import boto3

        code = (
            "import logging, sys; from moto.server import ThreadedMotoServer; logging.disable(); "
            "server = ThreadedMotoServer('127.0.0.1', 0, verbose=False); server.start(); "
            "print(server.get_host_and_port()[1], flush=True); sys.stdin.read()"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout
        os.environ |= {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.process.stdout.readline().strip()}",
            "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "benchmark", "AWS_DEFAULT_REGION": "us-east-1",
        }  # fmt: skip
        return boto3.client("s3")

    def __exit__(self, *_: object) -> None:
        self.process.kill()


def bench_dvc(folder: Path, count: int) -> None:
    """A version booked of files, and of the same images in shards: the first time, and again when one image is new."""
    project = folder / "project"
    files = project / "files"
    for path, data in images(count):
        (files / path).parent.mkdir(parents=True, exist_ok=True)
        (files / path).write_bytes(data)
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}

    def run(*command: str) -> float:
        return timed(lambda: subprocess.run([sys.executable, "-m", *command], cwd=project, env=environment, check=True))

    run("dvc", "init", "-q", "--no-scm")
    print(f"\n| {count:,} images in DVC | `dvc add` | one image more | `dvc checkout` | in the cache |")
    print("|---|---|---|---|---|")
    for name in ("files", "shards", "index"):
        if name == "shards":
            write_shards(project / "shards", count)
        if name == "index":
            index(f"file://{project / 'shards'}", project / "index")
        first = run("dvc", "add", "-q", name)
        if name == "files":
            shutil.copyfile(files / "cat/00000000.jpg", files / "cat/more.jpg")
        else:
            with tarfile.open(project / "shards" / "shard-99999.tar", "w") as archive:
                archive.add(files / "cat/00000000.jpg", "cat/more.jpg")
            if name == "index":
                index(f"file://{project / 'shards'}", project / "index")
        again = run("dvc", "add", "-q", name)
        shutil.rmtree(project / name)
        back = run("dvc", "checkout", "-q", f"{name}.dvc")
        cached = sum(len(found) for _, _, found in os.walk(project / ".dvc" / "cache"))
        print(f"| {name} | {first:.1f} s | {again:.1f} s | {back:.1f} s | {cached:,} files |", flush=True)
        shutil.rmtree(project / ".dvc" / "cache")
        if name == "shards":
            (project / "shards" / "shard-99999.tar").unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200_000, help="in tar shards; 0: none")
    parser.add_argument("--objects", type=int, default=20_000, help="in a bucket, an object each; moto lists no more in time")
    parser.add_argument("--bucket-images", type=int, default=200_000, help="in a bucket, in shards; 0: no bucket")
    parser.add_argument("--files", type=int, default=20_000, help="in DVC; 0: none")
    parser.add_argument("--folder", type=Path, help="a place for it all; it is removed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if options.images:
            bench_shards(Path(folder), options.images)
        if options.bucket_images:
            bench_bucket(Path(folder), options.objects, options.bucket_images)
        if options.files:
            bench_dvc(Path(folder), options.files)


if __name__ == "__main__":
    main()
