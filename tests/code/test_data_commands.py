"""`thaw data add` and `thaw demo`, on real DVC projects: what is brought in, what is refused, what failures leave."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.code.commands import call
from tests.data.dirty import clean_folder
from thaw.demo import SETS
from thaw.errors import ThawError
from thaw.gate.inspection import inspect_folder
from thaw.gate.report.manifest import write_manifest
from thaw.params import ValidateParams
from thaw.versioning import DvcRepo

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ,
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    "PYTHONPATH": str(ROOT / "src"),
    "COLUMNS": "120",
    "DVC_NO_ANALYTICS": "1",
}


def thaw(*arguments: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "thaw", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, **environment},
        timeout=120,
    )


def shell(command: str, cwd: Path) -> None:
    subprocess.run(command, shell=True, cwd=cwd, check=True, env=ENVIRONMENT, capture_output=True)


def bare_project(root: Path) -> Path:
    root.mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml"):
        (root / name).write_bytes((ROOT / name).read_bytes())
    return root


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = bare_project(tmp_path_factory.mktemp("template") / "project")
    shell("git init -q && dvc init -q", root)
    return root


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    return shutil.copytree(template, tmp_path / "project")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "new"
    (source / "a").mkdir(parents=True)
    (source / "a" / "1.png").write_bytes(b"new")
    return source


def state(root: Path) -> dict[str, bytes]:
    """Everything in the project's folder but what git and DVC keep for themselves."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.relative_to(root).as_posix().startswith((".git/", ".dvc/"))
    }


@pytest.mark.parametrize("how", ["--copy", "--link"])
def test_data_add_brings_a_folder_in_and_leaves_the_original(project: Path, tmp_path: Path, how: str) -> None:
    source = tmp_path / "mes images"
    (source / "été").mkdir(parents=True)
    (source / "été" / "ä 1.png").write_bytes(b"png")
    done = thaw("data", "add", str(source), how, cwd=project)
    assert done.returncode == 0, done.stderr
    target = project / "data" / "raw" / "été" / "ä 1.png"
    assert target.read_bytes() == b"png"
    assert (source / "été" / "ä 1.png").read_bytes() == b"png"
    assert os.access(source / "été" / "ä 1.png", os.W_OK)
    assert (target.stat().st_nlink > 1 or target.is_symlink()) == (how == "--link")
    assert "thaw run" in done.stdout
    assert "md5:" in (project / "data" / "raw.dvc").read_text()


def test_data_add_never_replaces_data_unasked(project: Path, source: Path) -> None:
    old = project / "data" / "raw" / "a" / "1.png"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old")
    assert "holds data already" in call("data", "add", str(source), cwd=project)
    assert old.read_bytes() == b"old"
    assert call("data", "add", str(source), "--replace", cwd=project) == ""
    assert old.read_bytes() == b"new"
    assert (project / "data" / "raw.old-1" / "a" / "1.png").read_bytes() == b"old"


def test_links_are_no_dangling_ones_afterwards(project: Path, source: Path) -> None:
    (source / "b").mkdir()
    (source / "b" / "2.png").symlink_to("../a/1.png")
    (source / "b" / "3.png").symlink_to("../../elsewhere.png")
    (source.parent / "elsewhere.png").write_bytes(b"elsewhere")
    assert call("data", "add", str(source), cwd=project) == ""
    raw_dir = project / "data" / "raw"
    read = {path.relative_to(raw_dir).as_posix(): path.read_bytes() for path in raw_dir.rglob("*.png")}
    assert read == {"a/1.png": b"new", "b/2.png": b"new", "b/3.png": b"elsewhere"}
    assert "nfiles: 3" in (project / "data" / "raw.dvc").read_text()


