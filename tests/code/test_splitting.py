import json

import networkx
import numpy as np
import pandas as pd
import pytest

from thaw.errors import ThawError
from thaw.params import SplitParams
from thaw.splitting.division import assign_splits
from thaw.splitting.files import read_split
from thaw.splitting.labelling import label_images
from thaw.stages.split import SplitInputs, SplitOutputs, split


def manifest(counts, **columns):
    """A manifest of `counts[class]` images; `columns` are lists over all images, in the order of the classes."""
    rows = [(f"{name}/{i:04d}.png", name) for name, count in counts.items() for i in range(count)]
    table = pd.DataFrame(rows, columns=["path", "class"])
    table = table.assign(split="", sha256=table["path"], grey=True, verdict="ok")
    return table.assign(**columns)


def test_shares_are_exact_in_total_and_in_each_stratum():
    kinds = ["mono"] * 400 + ["poly"] * 203 + ["mono"] * 101 + ["poly"] * 100
    images = manifest({"bad": 603, "good": 201}, meta_type=kinds)
    splits = assign_splits(images, SplitParams(), seed=1)
    assert (splits == "test").sum() == 201
    assert (splits == "validation").sum() == round(0.1 * 0.75 * 804)
    for _, members in images.groupby(["class", "meta_type"]):
        assert abs((splits[members.index] == "test").sum() - len(members) / 4) <= 1


def test_the_seed_decides_and_nothing_else_does():
    images = manifest({"a": 60, "b": 40})
    first = assign_splits(images, SplitParams(), seed=1)
    shuffled = images.sample(frac=1, random_state=3)
    assert assign_splits(shuffled, SplitParams(), seed=1).sort_index().equals(first)
    assert not assign_splits(images, SplitParams(), seed=2).equals(first)


def test_a_new_image_moves_few_of_the_others():
    before = manifest({"a": 500, "b": 300})
    after = manifest({"a": 501, "b": 300})
    moved = before.set_index("path")["class"].to_frame()
    moved["before"] = assign_splits(before, SplitParams(), 1).to_numpy()
    moved["after"] = pd.Series(assign_splits(after, SplitParams(), 1).to_numpy(), after["path"])
    assert (moved["before"] != moved["after"]).sum() <= 5


def test_groups_stay_together_and_shares_stay_close():
    random = np.random.default_rng(0)
    groups = random.integers(0, 120, 900).astype(str)
    groups[::7] = ""  # some images have no group
    images = manifest({"a": 600, "b": 300}, meta_group=groups)
    splits = assign_splits(images, SplitParams(), seed=1)
    grouped = images["meta_group"] != ""
    assert splits[grouped].groupby(images["meta_group"][grouped]).nunique().max() == 1
    shares = splits.groupby(images["class"]).value_counts(normalize=True).unstack()
    assert (shares["test"] - 0.25).abs().max() < 0.03
    assert (shares["validation"] - 0.075).abs().max() < 0.03


