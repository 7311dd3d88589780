"""A state that a run kept comes back byte for byte, and nothing that was there before is lost: real DVC, real Git."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from thaw.errors import ThawError
from thaw.versioning import DvcRepo, book_experiment, take_state, write_state
from thaw.versioning.restoring import (
    check_whole,
    find_changes,
    is_unfinished,
    last_saved,
    restore,
    saved_states,
)
from thaw.versioning.state import content_of, read_state

GRAPH = """\
stages:
  learn:
    cmd: python src/learn.py
    deps: [data/raw, src/learn.py]
    params: [rate]
    outs: [models/net]
  judge:
    cmd: python src/judge.py
    deps: [models/net, src/judge.py]
    outs: [reports/table.csv]
    metrics: [reports/metrics.json: {cache: false}]
"""
LEARN = """\
import pathlib
rate = pathlib.Path("params.yaml").read_text()
net = pathlib.Path("models/net")
net.mkdir(parents=True)
for number, path in enumerate(sorted(pathlib.Path("data/raw").iterdir())):
    (net / f"layer{number}.bin").write_text(rate + path.read_text())
"""
JUDGE = """\
import pathlib
text = "".join(path.read_text() for path in sorted(pathlib.Path("models/net").iterdir()))
pathlib.Path("reports").mkdir(exist_ok=True)
pathlib.Path("reports/table.csv").write_text(text)
pathlib.Path("reports/metrics.json").write_text('{"length": %d, "text": %r}'.replace("'", '"') % (len(text), len(text) * 7))
pathlib.Path("reports/page.html").write_text("<p>" + text)
"""
RESULTS = ("params.yaml", "dvc.lock", "data/raw.dvc", "data/raw", "models/net", "reports")


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


def dvc(root: Path, *arguments: str) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=root, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def contents(root: Path) -> dict[str, bytes]:
    """The bytes of all that a run makes, and of what it was made with."""
    tops = [root / name for name in RESULTS if (root / name).exists()]
    files = [file for top in tops for file in ([top] if top.is_file() else sorted(top.rglob("*"))) if file.is_file()]
    return {str(file.relative_to(root)): file.read_bytes() for file in files if file.name != ".gitignore"}


def keep(root: Path, folder: Path) -> Path:
    """What a run keeps, as it lies among its artifacts."""
    repo = DvcRepo(root)
    folder.mkdir()
    write_state(folder, take_state(repo, (root / "params.yaml").read_bytes()))
    repo.close()
    return folder


def bring_back(root: Path, state_dir: Path, title: str = "it", undoes: str = "") -> None:
    repo = DvcRepo(root)
    restore(repo, title, find_changes(repo, read_state(state_dir)), undoes)
    repo.close()


def undo(root: Path) -> None:
    saved = last_saved(root)
    bring_back(root, saved.folder, "what was here", saved.folder.name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`project` after two runs with other data and another rate, and `first`, what the first one kept."""
    top = tmp_path_factory.mktemp("rückwärts")
    root = top / "project"
    (root / "data" / "raw").mkdir(parents=True)
    (root / "src").mkdir()
    (root / "dvc.yaml").write_text(GRAPH)
    (root / "src" / "learn.py").write_text(LEARN)
    (root / "src" / "judge.py").write_text(JUDGE)
    (root / "params.yaml").write_text("rate: 1 # the first\n")
    (root / ".gitignore").write_text("/.thaw/\n*.html\n")
    for number in range(3):
        (root / "data" / "raw" / f"bild {number}.txt").write_text(f"image {number}")
    git(root, "init", "-q")
    dvc(root, "init", "-q")
    dvc(root, "add", "-q", "data/raw")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "start")
    dvc(root, "repro", "-q")
    keep(root, top / "first")
    (top / "first.json").write_text(json.dumps({path: data.decode() for path, data in contents(root).items()}))
    (root / "data" / "raw" / "bild 1.txt").write_text("another image")
    (root / "data" / "raw" / "bild 2.txt").unlink()
    (root / "params.yaml").write_text("rate: 2\n")
    dvc(root, "repro", "-q")
    keep(root, top / "second")
    return top


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A copy of the project."""
    return Path(shutil.copytree(made / "project", tmp_path / "project", symlinks=True))


@pytest.fixture
def then(made: Path) -> dict[str, bytes]:
    """What lay in the project after the first run."""
    return {path: text.encode() for path, text in json.loads((made / "first.json").read_text()).items()}


def test_an_earlier_run_comes_back_byte_for_byte_and_undo_brings_back_the_later(
    made: Path, project: Path, then: dict[str, bytes]
) -> None:
    now = contents(project)
    assert now != then
    bring_back(project, made / "first")
    assert contents(project) == then
    assert "up to date" in dvc(project, "status")
    undo(project)
    assert contents(project) == now
    with pytest.raises(ThawError, match="nothing to bring back"):
        last_saved(project)


def test_what_was_never_booked_comes_back_too(made: Path, project: Path, then: dict[str, bytes]) -> None:
    """Outputs that were changed by hand, new images, an edited comment of params.yaml: in no lock and in no cache."""
    (project / "params.yaml").write_text("rate: 2 # mine\n")
    (project / "models" / "net" / "layer0.bin").unlink()
    (project / "models" / "net" / "layer0.bin").write_text("by hand")
    (project / "data" / "raw" / "new.txt").write_text("a new image")
    (project / "reports" / "table.csv").unlink()
    (project / "reports" / "mine.txt").write_text("a note")
    now = contents(project)
    bring_back(project, made / "first")
    assert {path: data for path, data in contents(project).items() if path != "reports/mine.txt"} == then
    bring_back(project, made / "second")
    undo(project)
    undo(project)
    assert contents(project) == now


@pytest.mark.parametrize("step", [1, 12, 18, 21, 24, 28, 34, 44])
def test_killed_in_the_middle_it_finishes_when_started_again(
    made: Path, project: Path, then: dict[str, bytes], step: int
) -> None:
    now = contents(project)
    killed = die_at(step, lambda: bring_back(project, made / "first"))
    bring_back(project, made / "first")
    assert contents(project) == then
    assert not is_unfinished(project)
    assert len(saved_states(project)) == 1, "the half way is not kept as what was here"
    assert not list(project.rglob("*.part*")), "nor do pieces lie about"
    undo(project)
    assert contents(project) == now
    assert killed


def die_at(step: int, act: Callable[[], None]) -> bool:
    """Do something in a process that kills itself at the step-th file that it renames, removes or links; whether it did."""
    pid = os.fork()
    if pid == 0:
        left = step

        def count(event: str, arguments: object) -> None:
            nonlocal left
            if event in ("os.rename", "os.remove", "os.link"):
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            act()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def test_what_was_edited_after_a_kill_is_kept(made: Path, project: Path) -> None:
    assert die_at(12, lambda: bring_back(project, made / "first"))
    (project / "params.yaml").write_text("rate: 3 # typed after the kill\n")
    bring_back(project, made / "first")
    assert b"rate: 1" in (project / "params.yaml").read_bytes()
    undo(project)
    assert (project / "params.yaml").read_text() == "rate: 3 # typed after the kill\n"


def test_what_no_cache_has_is_named_and_nothing_changes(made: Path, project: Path) -> None:
    version = read_state(made / "first").outputs["models/net"]
    listing = project / ".dvc" / "cache" / "files" / "md5" / version[:2] / version[2:]
    shutil.rmtree(project / ".dvc" / "cache" / "files" / "md5" / json.loads(listing.read_text())[0]["md5"][:2])
    now = contents(project)
    with pytest.raises(ThawError, match=r"not in DVC's cache: models/net.*\n.*dvc pull.*thaw run"):
        bring_back(project, made / "first")
    assert contents(project) == now
    assert not saved_states(project)


def test_what_the_cache_lacks_comes_from_the_remote(made: Path, project: Path, then: dict[str, bytes]) -> None:
    shutil.copytree(project / ".dvc" / "cache", project.parent / "remote")
    dvc(project, "remote", "add", "-d", "there", str(project.parent / "remote"))
    shutil.rmtree(project / ".dvc" / "cache")
    bring_back(project, made / "first")
    assert contents(project) == then


def test_a_run_of_another_graph_is_refused(made: Path, project: Path) -> None:
    graph = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(graph.replace("models/net", "models/web"))
    now = contents(project)
    with pytest.raises(ThawError, match=r"dvc.yaml does not know models/net.*\n.*git checkout [0-9a-f]{40}"):
        bring_back(project, made / "first")
    assert contents(project) == now


def test_a_state_that_names_places_outside_the_project_is_refused(made: Path, tmp_path: Path) -> None:
    for path in ("../outside", "/etc/outside"):
        folder = Path(shutil.copytree(made / "first", tmp_path / path.replace("/", "_")))
        known = json.loads((folder / "state.json").read_text())
        known["files"].append(path)
        (folder / "state.json").write_text(json.dumps(known))
        with pytest.raises(ThawError, match="no path of a project's file"):
            read_state(folder)


def test_it_keeps_no_absolute_path(made: Path) -> None:
    for path in made.glob("first/**/*"):
        assert path.is_dir() or str(made).encode() not in path.read_bytes(), path


def test_the_page_of_the_run_before_is_no_part_of_a_run(made: Path, project: Path, tmp_path: Path) -> None:
    page = project / "reports" / "index.html"
    page.write_text("<p>run 1")
    kept = read_state(keep(project, tmp_path / "kept"))
    assert "reports/page.html" in kept.files and "reports/index.html" not in kept.files
    bring_back(project, made / "first")
    assert not page.exists(), "it would tell of another run than the one that is here"
    undo(project)
    assert page.read_text() == "<p>run 1"


def test_a_run_is_an_experiment_of_dvc_and_git_is_left_alone(made: Path, project: Path, then: dict[str, bytes]) -> None:
    (project / "src" / "judge.py").write_text(JUDGE + "# edited\n")
    before = (git(project, "status", "--porcelain"), git(project, "rev-parse", "HEAD"), (project / ".git" / "HEAD").read_text())
    repo = DvcRepo(project)
    state = take_state(repo, (project / "params.yaml").read_bytes())
    repo.close()
    assert book_experiment(project, state, "brave owl") == "brave-owl"
    assert book_experiment(project, state, "second") == "", "it is the same"
    assert book_experiment(project, read_state(made / "first"), "brave owl") == "brave-owl-2"
    after = (git(project, "status", "--porcelain"), git(project, "rev-parse", "HEAD"), (project / ".git" / "HEAD").read_text())
    assert after == before
    shown = list(csv.DictReader(dvc(project, "exp", "show", "--csv").splitlines()))
    experiments = {row["Experiment"]: (row["rate"], row["length"]) for row in shown if row["Experiment"].startswith("brave")}
    lengths = [json.loads(one["reports/metrics.json"])["length"] for one in (contents(project), then)]
    assert experiments == {"brave-owl": ("2", str(lengths[0])), "brave-owl-2": ("1", str(lengths[1]))}
    git(project, "checkout", "-q", "--", "src")
    dvc(project, "exp", "apply", "brave-owl-2")
    assert {path: data for path, data in contents(project).items() if not path.endswith(".html")} == {
        path: data for path, data in then.items() if not path.endswith(".html")
    }


def test_sources_that_were_edited_or_removed_after_they_ran_are_named(project: Path) -> None:
    (project / "src" / "learn.py").write_text(LEARN + "# later\n")
    (project / "src" / "judge.py").unlink()
    shutil.rmtree(project / "data" / "raw")
    repo = DvcRepo(project)
    state = take_state(repo, b"rate: 2\n")
    repo.close()
    assert state.edited == ("src/judge.py", "src/learn.py")


def test_a_file_with_the_password_of_an_address_is_not_kept_and_the_run_not_restored(project: Path) -> None:
    booked = project / "data" / "raw.dvc"
    booked.write_text(booked.read_text() + "desc: from https://me:hunter2@store/raw\n")
    repo = DvcRepo(project)
    state = take_state(repo, b"rate: 2\n")
    repo.close()
    assert state.withheld == {"data/raw.dvc": "it holds a password"}
    assert not [path for path, source in state.files.items() if b"hunter2" in content_of(source)]
    assert b"hunter2" not in state.code.patch
    with pytest.raises(ThawError, match=r"not kept whole: data/raw.dvc \(it holds a password\)"):
        check_whole(state)
