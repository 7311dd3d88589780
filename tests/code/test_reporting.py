"""The page of the stage `report`: what a browser shows of it, and what a reader who cannot see needs."""

import base64
import dataclasses
import io
import json
import re
import shutil
from html import escape, unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

from tests.code.accessibility import faults
from tests.code.browser import CHROMIUM, browsing
from thaw.decision import probabilities_of
from thaw.evaluation import Predictions, report_metrics
from thaw.evaluation.calibration import report_calibration
from thaw.evaluation.slices import divide_images, slice_table
from thaw.evaluation.tables import class_table, prediction_table
from thaw.params import ReportParams
from thaw.reporting.charts import ticks
from thaw.reporting.style import DARK, LIGHT
from thaw.run_slot import SLOT, fill_slot, is_filled
from thaw.stages.report import ReportInputs, ReportOutputs, report
from thaw.tracking.run_page import run_part

CURVE = "epoch,loss,accuracy,validation_loss,validation_accuracy,learning_rate\n1,0.7,0.5,0.8,0.5,0.1\n2,0.6,0.7,,,0.1\n"
AWKWARD = ["<script>alert(1)</script>", "NA", "猫 \"&'", "a name so long that it would not fit anywhere at all"]


def lay_out(root: Path, classes: list[str], images: int) -> ReportInputs:
    """What the stages before leave, of a model that is right four times in five, on random pictures."""
    random = np.random.default_rng(0)
    labels = np.arange(images) % len(classes)
    logits = random.normal(size=(images, len(classes)))
    logits[np.arange(images), labels] += 2.5
    paths = [f"class {label:03d}/Bild {number:03d} <é>.png" for number, label in enumerate(labels)]
    rows = pd.DataFrame({"path": paths, "class": [classes[label] for label in labels], "label": labels,
                         "target": "", "weight": 1,
                         "confidence": 1.0, "grey": 1, "group": "", "type": ["mono", "poly"] * (images // 2)})  # fmt: skip
    rows.loc[3, "group"] = "seen.png"
    predictions = Predictions(classes, labels, probabilities_of(logits), np.ones(images))
    metrics = report_metrics(predictions, {"type": rows["type"].to_numpy(str)}, 50, 0.95, 1)
    metrics["decision"] = {"threshold": 0.5, "aim": "recall of at least 0.9", "chosen_on": 1234, "answered": 0.9,
                           "answered_accuracy": 0.95, "least_certainty": 0.1,
                           "interval": {"threshold": {"low": 0.41, "high": 0.62},
                                        "answered_accuracy": {"low": 0.91, "high": 0.97}}}  # fmt: skip
    metrics["calibration"] = report_calibration(predictions, 1.5, 50, 0.95, 1)
    inputs = ReportInputs(
        root / "raw", root / "manifest.parquet", root / "findings.json", root / "train.csv", root / "validation.csv",
        root / "test.csv", root / "classes.json", root / "evaluated", root / "frozen.csv", root / "fine.csv",
        root / "metrics.json", root / "predictions.csv", root / "class_metrics.csv", root / "slices.csv", root / "pictures",
        root / "audit.json", root / "label_suspects.csv",
    )  # fmt: skip
    for path in [*paths, "seen.png"]:
        (inputs.raw_dir / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (40, 60), np.uint8)).save(inputs.raw_dir / path)
    seen = rows[:1].assign(path="seen.png", group="seen.png")
    for path, table in ((inputs.test_path, rows), (inputs.train_path, seen), (inputs.validation_path, rows[:0])):
        table.to_csv(path, index=False)
    pd.DataFrame({"path": [*paths, "seen.png"], "sha256": "00"}).to_parquet(inputs.manifest_path)
    accuracy = {"mean": 0.81, "sd": 0.023, "low": 0.77, "high": 0.85}
    inputs.audit_path.write_text(json.dumps({"folds": 5, "images": 1968, "accuracy": accuracy}))
    suspects = rows[["path", "class"]].rename(columns={"class": "label"}).iloc[:: max(1, images // 120)]
    suspects = suspects.assign(suggested_label=classes[0], score=0.25, why="looks like <b>&.png")
    suspects.to_csv(inputs.label_suspects_path, index=False)
    findings = {"status": "warn", "totals": {"images": images + 1, "fit": images + 1}, "checks": {"near_duplicate": 1},
                "findings": [{"check": "near_duplicate", "severity": "warn", "cure": "See <them>: `thaw clean`."}]}  # fmt: skip
    model = {"model": {"architecture": "lenet5"}, "input_shape": [28, 28, 1], "phase": "fine_tuned", "weights_sha256": "ab12",
             "temperature": 1.5}
    inputs.evaluated_dir.mkdir()
    for path, value in ((inputs.findings_path, findings), (inputs.classes_path, classes), (inputs.metrics_path, metrics),
                        (inputs.evaluated_dir / "model.json", model)):  # fmt: skip
        path.write_text(json.dumps(value))
    inputs.frozen_curve_path.write_text(CURVE)
    inputs.fine_tuned_curve_path.write_text(CURVE)
    prediction_table(rows, predictions).to_csv(inputs.predictions_path, index=False)
    class_table(predictions, 0.95).to_csv(inputs.class_metrics_path, index=False)
    pictures = pd.DataFrame({"format": "PNG", "width": 60, "height": 40, "grey": True, "contrast": 20.0, "sharpness": 0.3,
                             "brightness": random.permutation(images) + 0.0})  # fmt: skip
    divisions = divide_images(pictures, labels, classes, {"type": rows["type"].to_numpy(str)})
    slice_table(predictions, divisions, 0.95).to_csv(inputs.slices_path, index=False)
    (inputs.pictures_dir / "heatmaps").mkdir(parents=True)
    for image in range(0, images, 2):
        Image.new("RGB", (60, 40), (image % 250, 0, 0)).save(inputs.pictures_dir / "heatmaps" / f"{image:05d}.png")
    return inputs


def write(inputs: ReportInputs, path: Path) -> str:
    report(ReportParams(), inputs, ReportOutputs(path, path.with_name("label_suspects.html"), path.with_suffix(".md")))
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module", params=[2, 4, 20, 150])
def made(request, tmp_path_factory) -> tuple[ReportInputs, Path]:
    """The inputs and the page, of 2 to 150 classes."""
    folder = tmp_path_factory.mktemp("report")
    names = AWKWARD if request.param == 4 else [f"class {number}" for number in range(request.param)]
    inputs = lay_out(folder, names, max(60, 2 * request.param))
    write(inputs, folder / "index.html")
    return inputs, folder / "index.html"


def test_400_classes_make_a_short_page_that_names_the_files_of_the_rest(tmp_path):
    text = write(lay_out(tmp_path, [f"class {number}" for number in range(400)], 400), tmp_path / "index.html")
    assert len(text) < 500_000 and text.count("<tr>") < 400
    for name in ("class_metrics.csv", "confused_pairs.csv", "slices.csv"):
        assert f"<code>reports/{name}</code>" in text
    assert "400 more are too small for it" in text and "top 5 accuracy" in text


class Reader(HTMLParser):
    """Start tags in their order, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def of(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]


def test_the_page_tells_how_sure_the_accuracy_is_where_an_audit_was_made(made, tmp_path):
    inputs, path = made
    text = unescape(path.read_text(encoding="utf-8")).replace("\xa0", " ")
    assert "is 81.0 % ± 2.3 (standard deviation; interval 77.0 to 85.0 %)" in text
    audit_path = tmp_path / "audit.json"
    audit_path.write_text(json.dumps({"folds": 0, "reason": "audit.folds is 0"}))
    assert "How sure" not in write(dataclasses.replace(inputs, audit_path=audit_path), tmp_path / "page.html")


def test_a_browser_shows_the_result_at_once_and_asks_for_nothing(made, tmp_path):
    inputs, path = made
    if not CHROMIUM:
        pytest.skip("no chromium")
    metrics = json.loads(inputs.metrics_path.read_text())
    interval = metrics["interval"]["accuracy"]
    filled = tmp_path / "index.html"
    run = {"number": 1, "name": "0.9 lite0", "commit": "c0ffee", "tags": {"data.data/raw": "abcdef"},
           "metrics": {"test/accuracy": 0.9}}  # fmt: skip
    part = run_part(run, "**Test accuracy 0.9**; `0.1` higher", "thaw v1", {"This run in MLflow": "http://127.0.0.1:5000"})
    filled.write_text(fill_slot(path.read_text(encoding="utf-8"), part), encoding="utf-8")
    path = filled
    with browsing(tmp_path / "profile") as page:
        page.open(path.as_uri())
        page.wait("document.readyState === 'complete'")
        assert page.in_view(f"{100 * metrics['accuracy']:.1f}\u00a0%")
        assert page.in_view(f"{100 * interval['low']:.1f} to {100 * interval['high']:.1f}\u00a0%")
        assert page.in_view("Run 1: 0.9 lite0") and page.in_view("What to do next")
        size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        page.send("Emulation.setDeviceMetricsOverride", **size)
        assert page.run("document.documentElement.scrollWidth") <= 390
        assert page.in_view(f"{100 * metrics['accuracy']:.1f}\u00a0%")
        page.run("document.querySelectorAll('img').forEach(image => image.loading = 'eager')")
        page.wait("[...document.images].every(image => image.complete && image.naturalWidth)")
        page.settle(0.2)
        assert {url for url in page.requests.values() if not url.startswith("data:")} == {path.as_uri()}
        assert page.errors == []
        for width, colours in ((390, "light"), (390, "dark"), (1440, "light"), (1440, "dark")):
            page.send("Emulation.setDeviceMetricsOverride", **size | {"width": width})
            page.send("Emulation.setEmulatedMedia", media="", features=[{"name": "prefers-color-scheme", "value": colours}])
            assert faults(page) == [], (width, colours)
        page.send("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert faults(page) == []
        paper = {"width": 700, "height": 1000, "deviceScaleFactor": 1, "mobile": False}  # A4 within Chromium's margins
        page.send("Emulation.setDeviceMetricsOverride", **paper)
        assert page.run("document.documentElement.scrollWidth") <= 700, "nothing is cut off on paper"
        worse = "<p style='color:#999'>pale</p><div style='overflow:auto;width:9px'><p style='width:99px'>wide</p></div>"
        page.run(f"document.body.insertAdjacentHTML('beforeend', {json.dumps(worse)})")
        assert [fault.split(":")[0] for fault in faults(page)] == ["pale", "scrolls and cannot be reached"]
        page.open(inputs.label_suspects_path.with_suffix(".html").as_uri())
        page.wait("document.readyState === 'complete'")
        assert page.in_view("labels look wrong") and page.in_view("thaw relabel reviewed.csv --apply")
        for colours in ("light", "dark"):
            page.send("Emulation.setDeviceMetricsOverride", **size)
            page.send("Emulation.setEmulatedMedia", media="", features=[{"name": "prefers-color-scheme", "value": colours}])
            assert page.run("document.documentElement.scrollWidth") <= 390
            assert faults(page) == [], colours


def test_the_same_inputs_give_the_same_bytes_wherever_they_lie(made, tmp_path):
    inputs, path = made
    folder = inputs.metrics_path.parent
    shutil.copytree(folder, tmp_path / "elsewhere")
    moved = ReportInputs(
        **{name: tmp_path / "elsewhere" / getattr(inputs, name).relative_to(folder) for name in inputs.__dataclass_fields__}
    )
    text = write(moved, tmp_path / "index.html")
    assert text == path.read_text(encoding="utf-8")
    assert str(folder) not in text and len(text) < 2_000_000


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


def test_every_name_is_escaped_and_every_class_is_named(made):
    inputs, path = made
    text = path.read_text(encoding="utf-8")
    assert "<script" not in text and "<é>" not in text and "<them>" not in text and "<code>thaw clean</code>" in text
    classes = json.loads(inputs.classes_path.read_text())
    assert [name for name in classes if escape(name) not in text] == []


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


def test_the_runs_part_has_one_place_before_the_other_metrics(made):
    text = made[1].read_text(encoding="utf-8")
    assert text.count(SLOT) == 1 and text.index("</h1>") < text.index(SLOT) < text.index('class="tiles"')
    filled = fill_slot(text, "<p>run 1</p>")
    assert "<p>run 1</p>" in filled and is_filled(filled, text) and is_filled(text, text)
    assert not is_filled(filled, text.replace("</main>", "<p></main>"))


def test_only_a_slice_that_survives_the_correction_is_called_worse(tmp_path):
    inputs = lay_out(tmp_path, ["no", "yes"], 60)
    quiet = write(inputs, tmp_path / "quiet.html")
    assert "No slice is worse than the rest beyond chance.</b> " in quiet and 'class="worse"' not in quiet
    table = pd.read_csv(inputs.slices_path)
    row = table.index[table["value"] == "mono"][0]
    ends = ["difference", "difference_low", "difference_high", "adjusted_p", "detectable"]
    table.loc[row, ends] = [-0.2, -0.31, -0.09, 0.0004, 0.15]
    table["worse"] = (table.index == row).astype(int)
    table.to_csv(inputs.slices_path, index=False)
    said = write(inputs, tmp_path / "said.html").split('<h2 id="slices">')[1].split("<h2")[0]
    assert "One slice is worse than the rest, beyond chance." in said
    assert "20.0 points fewer than of the rest (9.0 to 31.0)" in said and "−20.0 <small>−31.0 to −9.0; p &lt; 0.001" in said
    assert said.index("<b>type: mono</b>") < said.index("<table") and said.count('class="worse"') == 1


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


def test_the_decision_is_told(made):
    text = made[1].read_text(encoding="utf-8").replace("\u00a0", " ")
    chosen = "chosen for recall of at least 0.9, on 1,234 images that are not of the test split, interval 41 to 62 %"
    assert (chosen in text) is (len(json.loads(made[0].classes_path.read_text())) == 2)
    assert "answers 90.0 % of the images" in text and "95.0 % is right (91.0 to 97.0 %)" in text


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


def test_a_test_image_like_one_trained_on_is_told_before_all_else(made):
    text = made[1].read_text(encoding="utf-8")
    assert "1 test images look like" not in text
    assert text.index("1 test image looks like") < text.index("taken for")
    assert 'alt="seen.png, in train"' in text


def test_a_reader_who_cannot_see_finds_the_way(made):
    """What axe-core calls serious: language, title, alternative texts, order of headings, heads of tables."""
    reader = Reader(made[1].read_text(encoding="utf-8"))
    assert reader.of("html") == [{"lang": "en"}]
    assert len(reader.of("title")) == len(reader.of("main")) == len(reader.of("h1")) == 1
    assert all(image.get("alt") for image in reader.of("img"))
    assert all(("aria-label" in svg and svg["role"] == "img") or svg.get("aria-hidden") == "true" for svg in reader.of("svg"))
    levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(head.get("scope") in ("col", "row") for head in reader.of("th"))
    tables = [tag for tag, _ in reader.tags if tag in ("table", "thead")]
    assert tables == ["table", "thead"] * (len(tables) // 2)
    assert not [tag for tag, attributes in reader.tags if "tabindex" in attributes or "onclick" in attributes]


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
