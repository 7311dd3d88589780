"""The stage `audit`: each image judged by a head that has not seen it, nor what depends on it."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, roc_auc_score

from thaw.arrays import Rows
from thaw.cross_validation.joined import Joined
from thaw.errors import ThawError
from thaw.params import AuditParams, EvaluateParams, FitParams, ModelParams
from thaw.splitting.files import write_classes, write_split
from thaw.stages.audit import AuditInputs, AuditOutputs, audit

FIT = FitParams(epochs=30, batch_size=16, learning_rate=0.05, weight_decay=0.0)


class Project:
    """Features of two classes that can be told by one of them, in groups of three here and there."""

    def __init__(self, root, train=90, validation=20, classes=("no", "yes"), features=True):
        self.root = root
        rng = np.random.default_rng(0)
        (root / "features").mkdir(parents=True)
        self.rows, self.features = {}, {}
        for name, count, views in (("train", train, 2), ("validation", validation, 1)):
            labels = np.arange(count) % len(classes)
            values = rng.standard_normal((count, views, 10)) + np.eye(10)[labels][:, None] * 2
            self.features[name] = values.astype(np.float16)
            np.save(root / "features" / f"{name}.npy", self.features[name])
            paths = [f"{classes[label]}/{name}{index:03}.png" for index, label in enumerate(labels)]
            groups = [f"g{index // 6}" if index < 30 else "" for index in range(count)]
            self.rows[name] = pd.DataFrame(
                {
                    "path": paths, "class": [classes[label] for label in labels], "label": labels, "target": "",
                    "weight": 1.0, "confidence": 1.0, "grey": 0, "group": groups,
                }
            )  # fmt: skip
            order = np.argsort(paths)  # features stand in the order of the CSV, which is sorted
            np.save(root / "features" / f"{name}.npy", self.features[name][order])
            write_split(root / f"{name}.csv", self.rows[name])
        facts = {"features": True} if features else {"features": False, "reason": "views are made on the fly"}
        (root / "features" / "features.json").write_text(json.dumps(facts))
        write_classes(root / "classes.json", classes)
        everything = pd.concat([rows[["path", "class"]] for rows in self.rows.values()])
        everything.assign(verdict="ok", sha256="", cluster="").to_parquet(root / "manifest.parquet", index=False)

    def run(self, folds=5, fit=FIT, name="out", **model):
        out = self.root / name
        out.mkdir(exist_ok=True)
        names = ("features", "train.csv", "validation.csv", "classes.json", "manifest.parquet")
        inputs = AuditInputs(*(self.root / name for name in names))
        outputs = AuditOutputs(out / "out_of_fold.csv", out / "audit.json", out / "label_suspects.csv")
        audit(AuditParams(folds=folds), 1, ModelParams(**model), fit, EvaluateParams(), inputs, outputs, out)
        table = pd.read_csv(outputs.out_of_fold_path, keep_default_na=False)
        return table, json.loads(outputs.audit_path.read_text())


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("audit"))


def test_each_image_is_judged_once_by_folds_that_keep_groups_whole(project):
    table, facts = project.run()
    rows = pd.concat(project.rows.values()).set_index("path")
    assert list(table.columns) == ["path", "class", "label", "fold", "predicted", "probability_no", "probability_yes"]
    assert list(table["path"]) == sorted(rows.index)
    groups = rows.loc[table["path"], "group"].to_numpy()
    assert all(table["fold"][groups == group].nunique() == 1 for group in set(groups) - {""})
    assert facts["folds"] == 5 and facts["images"] == 110
    assert table.groupby("fold").size().to_dict() == {row["fold"]: row["images"] for row in facts["per_fold"]}


def test_the_summary_is_scikit_learn_s_of_the_table(project):
    table, facts = project.run()
    found = {"accuracy": [], "balanced_accuracy": [], "log_loss": [], "roc_auc": []}
    for _, fold in table.groupby("fold"):
        predicted = (fold["predicted"] == "yes").astype(int)
        found["accuracy"].append(accuracy_score(fold["label"], predicted))
        found["balanced_accuracy"].append(balanced_accuracy_score(fold["label"], predicted))
        found["log_loss"].append(log_loss(fold["label"], fold["probability_yes"], labels=[0, 1]))
        found["roc_auc"].append(roc_auc_score(fold["label"], fold["probability_yes"]))
    for name, values in found.items():
        assert facts[name]["mean"] == pytest.approx(np.mean(values), abs=2e-5)
        assert facts[name]["sd"] == pytest.approx(np.std(values, ddof=1), abs=2e-5)
        assert [row[name] for row in facts["per_fold"]] == pytest.approx(values, abs=2e-5)
        assert facts[name]["low"] < facts[name]["mean"] < facts[name]["high"]


def test_a_head_knows_nothing_of_its_fold(project, tmp_path):
    """Wrong labels of one fold change what is said of the others, and not what is said of its own images."""
    table, _ = project.run()
    other = Project(tmp_path)
    flipped = set(table["path"][table["fold"] == 2])
    for name, rows in other.rows.items():
        # The class stays, and with it the folds; the targets alone turn.
        rows["target"] = np.where(rows["path"].isin(flipped), 1.0 - rows["label"], rows["label"])
        write_split(tmp_path / f"{name}.csv", rows)
    changed, _ = other.run()
    moved = (changed["probability_yes"] - table["probability_yes"]).abs()
    assert (changed["fold"] == table["fold"]).all()
    assert moved[table["fold"] == 2].max() == 0
    assert moved[table["fold"] != 2].mean() > 0.05


def test_out_of_fold_verdicts_are_nearly_those_of_logistic_regression(project):
    table, facts = project.run()
    rows = pd.concat(project.rows.values())
    first = np.concatenate([values[:, 0] for values in project.features.values()]).astype(np.float64)
    fold = table.set_index("path").loc[rows["path"], "fold"].to_numpy()
    right = []
    for number in range(1, 6):
        seen = fold != number
        model = LogisticRegression(C=10).fit(first[seen], rows["label"][seen])
        right += list(model.predict(first[~seen]) == rows["label"][~seen])
    assert facts["accuracy"]["mean"] == pytest.approx(np.mean(right), abs=0.05)


def test_the_same_bytes_again_and_another_head_or_early_stopping_runs(project):
    project.run(name="first")
    project.run(name="second")
    for name in ("out_of_fold.csv", "audit.json", "label_suspects.csv"):
        assert (project.root / "first" / name).read_bytes() == (project.root / "second" / name).read_bytes()
    fit = FIT.model_copy(update={"early_stopping_patience": 2, "class_weights": "balanced", "mixup": 0.2})
    _, facts = project.run(fit=fit, name="third", head="dense", hidden_units=8)
    assert facts["accuracy"]["mean"] > 0.7


@pytest.mark.parametrize(
    ("features", "folds", "epochs", "reason"),
    [(False, 5, 9, "views are made on the fly"), (True, 0, 9, "audit.folds is 0"), (True, 5, 0, "no head is trained")],
)
def test_where_there_is_nothing_to_audit_it_is_said_why(tmp_path, features, folds, epochs, reason):
    table, facts = Project(tmp_path, features=features).run(folds, FIT.model_copy(update={"epochs": epochs}))
    assert list(table.columns) == ["path", "class", "label", "fold", "predicted", "probability_no", "probability_yes"]
    assert table.empty and facts["folds"] == 0 and reason in facts["reason"]
    assert (tmp_path / "out/label_suspects.csv").read_text() == "path,label,suggested_label,score,why\n"


def test_planted_wrong_labels_are_the_suspects(tmp_path):
    """Nine images of each class that look like the other, one of them like an image of the test split."""
    planted = Project(tmp_path, train=300)
    rows = planted.rows["train"]
    flipped = rows.sample(12, random_state=1).index
    rows.loc[flipped, "label"] = 1 - rows.loc[flipped, "label"]
    rows.loc[flipped, "class"] = np.array(["no", "yes"])[rows.loc[flipped, "label"]]
    rows["target"] = ""
    write_split(tmp_path / "train.csv", rows)
    first, true = rows.loc[flipped[0], "path"], rows.loc[flipped[0], "path"].split("/")[0]
    everything = pd.concat([frame[["path", "class"]] for frame in planted.rows.values()])
    everything = everything.assign(verdict="ok", sha256="", cluster="")
    everything.loc[everything["path"] == first, "cluster"] = first
    twin = pd.DataFrame({"path": [f"{true}/test.png"], "class": [true], "verdict": "ok", "sha256": "", "cluster": first})
    pd.concat([everything, twin]).to_parquet(tmp_path / "manifest.parquet", index=False)
    planted.run()
    table = pd.read_csv(tmp_path / "out/label_suspects.csv").set_index("path")
    hits = set(table.index) & set(rows.loc[flipped, "path"])
    assert len(hits) >= 9 and len(hits) / len(table) >= 0.6
    assert f"looks like {true}/test.png, which is labelled {true}" in table.loc[first, "why"]
    assert table.loc[first, "suggested_label"] == true != table.loc[first, "label"]
    assert table["score"].is_monotonic_increasing


def test_images_of_both_splits_stand_in_turn_and_an_only_view_is_every_view(project):
    parts = [Rows(project.root / "features" / f"{name}.npy") for name in ("train", "validation")]
    joined = Joined(parts)
    assert (joined.count, joined.views, joined.shape) == (110, 2, (10,))
    images, views = np.array([109, 0, 89, 90, 109]), np.array([1, 1, 0, 0, 0])
    train, validation = (np.load(project.root / "features" / f"{name}.npy") for name in ("train", "validation"))
    expected = [validation[19, 0], train[0, 1], train[89, 0], validation[0, 0], validation[19, 0]]
    np.testing.assert_array_equal(joined.gather(images, views), expected)


def test_features_of_other_images_are_refused(tmp_path):
    other = Project(tmp_path)
    np.save(tmp_path / "features" / "validation.npy", other.features["validation"][1:])
    with pytest.raises(ThawError, match="features of 19 images, the split has 20"):
        other.run()


def test_too_few_images_of_a_class_make_fewer_folds_or_none(tmp_path):
    small = Project(tmp_path / "small", train=6, validation=0)
    for name in small.rows:
        small.rows[name]["group"] = ""
        write_split(small.root / f"{name}.csv", small.rows[name])
    table, facts = small.run()
    assert facts["folds"] == 3 == table["fold"].nunique() and facts["reason"].startswith("3 folds and not 5")
    many = Project(tmp_path / "many", train=21, validation=4, classes=[f"class {n}" for n in range(9)])
    _, facts = many.run(fit=FIT.model_copy(update={"class_weights": "balanced"}))
    assert facts["folds"] >= 2 and facts["not_in_every_fold"] and facts["roc_auc"]["mean"] > 0.5
    alone = Project(tmp_path / "alone", train=3, validation=0)
    table, facts = alone.run()
    assert table.empty and "two folds need two classes" in facts["reason"]
