"""Prefect's own command line against thaw's server: what FastAPI's version breaks first."""

import os
import subprocess
import sys
from pathlib import Path

from tests.code.prefect_server import serving

ROOT = Path(__file__).parents[2]
# One process for all: Prefect's command line takes seconds to import.
IN_TURN = """
import sys
from prefect.cli import app
for line in sys.argv[1:]:
    sys.argv = ["prefect", "--no-prompt", *line.split()]
    print("$", line, flush=True)
    try:
        app()
    except SystemExit as ended:
        if ended.code:
            raise
"""


def test_prefects_commands_work_on_thaws_server(tmp_path: Path) -> None:
    deploy = "deploy flows/pipeline.py:pipeline --name by-hand --pool here"
    listings = ["flow-run ls", "deployment ls", "work-pool ls", "artifact ls"]
    with serving(tmp_path) as server:
        done = subprocess.run(
            [sys.executable, "-c", IN_TURN, "work-pool create --type process here", deploy, *listings],
            cwd=ROOT,
            env={**server.environment(), "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "thaw/by-hand" in done.stdout.split("$ deployment ls")[1]
