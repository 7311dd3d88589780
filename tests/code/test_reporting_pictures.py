"""The pictures of the report: the mistakes, where the model looked, and the labels that look wrong."""

import base64
import dataclasses
import io
import json
import re
from html import unescape
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.code.report_page import SIZES, Reader, make_report, write
from thaw.stages.report import ReportInputs


@pytest.fixture(scope="module", params=SIZES)
def made(request, tmp_path_factory) -> tuple[ReportInputs, Path]:
    return make_report(tmp_path_factory.mktemp("report"), request.param)


def test_a_confusion_leads_to_its_pictures(made):
    inputs, path = made
    reader = Reader(path.read_text(encoding="utf-8"))
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    leads = {attributes["href"].removeprefix("#") for attributes in reader.of("a")}
    assert leads <= set(ids)
    rows = pd.read_csv(inputs.predictions_path, dtype=str, keep_default_na=False)
    (most, *_) = rows[rows["class"] != rows["predicted"]].groupby(["class", "predicted"]).size().sort_values(ascending=False)
    classes = json.loads(inputs.classes_path.read_text())
    first = next(lead for lead in re.findall(r'href="#(cell-\d+-\d+)"', path.read_text(encoding="utf-8")))
    true, taken = (classes[int(number)] for number in first.split("-")[1:])
    assert len(rows[(rows["class"] == true) & (rows["predicted"] == taken)]) == most


def test_the_first_picture_is_the_surest_mistake(made):
    inputs, path = made
    rows = pd.read_csv(inputs.predictions_path, dtype={"class": str, "predicted": str}, keep_default_na=False)
    wrong = rows[rows["class"] != rows["predicted"]]
    surest = wrong.loc[wrong.iloc[:, 3:].max(axis=1).idxmax(), "path"]
    shown = next(image for image in Reader(path.read_text(encoding="utf-8")).of("img") if image.get("title"))
    assert shown["title"] == surest
    with Image.open(io.BytesIO(base64.b64decode(shown["src"].split(",")[1]))) as small, \
            Image.open(inputs.raw_dir / surest) as whole:  # fmt: skip
        assert small.size == whole.size, "a small picture is not blown up"
        assert np.abs(np.asarray(small.convert("L"), float) - np.asarray(whole, float)).mean() < 20


def test_each_picture_stands_beside_where_the_model_looked_in_it(made):
    inputs, path = made
    rows = pd.read_csv(inputs.predictions_path, dtype=str, keep_default_na=False)
    shown = Reader(path.read_text(encoding="utf-8").split('id="mistakes"')[1].split('id="training"')[0]).of("img")
    beside = {one["title"]: other for one, other in pairwise(shown) if "title" in one and "title" not in other}
    assert 0 < len(beside) < len(shown)
    for picture in (image for image in shown if "title" in image):
        row = int(rows.index[rows["path"] == picture["title"]][0])
        assert (picture["title"] in beside) is (row % 2 == 0), "those that `evaluate` drew"
        if row % 2 == 0:
            with Image.open(io.BytesIO(base64.b64decode(beside[picture["title"]]["src"].split(",")[1]))) as heat:
                assert abs(heat.getpixel((30, 20))[0] - row % 250) < 4


def test_the_page_of_suspects_shows_the_first_hundred_and_tells_the_commands(made):
    inputs, path = made
    rows = pd.read_csv(inputs.label_suspects_path, keep_default_na=False)
    text = path.with_name("label_suspects.html").read_text(encoding="utf-8")
    reader = Reader(text)
    shown = [f"{row.path}: labelled {row.label}" for row in rows[:100].itertuples()]
    assert [image["alt"] for image in reader.of("img")] == shown
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in reader.of("img"))
    assert f"{len(rows):,} labels look wrong" in text and "1,968 images" in text
    assert ("The first 100 of" in text) == (len(rows) > 100)
    assert "<script" not in text and "<b>&.png" not in text and "looks like &lt;b&gt;&amp;.png" in text
    assert all(command in text for command in ("thaw relabel reviewed.csv --apply", "thaw relabel --undo"))
    result = unescape(path.read_text(encoding="utf-8"))
    assert f"{len(rows):,} labels look wrong" in result and "reports/label_suspects.html" in result


def test_without_suspects_or_an_audit_the_page_says_so(made, tmp_path):
    inputs, _ = made
    none = tmp_path / "suspects.csv"
    none.write_text("path,label,suggested_label,score,why\n")
    inputs = dataclasses.replace(inputs, label_suspects_path=none)
    assert "look wrong" not in write(inputs, tmp_path / "page.html")
    assert "No label looks wrong" in (tmp_path / "label_suspects.html").read_text(encoding="utf-8")
    audit_path = tmp_path / "audit.json"
    audit_path.write_text(json.dumps({"folds": 0, "reason": "audit.folds is 0"}))
    write(dataclasses.replace(inputs, audit_path=audit_path), tmp_path / "page.html")
    assert "No label was looked at" in (tmp_path / "label_suspects.html").read_text(encoding="utf-8")
