"""How long five head seeds and thirty head trials take, and whether the number of workers changes the best trial.

    python -m benchmarks.search PROJECT

PROJECT is a project in which `thaw run` has ended (the figures in docs/benchmarks.md are of the demo's). What its searches have
found is forgotten there first; params.yaml and dvc.lock stay as they are. Prints Markdown.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_TRIALS = 30


def measure(project: Path, *arguments: str) -> tuple[float, dict[str, Any]]:
    """Seconds of a command of thaw from nothing, its start and recording included, and what it answers."""
    shutil.rmtree(project / ".thaw" / "search", ignore_errors=True)
    began = time.perf_counter()
    command = [sys.executable, "-m", "thaw", *arguments, "--json"]
    done = subprocess.run(command, cwd=project, check=True, stdout=subprocess.PIPE, text=True)
    return time.perf_counter() - began, json.loads(done.stdout)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    project = parser.parse_args().project.resolve()
    print("| what | seconds | target |\n|---|---:|---:|")
    seconds, told = measure(project, "seeds", "--n", "5", "--heads")
    print(f"| five head seeds | {seconds:.0f} | 30 |", flush=True)
    found = {}
    for workers in (2, 1, 4):
        took, found[workers] = measure(project, "search", "--trials", str(_TRIALS), "--workers", str(workers))
        print(f"| {_TRIALS} head trials, {workers} workers | {took:.0f} | {60 if workers == 2 else ''} |", flush=True)
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
