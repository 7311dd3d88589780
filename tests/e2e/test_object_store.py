"""Images that stay in a bucket: the gate stops at a hidden key, a run streams, a changed object runs what depends on it."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.code.object_store import KEY_ID, SECRET, client, serving
from tests.e2e.conftest import Project, check_out

TINY = (
    "model.architecture=lenet5", "augment.image_size=32", "augment.views=1", "train_frozen.epochs=2",
    "fine_tune.epochs=1", "fine_tune.min_steps=0", "evaluate.bootstrap_samples=50", "evaluate.explained_images=1",
)  # fmt: skip
HIDDEN = "stripes/dark/.ipynb_checkpoints/3-checkpoint.png"


def draw(seed: int, label: str) -> bytes:
    """Bright or dark stripes in noise."""
    rng = np.random.default_rng(seed)
    wave = 70 * np.sign(np.sin(np.arange(32) / rng.uniform(0.8, 1.4) + rng.uniform(0, 6)))
    level = rng.normal(170 if label == "bright" else 80, 20, (32, 32)) + wave[None, :] / 2
    file = io.BytesIO()
    Image.fromarray(level.clip(0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    with serving() as environment:
        yield environment


@pytest.fixture(scope="module")
def store(environment: dict[str, str]) -> Any:
    store = client(environment)
    store.create_bucket(Bucket="lab")
    for number in range(80):
        label = ("dark", "bright")[number % 2]
        store.put_object(Bucket="lab", Key=f"stripes/{label}/{number} é.png", Body=draw(number, label))
    rows = "".join(f"{('dark', 'bright')[n % 2]}/{n} é.png,{'ab'[n % 4 // 2]}\n" for n in range(80))
    store.put_object(Bucket="lab", Key="stripes/metadata.csv", Body=f"path,site\n{rows}".encode())
    store.put_object(Bucket="lab", Key=HIDDEN, Body=draw(3, "dark"))
    return store


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_bucket_is_booked_judged_trained_on_and_taken_up_anew(
    environment: dict[str, str], store: Any, tmp_path: Path
) -> None:
    project = Project(tmp_path / "thaw")
    check_out(project.root)
    project.run("git", "init", "-q")
    project.run("git", "add", "-A")
    project.run("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "start")
    settings = [part for one in TINY for part in ("-S", one)]

    project.thaw("data", "add", "s3://lab/stripes", **environment)
    assert [path.name for path in (project.root / "data" / "raw").iterdir()] == ["thaw-index.arrow"]
    first = (project.root / "data" / "raw.dvc").read_text()

    blocked = project.thaw("validate", "data/raw", check=False, **environment)
    assert blocked.returncode == 2 and "dark/.ipynb_checkpoints" in blocked.stdout

    store.delete_object(Bucket="lab", Key=HIDDEN)
    updated = project.thaw("data", "update", **environment)
    assert f"1 gone ({HIDDEN.removeprefix('stripes/')})" in updated.stdout
    done = json.loads(project.thaw("run", "--json", *settings, **environment).stdout)
    assert done["metrics"]["images"] == 20
    assert project.dvc("status").stdout.strip() == "Data and pipelines are up to date."

    test = (project.root / "data" / "splits" / "test.csv").read_text(encoding="utf-8").splitlines()[1].split(",")[0]
    assert "site" in (project.root / "data" / "splits" / "test.csv").read_text(encoding="utf-8").splitlines()[0]
    store.put_object(Bucket="lab", Key=f"stripes/{test}", Body=draw(1000, test.split("/")[0]))
    stopped = project.thaw("validate", "data/raw", check=False, **environment)
    told = f"s3://lab/stripes/{test} changed in the store".replace(" ", "")  # the terminal's lines break anywhere
    assert stopped.returncode == 2 and told in "".join(stopped.stdout.split())

    assert f"1 changed ({test})" in project.thaw("data", "update", **environment).stdout
    second = (project.root / "data" / "raw.dvc").read_text()
    assert second != first
    project.thaw("run", *settings, **environment)
    outcomes = project.outcomes(project.runs(**environment)[0])
    again = {stage for stage, outcome in outcomes.items() if outcome == "ran"}
    assert {"validate", "evaluate", "report"} <= again and not {"extract", "train_frozen", "fine_tune"} & again
    said = project.thaw("predict", "data/raw/dark", "--json", **environment)
    assert len(json.loads(said.stdout)) == 40 and SECRET not in said.stdout + said.stderr
    written = [path for path in project.root.rglob("*") if path.is_file()]
    leaks = [path for path in written for secret in (SECRET, KEY_ID) if secret.encode() in path.read_bytes()]
    assert leaks == []
