"""One training at a time, and none that outlives who started it: real processes, really killed."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from thaw.errors import ThawError
from thaw.training import guard

HOLD = """
import sys, time
from pathlib import Path
from thaw.training.guard import guarded
with guarded(Path(sys.argv[1])) as stop:
    print("held", flush=True)
    while not stop():
        time.sleep(0.05)
print("stopped", flush=True)
"""


def start(scratch_dir, shell=False, **options):
    command = [sys.executable, "-c", HOLD, str(scratch_dir)]
    if shell:  # as DVC starts a stage: through a shell that stays
        command = ["sh", "-c", '"$@"; true', "sh", *command]
    env = {**os.environ, "PYTHONPATH": "src"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, **options)
    assert process.stdout.readline() == "held\n"
    return process


def test_sigterm_asks_for_a_stop(tmp_path):
    process = start(tmp_path)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=10)[0] == "stopped\n"
    assert process.returncode == 0


def test_a_second_training_waits_and_then_refuses(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "_LOCK_SECONDS", 0.3)
    process = start(tmp_path)
    with pytest.raises(ThawError, match="another process trains here"), guard.guarded(tmp_path):
        pass
    process.kill()  # the lock goes with the process
    process.wait()
    with guard.guarded(tmp_path) as stop:
        assert not stop()


def test_the_handler_before_is_put_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with guard.guarded(tmp_path):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_outside_the_main_thread_sigterm_is_left_alone(tmp_path):
    before, found = signal.getsignal(signal.SIGTERM), []

    def train():
        with guard.guarded(tmp_path / "new" / "folder") as stop:
            found.append((signal.getsignal(signal.SIGTERM), stop()))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert found == [(before, False)]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_training_that_was_asked_to_stop_exits_as_one_that_sigterm_ended():
    stop = guard.Stop()
    stop.check()
    stop.ask()
    with pytest.raises(guard.Stopped) as caught:
        stop.check()
    assert caught.value.code == 143  # what a shell gives for a process that SIGTERM ended
    orphan = guard.Stop()
    orphan.orphaned()
    assert orphan()


def test_nobody_watches_once_the_training_has_ended(tmp_path):
    before = set(threading.enumerate())
    with guard.guarded(tmp_path):
        watchers = set(threading.enumerate()) - before
    assert watchers
    for watcher in watchers:
        watcher.join(timeout=10)
        assert not watcher.is_alive()


@pytest.mark.parametrize("shell", [False, True])
def test_it_stops_when_its_starter_is_killed(tmp_path, shell):
    starter_code = f"import sys; sys.path[:0] = ['.', 'src']\nfrom tests.code.test_training_guard import start\n" \
                   f"start({str(tmp_path)!r}, shell={shell})\nprint('up', flush=True)\nimport time; time.sleep(60)"  # fmt: skip
    starter = subprocess.Popen([sys.executable, "-c", starter_code], stdout=subprocess.PIPE, text=True)
    assert starter.stdout.readline() == "up\n"
    children = psutil.Process(starter.pid).children(recursive=True)
    assert len(children) == 1 + shell
    starter.kill()
    starter.wait()
    deadline = time.monotonic() + 10
    while any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children):
        assert time.monotonic() < deadline, "an orphan trains on"
        time.sleep(0.1)

