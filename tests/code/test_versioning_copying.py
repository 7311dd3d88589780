"""A copy of a project, in which a run works: it finds what the project's cache knows, and the project stays as it is."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.code.test_versioning import work
from thaw.versioning import DvcRepo, copy_project


def contents(root: Path) -> dict[str, bytes]:
    """Every file of the project but the copy's and DVC's own."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files if not {".thaw", ".dvc"} & set(path.parts)}


@pytest.mark.parametrize("name", ["", "кэш #1", 'a "quoted" name', "it's"])
def test_results_are_known_in_the_copy_wherever_the_cache_lies(root: Path, tmp_path: Path, name: str) -> None:
    if name:
        cache = tmp_path / name
        config = root / ".dvc" / "config.local"
        quote = "'" if '"' in name else '"'
        config.write_text(f"[cache]\n    dir = {quote}{cache}{quote}\n", encoding="utf-8")
        subprocess.run([sys.executable, "-m", "dvc", "commit", "-q", "-f", "data/raw.dvc"], cwd=root, check=True)
    repo = DvcRepo(root)
    for spec in repo.stages():
        work(repo, spec.name)
    repo.close()
    before = contents(root)

    place = root / ".thaw" / "workspace"
    copy_project(DvcRepo(root), place)
    copied = DvcRepo(place)
    for spec in copied.stages():
        assert copied.restore(spec.name, copied.snapshot(spec.name))
        assert not copied.changed(spec.name)
    assert (place / "result.json").read_bytes() == (root / "result.json").read_bytes()
    assert (place / "data" / "raw" / "a.txt").samefile(root / "data" / "raw" / "a.txt"), "no second copy of the images"
    copied.close()
    assert contents(root) == before


def test_a_copy_is_made_anew_and_holds_what_stages_read_alone(root: Path) -> None:
    place = root / ".thaw" / "workspace"
    (place / "data").mkdir(parents=True)
    (place / "data" / "left.txt").write_text("by an earlier one")
    (root / "huge.bin").write_bytes(b"0")
    (root / "data" / "raw" / "new.txt").write_text("not booked yet")
    copy_project(DvcRepo(root), place)
    assert not (place / "data" / "left.txt").exists() and not (place / "huge.bin").exists()
    assert (place / "data" / "raw" / "new.txt").read_text() == "not booked yet"
    assert (place / "src" / "first.py").is_file() and (place / "params.yaml").is_file()