@pytest.mark.parametrize("why", ["cache.type symlink", "a cache on another disk"])
def test_images_that_are_links_into_the_cache_pass_the_gate(project: Path, tmp_path: Path, why: str) -> None:
    source, raw_dir = clean_folder(tmp_path / "source", 3, ("",)), project / "data" / "raw"
    paths = sorted(path.relative_to(source).as_posix() for path in source.rglob("*.png"))
    (source / "metadata.csv").write_text("path,kind\n" + "".join(f"{path},x\n" for path in paths))
    with contextlib.ExitStack() as stack:
        if why == "cache.type symlink":
            shell("dvc config cache.type symlink", project)
            assert call("data", "add", str(source), cwd=project) == ""
        else:
            shm = Path("/dev/shm")
            if not shm.is_dir() or shm.stat().st_dev == project.stat().st_dev:
                pytest.skip("there is one disk")
            other = stack.enter_context(tempfile.TemporaryDirectory(dir=shm))
            shell(f"dvc cache dir {other}/cache", project)
            assert call("data", "add", str(source), "--link", cwd=project) == ""
        assert all((raw_dir / path).is_symlink() for path in (*paths, "metadata.csv"))
        inspection = inspect_folder(ValidateParams(), raw_dir, tmp_path / "scratch")
        assert inspection.findings.verdicts == {}
        assert [row.check for row in inspection.found if row.severity == "block"] == []
        assert list(inspection.rows.paths) == paths
        assert inspection.metadata.columns == ["kind"]
        manifest_path = tmp_path / "manifest.parquet"
        write_manifest(manifest_path, inspection)
        assert set(pd.read_parquet(manifest_path)["meta_kind"]) == {"x"}


@contextlib.contextmanager
def broken(kind: str, project: Path, source: Path) -> Iterator[None]:
    """A fault on the way: of the source, of DVC's cache when the copy is in place, of its lock."""
    if kind == "pipe":
        os.mkfifo(source / "z.png")
        yield
    elif kind == "dangling link":
        (source / "z.png").symlink_to("nowhere")
        yield
    elif kind == "cache":
        cache = project / ".dvc" / "cache"
        cache.rename(project / ".dvc" / "kept")
        cache.write_text("a file where a folder belongs")
        yield
        cache.unlink()
        (project / ".dvc" / "kept").rename(cache)
    else:
        from dvc.repo import Repo

        repo = Repo(str(project))
        with repo.lock:
            yield
        repo.close()


@pytest.mark.parametrize("kind", ["pipe", "dangling link", "cache", "lock"])
def test_after_a_failure_the_project_is_as_it_was(project: Path, source: Path, kind: str) -> None:
    assert call("data", "add", str(source), cwd=project) == ""
    before = state(project)
    (source / "a" / "1.png").write_bytes(b"newer")
    with broken(kind, project, source):
        said = call("data", "add", str(source), "--replace", cwd=project)
    assert said.endswith("The project is as it was.")
    assert state(project) == before
    assert sorted(path.name for path in (project / "data").iterdir()) == [".gitignore", "raw", "raw.dvc"]


@pytest.mark.parametrize(
    "name",
    ["../x", ".hidden", "a/b", "", "views", "features", "splits", "manifest.parquet", "x.dvc", "dvc.yaml", "x*", "a\nb",
     "x ", "y" * 300, "kept-out", "left-out"],
)  # fmt: skip
def test_a_bad_name_is_refused_before_anything_is_copied(project: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "new").mkdir()
    os.mkfifo(tmp_path / "new" / "pipe")  # what is copied fails
    (project / ".gitignore").write_text("kept-out*\n")
    (project / ".dvcignore").write_text("left-out\n")
    before = state(project)
    said = call("data", "add", str(tmp_path / "new"), f"--name={name}", cwd=project)
    assert "not a folder's name" in said or "DVC cannot keep data here" in said
    assert "not exist" not in said
    assert state(project) == before


@pytest.mark.parametrize("has", ["nothing", "git", "git above", ".dvc"])
def test_without_git_or_dvc_the_printed_cures_work(tmp_path: Path, source: Path, has: str) -> None:
    root = bare_project(tmp_path / "project")
    if has == "git":
        shell("git init -q", root)
    elif has == "git above":
        shell("git init -q", tmp_path)
    elif has == ".dvc":
        shell("dvc init -q --no-scm && echo > .dvc/config", root)
    said = call("data", "add", str(source), cwd=root)
    assert call("demo", "digits", cwd=root) == said
    assert not (root / "data").exists()
    cures = re.findall(r"`(.*?)`", said)
    assert len(cures) == 2
    for number, cure in enumerate(cures):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(root, copy)
        shell(cure, copy)
        assert call("data", "add", str(source), cwd=copy) == ""


MINE = "0123456789abcdef0123456789abcdef.dir"


def book(root: Path, version: str) -> None:
    (root / "data").mkdir(exist_ok=True)
    (root / "data" / "raw.dvc").write_text(
        f"outs:\n- md5: {version}\n  size: 9\n  nfiles: 62\n  hash: md5\n  path: raw\n"
    )


