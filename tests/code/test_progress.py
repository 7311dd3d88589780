"""How far work is, as a terminal, a pipe and a machine's log see it."""

import logging
import os
import subprocess
import sys

import pytest

from tests.code.terminal import run_in_terminal, screen
from thaw.progress import Paced

WORK = """
import logging.config, sys, time
import thaw.progress as progress
progress._SILENT_SECONDS, progress._LINE_SECONDS = 0.1, 0.1
print("before")
with progress.showing("copying", ticking=sys.argv[1] == "ticking") as report:
    # What Prefect and MLflow do: it closes every handler.
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
    for done in range(1, 31):
        report(done, 30)
        time.sleep(0.02)
print("after")
"""
WAIT = WORK.replace("report(done, 30)", "pass")


def environment(**extra: str) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in ("CI", "NO_COLOR")} | extra


@pytest.mark.parametrize("form", ["ticking", "still"])
def test_a_terminal_shows_a_bar_that_is_gone_at_the_end(form: str) -> None:
    code, written = run_in_terminal([sys.executable, "-c", WORK, form], environment())
    assert code == 0
    frames = [line for line in written.replace("\n", "\r").split("\r") if "copying" in line]
    assert len(frames) > 2 and any("of 30" in frame and "%" in frame and "left" in frame for frame in frames)
    assert [line for line in screen(written) if line] == ["before", "after"]


def test_a_wait_of_unknown_length_is_named() -> None:
    code, written = run_in_terminal([sys.executable, "-c", WAIT, "ticking"], environment())
    assert code == 0 and "copying" in written and "%" not in written
    done = subprocess.run([sys.executable, "-c", WAIT, "ticking"], env=environment(), capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("before\nafter\n", "copying ...\n")


@pytest.mark.parametrize("plain", [{"NO_COLOR": "1"}, {"CI": "true"}, {"TERM": "dumb"}, {}])
def test_elsewhere_there_are_a_few_plain_lines(plain: dict[str, str]) -> None:
    command = [sys.executable, "-c", WORK, "ticking"]
    if plain:  # a terminal that asks for none
        script = f"import os; os.environ |= {plain}\n{WORK}"
        _, written = run_in_terminal([sys.executable, "-c", script, "ticking"], environment())
        lines = written.replace("\r", "").splitlines()
    else:
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
        assert done.stdout == "before\nafter\n"
        lines = ["before", *done.stderr.splitlines(), "after"]
    assert "\x1b" not in "".join(lines)
    told = lines[1:-1]
    assert 1 < len(told) < 12 and all(line.startswith("copying: ") and line.endswith(" of 30") for line in told)


def test_a_message_that_tells_no_progress_is_never_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thaw.progress._SILENT_SECONDS", 0.0)
    event, progress = ({"msg": "epoch 1 of 9: loss 0.5"}, {"msg": "1 of 9", "done": 1, "total": 9})
    paced = Paced()
    passed = [paced.filter(logging.makeLogRecord(each)) for each in (event, progress, event, progress)]
    assert passed == [True, True, True, False]
    monkeypatch.setenv("THAW_BAR", "1")
    assert not Paced().filter(logging.makeLogRecord(progress)), "a bar is drawn of it"
    assert Paced().filter(logging.makeLogRecord(event))
