"""A folder as a competition gives it: taken in, trained on, and its pictures without labels asked about."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.folders import CASES, table
from tests.e2e.conftest import Project, check_out

TINY = (
    "model.architecture=lenet5", "augment.image_size=32", "augment.views=1", "train_frozen.epochs=2",
    "fine_tune.epochs=1", "fine_tune.min_steps=0", "evaluate.bootstrap_samples=50",
)  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "thaw")
    check_out(project.root)
    project.run("git", "init", "-q")
    project.run("git", "add", "-A")
    project.run("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "start")
    return project


def draw(path: Path, seed: int, label: str) -> None:
    """Bright or dark stripes in noise."""
    rng = np.random.default_rng(seed)
    wave = 70 * np.sign(np.sin(np.arange(32) / rng.uniform(0.8, 1.4) + rng.uniform(0, 6)))
    level = rng.normal(170 if label == "bright" else 80, 20, (32, 32)) + wave[None, :] / 2
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(level.clip(0, 255).astype(np.uint8)).save(path)


def run(project: Project) -> dict[str, object]:
    done = project.thaw("run", "--json", *(part for one in TINY for part in ("-S", one)))
    result = json.loads(done.stdout)
    assert isinstance(result["metrics"], dict)
    return dict(result["metrics"])


def rows_of(project: Project, path: str) -> list[dict[str, str]]:
    with (project.root / path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.timeout(600)
def test_a_competition_is_taken_in_trained_on_and_its_test_pictures_are_predicted(
    project: Project, tmp_path: Path
) -> None:
    source, labels = tmp_path / "stripes", ("dark", "bright")
    for number in range(200):
        draw(source / "train" / f"{number:05d}.png", number, labels[number % 2])
    for number in range(20):
        draw(source / "test" / f"{number}.png", 1000 + number, labels[number % 2])
    table(
        source, "train.csv", ("id", "kind"), *((f"{number:05d}", labels[number % 2]) for number in range(200))
    )

    refused = project.thaw("data", "add", str(source), check=False)
    assert refused.returncode == 2 and not (project.root / "data" / "raw").exists()
    command = refused.stderr.split("`")[1]
    assert "--path-column id --label-column kind" in command
    project.run("bash", "-c", command.replace("thaw ", "python -m thaw ", 1))

    assert 0 <= float(str(run(project)["accuracy"])) <= 1
    used = [
        row
        for split in ("train", "validation", "test")
        for row in rows_of(project, f"data/splits/{split}.csv")
    ]
    assert len(used) == 200
    assert all(row["class"] == labels[int(Path(row["path"]).stem) % 2] for row in used)
    project.thaw("predict", "data/raw.unlabelled", "--csv", "new.csv")
    asked = rows_of(project, "new.csv")
    assert sorted(int(Path(row["path"]).stem) for row in asked) == list(range(20))
    assert {row["predicted"] for row in asked} <= set(labels) and not any(row["error"] for row in asked)


def test_what_cannot_be_decided_on_the_classes_is_refused_before_anything_is_trained(project: Project) -> None:
    for number in range(60):
        draw(project.root / "data" / "raw" / ("dark", "bright", "grey")[number % 3] / f"{number}.png", number, "dark")
    asked = ("-S", "evaluate.threshold=auto", "-S", "evaluate.least_recall=0.9")
    refused = project.thaw("run", *(part for one in TINY for part in ("-S", one)), *asked, check=False)
    assert refused.returncode == 2
    assert "evaluate.threshold: auto is of two classes, and there are 3" in refused.stderr
    (run,) = project.runs()
    assert project.outcomes(run) == {"validate": "ran", "split": "ran"}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "name", ["kaggle_nested", "training_testing", "wrapped", "metadata_in_split", "imagefolder_lines", "food"]
)
def test_other_layouts_are_trained_on(name: str, project: Project, tmp_path: Path) -> None:
    source, case = tmp_path / "source", CASES[name]
    case.build(source)
    project.thaw("data", "add", str(source), "--yes")
    assert 0 <= float(str(run(project)["accuracy"])) <= 1
    used = [
        row
        for split in ("train", "validation", "test")
        for row in rows_of(project, f"data/splits/{split}.csv")
    ]
    assert len(used) == sum(sum(labels.values()) for labels in case.counts.values())
    if case.counts.get("test"):
        assert len(rows_of(project, "data/splits/test.csv")) == sum(case.counts["test"].values())
