"""extract, train_frozen and fine_tune together, on EfficientNet-Lite0 with its real weights."""

import csv
import json
import shutil
from functools import partial

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from tests.model.training_project import (
    extract_features,
    fine_tune_inputs,
    make_project,
    outputs,
    run_stages,
    train_head,
    tune,
)
from thaw import images, models
from thaw.arrays import Rows
from thaw.errors import ThawError
from thaw.models.efficientnet_lite import efficientnet_lite
from thaw.models.pretrained import locate_weights
from thaw.params import ComputeParams, ExtractParams, FineTuneParams, FitParams, ModelParams
from thaw.stages.fine_tune import Thawed, _Undo, thaw_network
from thaw.training.batches import Examples
from thaw.training.fit import Job, fit
from thaw.training.guard import Stop
from thaw.training.labels import Labels

FROZEN = FitParams(epochs=6, batch_size=8, learning_rate=0.01)
TUNED = FineTuneParams(epochs=2, min_steps=0, batch_size=8, learning_rate=1e-4, from_layer="block14")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    make_project(folder, side=48)
    return folder


@pytest.fixture(scope="module")
def trained(project, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    run_stages(project, out, ModelParams(), FROZEN, TUNED)
    return out


def curve(path):
    with path.open(encoding="utf-8", newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def weights(model_dir):
    keras.backend.clear_session()
    model, _ = models.load(model_dir)
    return {layer.name: layer.get_weights() for layer in model.layers}


def thaw(project, trained, tmp_path, params):
    keras.backend.clear_session()
    return thaw_network(
        params, 1, ExtractParams(), ComputeParams(), fine_tune_inputs(project, trained / "frozen"), tmp_path / "s", Stop()
    )


def test_the_head_learns_and_every_epoch_has_a_row(trained):
    frozen, tuned = curve(trained / "frozen.csv"), curve(trained / "tuned.csv")
    assert [row["epoch"] for row in frozen] == list(range(1, 7)) and len(tuned) == 2
    assert frozen[-1]["validation_accuracy"] == 1.0
    assert tuned[-1]["validation_loss"] < frozen[0]["validation_loss"]


def test_features_say_how_they_were_made(trained):
    facts = json.loads((trained / "features/features.json").read_text())
    values = np.load(trained / "features/train.npy")
    assert values.shape == (30, 2, 1280) and values.dtype == facts["dtype"] == "float16"
    assert np.load(trained / "features/validation.npy").shape == (10, 1, 1280)
    assert facts["relative_error"] <= 0.15 and facts["engine"] in ("openvino", "tensorflow")


def test_frozen_layers_never_move_and_thawed_ones_do(trained):
    keras.backend.clear_session()
    pretrained = models.build(ModelParams(), (48, 48, 1), 2, seed=1)
    before = {layer.name: layer.get_weights() for layer in pretrained.layers}
    frozen, tuned = weights(trained / "frozen"), weights(trained / "tuned")

    def moved(one, other):
        return {
            name for name in one if any((a != b).any() for a, b in zip(one[name], other[name], strict=True))
        }

    assert moved(before, frozen) == {"logits"}
    changed = moved(frozen, tuned)
    assert {"logits", "block14_expand_conv", "block15_project_conv", "top_conv"} <= changed
    assert not any("_bn" in name for name in changed), "BatchNorm is frozen by default"
    assert not any(name.startswith((f"block{n}_", "stem")) for name in changed for n in range(14))


def test_the_same_again_is_the_same_to_the_byte(project, trained, tmp_path):
    run_stages(project, tmp_path, ModelParams(), FROZEN, TUNED)
    assert outputs(tmp_path) == outputs(trained)


def test_test_time_augmentation_is_inside_the_model(project, trained, tmp_path):
    still = TUNED.model_copy(update={"strategy": "head", "from_layer": "auto", "test_time_augmentation": True})
    tune(project, trained / "frozen", tmp_path, still)
    network, config = models.load(tmp_path / "tuned", averaged=False)
    assert len(config["symmetries"]) == 8
    rows = pd.read_csv(project / "validation.csv")
    pixels = np.stack([images.load(project / "raw" / path, 48, 48, 1, "stretch") for path in rows["path"]])
    flipped = [pixels, pixels[:, :, ::-1]]
    views = [np.rot90(some, turns, axes=(1, 2)) for some in flipped for turns in range(4)]
    wanted = np.mean([network.predict(view, verbose=0) for view in views], axis=0)
    logits = pd.read_csv(tmp_path / "validation_logits.csv")["logit_ring"]
    np.testing.assert_allclose(logits / config["temperature"], wanted[:, 0], atol=1e-4)


def test_averaging_where_the_images_speak_against_all_flips_is_told_and_left_out(project, trained, tmp_path, caplog):
    shutil.copytree(project, tmp_path / "data")
    path = tmp_path / "data" / "views" / "index.json"
    index = json.loads(path.read_text())
    index["policy"] |= {"horizontal_flip": False, "vertical_flip": False, "right_angle_turns": False}
    path.write_text(json.dumps(index))
    still = TUNED.model_copy(update={"strategy": "head", "from_layer": "auto", "test_time_augmentation": True})
    tune(tmp_path / "data", trained / "frozen", tmp_path, still)
    assert "the images speak against every flip and turn" in caplog.text
    config = json.loads((tmp_path / "tuned" / "model.json").read_text())
    assert "symmetries" not in config and not any(config["flips"].values())
    usual = json.loads((trained / "tuned" / "model.json").read_text())
    assert usual["flips"] == {"horizontal_flip": True, "vertical_flip": True, "right_angle_turns": True}


def test_the_network_that_is_kept_is_calibrated_on_the_validation_images(project, trained, tmp_path):
    """Half of their labels are turned: the network is far too sure of them. Only the head is trained, at a rate of nothing."""
    shutil.copytree(project, tmp_path / "data")
    rows = pd.read_csv(tmp_path / "data" / "validation.csv", keep_default_na=False)
    rows.loc[::3, "label"] = 1 - rows.loc[::3, "label"]
    rows.to_csv(tmp_path / "data" / "validation.csv", index=False)
    still = TUNED.model_copy(update={"strategy": "head", "from_layer": "auto", "learning_rate": 1e-9})
    tune(tmp_path / "data", trained / "frozen", tmp_path, still)
    logits = pd.read_csv(tmp_path / "validation_logits.csv")
    assert list(logits.columns) == ["path", "logit_ring"] and list(logits["path"]) == list(rows["path"])
    network, config = models.load(tmp_path / "tuned")
    pixels = np.stack([images.load(project / "raw" / path, 48, 48, 1, "stretch") for path in rows["path"]])
    temperature = config["temperature"]
    assert temperature > 2
    np.testing.assert_allclose(
        network.predict(pixels, verbose=0)[:, 0] * temperature, logits["logit_ring"], rtol=1e-4, atol=1e-4
    )

    def loss(value):
        return log_loss(rows["label"], 1 / (1 + np.exp(-logits["logit_ring"] / value)))

    assert loss(temperature) < loss(1.0) / 2


def test_without_validation_images_nothing_is_calibrated_and_it_is_said(project, trained, tmp_path, caplog):
    shutil.copytree(project, tmp_path / "data")
    rows = pd.read_csv(tmp_path / "data" / "validation.csv")
    rows[:0].to_csv(tmp_path / "data" / "validation.csv", index=False)
    index = json.loads((tmp_path / "data/views/index.json").read_text())
    (tmp_path / "data/views/index.json").write_text(json.dumps(index | {"validation": 0}))
    with caplog.at_level("INFO", "thaw"):
        tune(tmp_path / "data", trained / "frozen", tmp_path, TUNED.model_copy(update={"epochs": 1}))
    assert "temperature 1 by 0 validation images: there are no validation images" in caplog.text
    assert models.load(tmp_path / "tuned")[1]["temperature"] == 1
    assert (tmp_path / "validation_logits.csv").read_text() == "path,logit_ring\n"


def test_a_training_that_was_not_booked_is_not_trained_again(project, trained, tmp_path, caplog):
    """DVC's lock, a full disk or a kill between the end of the training and its booking: the last checkpoint is there."""
    tune(project, trained / "frozen", tmp_path, TUNED)
    first = outputs(tmp_path)
    shutil.rmtree(tmp_path / "tuned")
    with caplog.at_level("INFO", "thaw"):
        tune(project, trained / "frozen", tmp_path, TUNED)
    assert "after 2 epochs" in caplog.text and "epoch 1 of 2" not in caplog.text
    assert outputs(tmp_path) == first


def test_a_cache_without_room_gives_the_same_bytes(project, trained, tmp_path):
    tune(project, trained / "frozen", tmp_path, TUNED, cache_gb=0.0)
    assert not list((tmp_path / "scratch").rglob("*-train.npy"))
    made = outputs(tmp_path)
    assert made and made == {name: data for name, data in outputs(trained).items() if name in made}


def test_features_do_not_depend_on_the_head_s_width_and_dropout(project, trained, tmp_path):
    extract_features(project, tmp_path, ModelParams(dropout=0.1, hidden_units=3))
    made = outputs(tmp_path / "features")
    assert made and made == outputs(trained / "features")


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_feature_file_cut_short_is_named_before_training(project, trained, tmp_path, split):
    shutil.copytree(trained / "features", tmp_path / "features")
    path = tmp_path / "features" / f"{split}.npy"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ThawError, match=rf"{split}\.npy: damaged or cut short") as caught:
        train_head(project, tmp_path, ModelParams(), FROZEN)
    assert "thaw run" in caught.value.cure
    assert not (tmp_path / "frozen").exists()


def test_a_weight_file_is_taken_from_its_folder(project, trained, tmp_path):
    keras.backend.clear_session()
    pixels = keras.Input((48, 48, 3))
    path = tmp_path / "pretrained" / "mine.weights.h5"
    path.parent.mkdir()
    keras.utils.set_random_seed(1)
    keras.Model(pixels, efficientnet_lite(pixels, "efficientnet_lite0")).save_weights(path)
    model = ModelParams(weights="mine.weights.h5")
    (tmp_path / "views").symlink_to(project / "views")
    extract_features(tmp_path, tmp_path, model)
    facts, before = (json.loads((out / "features/features.json").read_text()) for out in (tmp_path, trained))
    assert facts["features"] and facts["network"] != before["network"]
    with pytest.raises(ThawError, match=r"cp .*/mine.weights.h5 models/pretrained/ && thaw run -S model.weights=mine"):
        locate_weights(ModelParams(weights=str(path)), tmp_path.parent / "models" / "pretrained")


def test_batch_norm_trains_when_asked_for(project, trained, tmp_path):
    params = TUNED.model_copy(update={"batch_norm": "train", "epochs": 1})
    thawed = thaw(project, trained, tmp_path, params)
    fit(thawed.suffix, params, thawed.train, thawed.validation, Job(1, 1, "key", tmp_path, Stop()))
    after = {layer.name: layer.get_weights() for layer in thawed.network.layers}
    before = weights(trained / "frozen")
    assert (before["block15_expand_bn"][2] != after["block15_expand_bn"][2]).any(), "the moving mean"
    assert all((a == b).all() for a, b in zip(before["block13_expand_bn"], after["block13_expand_bn"], strict=True))


def test_a_weight_that_moves_though_frozen_fails_the_run(project, trained, tmp_path, monkeypatch):
    from thaw.stages import fine_tune as stage

    def meddle(model, *_):
        model.layers[-1].trainable = False
        model.layers[-1].kernel.assign_add(model.layers[-1].kernel)
        return []

    monkeypatch.setattr(stage, "fit", meddle)
    monkeypatch.setattr(stage, "freeze", lambda network, *_: setattr(network, "trainable", False))
    with pytest.raises(ThawError, match="a frozen weight moved"):
        tune(project, trained / "frozen", tmp_path, TUNED)
    assert not (tmp_path / "tuned").exists()


@pytest.mark.parametrize(("key", "value"), [("strategy", "head"), ("from_layer", "block1")])
def test_what_a_network_from_random_weights_has_no_use_for_is_refused(tmp_path, key, value):
    make_project(tmp_path, images=8, side=32, views=1)
    lenet = ModelParams(architecture="lenet5", weights="none")
    run = partial(run_stages, tmp_path, tmp_path / "out", lenet, FitParams(epochs=1))
    with pytest.raises(ThawError, match=rf"fine_tune\.{key}: {value} has no effect on lenet5 with random weights") as raised:
        run(FineTuneParams(epochs=1, **{key: value}))
    assert raised.value.cure.startswith(f"Set fine_tune.{key} to {getattr(FineTuneParams(), key)}, or take a backbone")
    run(FineTuneParams(epochs=1, min_steps=0, strategy="full"))


def test_views_made_on_the_fly_train_too(tmp_path):
    make_project(tmp_path, images=24, side=48, views=0)
    out = tmp_path / "out"
    run_stages(tmp_path, out, ModelParams(), FROZEN, TUNED)
    facts = json.loads((out / "features/features.json").read_text())
    assert facts["features"] is False and facts["reason"] == "views are made on the fly"
    assert curve(out / "frozen.csv")[-1]["loss"] < curve(out / "frozen.csv")[0]["loss"]
    assert len(curve(out / "tuned.csv")) == 2


def test_the_range_test_suggests_a_rate_and_draws_it(project, trained, tmp_path):
    from thaw.tuning.lr_find import draw, find_learning_rate

    thawed = thaw(project, trained, tmp_path, TUNED)
    test = find_learning_rate(thawed.suffix, TUNED, thawed.train, 1, 1e-5, 10.0, 60)
    assert 1e-5 <= test.suggestion < 1.0 and len(test.rates) == len(test.losses) <= 60
    draw(test, tmp_path / "rates.png")
    assert (tmp_path / "rates.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_fine_tuning_that_does_harm_is_undone_and_said(project, trained, tmp_path, caplog):
    harmful = TUNED.model_copy(update={"learning_rate": 3.0, "optimizer": "sgd", "clip_norm": 1.0})
    with caplog.at_level("WARNING", "thaw"):
        tune(project, trained / "frozen", tmp_path, harmful)
    assert "fine-tuning did harm (validation loss" in caplog.text and "the frozen network is kept" in caplog.text
    frozen, kept = weights(trained / "frozen"), weights(tmp_path / "tuned")
    assert all((a == b).all() for name in frozen for a, b in zip(frozen[name], kept[name], strict=True))
    assert json.loads((tmp_path / "tuned" / "model.json").read_text())["phase"] == "frozen"
    last = curve(tmp_path / "tuned.csv")[-1]
    assert last["validation_loss"] > curve(trained / "frozen.csv")[-1]["validation_loss"]
    assert json.loads((trained / "tuned" / "model.json").read_text())["phase"] == "fine_tuned"


@pytest.mark.parametrize("sure", [1.0, 30.0])
def test_a_network_is_not_undone_for_being_too_sure(tmp_path, sure):
    """By hand: both columns are right in the same places, and the second knows better where. As logits thirty times too large
    its loss is the higher one, but what is kept is calibrated."""
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    signs = 2.0 * labels - 1
    first = signs + 1.2 * rng.standard_normal(200)
    columns = np.stack([first, sure * np.sign(first) * np.where(first * signs > 0, 1.5, 0.3)], axis=1)
    np.save(tmp_path / "x.npy", columns[:, None].astype(np.float32))
    watched = Labels([f"{i}.png" for i in range(200)], labels[:, None].astype(np.float32), np.ones(200, np.float32))
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, name="logits")(inputs))
    model.set_weights([np.float32([[1], [0]])])
    examples = Examples(Rows(tmp_path / "x.npy"), watched)
    config = {"model": ModelParams().model_dump()}
    undo = _Undo(Thawed(model, config, model, examples, examples), TUNED)
    model.set_weights([np.float32([[0], [1]])])
    logits = columns[:, 1]
    raw = [float(np.log1p(np.exp(-signs * some)).mean()) for some in (columns[:, 0], logits)]
    assert (raw[1] > raw[0]) == (sure > 1)
    assert not undo.where_worse()
    model.set_weights([np.float32([[0], [-1]])])
    assert undo.where_worse() and model.get_weights()[0].tolist() == [[1], [0]]


