"""The data gate's speed, beside CleanVision's and plain decoding, and its near duplicates. Prints Markdown.

python -m benchmarks.gate            # everything, about ten minutes
python -m benchmarks.gate --quick    # smaller sets, about one minute
python -m benchmarks.gate --rows 1000000 10000000    # the set-level checks alone: 10 GB of memory, 25 GB of disk
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from thaw.compute import Local
from thaw.demo import lay_out
from thaw.gate.duplicates import near_clusters
from thaw.gate.duplicates.equal import exact_clusters
from thaw.gate.inspection import inspect_folder
from thaw.params import ValidateParams


class Cost(NamedTuple):
    """Seconds on the wall, and of processor time with all child processes: the second hardly feels a busy machine."""

    wall: float
    cpu: float


JOBS = 2
PHOTOS = (
    "astronaut",
    "chelsea",
    "coffee",
    "rocket",
    "camera",
    "coins",
    "moon",
    "page",
    "text",
    "clock",
    "grass",
    "gravel",
    "brick",
)


def photographs() -> list[Image.Image]:
    """Pictures that come with scikit-image, as RGB."""
    import skimage.data

    made = []
    for name in PHOTOS:
        with contextlib.suppress(Exception):  # some of them are fetched from the network
            made.append(Image.fromarray(np.asarray(getattr(skimage.data, name)())).convert("RGB"))
    return made


def make_photos(folder: Path, count: int) -> None:
    """`count` JPEG pictures of 640 x 480, cut at random from real photographs."""
    rng = np.random.default_rng(0)
    photos = photographs()
    for number in range(count):
        photo = photos[number % len(photos)]
        share = rng.uniform(0.5, 0.9)
        width, height = int(photo.width * share), int(photo.height * share)
        left, top = rng.integers(0, photo.width - width), rng.integers(0, photo.height - height)
        cut = photo.crop((left, top, left + width, top + height)).resize((640, 480), Image.Resampling.BICUBIC)
        target = folder / ("even", "odd")[number % 2] / f"{number:05d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        cut.save(target, quality=90)


def decode(path: str) -> None:
    with Image.open(path) as image:
        image.load()


def decode_all(folder: Path) -> Cost:
    """What Pillow alone costs with JOBS processes, forked as the gate forks its own."""
    paths = [str(path) for path in sorted(folder.rglob("*")) if path.suffix in (".png", ".jpg")]

    def work() -> None:
        with multiprocessing.get_context("fork").Pool(JOBS) as pool:
            pool.map(decode, paths, chunksize=64)
            pool.close()
            pool.join()

    return clock(work)


def clean_vision(folder: Path) -> tuple[Cost, list[list[str]]]:
    """The cost of CleanVision's `find_issues`, and the sets of like pictures that it finds."""
    from cleanvision import Imagelab

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        lab = Imagelab(data_path=str(folder))
        cost = clock(lambda: lab.find_issues(n_jobs=JOBS, verbose=False))
    sets = lab.info["near_duplicates"]["sets"] + lab.info["exact_duplicates"]["sets"]
    return cost, [[os.path.relpath(path, folder) for path in group] for group in sets]


def clock(work: Callable[[], object]) -> Cost:
    begin, before = time.perf_counter(), os.times()
    work()
    after = os.times()
    return Cost(time.perf_counter() - begin, sum(after[:4]) - sum(before[:4]))


