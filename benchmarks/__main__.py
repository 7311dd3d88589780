"""`make bench`: the benchmarks one after the other; each prints a Markdown table of ratios measured in one run.

    python -m benchmarks [--quick]
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BENCHMARKS = (["gate.py"], ["training.py"], ["jobs.py"], ["explain.py"])
TAKES_QUICK = {"gate.py", "training.py", "jobs.py"}


def main() -> None:
    """Run every benchmark; exit code 1 when one failed."""
    quick = ["--quick"] if "--quick" in sys.argv[1:] else []
    failed = []
    for name, *arguments in BENCHMARKS:
        print(f"\n## {name}\n", flush=True)
        command = [sys.executable, str(HERE / name), *arguments, *(quick if name in TAKES_QUICK else [])]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
