"""The patch of a dirty tree: applied to the commit it gives the files that a run was made with, and holds no secret."""

import subprocess
from pathlib import Path

import pytest

from thaw.versioning.code import read_code


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(params=["", "teil projekt"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A project at the top of a repository, or in a folder of it."""
    top = tmp_path / "repo"
    root = top / request.param
    (root / "src").mkdir(parents=True)
    (root / "src" / "a.py").write_text("one\ntwo\nthree\n")
    (root / "src" / "gone.py").write_text("gone\n")
    (root / "src" / "latin.py").write_bytes("# prüfen\n".encode("latin-1"))
    (root / "src" / "weights.bin").write_bytes(bytes(range(256)))
    (root / "params.yaml").write_text("rate: 1\n")
    (top / "elsewhere.txt").write_text("not the project's\n")
    git(top, "init", "-q")
    git(top, "add", "-A")
    git(top, "commit", "-qm", "start")
    return root


def edit(root: Path) -> None:
    (root / "src" / "a.py").write_text("one\n2\nthree\n")
    (root / "src" / "gone.py").unlink()
    (root / "src" / "latin.py").write_bytes("# prüfen, später\n".encode("latin-1"))
    (root / "src" / "weights.bin").write_bytes(bytes(range(255, -1, -1)))
    (root / "src" / "neu ü.py").write_text("new\n")
    (root / "params.yaml").write_text("rate: 2\n")
    (root / "notes.txt").write_text("no source\n")
    git(root, "config", "diff.noprefix", "true")
    git(root, "config", "diff.external", "false")
    git(root, "config", "color.ui", "always")


def test_the_patch_gives_the_files_again(project: Path, tmp_path: Path) -> None:
    edit(project)
    index = git(project, "status", "--porcelain")
    wanted = files(project / "src")
    code = read_code(project, ["src"], ["params.yaml"])
    assert code.left_out == {}
    assert code.commit == git(project, "rev-parse", "HEAD").strip()
    assert git(project, "status", "--porcelain") == index, "neither index nor files were touched"
    assert files(project / "src") == wanted
    (tmp_path / "patch").write_bytes(code.patch)
    git(project, "stash", "-q", "--include-untracked")
    assert files(project / "src") != wanted
    git(project, "apply", str(tmp_path / "patch"))
    assert files(project / "src") == wanted
    assert (project / "params.yaml").read_text() == "rate: 1\n"
    assert not (project / "notes.txt").exists()


def test_files_with_secrets_are_left_out_and_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "hunter2-of-the-lab"
    (project / "src" / "removed.py").write_text(f"key = '{secret}'\n")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "a secret, alas")
    monkeypatch.setenv("LAB_PASSWORD", secret)
    (project / "src" / "a.py").write_text("one\n2\n")
    (project / "src" / "removed.py").write_text("key = ''\n")
    (project / "src" / "new.py").write_text("url = 'https://me:secret@host/x'\n")
    (project / "src" / "packed.bin").write_bytes(b"\0" + secret.encode())
    code = read_code(project, ["src"], [])
    assert set(code.left_out) == {"src/removed.py", "src/new.py", "src/packed.bin"}
    assert b"+2" in code.patch
    assert secret.encode() not in code.patch and b"me:secret" not in code.patch


def test_large_files_are_left_out_and_named(project: Path) -> None:
    (project / "src" / "a.py").write_text("one\n")
    (project / "src" / "large.bin").write_bytes(bytes(2**20 + 1))
    code = read_code(project, ["src"], [])
    assert code.left_out == {"src/large.bin": "it is over 1 MiB"}
    assert b"src/a.py" in code.patch and b"large" not in code.patch


def test_a_clean_tree_has_no_patch_and_no_git_no_commit(project: Path, tmp_path: Path) -> None:
    code = read_code(project, ["src"], [])
    assert (code.patch, code.left_out) == (b"", {})
    (tmp_path / "bare").mkdir()
    assert read_code(tmp_path / "bare", ["src"], []).commit == ""
