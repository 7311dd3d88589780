"""`augment` asks the images about flips and turns through EfficientNet-Lite0 with its real weights."""

import json
import logging

import numpy as np
import pandas as pd
import pytest
from elpv_dataset.utils import load_dataset
from PIL import Image
from sklearn.datasets import load_digits

from thaw.errors import ThawError
from thaw.params import AugmentParams, ComputeParams
from thaw.stages.augment import AugmentInputs, AugmentOutputs, augment

COLUMNS = ["path", "class", "label", "target", "weight", "confidence", "grey"]


def run(root, pictures, labels, params):
    """The policy that the stage writes for these pictures."""
    rows = []
    for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        path = f"{label}/{number:04}.png"
        (root / "raw" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(root / "raw" / path)
        rows.append((path, str(label), label, "", 1, 1, int(picture.ndim == 2)))
    pd.DataFrame(rows, columns=COLUMNS).to_csv(root / "train.csv", index=False)
    pd.DataFrame([], columns=COLUMNS).to_csv(root / "validation.csv", index=False)
    inputs = AugmentInputs(root / "raw", root / "train.csv", root / "validation.csv")
    augment(params, 1, ComputeParams(), inputs, AugmentOutputs(root / "views", root / "sheet.png"), root)
    policy = json.loads((root / "views/index.json").read_text(encoding="utf-8"))["policy"]
    return [policy[name] for name in ("horizontal_flip", "vertical_flip", "right_angle_turns")]


def test_digits_and_cells(tmp_path, caplog):
    digits = load_digits()
    pictures = (digits.images[:150] * 15).astype(np.uint8)
    with caplog.at_level(logging.INFO, "thaw"):
        found = run(tmp_path / "digits", pictures, digits.target[:150], AugmentParams(image_size=28, views=1))
    assert found == [False, False, False]
    assert sum("not made" in message for message in caplog.messages) == 3
    cells, probabilities, _ = load_dataset()
    chosen = np.concatenate([np.flatnonzero(probabilities == value)[:120] for value in (0, 1)])
    labels = (probabilities[chosen] > 0.5).astype(int)
    found = run(tmp_path / "cells", cells[chosen], labels, AugmentParams(image_size=28, views=1))
    assert found == [True, True, True]


def test_what_is_said_costs_no_network(tmp_path, monkeypatch):
    monkeypatch.setattr("thaw.stages.augment.compile_cached", None)
    said = AugmentParams(image_size=16, views=1, horizontal_flip=True, vertical_flip=False, right_angle_turns=False)
    pictures = np.random.default_rng(0).integers(0, 256, (120, 20, 20), dtype=np.uint8)
    assert run(tmp_path, pictures, np.arange(120) % 2, said) == [True, False, False]


@pytest.mark.parametrize("name", ["hue", "saturation"])
def test_colours_of_grey_pictures_cannot_be_changed(tmp_path, name):
    pictures = np.random.default_rng(0).integers(0, 256, (8, 20, 20), dtype=np.uint8)
    with pytest.raises(ThawError, match=f"augment.{name}: 0.2 has no effect on pictures that are all grey"):
        run(tmp_path, pictures, np.arange(8) % 2, AugmentParams(image_size=16, **{name: 0.2}))