def with_near_duplicates(count=400, pairs=60, seed=5):
    """A manifest in which the gate found chains of alike images, by links drawn at random; and those links."""
    images = manifest({"a": count // 2, "b": count // 2})
    graph = networkx.Graph()
    graph.add_nodes_from(images["path"])
    rng = np.random.default_rng(seed)
    graph.add_edges_from(rng.choice(images["path"], 2, replace=False) for _ in range(pairs))
    first = {path: min(part) for part in networkx.connected_components(graph) if len(part) > 1 for path in part}
    return images.assign(cluster=images["path"].map(first).fillna("")), list(graph.edges)


@pytest.mark.parametrize("seed", range(5))
def test_near_duplicates_stay_in_one_split_where_that_is_asked_for(seed):
    images, links = with_near_duplicates(seed=seed)
    for by, divided in (("near_duplicates", False), ("groups", True)):
        splits = assign_splits(images, SplitParams(by=by), seed)
        split_of = dict(zip(images["path"], splits, strict=True))
        assert any(split_of[first] != split_of[second] for first, second in links) is divided
        assert (splits == "test").sum() == 100, "the shares hold"


def test_a_class_of_near_duplicates_alone_names_the_way_out():
    images = manifest({"a": 40, "b": 40})
    images = images.assign(cluster=["a/0000.png"] * 40 + [""] * 40)
    with pytest.raises(ThawError, match="'a' has 40 images in 1 group") as caught:
        assign_splits(images, SplitParams(by="near_duplicates"), 1)
    assert caught.value.cure.endswith("or set split.validation_fraction: 0 or split.by: groups.")


@pytest.mark.parametrize(("by", "own"), [("groups", False), ("near_duplicates", False), ("groups", True)])
def test_test_images_near_a_trained_one_are_counted(by, own, tmp_path, caplog):
    images, _ = with_near_duplicates()
    if own:
        images["split"] = np.where(np.arange(len(images)) % 4 == 0, "test", "train")
    with caplog.at_level("WARNING"):
        run_stage(tmp_path, images, params=SplitParams(by=by))
    warned = [record.getMessage() for record in caplog.records if "near duplicate" in record.getMessage()]
    if by == "near_duplicates" or own:
        assert warned == []
        return
    test, *rest = (read_split(tmp_path / f"{name}.csv") for name in ("test", "train", "validation"))
    clusters = images.set_index("path")["cluster"]
    trained = {clusters[path] for rows in rest for path in rows["path"]} - {""}
    near = sum(clusters[path] in trained for path in test["path"])
    assert 0 < near < len(test) and warned[0].startswith(f"{near} of {len(test)} test images")


def test_equal_bytes_link_groups():
    images = manifest({"a": 30, "b": 30}, meta_group=[str(i) for i in range(60)])
    images.loc[[1, 2], "sha256"] = "same"
    images.loc[[2, 3], "meta_group"] = "one"
    for seed in range(5):
        assert assign_splits(images, SplitParams(), seed)[[1, 2, 3]].nunique() == 1


@pytest.mark.parametrize("given", [("train", "test"), ("train", "validation", "test")])
def test_given_splits_are_kept(given):
    images = manifest({"a": 40, "b": 60})
    images["split"] = np.resize(given, 100)
    splits = assign_splits(images, SplitParams(), seed=1)
    held_out = images["split"].isin(["validation", "test"])
    assert (splits[held_out] == images["split"][held_out]).all()
    assert (splits == "test").sum() == (images["split"] == "test").sum()
    if "validation" in given:
        assert (splits[~held_out] == "train").all()
    else:
        assert (splits[~held_out] == "validation").sum() == round(0.1 * (~held_out).sum())


def test_a_folder_with_train_alone_gets_the_other_splits():
    images = manifest({"a": 40, "b": 40}).assign(split="train")
    assert assign_splits(images, SplitParams(), 1).value_counts().to_dict() == {
        "train": 54, "test": 20, "validation": 6,
    }  # fmt: skip


def test_the_test_fraction_is_of_all_images_whatever_the_folder_holds_out():
    images = manifest({"a": 100, "b": 100}).assign(split=["train", "validation"] * 100)
    assert assign_splits(images, SplitParams(), 1).value_counts().to_dict() == {
        "validation": 100, "test": 50, "train": 50,
    }  # fmt: skip
    # What is watched is a share of the training images, as nothing is taken from the test folder's.
    images = manifest({"a": 100, "b": 100}).assign(split=["train", "test"] * 100)
    assert assign_splits(images, SplitParams(), 1).value_counts().to_dict() == {
        "test": 100, "train": 90, "validation": 10,
    }  # fmt: skip


def test_a_test_split_that_would_take_all_training_images_is_an_error():
    images = manifest({"a": 100, "b": 100}).assign(split=["train", *["validation"] * 4] * 40)
    with pytest.raises(ThawError, match=r"split\.test_fraction: 0\.25 of 200 images .* 40 that are not"):
        assign_splits(images, SplitParams(), 1)


def test_colour_in_the_test_split_alone_is_told(tmp_path, caplog):
    images = manifest({"a": 40, "b": 40}).assign(split=["train", "train", "train", "test"] * 20)
    images["grey"] = images["split"] == "train"
    with caplog.at_level("WARNING"):
        run_stage(tmp_path, images)
    assert "20 images of the test split have colour, none of the others has" in caplog.text
    assert "augment.color: rgb" in caplog.text
    caplog.clear()
    with caplog.at_level("WARNING"):
        run_stage(tmp_path, images.assign(grey=False))
        run_stage(tmp_path, images.assign(grey=True))
    assert not caplog.text


def test_small_classes_are_in_every_split():
    images = manifest({"rare": 3, "scarce": 4, "common": 400})
    counts = assign_splits(images, SplitParams(), 1).groupby(images["class"]).value_counts().unstack()
    assert (counts.fillna(0) >= 1).all().all()


def test_zero_fractions_leave_splits_empty():
    images = manifest({"a": 4, "b": 4})
    assert set(assign_splits(images, SplitParams(validation_fraction=0), 1)) == {"train", "test"}
    nothing_held_out = SplitParams(validation_fraction=0, test_fraction=0)
    assert set(assign_splits(images, nothing_held_out, 1)) == {"train"}


def test_too_few_images_is_an_error_that_names_the_class():
    with pytest.raises(ThawError, match="class 'rare' has 1 image, and test and train and validation"):
        assign_splits(manifest({"rare": 1, "common": 50}), SplitParams(), 1)
    groups = ["g"] * 20 + [str(i) for i in range(50)]
    with pytest.raises(ThawError, match="class 'rare' has 20 images in 1 group"):
        assign_splits(manifest({"rare": 20, "common": 50}, meta_group=groups), SplitParams(), 1)


def test_unknown_columns_name_the_nearest():
    images = manifest({"a": 10, "b": 10}, meta_type=["x", "y"] * 10)
    with pytest.raises(ThawError, match=r"split\.stratify.*'typ'") as caught:
        assign_splits(images, SplitParams(stratify=["typ"]), 1)
    assert "'type'" in caught.value.cure
    with pytest.raises(ThawError, match=r"split\.slices.*'kind'"):
        label_images(images, SplitParams(slices=["kind"]))


def test_slices_are_columns_of_few_values():
    images = manifest(
        {"a": 30, "b": 30},
        meta_type=["x", "y"] * 30, meta_id=[str(i) for i in range(60)], meta_constant=["z"] * 60,
        meta_probability=[0.0, 1.0] * 30,
        meta_probability_a=[0.0, 1.0] * 30, meta_group=["1", "2", "3"] * 20, meta_label=["0", "1"] * 30,
    )  # fmt: skip
    rows, _ = label_images(images, SplitParams())
    assert list(rows.columns)[8:] == ["type"]


def test_images_that_depend_on_each_other_carry_the_first_path_as_group():
    images = manifest({"a": 6, "b": 4}, meta_group=["", "g", "g"] + [""] * 7, cluster=[""] * 10)
    images.loc[[2, 3], "cluster"] = "a/0002.png"  # looks like an image of the group
    images.loc[[5, 6], "sha256"] = "same"
    rows, _ = label_images(images.sample(frac=1, random_state=0), SplitParams())
    groups = dict(zip(rows["path"], rows["group"], strict=True))
    assert {groups[f"a/000{i}.png"] for i in (1, 2, 3)} == {"a/0001.png"}
    assert {groups["a/0005.png"], groups["b/0000.png"]} == {"a/0005.png"}
    assert {groups[f"{name}.png"] for name in ("a/0000", "a/0004", "b/0001", "b/0002", "b/0003")} == {""}


def test_targets_and_confidence_follow_the_probability():
    images = manifest({"functional": 3, "defective": 3}, meta_probability_defective=[0, 1 / 3, 0, 1, 2 / 3, 1])
    rows, classes = label_images(images, SplitParams())
    assert classes == ["functional", "defective"]
    assert list(rows["label"]) == [0, 0, 0, 1, 1, 1]
    assert rows["target"].to_numpy() == pytest.approx([0, 1 / 3, 0, 1, 2 / 3, 1])
    assert rows["confidence"].to_numpy() == pytest.approx([1, 2 / 3, 1, 1, 2 / 3, 1])
    turned, classes = label_images(images, SplitParams(positive_class="functional"))
    assert classes == ["defective", "functional"]
    assert turned["target"].to_numpy() == pytest.approx([1, 2 / 3, 1, 0, 1 / 3, 0])
    assert turned["confidence"].to_numpy() == pytest.approx([1, 2 / 3, 1, 1, 2 / 3, 1])


def test_one_missing_probability_leaves_the_others():
    images = manifest({"a": 2, "b": 2}, meta_probability_a=[0.75, np.nan, 0.25, 0])
    rows, classes = label_images(images, SplitParams())
    assert classes == ["b", "a"]
    assert rows["target"].tolist() == pytest.approx([0.75, np.nan, 0.25, 0], nan_ok=True)
    assert rows["confidence"].tolist() == [0.75, 1, 0.75, 1]


def test_a_probability_of_nobody_knows_what_is_not_used():
    rows, classes = label_images(manifest({"a": 1, "b": 1}, meta_probability=[0.9, 0.8]), SplitParams())
    assert classes == ["a", "b"]
    assert rows["target"].isna().all()
    assert (rows["confidence"] == 1).all()


def test_without_metadata_the_last_class_is_positive():
    rows, classes = label_images(manifest({"bo": 2, "not_bo": 2}), SplitParams())
    assert classes == ["bo", "not_bo"]
    assert rows["target"].isna().all()
    assert (rows["weight"] == 1).all()
    assert (rows["confidence"] == 1).all()


def test_confidence_is_of_the_label_however_many_classes_there_are():
    images = manifest({"a": 1, "b": 1, "c": 1}, meta_confidence=["0.5", "", "1"], meta_weight=["2", "", "0"])
    rows, classes = label_images(images, SplitParams())
    assert classes == ["a", "b", "c"]
    assert rows["target"].isna().all()
    assert list(rows["confidence"]) == [0.5, 1, 1]
    assert list(rows["weight"]) == [2, 1, 0]
    both = manifest({"a": 1, "b": 1}, meta_confidence=[0.6, np.nan], meta_probability_b=[0.3, 0.9])
    assert list(label_images(both, SplitParams())[0]["confidence"]) == [0.6, 0.9]


@pytest.mark.parametrize(
    ("column", "value"),
    [("probability_b", "1.5"), ("probability_b", "much"), ("confidence", "2"), ("weight", "-1"), ("weight", "inf")],
)
def test_numbers_out_of_range_name_image_and_value(column, value):
    images = manifest({"a": 2, "b": 2}, **{f"meta_{column}": ["0.5", "0.5", value, "0.5"]})
    with pytest.raises(ThawError, match=rf"b/0000\.png: {column} is '{value}'"):
        label_images(images, SplitParams())


def test_the_ends_of_a_range_are_in_it():
    images = manifest({"a": 2, "b": 2}, meta_probability_b=["0", "1", "0.0", "1e0"], meta_confidence=["0", "1", "", "1"],
                      meta_weight=["0", "1e9", "", "2"])  # fmt: skip
    rows, _ = label_images(images, SplitParams())
    assert rows["target"].tolist() == [0, 1, 0, 1]
    assert rows["confidence"].tolist() == [0, 1, 0, 1]  # without one it is the probability of the label
    assert rows["weight"].tolist() == [0, 1e9, 1, 2]


@pytest.mark.parametrize(("column", "cure"), [("confidence", "from 0 to 1"), ("weight", "from 0 on")])
def test_the_cure_of_a_number_out_of_range_says_the_range(column, cure):
    with pytest.raises(ThawError) as caught:
        label_images(manifest({"a": 1, "b": 1}, **{f"meta_{column}": ["-0.1", "1"]}), SplitParams())
    assert cure in caught.value.cure


@pytest.mark.parametrize(("values", "is_slice"), [(1, False), (2, True), (20, True), (21, False)])
def test_a_slice_has_2_to_20_values(values, is_slice):
    kinds = np.resize([str(i) for i in range(values)], 60)
    rows, _ = label_images(manifest({"a": 30, "b": 30}, meta_kind=kinds), SplitParams())
    assert ("kind" in rows) == is_slice
    missing = np.where(kinds == "0", None, kinds)  # no value is a value like any other
    rows, _ = label_images(manifest({"a": 30, "b": 30}, meta_kind=missing), SplitParams())
    assert ("kind" in rows) == is_slice


@pytest.mark.parametrize("name", ["weight", "group", "class"])
def test_a_column_that_means_something_else_is_no_slice(name):
    images = manifest({"a": 4, "b": 4}, **{f"meta_{name}": ["1", "2"] * 4})
    with pytest.raises(ThawError, match=rf"split\.slices: the name '{name}' is taken"):
        label_images(images, SplitParams(slices=[name]))
    with pytest.raises(ThawError, match=r"no column 'x'") as caught:
        label_images(manifest({"a": 1, "b": 1}), SplitParams(slices=["x"]))
    assert "no columns besides" in caught.value.cure


def test_two_columns_of_probabilities_are_of_nobody_knows_what():
    images = manifest({"a": 1, "b": 1}, meta_probability_a=[0.9, 0.2], meta_probability_b=[0.1, 0.8])
    assert label_images(images, SplitParams())[0]["target"].isna().all()
    three = manifest({"a": 1, "b": 1, "c": 1}, meta_probability_a=[0.9, 0.2, 0.1])
    assert label_images(three, SplitParams())[0]["target"].isna().all()


def test_an_unknown_positive_class_names_the_nearest():
    with pytest.raises(ThawError, match="positive_class: no class 'defectiv'") as caught:
        label_images(manifest({"functional": 2, "defective": 2}), SplitParams(positive_class="defectiv"))
    assert "'defective'" in caught.value.cure


def run_stage(folder, images, status="pass", params=None):
    images.to_parquet(folder / "manifest.parquet")
    (folder / "findings.json").write_text(json.dumps({"status": status}))
    names = ("train.csv", "validation.csv", "test.csv", "classes.json")
    inputs = SplitInputs(folder / "manifest.parquet", folder / "findings.json")
    split(params or SplitParams(), 1, inputs, SplitOutputs(*(folder / name for name in names)))
    return {name: (folder / name).read_bytes() for name in names}


def test_the_stage_writes_the_same_bytes_again_and_leaves_unfit_images_out(tmp_path):
    images = manifest({"NA": 30, 'ja, "nein"': 30, "猫": 30}, meta_type=["x", "y", "null"] * 30)
    images.loc[5, "verdict"] = "truncated"
    first = run_stage(tmp_path, images)
    assert run_stage(tmp_path, images.sample(frac=1, random_state=0)) == first
    parts = [read_split(tmp_path / f"{name}.csv") for name in ("train", "validation", "test")]
    rows = pd.concat(parts)
    assert sorted(rows["path"]) == sorted(set(images["path"]) - {images.loc[5, "path"]})
    assert all(part["path"].is_monotonic_increasing for part in parts)
    assert set(rows["class"]) == set(json.loads((tmp_path / "classes.json").read_text()))
    assert "猫" in (tmp_path / "classes.json").read_text(), "as it is spelled, for who reads the file"
    assert set(rows["type"]) == {"x", "y", "null"}
    assert rows["label"].dtype == np.int64
    assert rows["target"].isna().all()


def test_the_stage_refuses_what_the_gate_refused(tmp_path):
    with pytest.raises(ThawError, match="gate is shut"):
        run_stage(tmp_path, manifest({"a": 20, "b": 20}), status="block")
    assert not (tmp_path / "train.csv").exists()


def test_the_stage_needs_two_classes(tmp_path):
    with pytest.raises(ThawError, match="fewer than two classes"):
        run_stage(tmp_path, manifest({"a": 20}))


def test_an_empty_split_is_a_csv_with_a_header(tmp_path):
    files = run_stage(tmp_path, manifest({"a": 20, "b": 20}), params=SplitParams(validation_fraction=0))
    assert files["validation.csv"] == b"path,class,label,target,weight,confidence,grey,group\n"
    assert read_split(tmp_path / "validation.csv").empty
