"""The charts of the report against scikit-learn, and its colours against WCAG 2.2."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from tests.code.report_page import SIZES, make_report
from thaw.reporting.charts import ticks
from thaw.reporting.style import DARK, LIGHT
from thaw.stages.report import ReportInputs


@pytest.fixture(scope="module", params=SIZES)
def made(request, tmp_path_factory) -> tuple[ReportInputs, Path]:
    return make_report(tmp_path_factory.mktemp("report"), request.param)


def test_a_chart_names_both_axes(made):
    text = made[1].read_text(encoding="utf-8")
    for axes in ("loss by epoch", "accuracy by epoch", "observed share by predicted probability of"):
        assert f"<small>{axes}" in text
    if len(json.loads(made[0].classes_path.read_text())) == 2:
        assert "<small>recall by false positive rate" in text and "<small>precision by recall" in text


def test_the_calibration_is_told_before_and_after(made):
    inputs, path = made
    values, text = json.loads(inputs.metrics_path.read_text())["calibration"], path.read_text(encoding="utf-8")
    for when in ("before", "after"):
        row = re.search(rf"<tr><th scope='row'>{when}</th>(.*?)</tr>", text)[1]
        assert f"<td>{values[when]['log_loss']:.4f}</td>" in row and f"<td>{values[when]['brier_score']:.4f}</td>" in row
    assert "divided by a temperature of 1.5" in text and "before the temperature" in text


def test_the_curves_enclose_what_scikit_learn_says(made):
    inputs, path = made
    classes = json.loads(inputs.classes_path.read_text())
    rows = pd.read_csv(inputs.predictions_path, dtype={"class": str, "predicted": str}, keep_default_na=False)
    text = path.read_text(encoding="utf-8")
    charts = dict(re.findall(r"<b>(ROC|Precision|Reliability)\b.*?</b>(.*?)</figure>", text, re.DOTALL))
    corners = re.search(r'class="chance" x1="(.*?)" y1="(.*?)" x2="(.*?)" y2="(.*?)"', charts["Reliability"])
    left, bottom, right, top = (float(number) for number in corners.groups())

    def points(chart):
        places = re.search(r'<polyline class="l0" points="(.*?)"', chart)[1].split()
        x, y = np.array([[float(number) for number in place.split(",")] for place in places]).T
        return (x - left) / (right - left), (bottom - y) / (bottom - top)

    sure = rows.iloc[:, 3:].max(axis=1) if len(classes) > 2 else rows.iloc[:, 4]
    if len(classes) == 2:
        true, (x, y) = rows["class"] == classes[1], points(charts["ROC"])
        assert np.trapezoid(y, x) == pytest.approx(roc_auc_score(true, sure), abs=0.002)
        x, y = points(charts["Precision"])
        assert (np.diff(x) * y[1:]).sum() == pytest.approx(average_precision_score(true, sure), abs=0.002)
    else:
        x, y = points(charts["ROC"])
        truth = rows["class"].to_numpy()[:, None] == np.array(classes)
        assert np.trapezoid(y, x) == pytest.approx(roc_auc_score(truth, rows.iloc[:, 3:]), abs=0.006), "the mean of all"


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    levels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = (level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels)
    return sum(weight * level for weight, level in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_stand_out_as_wcag_asks(colours):
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for ground in ("paper", "card"):
        for text in ("ink", "soft", "link", "good", "bad"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        for line in ("c0", "c1", "c2", "c3"):
            assert contrast(colours[line], colours[ground]) >= 3, (line, ground)
    for tint in ("hit", "miss"):  # at most 60 % of it lies on the paper
        parts = [(int(colours[tint][at : at + 2], 16), int(colours["paper"][at : at + 2], 16)) for at in (1, 3, 5)]
        mixed = "#" + "".join(f"{round(0.6 * over + 0.4 * under):02x}" for over, under in parts)
        assert contrast(colours["ink"], mixed) >= 4.5, tint


@pytest.mark.parametrize("low, high", [(0, 1), (1, 29), (0, 0.66), (0.3, 1), (1, 2), (0, 1234.5)])
def test_ticks_are_round_few_and_within(low, high):
    found = ticks(low, high)
    assert 3 <= len(found) <= 9 and low <= found[0] and found[-1] <= high
    steps = np.diff(found)
    assert steps == pytest.approx(steps[0])
    assert f"{steps[0]:.0e}"[0] in "125"
