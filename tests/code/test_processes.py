"""No process outlives the one it works for: real processes, really killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from thaw.processes import starters

SRC = str(Path(__file__).parents[2] / "src")
CHILD = (
    "import sys, time; from thaw.processes import die_with_parent; die_with_parent(int(sys.argv[1]));"
    "print('up', flush=True); time.sleep(60)"
)
STARTERS = {
    "a child": f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}, str(os.getpid())], stdout=subprocess.PIPE)
child.stdout.readline()
print("up", flush=True)
time.sleep(60)
""",
    "a process of a fork server, before it is ready": """
import multiprocessing, sys, time
def work(connection):
    connection.send("up")
    time.sleep(3)
    from thaw.processes import die_with_parent
    die_with_parent()
    time.sleep(60)
if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    receiver, sender = context.Pipe(duplex=False)
    context.Process(target=work, args=(sender,)).start()
    print(receiver.recv(), flush=True)
    time.sleep(60)
""",
    "a supervised command and what it starts": """
import os, sys, time
from thaw.processes import start_supervised
below = "import time; print(1, flush=True); time.sleep(60)"
command = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {below!r}]).wait()"
start_supervised([sys.executable, "-c", command], os.environ)
time.sleep(60)
""",
}
ENVIRONMENT = {**os.environ, "PYTHONPATH": SRC}


@pytest.fixture
def run(tmp_path: Path) -> Iterator["Run"]:
    yield (started := Run(tmp_path))
    for process in [*started.below(), psutil.Process(started.process.pid)]:
        process.kill()
    started.process.wait()


class Run:
    """A script at work, as a process with others below it."""

    process: "subprocess.Popen[str]"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "script.py"

    def start(self, text: str) -> None:
        self.path.write_text(text)
        self.process = subprocess.Popen(
            [sys.executable, str(self.path)], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
        )
        assert self.process.stdout and self.process.stdout.readline()

    def below(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


def await_end(processes: list[psutil.Process], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while alive := [process for process in processes if is_alive(process)]:
        assert time.monotonic() < deadline, [(process, process.cmdline()) for process in alive]
        time.sleep(0.05)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@pytest.mark.parametrize("script", STARTERS.values(), ids=STARTERS.keys())
def test_all_end_with_a_killed_starter(run: Run, script: str) -> None:
    run.start(script)
    below = run.below()
    assert below
    run.process.kill()
    await_end(below)


def test_a_child_whose_starter_is_gone_before_it_begins_ends_at_once() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    done = subprocess.run([sys.executable, "-c", CHILD, str(gone.pid)], env=ENVIRONMENT, timeout=10)
    assert done.returncode == -signal.SIGKILL


def test_a_killed_supervisor_leaves_nothing(run: Run) -> None:
    run.start(STARTERS["a supervised command and what it starts"])
    below = run.below()
    (supervisor,) = psutil.Process(run.process.pid).children()
    supervisor.kill()
    await_end(below)


def test_a_command_that_hears_no_sigterm_is_killed(run: Run) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    run.start(
        "import os, sys, time; from thaw.processes import start_supervised\n"
        f"start_supervised([sys.executable, '-c', {deaf!r}], os.environ)\ntime.sleep(60)"
    )
    below = run.below()
    psutil.Process(run.process.pid).children()[0].terminate()
    await_end(below)


def test_the_supervisor_hides_secrets_and_passes_the_exit_code_on() -> None:
    command = (
        "import sys; print('at http://me:swordfish@host/x'); print('swordfish', file=sys.stderr); sys.exit(7)"
    )
    done = subprocess.run(
        [sys.executable, "-m", "thaw.processes", sys.executable, "-c", command],
        stdin=(pipe := os.pipe())[0],
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, "MLFLOW_TRACKING_PASSWORD": "swordfish"},
        timeout=20,
    )
    os.close(pipe[1])
    assert (done.returncode, done.stdout) == (7, "at http://***@host/x\n***\n")


def test_whom_it_works_for_ends_at_the_first_that_is_no_shell() -> None:
    assert [process.pid for process in starters()][:1] in ([], [os.getppid()])


@pytest.mark.parametrize("shell", [False, True])
def test_a_stage_without_a_guard_ends_with_who_started_it(run: Run, shell: bool) -> None:
    """As `dvc repro` killed in `validate`, beyond the shell that DVC starts a stage with."""
    stage = (
        "from thaw.processes import end_with_starters; end_with_starters()\n"
        "print(1, flush=True); import time; time.sleep(60)"
    )
    command = [sys.executable, "-c", stage]
    if shell:
        command = ["sh", "-c", '"$@"; true', "sh", *command]
    run.start(f"import subprocess; subprocess.run({command!r})")
    below = run.below()
    assert len(below) == 1 + shell
    run.process.kill()
    await_end(below)