@pytest.mark.parametrize(
    "key, value", [("layer_decay", 0.5), ("ema_momentum", 0.9), ("swa_epoch_start", 0.5), ("class_sampling", "balanced")]
)
def test_what_is_asked_of_the_optimizer_and_the_order_reaches_them(project, trained, tmp_path, key, value):
    tune(project, trained / "frozen", tmp_path, TUNED.model_copy(update={key: value}))
    found, usual = curve(tmp_path / "tuned.csv"), curve(trained / "tuned.csv")
    assert [row["validation_loss"] for row in found] != [row["validation_loss"] for row in usual]
    averages = key in ("ema_momentum", "swa_epoch_start")
    assert (found[0]["loss"] == usual[0]["loss"]) == averages  # an average is of weights that train as ever


def test_a_mean_of_weights_is_refused_where_statistics_would_be_of_others(project, trained, tmp_path):
    scratch = TUNED.model_copy(update={"strategy": "scratch", "swa_epoch_start": 0.5})
    with pytest.raises(ThawError, match="BatchNorm layers train on efficientnet_lite0"):
        tune(project, trained / "frozen", tmp_path, scratch)


def test_all_ingredients_go_together_and_are_the_same_again(project, trained, tmp_path):
    together = {
        "mixup": 0.2, "cutmix": 1.0, "label_smoothing": 0.1, "layer_decay": 0.9, "thawed_learning_rate_factor": 0.5,
        "ema_momentum": 0.9, "class_sampling": "balanced", "early_stopping_patience": 1, "clip_norm": 1.0,
        "early_stopping_monitor": "accuracy", "batch_norm": "train", "loss": "focal", "test_time_augmentation": True,
    }  # fmt: skip
    for again in ("first", "second"):
        tune(project, trained / "frozen", tmp_path / again, FineTuneParams.model_validate(TUNED.model_dump() | together))
    assert outputs(tmp_path / "first") == outputs(tmp_path / "second")
    rows = curve(tmp_path / "first/tuned.csv")
    assert 1 <= len(rows) <= 2 and all(np.isfinite(list(row.values())).all() for row in rows)


def test_cutmix_changes_what_is_learned_and_needs_places(project, trained, tmp_path):
    mixed = TUNED.model_copy(update={"cutmix": 1.0})
    tune(project, trained / "frozen", tmp_path, mixed)
    assert curve(tmp_path / "tuned.csv")[0]["loss"] != curve(trained / "tuned.csv")[0]["loss"]
    head = mixed.model_copy(update={"strategy": "head", "from_layer": "auto"})
    with pytest.raises(ThawError, match=r"fine_tune\.cutmix: 1\.0 has no effect where the head alone is trained"):
        tune(project, trained / "frozen", tmp_path / "head", head)
