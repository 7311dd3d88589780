"""The slices that `evaluate` makes: of equal size, named by what a reader can look for, from the manifest's rows."""

import numpy as np
import pandas as pd
import pytest

from thaw.errors import ThawError
from thaw.evaluation import Predictions
from thaw.evaluation.slices import divide_images, read_pictures, slice_table, summarize_slices, tell_worse


def pictures(count, **columns):
    whole = {"format": "PNG", "width": 60, "height": 40, "grey": True, "brightness": np.arange(count) / 2, "contrast": 20.0,
             "sharpness": 0.3}  # fmt: skip
    return pd.DataFrame({"path": [f"{number:04d}.png" for number in range(count)], **whole | columns})


def divide(table, **metadata):
    return divide_images(table, np.arange(len(table)) % 2, ["no", "yes"], metadata)


def test_numbers_are_divided_into_fifths_with_readable_names():
    division = divide(pictures(200))["brightness"]
    assert division.values == [
        "darkest fifth (< 19.9)", "second fifth (19.9 to 39.8)", "middle fifth (39.8 to 59.7)", "fourth fifth (59.7 to 79.6)",
        "brightest fifth (≥ 79.6)",
    ]  # fmt: skip
    assert np.bincount(division.codes).tolist() == [40] * 5
    assert (np.diff(division.codes) >= 0).all()


@pytest.mark.parametrize("count, names", [(40, ["darkest half", "brightest half"]), (100, ["darkest third", "middle third"])])
def test_few_images_make_fewer_parts(count, names):
    assert [name.split(" (")[0] for name in divide(pictures(count))["brightness"].values][: len(names)] == names


def test_equal_numbers_stay_together_and_are_named_by_their_range():
    division = divide(pictures(200, brightness=np.repeat([10.0, 250.0], 100)))["brightness"]
    assert len(division.values) == 2 and np.bincount(division.codes).tolist() == [100, 100]
    assert not any("fifth" in name for name in division.values)
    assert "contrast" not in divide(pictures(200)), "what leaves all images together divides nothing"


def test_unknown_numbers_are_in_no_slice():
    brightness = np.r_[np.full(20, np.nan), np.arange(180.0)]
    division = divide(pictures(200, brightness=brightness))["brightness"]
    assert (division.codes[:20] == -1).all() and np.ptp(np.bincount(division.codes[20:])) <= 2


def test_few_sizes_are_told_apart_and_many_by_their_pixels():
    few = divide(pictures(90, width=np.resize([60, 80, 300], 90)))["size"]
    assert few.values == ["60 x 40", "80 x 40", "300 x 40"]
    many = divide(pictures(200, width=np.arange(200) + 100))["size"]
    assert many.values[0] == "smallest fifth (< 5,590 pixels)" and many.values[-1] == "largest fifth (≥ 10,400 pixels)"


def test_texts_and_metadata_divide_by_their_values():
    table = pictures(90, format=np.resize(["PNG", "JPEG"], 90), grey=np.resize([True, False, False], 90))
    found = divide(table, kind=np.resize(["mono", ""], 90), brightness=np.resize(["lamp", "sun"], 90))
    assert found["class"].values == ["no", "yes"] and found["format"].values == ["JPEG", "PNG"]
    assert found["colour"].values == ["in colour", "grey"] and found["kind"].values == ["(none)", "mono"]
    assert found["brightness"].values == ["lamp", "sun"], "the metadata's own column"
    assert np.array_equal(found["colour"].codes, np.resize([1, 0, 0], 90))


def judged(wrong, count=400):
    labels = np.arange(count) % 2
    said = np.where(wrong, 1 - labels, labels)
    return Predictions(["no", "yes"], labels, np.column_stack([1 - said, said]) * 0.8 + 0.1, np.ones(count))


def test_a_worse_slice_is_told_in_the_table_the_summary_and_a_line():
    random = np.random.default_rng(0)
    wrong = random.random(400) < np.where(np.arange(400) < 80, 0.4, 0.05)
    predictions = judged(wrong)
    table = slice_table(predictions, divide(pictures(400), odd=np.resize(["a", "b", "c"], 400)), 0.95)
    assert table["images"].sum() == 400 * 3 and list(table["slice"].unique()) == ["class", "brightness", "odd"]
    assert list(table.loc[table["worse"] == 1, "value"]) == ["darkest fifth (< 39.9)"]
    summary = summarize_slices(table)
    assert (summary["slices"], summary["tested"], summary["worse"]) == (10, 10, 1)
    assert summary["found"][0]["accuracy"] == pytest.approx(1 - wrong[:80].mean())
    assert tell_worse(table).startswith("worse than the rest: brightness darkest fifth (< 39.9) (-")
    nothing = slice_table(judged(random.random(400) < 0.1), divide(pictures(400)), 0.95)
    assert summarize_slices(nothing)["found"] == [] and tell_worse(nothing) == ""


def test_tiny_slices_have_empty_cells():
    table = slice_table(judged(np.zeros(400, bool)), divide(pictures(400), rare=np.r_[["x"] * 5, [""] * 395]), 0.95)
    rare = table[table["slice"] == "rare"]
    assert rare["p"].isna().all() and rare["worse"].eq(0).all() and rare["low"].notna().all()


def test_rows_of_the_manifest_come_in_the_order_of_the_images(tmp_path):
    table = pictures(5).assign(meta_x=1)
    table.to_parquet(tmp_path / "manifest.parquet")
    read = read_pictures(tmp_path / "manifest.parquet", ["0003.png", "0001.png"])
    assert read["brightness"].tolist() == [1.5, 0.5]
    with pytest.raises(ThawError, match=r"manifest\.parquet: no row of the test image gone\.png"):
        read_pictures(tmp_path / "manifest.parquet", ["0003.png", "gone.png"])
