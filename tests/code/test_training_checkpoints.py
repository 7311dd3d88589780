"""Checkpoints, journal, schedules and activations on disk; none of it needs TensorFlow."""

import itertools
import json
import math
import os

import numpy as np
import psutil
import pytest

from thaw.arrays import Rows
from thaw.errors import ThawError
from thaw.files import digest
from thaw.params import FitParams
from thaw.project import CHECKPOINTS, forget_finished, scratch_dir
from thaw.training.activations import Cache, sample_pictures, storage_dtype, write_activations
from thaw.training.checkpoints import Checkpoint, Checkpoints
from thaw.training.guard import Stop, Stopped
from thaw.training.inputs import measure_pixels
from thaw.training.journal import Journal, new_row, write_curve
from thaw.training.schedule import Annealing, anneal_learning_rate, anneal_momentum


def checkpoint(step):
    return Checkpoint(
        step, {"model/0": np.full((3, 2), step, np.float32), "s": np.uint32([step, 7])}, {"rows": [step]}
    )


def test_the_last_two_checkpoints_are_kept_and_the_last_is_loaded(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c", "key")
    assert checkpoints.load() is None
    for step in (1, 2, 12):
        checkpoints.save(checkpoint(step))
    assert len(list((tmp_path / "c").iterdir())) == 2
    loaded = checkpoints.load()
    assert loaded.step == 12 and loaded.facts == {"rows": [12]}
    assert loaded.arrays["s"].dtype == np.uint32 and (loaded.arrays["model/0"] == 12).all()


def test_the_folder_s_entries_are_on_disk_and_no_handle_stays_open(tmp_path, monkeypatch):
    synced, sync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(os.fstat(handle).st_ino), sync(handle)))
    handles = psutil.Process().num_fds()
    Checkpoints(tmp_path, "key").save(checkpoint(1))
    assert synced[-1] == tmp_path.stat().st_ino
    assert psutil.Process().num_fds() == handles


def test_a_finished_training_is_forgotten_once_it_is_booked_and_not_before(tmp_path):
    checkpoints = Checkpoints(scratch_dir(tmp_path, "fine_tune") / CHECKPOINTS, "key")
    checkpoints.save(checkpoint(1))
    forget_finished(tmp_path, "fine_tune")
    assert checkpoints.load().step == 1, "it is still at work"
    checkpoints.finish()
    assert checkpoints.load().step == 1, "its result may not be booked yet"
    checkpoints.save(checkpoint(2))
    forget_finished(tmp_path, "fine_tune")
    assert checkpoints.load().step == 2, "it is at work again"
    checkpoints.finish()
    forget_finished(tmp_path, "fine_tune")
    assert checkpoints.load() is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-100],
        lambda data: b"",
        lambda data: data[:300] + bytes([data[300] ^ 1]) + data[301:],
    ],
)
def test_a_torn_checkpoint_is_noticed_and_the_one_before_is_used(tmp_path, damage):
    checkpoints = Checkpoints(tmp_path, "key")
    checkpoints.save(checkpoint(1))
    checkpoints.save(checkpoint(2))
    last = max(tmp_path.glob("*.npz"))
    last.write_bytes(damage(last.read_bytes()))
    assert checkpoints.load().step == 1


def test_another_training_never_takes_up_a_checkpoint(tmp_path):
    Checkpoints(tmp_path, "key").save(checkpoint(5))
    assert Checkpoints(tmp_path, "other data").load() is None
    assert list(tmp_path.glob("*.npz")) == []


def test_a_checkpoint_is_never_unpickled(tmp_path):
    checkpoints = Checkpoints(tmp_path, "key")
    with pytest.raises(ValueError, match="allow_pickle"):
        checkpoints.save(Checkpoint(1, {"bad": np.array([{}], dtype=object)}, {}))
    assert list(tmp_path.glob("*.npz")) == []


def test_a_file_that_would_run_a_command_when_it_is_loaded_does_not(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "pwned"),)

    checkpoints = Checkpoints(tmp_path, "key")
    checkpoints.save(checkpoint(1))
    np.savez(tmp_path / "evil.npz", facts=np.frombuffer(b'{"step": 2}', np.uint8), bad=np.array([Evil()], dtype=object))
    evil = tmp_path / "evil.npz"
    evil.rename(tmp_path / f"{checkpoints.key}-{2:010d}-{digest(evil)[:16]}.npz")
    assert checkpoints.load().step == 1
    assert not (tmp_path / "pwned").exists()


def test_journal_rows_are_never_repeated(tmp_path):
    rows = [new_row(epoch, epoch * 3, {"loss": 1 / epoch}) for epoch in (1, 2, 3)]
    journal = Journal(tmp_path / "journal.jsonl")
    journal.start([])
    journal.write(rows[:2])
    (tmp_path / "journal.jsonl").open("a").write('{"epoch": 3, "st')  # torn by a kill
    again = Journal(tmp_path / "journal.jsonl")
    again.start(rows[:1])
    again.write(rows[:2])
    again.write(rows)
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert lines == rows


def test_curve_has_a_row_an_epoch_and_no_time(tmp_path):
    metrics = {"loss": 0.5, "accuracy": 0.75, "learning_rate": 1e-3}
    write_curve(tmp_path / "curve.csv", [new_row(1, 9, metrics)])
    assert (tmp_path / "curve.csv").read_text() == (
        "epoch,loss,accuracy,validation_loss,validation_accuracy,learning_rate\n1,0.5,0.75,,,0.001\n"
    )


