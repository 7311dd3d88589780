"""`kill -9` at random moments, then once more: the same bytes, and curves without a gap or a repeat."""

import json
import multiprocessing
import os
import random
import re
import signal
import time

import pytest

from tests.model.training_project import make_project, outputs, train_in_process

EPOCHS = 25
_ATTEMPTS = 5


@pytest.fixture(scope="module")
def context():
    """Processes forked from a server that has TensorFlow loaded: a second each instead of twelve."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["keras", "tests.model.training_project"])
    return context


@pytest.fixture(scope="module")
def whole(context, tmp_path_factory):
    """The project, and what a training that nobody disturbs makes of it."""
    folder = tmp_path_factory.mktemp("project")
    make_project(folder, side=32)
    process = start(context, folder, folder / "whole")
    process.join()
    assert process.exitcode == 0
    return folder, outputs(folder / "whole")


def start(context, folder, out):
    process = context.Process(target=train_in_process, args=(folder, out, EPOCHS))
    process.start()
    return process


def journal(out):
    return [json.loads(line) for line in (out / "scratch/fine_tune/journal.jsonl").read_text().splitlines()]


def steps_done(out):
    """Steps of `fine_tune` that its last checkpoint holds: the file's name says so."""
    names = (path.name for path in (out / "scratch/fine_tune").rglob("*.npz"))
    found = (re.fullmatch(r"[0-9a-f]{16}-(\d{10})-[0-9a-f]{16}\.npz", name) for name in names)
    return max((int(match[1]) for match in found if match), default=0)


def kill_at_step(context, folder, out, step, by, delay):
    """Start the stages and end them `delay` seconds after `fine_tune` has saved `step` steps; the exit code."""
    process = start(context, folder, out)
    while process.is_alive() and steps_done(out) < step:
        time.sleep(0.002)
    time.sleep(delay)
    if process.is_alive():
        os.kill(process.pid, by)
    process.join(30)
    assert not process.is_alive(), "SIGTERM ends it within a step and ten seconds"
    return process.exitcode


def kill_in_training(context, folder, out, steps, rng):
    """Kill one training at each of `steps`, from where it stood each time; False when one of the kills came too late."""
    for step in steps:
        by, before = rng.choice([signal.SIGKILL, signal.SIGTERM]), steps_done(out)
        code = kill_at_step(context, folder, out, step, by, rng.uniform(0, 0.03))
        if code == 0:
            return False
        assert code in ((-signal.SIGKILL,) if by == signal.SIGKILL else (-signal.SIGTERM, 128 + signal.SIGTERM))
        assert steps_done(out) >= max(step, before), "it went on from where it was killed"
        assert not (out / "tuned").exists()
    return True


def check_killed(context, whole, out, kills, seed):
    folder, expected = whole
    rng, total = random.Random(seed), journal(folder / "whole")[-1]["step"]
    for attempt in range(_ATTEMPTS):
        trained = out / str(attempt)
        if kill_in_training(context, folder, trained, sorted(rng.sample(range(1, total * 3 // 4), kills)), rng):
            break
    else:
        pytest.fail(f"in {_ATTEMPTS} attempts the training was over before it was killed")
    process = start(context, folder, trained)
    process.join()
    assert process.exitcode == 0
    assert outputs(trained) == expected
    rows = journal(trained)
    assert [row["epoch"] for row in rows] == list(range(1, EPOCHS + 1))
    assert [row["metrics"] for row in rows] == [row["metrics"] for row in journal(folder / "whole")]
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)


def test_three_kills_at_random_change_no_byte(context, whole, tmp_path):
    check_killed(context, whole, tmp_path, 3, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_twenty_kills_at_random_change_no_byte(context, whole, tmp_path, seed):
    check_killed(context, whole, tmp_path, 4, seed=10 + seed)