def measure_speed(name: str, folder: Path, repeats: int) -> None:
    """One table row a way of going through the folder; the best of `repeats`, taken in turns."""
    params = ValidateParams()
    images = sum(1 for path in folder.rglob("*") if path.suffix in (".png", ".jpg"))
    times: dict[str, list[Cost]] = {}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as scratch:
            times.setdefault("Pillow decodes", []).append(decode_all(folder))
            times.setdefault("thaw, every check", []).append(
                clock(lambda where=Path(scratch): inspect_folder(params, folder, where, executor=Local(JOBS)))
            )
            time.sleep(0.1)
            times.setdefault("thaw again, unchanged", []).append(
                clock(lambda where=Path(scratch): inspect_folder(params, folder, where, executor=Local(JOBS)))
            )
            times.setdefault("thaw again, the scan alone", []).append(
                clock(lambda where=Path(scratch): rescan(folder, where))
            )
            times.setdefault("CleanVision find_issues", []).append(clean_vision(folder)[0])
    best = {way: Cost(*map(min, zip(*costs, strict=True))) for way, costs in times.items()}
    vision, pillow = best["CleanVision find_issues"], best["Pillow decodes"]
    print(f"\n### {name}: {images:,} images, {JOBS} processes, best of {repeats}\n")
    print("| | seconds | images/s | x CleanVision | x Pillow | CPU seconds | x CleanVision | x Pillow |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for way, (wall, cpu) in best.items():
        print(
            f"| {way} | {wall:.2f} | {images / wall:,.0f} | {vision.wall / wall:.2f} | {pillow.wall / wall:.2f} "
            f"| {cpu:.2f} | {vision.cpu / max(cpu, 0.01):.2f} | {pillow.cpu / max(cpu, 0.01):.2f} |"
        )
    for way in ("thaw again, unchanged", "thaw again, the scan alone"):
        print(f"\n{way}: {best[way].wall / best['thaw, every check'].wall:.1%} of the first run.")


def rescan(folder: Path, scratch_dir: Path) -> None:
    from thaw.gate.findings import Findings
    from thaw.gate.inspection import bounds
    from thaw.gate.scan import store
    from thaw.gate.scan.survey import Survey

    params = ValidateParams()
    survey = Survey(folder, Findings(params.severity))
    list(store.scan(folder, survey.files(), bounds(params.limits), scratch_dir / "rows.arrow", Local(JOBS), 30.0))


def changes(image: Image.Image, rng: np.random.Generator) -> Iterator[tuple[str, Image.Image, int]]:
    """What happens to pictures: (kind, picture, JPEG quality or 0 for PNG)."""
    width, height = image.size
    for quality in (40, 70, 95):
        yield f"JPEG quality {quality}", image, quality
    for share in (0.5, 0.75, 1.5):
        yield (
            f"resized to {share:.0%}",
            image.resize((int(width * share), int(height * share)), Image.Resampling.BICUBIC),
            0,
        )
    kept = int(width * 0.95), int(height * 0.95)
    left, top = rng.integers(0, width - kept[0] + 1), rng.integers(0, height - kept[1] + 1)
    yield "cropped by 5 %", image.crop((left, top, left + kept[0], top + kept[1])), 0
    for share in (0.85, 1.15):
        yield (
            f"brightness {share - 1:+.0%}",
            image.point(lambda level, share=share: min(255, round(level * share))),
            0,
        )


def measure_near(name: str, sources: list[Image.Image], changed: int, folder: Path) -> None:
    """Recall by kind of change and precision by pairs, beside CleanVision's."""
    rng = np.random.default_rng(1)
    shutil.rmtree(folder, ignore_errors=True)
    for label in ("even", "odd"):
        (folder / label).mkdir(parents=True)
    kinds: dict[str, str] = {}
    for number, image in enumerate(sources):
        stem = f"{('even', 'odd')[number % 2]}/{number:05d}"
        image.save(folder / f"{stem}.png")
        for at, (kind, picture, quality) in enumerate(changes(image, rng) if number < changed else ()):
            path = f"{stem}_{at}.{'jpg' if quality else 'png'}"
            picture.save(folder / path, **({"quality": quality} if quality else {}))
            kinds[path] = kind
    with tempfile.TemporaryDirectory() as scratch:
        rows = inspect_folder(ValidateParams(), folder, Path(scratch), executor=Local(JOBS)).rows
        equal = exact_clusters(rows)
        found = near_clusters(rows, equal, ValidateParams().limits.near_duplicate_distance).members + equal
    tools = {
        "thaw": [[rows.paths[index] for index in cluster] for cluster in found],
        "CleanVision": clean_vision(folder)[1],
    }
    scores = {tool: score(sets, kinds) for tool, sets in tools.items()}
    print(f"\n### {name}: {len(sources):,} distinct pictures, {len(kinds):,} changed ones\n")
    print("| change | thaw | CleanVision |")
    print("|---|---:|---:|")
    for kind in dict.fromkeys(kinds.values()):
        print(f"| recall, {kind} | {scores['thaw'][0][kind]:.1%} | {scores['CleanVision'][0][kind]:.1%} |")
    print(f"| pairs of different pictures | {scores['thaw'][1]:,} | {scores['CleanVision'][1]:,} |")
    print(f"| precision, by pairs | {scores['thaw'][2]:.1%} | {scores['CleanVision'][2]:.1%} |")


def score(sets: list[list[str]], kinds: dict[str, str]) -> tuple[dict[str, float], int, float]:
    """Share of each kind's pictures that stand with their source; pairs of different sources; share of right pairs."""
    source = lambda path: path.split("_")[0].split(".")[0]  # noqa: E731
    hit: set[str] = set()
    right = wrong = 0
    for group in sets:
        originals = {path.removesuffix(".png") for path in group if path not in kinds}
        hit |= {path for path in group if path in kinds and source(path) in originals}
        sizes = np.unique([source(path) for path in group], return_counts=True)[1]
        same = int((sizes * (sizes - 1) // 2).sum())
        right += same
        wrong += len(group) * (len(group) - 1) // 2 - same
    recall = {
        kind: np.mean([path in hit for path, one in kinds.items() if one == kind])
        for kind in set(kinds.values())
    }
    return recall, wrong, right / max(right + wrong, 1)


def tiles(side: int) -> list[Image.Image]:
    """Squares that do not overlap, of real photographs: distinct pictures of one kind."""
    made = []
    for photo in photographs():
        for top in range(0, photo.height - side + 1, side):
            for left in range(0, photo.width - side + 1, side):
                made.append(photo.crop((left, top, left + side, top + side)))
    return made


def measure_scale(sizes: list[int]) -> None:
    """The set-level checks on synthetic rows, each size in a process of its own."""
    print("\n### Set-level checks on synthetic rows with planted clusters\n")
    print("| rows | seconds | CPU seconds | anonymous memory, MB | resident, MB | planted pairs found | other clusters |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    results = []
    for rows in sizes:
        script = Path(__file__).with_name("gate_scale.py")
        done = subprocess.run([sys.executable, str(script), str(rows)], check=True, stdout=subprocess.PIPE, text=True)
        result = json.loads(done.stdout)
        results.append(result)
        print(
            f"| {rows:,} | {result['seconds']:.1f} | {result['cpu']:.1f} | {result['anonymous_mb']:,.0f} "
            f"| {result['resident_mb']:,.0f} | {result['found']:,} of {result['planted']:,} | {result['other']:,} |",
            flush=True,
        )
    print("\n| part | " + " | ".join(f"{rows:,}: seconds, MB" for rows in sizes) + " |")
    print("|---" + "|---:" * len(sizes) + "|")
    for part in results[0]["parts"]:
        cells = (f"{result['parts'][part][0]:.1f}, {result['parts'][part][2]:,.0f}" for result in results)
        print(f"| {part} | {' | '.join(cells)} |")
    if len(sizes) > 1:
        (few, many), (first, last) = (sizes[0], sizes[-1]), (results[0], results[-1])
        for name in ("seconds", "cpu", "anonymous_mb"):
            power = np.log(last[name] / first[name]) / np.log(many / few)
            expected = last[name] * (1e8 / many) ** power
            print(f"\n{name}: rows to the power of {power:.2f}; that would be {expected:,.0f} for 100,000,000 rows.")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller sets")
    parser.add_argument("--rows", type=int, nargs="+", help="nothing but the set-level checks, on so many rows")
    arguments = parser.parse_args()
    quick = arguments.quick
    if arguments.rows:
        measure_scale(arguments.rows)
        return
    print(
        f"## The data gate\n\n{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        lay_out("elpv", home / "elpv")
        make_photos(home / "photos", 200 if quick else 1000)
        measure_speed("ELPV, PNG 300 x 300 grey", home / "elpv", 1 if quick else 4)
        measure_speed("Photographs, JPEG 640 x 480", home / "photos", 1 if quick else 2)
        paths = sorted((home / "elpv").rglob("*.png"))
        cells = [Image.open(path).convert("L") for path in paths[:: 8 if quick else 2]]
        measure_near(
            "Solar cells (some of ELPV's own are the same cell twice)",
            cells,
            60 if quick else 300,
            home / "near",
        )
        squares = tiles(128)
        measure_near("Squares of photographs", squares, 40 if quick else len(squares), home / "near")
    measure_scale([25_000, 100_000] if quick else [250_000, 1_000_000])


if __name__ == "__main__":
    main()