def test_cosine_after_warm_up():
    annealing = Annealing(1.0, 0.1, "cosine", warmup_steps=4, total_steps=14)
    values = annealing.values()
    assert values[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert values[9] == pytest.approx(0.55)
    assert annealing.at(14) == pytest.approx(0.1)
    assert all(a > b for a, b in itertools.pairwise(values[4:]))


def test_momentum_moves_linearly_and_constant_stays():
    params = FitParams(epochs=2, momentum=0.9, final_momentum=0.999, schedule="constant", learning_rate=0.03)
    momentum = anneal_momentum(params, 10)
    assert momentum.at(0) == pytest.approx(0.9) and momentum.at(20) == pytest.approx(0.999)
    assert momentum.at(10) == pytest.approx(0.9495)
    assert set(anneal_learning_rate(params, 10).values()) == {0.03}
    linear = anneal_learning_rate(
        params.model_copy(update={"schedule": "linear", "final_learning_rate": 1e-4}), 10
    )
    assert linear.at(10) == pytest.approx((0.03 + 1e-4) / 2) and math.isclose(linear.at(20), 1e-4)


class Pictures:
    """Views held in memory."""

    def __init__(self, count=150, views=3, shape=(4, 4, 1)):
        self.values = np.random.default_rng(0).integers(
            0, 256, (count, max(1, views), *shape), dtype=np.uint8
        )
        self.count, self.views, self.shape = count, views, shape

    def gather(self, images, views):
        return self.values[images, views]


def mean_of(pictures):
    return pictures.mean(axis=(1, 2), dtype=np.float32)


def test_activations_of_every_view_stand_in_order(tmp_path):
    pictures = Pictures()
    write_activations(tmp_path / "a.npy", pictures, mean_of, (1,), np.dtype(np.float16), Stop())
    values = np.load(tmp_path / "a.npy")
    assert values.shape == (150, 3, 1) and values.dtype == np.float16
    assert (values == pictures.values.mean(axis=(2, 3), dtype=np.float32).astype(np.float16)).all()


def test_a_stop_leaves_no_half_file(tmp_path):
    stop = Stop()
    stop.ask()
    with pytest.raises(Stopped):
        write_activations(tmp_path / "a.npy", Pictures(), mean_of, (1,), np.dtype(np.float32), stop)
    assert list(tmp_path.iterdir()) == []


def test_what_float16_cannot_hold_stays_float32():
    assert storage_dtype(np.float32([6.0, -1])) == np.float16
    assert storage_dtype(np.float32([6.0, -9000])) == np.float32


def test_cache_is_bounded_kept_and_cleaned_up(tmp_path):
    pictures, calls = Pictures(), []

    def run(block):
        calls.append(len(block))
        return mean_of(block)

    def hold(key, room_bytes, views=pictures):
        return Cache(tmp_path, room_bytes, key).hold(
            {"train": views}, run, (1,), np.dtype(np.float16), Stop()
        )["train"]

    held = hold("one", 900)
    assert isinstance(held, Rows) and sum(calls) == 450
    hold("one", 900)
    assert sum(calls) == 450  # found again
    hold("two", 900)
    assert [path.name for path in tmp_path.iterdir()] == ["two-train.npy"]
    images, views = np.array([7, 149]), np.array([0, 2])
    kept = hold("two", 900).gather(images, views)
    too_small, fresh = hold("three", 899), hold("three", 900, Pictures(views=0))
    assert list(tmp_path.iterdir()) == []
    assert np.allclose(too_small.gather(images, views), kept, rtol=1e-3)
    assert fresh.views == 0


def test_sample_spans_the_set():
    pictures = Pictures(count=100)
    assert (sample_pictures(pictures, 3) == pictures.values[[0, 49, 99], 0]).all()
    assert len(sample_pictures(Pictures(count=5), 32)) == 5


def test_pixel_statistics_are_those_of_numpy():
    pictures = Pictures(shape=(4, 4, 3))
    mean, variance = measure_pixels(pictures)
    first = pictures.values[:, 0].reshape(-1, 3).astype(float)
    assert mean == pytest.approx(first.mean(axis=0)) and variance == pytest.approx(first.var(axis=0))


@pytest.mark.parametrize(("block", "rows"), [(0, "0 to 21"), (1, "21 to 42"), (7, "149 to 149")])
def test_an_activation_that_is_not_finite_is_named_by_its_row(tmp_path, block, rows):
    """Of 150 images in 3 views, 64 views at a time."""
    seen = []

    def run(pictures):
        values = mean_of(pictures)
        if len(seen) == block:
            values[-1] = np.inf
        seen.append(len(pictures))
        return values

    with pytest.raises(ThawError, match=f"not finite for an image in rows {rows} of"):
        write_activations(tmp_path / "a.npy", Pictures(), run, (1,), np.dtype(np.float16), Stop())
    assert list(tmp_path.iterdir()) == []
    assert seen == [64, 64, 64, 64, 64, 64, 64, 2][: block + 1]


def test_progress_is_told_with_counts(tmp_path, caplog):
    with caplog.at_level("INFO", "thaw.training"):
        write_activations(tmp_path / "0-train.npy", Pictures(1000), mean_of, (1,), np.dtype(np.float16), Stop())
    told = [(record.done, record.total) for record in caplog.records if hasattr(record, "done")]
    assert told == [(min(done, 3000), 3000) for done in range(64, 3064, 64)]
    assert caplog.messages[0] == "train: 64 of 3000 views"


def test_a_full_disk_is_said_before_anything_is_written(tmp_path, monkeypatch):
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(ThawError, match="MB are free"):
        write_activations(tmp_path / "a.npy", Pictures(), mean_of, (1,), np.dtype(np.float32), Stop())
    assert list(tmp_path.iterdir()) == []
