"""How long whole jobs take, against the plain script (`benchmarks/plain.py`) on the same pictures and machine.

    python -m benchmarks.jobs [--quick] [--only notebook elpv vgg16 overhead] [--vgg16-weights FILE] [--seeds 1 2 3] [--busy]

A job is a clone of the repository in a temporary folder and `thaw run` in it: gate, augmentation, both phases, evaluation,
Prefect and MLflow included. The notebook-sized job has 139 pictures to train on and 20 to test, and is judged on 300
further ones, whose judging counts for neither side. Where the plain script is not run to its end, a phase counts its
measured epochs and the last of them for each of the rest. Prints Markdown tables.
"""

import argparse
import contextlib
import csv
import json
import multiprocessing
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from thaw.demo import lay_out
from thaw.devices import cpu_name

ROOT = Path(__file__).resolve().parents[1]
EPOCHS = 20
CLASSES = {"bo": "defective", "not_bo": "functional"}


class Job:
    """A clone of the project with a data set of its own."""

    def __init__(self, home: Path, pictures: Path) -> None:
        self.root = home
        subprocess.run(["git", "clone", "-q", str(ROOT), str(home)], check=True)
        (home / "dvc.lock").unlink()
        (home / "data/raw.dvc").unlink(missing_ok=True)
        self.thaw("data", "add", str(pictures))

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command of thaw."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {
            **os.environ, "PATH": path, "PYTHONPATH": str(self.root / "src"), "TF_CPP_MIN_LOG_LEVEL": "3",
            "PREFECT_HOME": str(self.root / ".prefect"),
        }  # fmt: skip
        command = [sys.executable, "-m", "thaw", *arguments]
        return subprocess.Popen(
            command, cwd=self.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def thaw(self, *arguments: str) -> tuple[str, str]:
        """Run a command of thaw to its end; standard output and standard error."""
        process = self.start(*arguments)
        out, err = process.communicate()
        if process.returncode:
            raise SystemExit(f"thaw {' '.join(arguments)}:\n{out}\n{err}")
        return out, err

    def run(self, *arguments: str) -> tuple[float, float]:
        """`thaw run`: its seconds, and those that its stages say they took."""
        began = time.perf_counter()
        text = "".join(self.thaw("run", *arguments))
        seconds = time.perf_counter() - began
        return seconds, sum(float(match) for match in re.findall(r"\w+ took ([0-9.]+) s", text))

    def judge(self, folder: Path) -> float:
        """The accuracy on a folder of classes."""
        rows = json.loads(self.thaw("predict", str(folder), "--json")[0])
        return statistics.mean(float(Path(row["path"]).parent.name == row["predicted"]) for row in rows)


def run_plainly(folder: Path, epochs: int, *arguments: str) -> dict[str, float]:
    """The plain script's figures, with `seconds` scaled to all epochs."""
    command = [sys.executable, str(ROOT / "benchmarks/plain.py"), str(folder), "--epochs", str(epochs), str(epochs), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    rest = (EPOCHS - epochs) * (result["frozen_epoch_seconds"] + result["thawed_epoch_seconds"])
    return result | {"seconds": result["seconds"] + rest}


def lay_out_notebook(cells: Path, home: Path, seed: int) -> tuple[Path, Path]:
    """139 and 20 cells as `{train,test}/{bo,not_bo}`, and 300 further ones as `{bo,not_bo}`, drawn by seed."""
    for name, source in CLASSES.items():
        paths = sorted((cells / source).iterdir())
        random.Random(seed).shuffle(paths)
        counts = {"data/train": 70 if name == "bo" else 69, "data/test": 10, "further": 150}
        for folder, count in counts.items():
            (home / folder / name).mkdir(parents=True)
            for path in paths[:count]:
                shutil.copy(path, home / folder / name)
            del paths[:count]
    return home / "data", home / "further"


def measure_notebook(
    cells: Path,
    home: Path,
    seeds: list[int],
    options: list[str],
    plain_options: list[str],
    plain_epochs: int,
    weights_path: Path | None = None,
) -> None:
    """Run the notebook-sized job for each seed, and print a row each and their mean."""
    print("| seed | thaw, s | plain, s | ratio | thaw, accuracy | plain, accuracy |\n|---|---:|---:|---:|---:|---:|")
    rows = []
    for seed in seeds:
        data, further = lay_out_notebook(cells, home / f"pictures-{seed}", seed)
        job = Job(home / f"job-{seed}", data)
        if weights_path:
            shutil.copy(weights_path, job.root / "models" / "pretrained")
        overrides = [part for option in (f"seed={seed}", *options) for part in ("-S", option)]
        seconds, _ = job.run(*overrides)
        plain = run_plainly(
            data, plain_epochs, "--steps", "12", "--seed", str(seed), "--further", str(further), *plain_options
        )
        rows.append((seconds, plain["seconds"], job.judge(further), plain["further_accuracy"]))
        print(_row(str(seed), rows[-1]), flush=True)
    means = [statistics.mean(column) for column in zip(*rows, strict=True)]
    print(_row("mean", means), flush=True)


def measure_elpv(cells: Path, home: Path) -> None:
    """The demo's job against the plain script's first two epochs of each phase."""
    job = Job(home / "elpv", cells)
    seconds, _ = job.run()
    accuracy = json.loads((job.root / "reports/metrics.json").read_text(encoding="utf-8"))["accuracy"]
    for split, tables in {"train": ("train", "validation"), "test": ("test",)}.items():
        for table in tables:
            with (job.root / f"data/splits/{table}.csv").open(encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file):
                    target = home / "split" / split / row["path"]
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(cells / row["path"], target)
    plain = run_plainly(home / "split", 2)
    print("| thaw, s | plain, s | ratio | thaw, accuracy | plain, accuracy after 2 + 2 epochs |\n|---:|---:|---:|---:|---:|")
    print(_row("", (seconds, plain["seconds"], accuracy, plain["thawed_accuracy"]))[3:], flush=True)


def _row(name: str, values: Any) -> str:
    thaw, plain, *accuracies = values
    shares = " | ".join(f"{value:.4f}" for value in accuracies)
    return f"| {name} | {thaw:.0f} | {plain:.0f} | {plain / thaw:.1f} | {shares} |"


def measure_overhead(cells: Path, home: Path) -> None:
    """What `thaw run` costs beside its stages, and what it costs when there is nothing to do."""
    data, _ = lay_out_notebook(cells, home / "pictures", 1)
    job = Job(home / "job", data)
    seconds, stages = job.run()
    idle, _ = job.run()
    servers = job.start("ui")
    try:
        while not (job.root / ".thaw/ui.json").exists():
            time.sleep(0.5)
        with_server, _ = job.run()
    finally:
        servers.terminate()
        servers.communicate()
    print("| what | seconds | target |\n|---|---:|---:|")
    print(f"| `thaw run` of seven stages, less their own time | {seconds - stages:.1f} | 45 |")
    print(f"| `thaw run` with nothing to do | {idle:.1f} | 15 |")
    print(f"| the same, with a Prefect server running | {with_server:.1f} | 6 |", flush=True)


def _spin(starter: int) -> None:
    while os.getppid() == starter:  # a benchmark that was killed leaves no busy core behind
        pass


@contextlib.contextmanager
def busy_core(wanted: bool) -> Iterator[None]:
    """Keep one core busy while the block runs."""
    if not wanted:
        yield
        return
    other = multiprocessing.get_context("spawn").Process(target=_spin, args=(os.getpid(),), daemon=True)
    other.start()
    try:
        yield
    finally:
        other.kill()


def main() -> None:
    """Measure the jobs and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, two epochs of the plain script")
    parser.add_argument("--only", nargs="+", choices=["notebook", "elpv", "vgg16", "overhead"])
    parser.add_argument("--vgg16-weights", help="weights of VGG16 without its top, for the job `vgg16`")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--busy", action="store_true", help="beside one busy core")
    options = parser.parse_args()
    seeds, epochs = ([1], 2) if options.quick else (options.seeds, EPOCHS)
    wanted = options.only or ["notebook", "elpv", "overhead", *(["vgg16"] if options.vgg16_weights else [])]
    print(f"{cpu_name()}{', beside one busy core' if options.busy else ''}")
    with tempfile.TemporaryDirectory() as name, busy_core(options.busy):
        home = Path(name)
        lay_out("elpv", home / "cells")
        if "notebook" in wanted:
            print(f"\n1. The notebook-sized job, {EPOCHS} + {EPOCHS} epochs of 12 batches of 8\n")
            measure_notebook(home / "cells", home / "notebook", seeds, [], [], epochs)
        if "elpv" in wanted:
            print("\n2. The ELPV job, 2,624 cells; the plain script scaled from 2 + 2 epochs\n")
            measure_elpv(home / "cells", home)
        if "vgg16" in wanted:
            print("\n5. The notebook-sized job with VGG16; the plain script scaled from 2 + 2 epochs\n")
            weights_path = Path(options.vgg16_weights).resolve()
            ours = ["model.architecture=vgg16", f"model.weights={weights_path.name}"]
            plain = ["--architecture", "vgg16", "--weights", str(weights_path)]
            measure_notebook(home / "cells", home / "vgg16", seeds[:1], ours, plain, 2, weights_path)
        if "overhead" in wanted:
            print("\n7. Beside the stages\n")
            measure_overhead(home / "cells", home / "overhead")


if __name__ == "__main__":
    main()
