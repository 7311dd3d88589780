"""Does memory grow with the number of images? Peak memory of a whole `thaw run` on few cells and on four times as many.

    python -m benchmarks.memory [--quick]

Counted is what cannot be dropped, the anonymous memory of `thaw run` and all its child processes (Linux, `smaps_rollup`, each
shared page divided among those who share it): pictures and activations are mapped from files, whose pages the system
takes back when it needs them. Sampled twice a second. Prints a Markdown table.
"""

import argparse
import contextlib
import shutil
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.jobs import Job
from thaw.demo import lay_out

CELLS = 2624
OVERRIDES = ("train_frozen.epochs=2", "fine_tune.epochs=1", "fine_tune.min_steps=0")


def anonymous_bytes(process: psutil.Process) -> int:
    """Anonymous memory of a process and its descendants."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        with contextlib.suppress(OSError):  # it has ended
            lines = Path(f"/proc/{each.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
            total += 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:"))
    return total


def peak_gb(cells: Path, count: int, home: Path) -> float:
    """The peak of a run on every so many-th cell, in GB."""
    for folder in sorted(cells.iterdir()):
        for path in sorted(folder.glob("*.png"))[:: CELLS // count]:
            target = home / "cells" / folder.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    job = Job(home / "job", home / "cells")
    running = job.start("run", *(part for override in OVERRIDES for part in ("-S", override)))
    process, peak = psutil.Process(running.pid), 0
    while running.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            peak = max(peak, anonymous_bytes(process))
        time.sleep(0.5)
    if running.returncode:
        raise SystemExit(running.communicate()[1])
    return peak / 1e9


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a quarter of the cells")
    few = 164 if parser.parse_args().quick else 656
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        lay_out("elpv", home / "cells")
        peaks = {count: peak_gb(home / "cells", count, home / str(count)) for count in (few, 4 * few)}
    print("| images | peak anonymous memory, GB |\n|---:|---:|")
    for count, peak in peaks.items():
        print(f"| {count:,} | {peak:.2f} |")


if __name__ == "__main__":
    main()
