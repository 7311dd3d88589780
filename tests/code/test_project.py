"""Where a project keeps what is nobody's output."""

from pathlib import Path

import pytest

from thaw.project import forget_experiment, scratch_dir


def make(root: Path, rate: float, version: str = "a") -> Path:
    (root / "data").mkdir(parents=True)
    (root / "params.yaml").write_text(f"rate: {rate}\n")
    (root / "data" / "raw.dvc").write_text(version)
    return root


def test_scratch_lies_in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path / "project", 0.1)
    assert scratch_dir(root, "extract") == root / ".thaw" / "extract"
    monkeypatch.setenv("DVC_ROOT", str(root))
    assert scratch_dir(root, "extract") == root / ".thaw" / "extract"


def test_experiments_in_copies_never_share_scratch_and_find_their_own_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make(tmp_path / "project", 0.1)
    monkeypatch.setenv("DVC_ROOT", str(home))
    copies = [make(tmp_path / name, rate, version) for name, rate, version in COPIES]
    places = [scratch_dir(copy, "fine_tune") for copy in copies]
    assert len(set(places)) == 3
    assert places[0] == places[3], "the same experiment, started again in another copy"
    assert all(place.is_relative_to(home / ".thaw") for place in places), "it outlives the copy"
    assert scratch_dir(home, "fine_tune") not in places


COPIES = [("one", 0.1, "a"), ("two", 0.2, "a"), ("three", 0.2, "b"), ("again", 0.1, "a")]


def test_the_scratch_of_an_experiment_goes_with_it_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, copy, other = (make(tmp_path / name, rate) for name, rate in (("p", 0.1), ("c", 0.2), ("o", 0.3)))
    monkeypatch.setenv("DVC_ROOT", str(home))
    for root in (home, copy, other):
        scratch_dir(root, "fine_tune").mkdir(parents=True)
    forget_experiment(home)
    forget_experiment(copy)
    assert not scratch_dir(copy, "fine_tune").exists()
    assert scratch_dir(home, "fine_tune").exists()
    assert scratch_dir(other, "fine_tune").exists()
