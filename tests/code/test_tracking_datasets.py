"""The data set as MLflow's page shows it: columns, counts by class and split, and a digest of the data and its division."""

import json
from pathlib import Path

import pandas as pd
import pytest
from mlflow.types import Schema

from thaw.tracking.datasets import describe_splits, split_paths
from thaw.tracking.outbox import create_outbox
from thaw.tracking.recording import StageFacts, record_data, record_stage
from thaw.tracking.shipper import Shipper
from thaw.tracking.store import Store
from thaw.versioning import StageSpec

VERSION = "4f3c9a61bbd04d5f84b2c1ad4f1f7f6a.dir"


@pytest.fixture
def splits(tmp_path: Path) -> dict[str, Path]:
    """The files of three splits; none has validation images."""
    rows = {
        "train": [
            ("a/1.png", "b, c", 0, "", "x", ""), ("a/2.png", "b, c", 0, "0.5", "3", ""), ("b/1.png", "é", 1, "1", "", "")
        ],
        "validation": [],
        "test": [("b/2.png", "é", 1, "", "7", "")],
    }  # fmt: skip
    paths = {name: tmp_path / "splits" / f"{name}.csv" for name in rows}
    (tmp_path / "splits").mkdir()
    for name, path in paths.items():
        pd.DataFrame(rows[name], columns=["path", "class", "label", "target", "group", "none"]).to_csv(path, index=False)
    return paths


def test_the_profile_counts_classes_by_split(splits: dict[str, Path]) -> None:
    described = describe_splits(VERSION, splits)
    counts = {"train": {"b, c": 2, "é": 1}, "validation": {}, "test": {"é": 1}}
    assert json.loads(described["profile"]) == {"images": 4, **counts, "version": VERSION}
    columns = Schema.from_json(json.dumps(json.loads(described["schema"])["mlflow_colspec"]))
    assert [(column.name, column.type.name) for column in columns] == [
        ("path", "string"), ("class", "string"), ("label", "long"), ("target", "double"), ("group", "string"),
        ("none", "string"),
    ]  # fmt: skip


def test_another_division_of_the_same_data_is_another_digest(splits: dict[str, Path]) -> None:
    first = describe_splits(VERSION, splits)["version"]
    assert len(first) == 36 and first.startswith(VERSION[:27]) and describe_splits(VERSION, splits)["version"] == first
    splits["test"].write_text("path,class\n")
    assert describe_splits(VERSION, splits)["version"] != first


def test_the_first_stage_that_knows_the_splits_logs_them(splits: dict[str, Path], tmp_path: Path) -> None:
    outbox = create_outbox(tmp_path)
    outbox.open_run("pipeline", "run")
    record_data(outbox, {"data/raw": VERSION, "models/pretrained": "other"})
    reads = StageSpec("evaluate", {"test_path": splits["test"]}, {}, (), (), (), ())
    makes = StageSpec("split", {}, {f"{name}_path": path for name, path in splits.items()}, (), (), (), ())
    assert split_paths(reads.inputs) == split_paths(makes.outputs) and not split_paths({"raw_dir": tmp_path})
    for spec in (StageSpec("validate", {}, {}, (), (), (), ()), makes, reads):
        record_stage(outbox, StageFacts(spec, "unchanged", 0, {}), "thaw")
    outbox.close_run("pipeline")
    outbox.finish()
    store = Store(tmp_path)
    Shipper(outbox, store).ship()
    (found,) = store.client.get_run(outbox.run_ids()["pipeline"]).inputs.dataset_inputs
    assert (found.dataset.name, json.loads(found.dataset.source)) == ("data/raw", {"uri": "data/raw"})
    assert json.loads(found.dataset.profile)["train"] == {"b, c": 2, "é": 1}
