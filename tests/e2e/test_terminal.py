"""`thaw run` as a person sees it: on a terminal, and in a pipe where a stage fails."""

import sys
from pathlib import Path

import pytest

from tests.code.terminal import run_in_terminal, screen
from tests.e2e.witness import make_witness, stage_source

WORK = """
    log = __import__("logging").getLogger("thaw.witness")
    for done in range(1, 41):
        log.info("%d of 40 papers", done, extra={"done": done, "total": 40})
        time.sleep(0.03)
"""


@pytest.mark.slow  # test_triggered.py looks at one in a terminal, test_progress.py at bars
def test_a_run_shows_the_stage_at_work_and_ends_with_six_lines(tmp_path: Path) -> None:
    witness = make_witness(tmp_path)
    source = witness.root / "src" / "thaw" / "stages" / "split.py"
    source.write_text(stage_source("split", 1).replace("    files = {}\n", f"{WORK}    files = {{}}\n"))
    code, written = run_in_terminal([sys.executable, "-m", "thaw", "run"], witness.environment(), witness.root)
    assert code == 0, written
    frames = written.replace("\n", "\r").split("\r")
    assert any("split" in frame and "of 40 papers" in frame and " left" in frame for frame in frames)
    lines = [line for line in screen(written) if line]
    assert [line.split()[0] for line in lines[-6:]] == ["Result", "Audit", "Changed", "Stages", "Report", "Compare"]
    foreign = ("Finished in state", "papers", "Beginning flow", "ready ━", "cache in", "hashes")
    assert not [line for line in lines if any(words in line for words in foreign)], "Prefect's words, or a bar of DVC's"

    source.write_text(stage_source("split", 1).replace("files = {}", 'raise RuntimeError("the wheel " + "fell off")'))
    done = witness.thaw("run", check=False)
    assert done.returncode == 1
    assert (done.stdout + done.stderr).count("the wheel fell off") == 1, "a failure is said once"
