"""How long five head seeds and thirty head trials take, and whether the number of workers changes the best trial.

    python -m benchmarks.search PROJECT

PROJECT is a project in which `thaw run` has ended (the figures in docs/benchmarks.md are of the demo's). What its searches have
found is forgotten there first; params.yaml and dvc.lock stay as they are. Prints Markdown.
"""

import argparse
import contextlib
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

_TRIALS = 30
_POLL_SECONDS = 0.1


def measure(project: Path, target: str, *arguments: str) -> dict[str, Any]:
    """What a command of thaw answers; its row of the table is printed.

    The time is from nothing, start and recording included. Seconds of a core do not depend on what else the machine does.
    """
    shutil.rmtree(project / ".thaw" / "search", ignore_errors=True)
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as answer:
        process = psutil.Popen([sys.executable, "-m", "thaw", *arguments, "--json"], cwd=project, stdout=answer)
        worked: dict[int, float] = {}
        while process.poll() is None:
            worked |= _cpu_seconds(process)
            time.sleep(_POLL_SECONDS)
        took = time.perf_counter() - began
        if process.returncode:
            raise SystemExit(f"thaw {' '.join(arguments)} ended with {process.returncode}")
        print(f"| `thaw {' '.join(arguments)}` | {took:.0f} | {sum(worked.values()):.0f} | {target} |", flush=True)
        answer.seek(0)
        return dict(json.load(answer))


def _cpu_seconds(process: psutil.Process) -> dict[int, float]:
    """Of a process and all below it that are at work, by their ids."""
    found = {}
    with contextlib.suppress(psutil.Error):
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                times = one.cpu_times()
                found[one.pid] = times.user + times.system
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    project = parser.parse_args().project.resolve()
    print("| what | seconds | of a core | target |\n|---|---:|---:|---:|")
    told = measure(project, "30 s", "seeds", "--n", "5", "--heads")
    found = {
        workers: measure(project, target, "search", "--trials", str(_TRIALS), "--workers", str(workers))
        for workers, target in ((2, "60 s"), (1, ""), (4, ""))
    }
    same = all(one == found[2] for one in found.values())
    accuracy = told["spread"]["accuracy"]
    print(f"\nThe same trials, to the last digit, with 1, 2 and 4 workers: {'yes' if same else 'NO'}.")
    print(f"Accuracy of a head over seeds: {accuracy['mean']:.4f}, standard deviation {accuracy['deviation']:.4f}.")
    difference = found[2]["against_today"].get("accuracy")
    if difference:
        ends = f"{difference['low']:+.4f} to {difference['high']:+.4f}"
        print(f"The winner against the project's parameters, on other folds: accuracy {difference['mean']:+.4f} ({ends}).")
    if not same:
        sys.exit(1)


if __name__ == "__main__":
    main()
