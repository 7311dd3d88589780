import json
import shutil
from collections import namedtuple

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from thaw import images
from thaw.augmentation import make_view, open_views, picture_key, shards
from thaw.augmentation.orientation import allow
from thaw.errors import ThawError
from thaw.params import AugmentParams, ComputeParams
from thaw.stages.augment import AugmentInputs, AugmentOutputs, augment

PARAMS = AugmentParams(image_size=24, views=5, rotation_degrees=10, brightness=0.1, contact_sheet_images=4)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """23 training and 4 validation pictures, grey, of odd sizes and names."""
    folder = tmp_path_factory.mktemp("project")
    random = np.random.default_rng(0)
    rows = {"train": [], "validation": []}
    for i in range(27):
        name = ("猫", "not a cat")[i % 2]
        path = folder / "raw" / name / f"Bild {i:02d} ü.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (30 + i, 41), dtype=np.uint8)).save(path)
        rows["train" if i < 23 else "validation"].append((f"{name}/{path.name}", name, i % 2, "", 1, 1, 1))
    columns = ["path", "class", "label", "target", "weight", "confidence", "grey"]
    for split, table in rows.items():
        pd.DataFrame(table, columns=columns).to_csv(folder / f"{split}.csv", index=False)
    return folder


def run(project, views_dir, params=PARAMS, seed=1):
    inputs = AugmentInputs(project / "raw", project / "train.csv", project / "validation.csv")
    augment(params, seed, ComputeParams(), inputs, AugmentOutputs(views_dir, views_dir.with_suffix(".png")), project)
    return {path.name: path.read_bytes() for path in [*views_dir.iterdir(), views_dir.with_suffix(".png")]}


def paths_of(project, split):
    return list(pd.read_csv(project / f"{split}.csv")["path"])


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(shards, "SHARD_BYTES", 4 * 5 * 24 * 24)  # four images of five views


def test_views_are_those_of_the_policy_in_the_order_of_the_csv(project, tmp_path, small_shards):
    files = run(project, tmp_path / "views")
    assert sum(name.startswith("train-") for name in files) == 6
    train = open_views(tmp_path / "views", "train")
    assert (train.count, train.views, train.shape, train.resize) == (23, 5, (24, 24, 1), "stretch")
    for i, path in enumerate(paths_of(project, "train")):
        picture = images.load(project / "raw" / path, 24, 24, 1)
        expected = [make_view(picture, PARAMS, picture_key(1, path), view) for view in range(5)]
        assert np.array_equal(train.gather([i] * 5, range(5)), expected)


def test_gather_takes_any_order_across_shards(project, tmp_path, small_shards):
    run(project, tmp_path / "views")
    train = open_views(tmp_path / "views", "train")
    random = np.random.default_rng(1)
    rows, columns = random.integers(0, 23, 200), random.integers(0, 5, 200)
    together = train.gather(rows, columns)
    assert together.shape == (200, 24, 24, 1)
    assert together.dtype == np.uint8
    for i in range(200):
        assert np.array_equal(together[i], train.gather([rows[i]], [columns[i]])[0])
    assert train.gather([], []).shape == (0, 24, 24, 1)


def test_validation_has_one_view(project, tmp_path):
    run(project, tmp_path / "views")
    validation = open_views(tmp_path / "views", "validation")
    assert (validation.count, validation.views) == (4, 1)
    for i, path in enumerate(paths_of(project, "validation")):
        assert np.array_equal(validation.gather([i], [0])[0], images.load(project / "raw" / path, 24, 24, 1))


def test_made_on_the_fly_they_are_the_same_pictures(project, tmp_path, small_shards):
    run(project, tmp_path / "stored")
    run(project, tmp_path / "fresh", PARAMS.model_copy(update={"views": 0}))
    stored, fresh = (open_views(tmp_path / name, "train") for name in ("stored", "fresh"))
    assert (fresh.count, fresh.views, fresh.shape, fresh.resize) == (23, 0, stored.shape, "stretch")
    rows, columns = np.repeat(np.arange(23), 5), np.tile(np.arange(5), 23)
    assert np.array_equal(fresh.gather(rows, columns), stored.gather(rows, columns))
    assert not np.array_equal(fresh.gather([0], [1000]), fresh.gather([0], [1001]))


