"""The model card: whole, true to the metrics, and safe whatever a class is called."""

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from tests.code.report_page import AWKWARD, lay_out
from thaw.demo import SETS
from thaw.licences import ELPV, digest_images, images_licence, weights_licence
from thaw.params import ReportParams
from thaw.stages.report import ReportInputs, ReportOutputs, report

NINE = ["Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data", "Quantitative analyses",
        "Ethical considerations", "Caveats and recommendations"]  # fmt: skip


def write(inputs: ReportInputs, folder: Path, **params: str) -> str:
    outputs = ReportOutputs(folder / "result.html", folder / "labels.html", folder / "card.md")
    report(ReportParams(pictures=0, **params), inputs, outputs)
    return (folder / "card.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module", params=[2, 4, 150])
def inputs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    names = AWKWARD if request.param == 4 else [f"class {number}" for number in range(request.param)]
    return lay_out(tmp_path_factory.mktemp("card"), names, max(60, 2 * request.param))


def test_the_card_has_the_nine_headings_and_tables_without_a_hole(inputs: ReportInputs, tmp_path: Path) -> None:
    text = write(inputs, tmp_path)
    assert text == write(inputs, tmp_path)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    headings = [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h2"]
    assert headings == [*NINE, "Reproduce"]
    html = MarkdownIt("commonmark").enable("table").render(text)
    for table in html.split("<table>")[1:]:
        rows = table.split("</table>")[0].split("<tr>")[1:]
        assert len({row.count("<th") + row.count("<td") for row in rows}) == 1 < len(rows)
        assert len(rows) <= 24
    assert "<script" not in html and str(tmp_path) not in text and "\r" not in text
    metrics = json.loads(inputs.metrics_path.read_text())
    assert f"<td>accuracy</td>\n<td>{100 * metrics['accuracy']:.1f} %</td>" in html
    assert f"<td>log loss</td>\n<td>{metrics['log_loss']:.3f}</td>" in html
    assert "Nobody has said what this model is for" in html and "<strong>not known</strong>" in html


def test_names_stand_in_the_card_as_they_are(tmp_path: Path) -> None:
    names = ["a|b", "*bold* `code`", "<b>", "_x_ [y](z)\n# no"]
    html = MarkdownIt("commonmark").enable("table").render(write(lay_out(tmp_path, names, 60), tmp_path))
    for shown in ("“a|b”", "“*bold* `code`”", "“&lt;b&gt;”", "“_x_ [y](z) # no”"):
        assert f"<td>{shown}</td>" in html


def test_the_card_says_what_is_stated_of_use_and_licence_and_how_calibrated_it_is(tmp_path: Path) -> None:
    inputs = lay_out(tmp_path, ["a", "b"], 60)
    metrics = json.loads(inputs.metrics_path.read_text())
    measured = {"log_loss": 0.31, "brier_score": 0.2, "smooth_calibration_error": 0.02, "interval": {}}
    after = measured | {"log_loss": 0.25, "interval": {"smooth_calibration_error": {"low": 0.01, "high": 0.04}}}
    metrics["calibration"] = {"temperature": 1.7, "probability_of": "b", "before": measured, "after": after}
    inputs.metrics_path.write_text(json.dumps(metrics))
    text = write(inputs, tmp_path, intended_use="Sorts cells for a second look.", data_licence="CC BY-NC-SA 4.0, Jane Doe")
    assert "Sorts cells for a second look." in text and "Nobody has said" not in text
    assert text.count("CC BY-NC-SA 4.0, Jane Doe") == 2 and "forbids commercial use" in text
    assert "temperature of 1.7" in text and "| log loss | 0.3100 | 0.2500 |" in text
    assert "| smooth calibration error | 0.0200 | 0.0200 (0.0100 to 0.0400) |" in text


@pytest.mark.parametrize(
    ("flips", "told"),
    [((True, False, False), "also mirrored left to right |"), ((False, False, False), "neither mirrored nor turned |"),
     ((True, True, True), "also mirrored left to right, upside down, turned by right angles |")],
)  # fmt: skip
def test_the_card_and_the_page_say_how_pictures_were_shown(tmp_path: Path, flips: tuple[bool, ...], told: str) -> None:
    inputs = lay_out(tmp_path, ["a", "b"], 60)
    path = inputs.evaluated_dir / "model.json"
    names = ("horizontal_flip", "vertical_flip", "right_angle_turns")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"flips": dict(zip(names, flips, strict=True))}))
    assert f"| pictures in training | {told}" in write(inputs, tmp_path)
    assert f"Pictures were shown {told.removesuffix(' |')}." in (tmp_path / "result.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["elpv", "digits"])
def test_the_licence_of_a_demo_is_known_by_its_images(name: str, tmp_path: Path) -> None:
    files = {path: read() for path, read in SETS[name].list_files().items() if path != "metadata.csv"}
    hashes = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    assert images_licence(digest_images(hashes.items())) == SETS[name].licence
    hashes.popitem()
    assert images_licence(digest_images(hashes.items())) == ""


def test_the_demos_terms_stand_in_its_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = lay_out(tmp_path, ["a", "b"], 60)
    rows = pd.read_parquet(inputs.manifest_path)
    digest = digest_images(zip(rows["path"], rows["sha256"], strict=True))
    monkeypatch.setitem(images_licence.__globals__["_IMAGES"], digest, ELPV)
    text = write(inputs, tmp_path)
    assert "CC BY-NC-SA 4.0" in text and "forbids commercial use" in text and digest in text


def test_licences_of_weights_are_told_as_far_as_they_are_known() -> None:
    assert "Apache-2.0" in weights_licence("efficientnet_lite0", "imagenet")
    assert "Apache" not in weights_licence("vgg16", "imagenet") and "research alone" in weights_licence("vgg16", "imagenet")
    assert weights_licence("lenet5", "none").startswith("none")
    assert "mine.weights.h5" in weights_licence("vgg16", "mine.weights.h5")
