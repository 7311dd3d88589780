"""`kill -9` at random moments, then once more: the same bytes, and curves without a gap or a repeat."""

import json
import multiprocessing
import random
import signal
import sys
import time

import pytest

from tests.model.training_project import make_project, outputs, train_in_process

EPOCHS = 25


@pytest.fixture(scope="module")
def context():
    """Processes forked from a server that has TensorFlow loaded: a second each instead of twelve."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["keras", "tests.model.training_project"])
    return context


@pytest.fixture(scope="module")
def whole(context, tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    make_project(folder, side=32)
    began = time.monotonic()
    run(context, folder, folder / "whole")
    return folder, outputs(folder / "whole"), time.monotonic() - began


def run(context, folder, out, end_after=None, end_by=signal.SIGKILL):
    process = context.Process(target=train_in_process, args=(folder, out, EPOCHS))
    process.start()
    process.join(end_after)
    if process.is_alive():
        if end_by == signal.SIGKILL:
            process.kill()
        else:
            process.terminate()
        process.join(15)
        assert not process.is_alive(), "SIGTERM ends it within a step and ten seconds"
    return process.exitcode


def journal(out):
    return [json.loads(line) for line in (out / "scratch/fine_tune/journal.jsonl").read_text().splitlines()]


def check_killed(context, whole, out, kills, seed):
    folder, expected, seconds = whole
    rng, killed = random.Random(seed), 0
    while killed < kills:
        code = run(
            context,
            folder,
            out,
            rng.uniform(0.2, 1.0) * seconds,
            rng.choice([signal.SIGKILL, signal.SIGTERM]),
        )
        killed += 1
        if code == 0:
            break
        assert code in (-signal.SIGKILL, -signal.SIGTERM, 143)
    assert run(context, folder, out) == 0
    assert outputs(out) == expected
    rows = journal(out)
    assert [row["epoch"] for row in rows] == list(range(1, EPOCHS + 1))
    assert [row["metrics"] for row in rows] == [row["metrics"] for row in journal(folder / "whole")]
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_three_kills_at_random_change_no_byte(context, whole, tmp_path):
    check_killed(context, whole, tmp_path, 3, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_twenty_kills_at_random_change_no_byte(context, whole, tmp_path, seed):
    check_killed(context, whole, tmp_path, 4, seed=10 + seed)
