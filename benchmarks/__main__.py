"""`make bench`: the benchmarks one after the other; each prints Markdown tables of ratios measured in one run.

    python -m benchmarks [--quick] [--vgg16-weights FILE]
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = (
    "stages", "gate", "training", "arithmetic", "jobs", "memory", "explain", "compute", "slices", "coverage", "calibration",
    "labels", "elpv --profile five_minutes", "elpv --profile five_minutes --split-by near_duplicates", "elpv --profile long",
    "elpv --profile long --split-by near_duplicates", "ingredients elpv digits",
)  # fmt: skip
"""Each with its arguments; the last five take hours."""
TAKE_QUICK = {"gate", "training", "jobs", "memory", "compute", "slices", "coverage", "labels", "elpv", "ingredients"}
TAKE_WEIGHTS = {"arithmetic", "jobs", "explain"}


def main() -> None:
    """Run every benchmark; exit code 1 when one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller sets, fewer seeds")
    parser.add_argument("--vgg16-weights", help="weights of VGG16 without its top, for what needs them")
    options = parser.parse_args()
    weights = ["--vgg16-weights", str(Path(options.vgg16_weights).resolve())] if options.vgg16_weights else []
    failed = []
    for benchmark in BENCHMARKS:
        print(f"\n## {benchmark}\n", flush=True)
        name, *arguments = benchmark.split()
        command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
        command += ["--quick"] if options.quick and name in TAKE_QUICK else []
        command += weights if name in TAKE_WEIGHTS else []
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(benchmark)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
