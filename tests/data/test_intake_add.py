"""From a folder as it was downloaded to data/raw: `thaw validate`, the command that it prints, and the gate again."""

import contextlib
import hashlib
import json
import os
import pty
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from tests.data.folders import CASES, TWO, classes, put, table
from tests.data.test_intake_layouts import images_below
from tests.data.test_intake_refusals import REFUSED
from thaw import cli
from thaw.errors import ThawError
from thaw.gate.inspection import inspect_folder
from thaw.intake.recognition import recognise
from thaw.intake.writing import lay_out
from thaw.params import ValidateParams

ROOT = Path(__file__).parents[2]
IN_CI = ("kaggle_nested", "competition", "food", "imagefolder_in_splits", "flat_by_name", "classes")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template") / "project"
    root.mkdir()
    for name in ("dvc.yaml", "params.yaml", ".gitignore"):
        shutil.copy(ROOT / name, root / name)
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=root, check=True)
    return root


@pytest.fixture
def project(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    root = shutil.copytree(template, tmp_path / "project")
    with contextlib.chdir(root):
        yield root


def thaw(*arguments: str) -> tuple[int, str]:
    """Exit code and, of an error, what it says."""
    try:
        code = cli.app(arguments, standalone_mode=False)
    except ThawError as error:
        return error.exit_code, str(error)
    except typer.Exit as error:
        return error.exit_code, ""
    return code or 0, ""


def digests(root: Path) -> dict[str, str]:
    return {path: hashlib.sha256((root / path).read_bytes()).hexdigest() for path in images_below(root)}


def everything(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.parts and ".dvc" not in path.parts
    }


@pytest.mark.parametrize(
    "name", [name if name in IN_CI else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
def test_validate_says_the_command_that_takes_the_folder_in(
    name: str, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, case = tmp_path / "it's a source", CASES[name]
    case.build(source)
    before = everything(source)
    code, _ = thaw("validate", str(source), "--json")
    said = json.loads(capsys.readouterr().out)
    if "layout" in said:
        assert (code, said["status"], said["checks"]) == (2, "block", {"layout": 1})
        assert case.says in said["findings"][0]["reason"]
        command = said["layout"]["command"]
        assert command in said["findings"][0]["cure"]
    else:
        assert code == 0
        command = f"thaw data add {shlex.quote(str(source))}"
    assert thaw(*shlex.split(command)[1:], "--quiet") == (0, "")
    raw_dir, aside = project / "data" / "raw", project / "data" / "raw.unlabelled"
    found = sorted([*digests(raw_dir).values(), *(digests(aside).values() if aside.is_dir() else ())])
    assert found == sorted(digests(source).values())
    assert len(images_below(aside)) == case.unlabelled
    assert everything(source) == before
    assert thaw("validate", str(raw_dir), "--json")[0] == 0
    summary = json.loads(capsys.readouterr().out)
    merged = {"val": "validation"}
    assert summary["totals"]["classes"] == {
        merged.get(split, split): one for split, one in case.counts.items()
    }
    assert not {"metadata_missing_row", "metadata_extra_row"} & set(summary["checks"])


def test_a_guess_is_confirmed_or_nothing_happens(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "source"
    CASES["competition"].build(source)
    before = everything(project)
    code, said = thaw("data", "add", str(source), "--name", "other")
    assert code == 2
    command = (
        f"thaw data add {source} --labels train.csv --path-column id --label-column label --name=other --yes"
    )
    assert f"`{command}`" in said and said.endswith("The project is as it was.")
    shown = capsys.readouterr().out
    assert "cat: 10, as train/00000.jpg, train/00002.jpg, train/00004.jpg and 7 more" in shown
    assert "without a label, set aside: 5" in shown
    assert everything(project) == before
    assert thaw(*shlex.split(command)[1:]) == (0, "")
    shown = capsys.readouterr().out
    assert "thaw predict data/other.unlabelled --csv other.unlabelled.csv" in shown
    assert len(images_below(project / "data" / "other.unlabelled")) == 5


def test_a_dry_run_says_the_same_and_changes_nothing(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "source"
    CASES["kaggle_nested"].build(source)
    before = everything(project)
    assert thaw("data", "add", str(source), "--dry-run") == (0, "")
    assert "cat: 10, as train/train/cat/2cat0.jpg" in capsys.readouterr().out
    assert thaw("data", "add", str(source), "--dry-run", "--json") == (0, "")
    said = json.loads(capsys.readouterr().out)
    assert said["classes"] == {"": TWO}
    assert len(said["unlabelled"]) == 5
    assert said["command"] == f"thaw data add {source}"
    assert everything(project) == before


def test_a_failure_on_the_way_leaves_nothing_half_done(project: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    CASES["test_unlabelled"].build(source)
    assert thaw("data", "add", str(source), "--quiet") == (0, "")
    before = everything(project)
    put(source, "train/cat/more.jpg", "test/more.jpg")
    cache = project / ".dvc" / "cache"
    cache.rename(project / ".dvc" / "kept")
    cache.write_text("a file where a folder belongs")
    code, said = thaw("data", "add", str(source), "--replace", "--quiet")
    assert code == 2 and said.endswith("The project is as it was.")
    assert everything(project) == before


def test_a_folder_in_its_place_is_laid_out_anew_and_kept_aside(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw_dir = project / "data" / "raw"
    CASES["competition"].build(raw_dir)
    before = everything(raw_dir)
    assert thaw("validate", "data/raw")[0] == 2
    command = capsys.readouterr().out.split("Take it in:\n")[1].strip()
    assert command.endswith("--replace --yes")
    assert thaw(*shlex.split(command)[1:], "--quiet") == (0, "")
    assert everything(project / "data" / "raw.old-1") == before
    assert {path.name for path in raw_dir.iterdir()} == set(TWO)


def test_images_that_meet_in_one_folder_are_all_kept(project: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    paths = put(
        source,
        *(f"part_{part}/{number}.png" for part in range(3) for number in range(10)),
        "part_0/x.png",
        "part_1/X.png",
    )
    table(source, "all.csv", ("file", "label"), *((path, "ab"[n % 2]) for n, path in enumerate(paths)))
    assert thaw("data", "add", str(source), "--yes", "--quiet") == (0, "")
    raw_dir = project / "data" / "raw"
    assert sorted(digests(raw_dir).values()) == sorted(digests(source).values())
    names = [path.casefold() for path in images_below(raw_dir)]
    assert len(set(names)) == len(paths)


@pytest.mark.parametrize(
    ("label", "folder"),
    [
        ("a/b", "a_b"),
        (".hidden", "_hidden"),
        ("..", "_"),
        ("Cafe\u0301", "Café"),
        ("#1#", "_#1_"),
        (" two words ", "two words"),
    ],
)
def test_classes_get_folders_that_every_system_can_have(label: str, folder: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "raw"
    paths = put(source, *(f"images/{number}.png" for number in range(20)))
    table(
        source,
        "all.csv",
        ("file", "label"),
        *((path, (label, "other")[n % 2]) for n, path in enumerate(paths)),
    )
    lay_out(recognise(source), target, tmp_path / "unlabelled", lambda: None)
    assert {path.name for path in target.iterdir()} == {folder, "other"}
    inspection = inspect_folder(ValidateParams(), target, tmp_path / "scratch")
    assert inspection.summary()["totals"]["fit"] == 20
    assert inspection.summary()["severities"]["block"] == 0


def test_an_archive_is_read_as_the_folder_that_it_holds(project: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    CASES["competition"].build(source)
    archive = shutil.make_archive(str(tmp_path / "competition"), "zip", tmp_path, "source")
    code, said = thaw("data", "add", archive)
    assert code == 2
    command = said.split("`")[1]
    assert thaw(*shlex.split(command)[1:], "--quiet") == (0, "")
    kept = sorted(
        [*digests(project / "data" / "raw").values(), *digests(project / "data" / "raw.unlabelled").values()]
    )
    assert kept == sorted(digests(source).values())
    assert {path.name for path in (project / "data").iterdir()} == {
        ".gitignore",
        "raw",
        "raw.dvc",
        "raw.unlabelled",
    }


def test_lists_beside_classes_are_offered_and_do_not_block(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "source"
    classes(source, "", TWO, 20)
    lines = {
        split: [f"{name}/0{name}{n}" for name in TWO for n in numbers]
        for split, numbers in (("train", range(10)), ("test", range(10, 20)))
    }
    for split, paths in lines.items():
        (source / f"{split}.txt").write_text("\n".join(paths))
    assert thaw("validate", str(source))[0] == 0
    command = capsys.readouterr().out.split("Take it in:\n")[1].strip()
    assert thaw(*shlex.split(command)[1:], "--quiet") == (0, "")
    assert {path.name for path in (project / "data" / "raw").iterdir()} == {"train", "test"}


@pytest.mark.parametrize("answer", ["y", "n"])
def test_on_a_terminal_a_guess_is_asked_about(answer: str, project: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    CASES["flat_by_name"].build(source)
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    done = subprocess.run(
        [sys.executable, "-m", "thaw", "data", "add", str(source)],
        stdin=theirs, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, timeout=120,
    )  # fmt: skip
    os.close(ours)
    os.close(theirs)
    assert "Take it in like this?" in done.stdout
    assert done.returncode == (0 if answer == "y" else 2)
    assert (project / "data" / "raw").exists() == (answer == "y")


@pytest.mark.parametrize(
    "name", ["thumbs", "masks in classes", "no labels", "folders against a table", "classes in classes"]
)
def test_validate_and_add_refuse_what_can_be_read_in_two_ways(
    name: str, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "source"
    build, reason = REFUSED[name]
    build(source)
    code, error = thaw("validate", str(source))
    assert code == 2
    assert reason in capsys.readouterr().out + error
    code, error = thaw("data", "add", str(source))
    assert code == 2 and reason in error
    assert not (project / "data" / "raw").exists()


def test_validate_of_the_projects_own_folder_never_trains_splits_as_classes(
    project: Path, tmp_path: Path
) -> None:
    """What `thaw run` does first: the gate itself, without a look at the layout."""
    for name in ("competition", "flat_by_name", "kaggle_nested", "test_unlabelled"):
        source = tmp_path / name
        CASES[name].build(source)
        inspection = inspect_folder(ValidateParams(), source, tmp_path / "scratch")
        blocking = {row.check: row.cure for row in inspection.found if row.severity == "block"}
        assert any("`thaw data add data/raw --replace`" in cure for cure in blocking.values()), (
            name,
            blocking,
        )