def test_the_same_bytes_again_whatever_the_number_of_threads(project, tmp_path, monkeypatch):
    first = run(project, tmp_path / "views")
    assert run(project, tmp_path / "views") == first
    monkeypatch.setattr("thaw.compute.local.available_cpus", lambda: 1)
    assert run(project, tmp_path / "views") == first
    assert run(project, tmp_path / "views", seed=2) != first


def test_a_second_run_leaves_no_shard_of_the_first(project, tmp_path, small_shards, monkeypatch):
    run(project, tmp_path / "views")
    monkeypatch.undo()
    assert [name for name in run(project, tmp_path / "views") if name.startswith("train-")] == [
        "train-00000.npy"
    ]


def test_colour_follows_the_images(project, tmp_path):
    assert open_run(project, tmp_path / "a", color="rgb").shape == (24, 24, 3)
    coloured = tmp_path / "coloured"
    shutil.copytree(project, coloured)
    table = pd.read_csv(coloured / "train.csv").assign(grey=[1] * 22 + [0])
    table.to_csv(coloured / "train.csv", index=False)
    assert open_run(coloured, tmp_path / "b").shape == (24, 24, 3)
    assert open_run(coloured, tmp_path / "c", color="grey").shape == (24, 24, 1)


def open_run(project, views_dir, **change):
    run(project, views_dir, PARAMS.model_copy(update=change))
    return open_views(views_dir, "train")


@pytest.mark.parametrize(("image", "view"), [(23, 0), (-1, 0), (0, 5), (0, -1)])
def test_what_does_not_exist_is_an_index_error(project, tmp_path, image, view):
    run(project, tmp_path / "views")
    with pytest.raises(IndexError):
        open_views(tmp_path / "views", "train").gather([image], [view])


def test_damaged_folders_are_named(project, tmp_path, small_shards):
    views_dir = tmp_path / "views"
    with pytest.raises(ThawError, match=r"index\.json"):
        open_views(views_dir, "train")
    run(project, views_dir)
    train, shard = open_views(views_dir, "train"), views_dir / "train-00002.npy"
    shard.write_bytes(shard.read_bytes()[:3000])
    with pytest.raises(ThawError, match=r"train-00002\.npy: cut short"):
        train.gather([11], [4])
    with pytest.raises(ThawError, match=r"train-00002\.npy"):
        open_views(views_dir, "train")
    shard.unlink()
    with pytest.raises(ThawError, match=r"train-00002\.npy"):
        train.gather([11], [4])


def test_a_picture_that_became_unreadable_is_named_and_leaves_no_index(project, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(project, broken)
    victim = broken / "raw" / paths_of(project, "train")[7]
    victim.write_bytes(b"no picture")
    with pytest.raises(ThawError, match=r"Bild 07|Bild"):
        run(broken, tmp_path / "views")
    assert not (tmp_path / "views" / "index.json").exists()


def test_a_full_disk_is_said_before_the_work(project, tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1000))
    with pytest.raises(ThawError, match="MB are free") as caught:
        run(project, tmp_path / "views")
    assert "augment.views" in caught.value.cure


def test_a_path_out_of_the_data_folder_is_refused(project, tmp_path):
    evil = tmp_path / "evil"
    shutil.copytree(project, evil)
    table = pd.read_csv(evil / "train.csv")
    table.loc[0, "path"] = "../train.csv"
    table.to_csv(evil / "train.csv", index=False)
    with pytest.raises(ThawError, match="does not name a file below"):
        run(evil, tmp_path / "views")


def test_an_empty_validation_split_opens(project, tmp_path):
    empty = tmp_path / "empty"
    shutil.copytree(project, empty)
    pd.read_csv(empty / "validation.csv").head(0).to_csv(empty / "validation.csv", index=False)
    run(empty, tmp_path / "views")
    assert open_views(tmp_path / "views", "validation").count == 0


def test_the_contact_sheet_shows_each_class_and_its_views(project, tmp_path):
    run(project, tmp_path / "views")
    sheet = Image.open(tmp_path / "views.png")
    assert sheet.info == {}
    pixels = np.asarray(sheet)
    assert pixels.shape[1] > 6 * 128
    assert pixels.shape[0] > 4 * 128
    ink = (pixels != 255).any(axis=2).mean()
    assert 0.6 < ink < 0.95


def test_index_names_the_policy(project, tmp_path):
    files = run(project, tmp_path / "views")
    index = json.loads(files["index.json"])
    assert index["policy"] == allow(PARAMS).model_dump()
    assert (index["train"], index["validation"]) == (23, 4)