def test_a_clone_with_its_own_data_never_gets_the_demo_unasked(project: Path) -> None:
    book(project, MINE)
    before = state(project)
    said = call("demo", "digits", cwd=project)
    assert "data/raw.dvc names version 01234567 (62 files), which is not here" in said
    assert "`dvc pull`" in said and "`thaw demo digits --replace`" in said
    assert state(project) == before
    with pytest.raises(ThawError, match="`dvc pull`"):
        DvcRepo(project).stage("validate").require_inputs(project)


def test_make_run_stops_where_the_data_is_elsewhere(project: Path) -> None:
    book(project, MINE)
    (project / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    installed(project)
    done = subprocess.run(["make", "run"], cwd=project, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode
    assert "dvc pull" in done.stderr
    assert not (project / "data" / "raw").exists()


def installed(root: Path) -> None:
    """An environment that `make` takes for installed."""
    (root / ".venv" / "bin").mkdir(parents=True)
    for name, module in (("python", ""), ("thaw", " -m thaw")):
        path = root / ".venv" / "bin" / name
        path.write_text(f'#!/bin/sh\nexec {sys.executable}{module} "$@"\n')
        path.chmod(0o755)
    for name in ("requirements.lock", "requirements-gpu.lock", "pyproject.toml"):
        (root / name).touch()
    (root / ".venv" / "installed-requirements.lock").touch()


def test_make_install_goes_by_what_was_installed_last(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    installed(tmp_path)
    for name in ("python", "uv"):
        (tmp_path / ".venv" / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / ".venv" / "bin" / name).chmod(0o755)

    def is_done(*lock: str) -> bool:
        return subprocess.run(["make", "-q", "install", *lock], cwd=tmp_path, check=False).returncode == 0

    assert is_done() and not is_done("GPU=1")
    shell("make install GPU=1", tmp_path)
    assert is_done("GPU=1") and not is_done()
    shell("make install", tmp_path)
    assert is_done() and not is_done("GPU=1")


def test_the_project_names_no_remote_of_its_own() -> None:
    """One that lies inside a checkout takes a push that no clone can pull."""
    assert "remote" not in (ROOT / ".dvc" / "config").read_text()


def test_data_goes_from_one_clone_to_another_by_the_remote_of_the_docs(
    project: Path, source: Path, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    command = re.search(r"^    (dvc remote add .* /srv/thaw)\s", page, re.MULTILINE)
    assert command
    (project / ".dvc" / "config").write_bytes((ROOT / ".dvc" / "config").read_bytes())
    (tmp_path / "remote").mkdir()
    shell(command[1].replace("/srv/thaw", str(tmp_path / "remote")), project)
    assert call("data", "add", str(source), cwd=project) == ""
    shell("dvc push -q", project)
    shell("git add . && git -c user.name=a -c user.email=a@b.c commit -qm data", project)
    shell("git clone -q project clone && cd clone && dvc pull -q data/raw.dvc", tmp_path)
    assert (tmp_path / "clone" / "data" / "raw" / "a" / "1.png").read_bytes() == b"new"


def test_a_clone_of_the_demo_gets_the_demo_and_other_data_only_when_asked(
    project: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("demo", "digits", cwd=project) == ""
    shell("dvc add -q data/raw", project)
    booked = (project / "data" / "raw.dvc").read_text()
    assert f"md5: {SETS['digits'].version}\n" in booked
    shutil.rmtree(project / "data" / "raw")
    capsys.readouterr()
    assert call("demo", "digits", "--quiet", cwd=project) == ""
    assert capsys.readouterr().out == ""
    assert (project / "data" / "raw.dvc").read_text() == booked
    assert call("data", "add", str(source), "--replace", cwd=project) == ""
    before = state(project)
    with broken("cache", project, source):
        said = call("demo", "digits", "--replace", cwd=project)
    assert said.endswith("The project is as it was.")
    assert state(project) == before
    assert call("demo", "digits", "--replace", cwd=project) == ""
    assert (project / "data" / "raw.old-2" / "a" / "1.png").read_bytes() == b"new"
    assert (project / "data" / "raw.dvc").read_text() == booked


def test_the_versions_of_the_demo_sets_are_those_that_dvc_gives_them() -> None:
    """By DVC's recipe: the MD5 of the list of MD5s and names; the test above asks DVC itself."""
    pytest.importorskip("elpv_dataset")
    for demo_set in (SETS["elpv"], SETS["digits"]):
        files = [
            {"md5": hashlib.md5(read()).hexdigest(), "relpath": name}
            for name, read in sorted(demo_set.list_files().items())
        ]
        assert (
            demo_set.version == hashlib.md5(json.dumps(files, sort_keys=True).encode()).hexdigest() + ".dir"
        )
