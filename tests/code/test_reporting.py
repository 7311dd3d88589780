"""The page of the stage `report`: what a browser shows of it, and what a reader who cannot see needs."""

import dataclasses
import json
import re
import shutil
from html import escape, unescape
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from tests.code.accessibility import faults
from tests.code.browser import CHROMIUM, browsing
from tests.code.report_page import SIZES, Reader, lay_out, make_report, write
from thaw.run_slot import SLOT, fill_slot, is_filled
from thaw.stages.report import ReportInputs
from thaw.tracking.run_page import run_part


@pytest.fixture(scope="module", params=SIZES)
def made(request, tmp_path_factory) -> tuple[ReportInputs, Path]:
    return make_report(tmp_path_factory.mktemp("report"), request.param)


def test_400_classes_make_a_short_page_that_names_the_files_of_the_rest(tmp_path):
    text = write(lay_out(tmp_path, [f"class {number}" for number in range(400)], 400), tmp_path / "index.html")
    assert len(text) < 500_000 and text.count("<tr>") < 400
    for name in ("class_metrics.csv", "confused_pairs.csv", "slices.csv"):
        assert f"<code>reports/{name}</code>" in text
    assert "400 more are too small for it" in text and "top 5 accuracy" in text


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


def test_every_name_is_escaped_and_every_class_is_named(made):
    inputs, path = made
    text = path.read_text(encoding="utf-8")
    assert "<script" not in text and "<é>" not in text and "<them>" not in text and "<code>thaw clean</code>" in text
    classes = json.loads(inputs.classes_path.read_text())
    assert [name for name in classes if escape(name) not in text] == []


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


def test_the_decision_is_told(made):
    text = made[1].read_text(encoding="utf-8").replace("\u00a0", " ")
    chosen = "chosen for recall of at least 0.9, on 1,234 images that are not of the test split, interval 41 to 62 %"
    assert (chosen in text) is (len(json.loads(made[0].classes_path.read_text())) == 2)
    assert "answers 90.0 % of the images" in text and "95.0 % is right (91.0 to 97.0 %)" in text


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
