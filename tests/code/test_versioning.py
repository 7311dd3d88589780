"""What DVC knows of a project, on a real DVC project of small stages."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from thaw.errors import ThawError
from thaw.versioning import DvcRepo, choose_stages, read_stage_names


def work(repo: DvcRepo, name: str) -> None:
    spec = repo.stage(name)
    snapshot = repo.snapshot(name)
    repo.clear(name)
    (target,) = spec.outputs.values()
    source = next(iter(spec.inputs.values()))
    target.write_text((source / "a.txt" if source.is_dir() else source).read_text())
    repo.commit(name, snapshot)


def test_the_graph_gives_arguments_keys_and_order(root: Path) -> None:
    repo = DvcRepo(root)
    first, second = repo.stages()
    assert (first.name, second.name) == ("first", "second")
    assert first.inputs == {"raw_dir": root / "data" / "raw"}
    assert first.outputs == {"out_first_path": root / "out_first.txt"}
    assert (first.sources, first.keys) == (("src/first.py",), ("first",))
    assert (second.keys, second.metrics) == (("seed", "second"), (root / "result.json",))
    with pytest.raises(ThawError, match="first, second"):
        repo.stage("third")


def test_stages_that_do_not_depend_on_each_other_go_in_the_order_of_dvc(root: Path) -> None:
    stages = [f"  {name}:\n    cmd: echo {name} > {name}.txt\n    outs: [{name}.txt]\n" for name in ("zebra", "ape", "lion")]
    (root / "dvc.yaml").write_text("stages:\n" + "".join(stages))
    planned = [spec.name for spec in DvcRepo(root).stages()]
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet"], cwd=root, check=True)
    booked = re.findall(r"^  (\w+):$", (root / "dvc.lock").read_text(), re.MULTILINE)
    assert planned == booked
    assert sorted(booked) == ["ape", "lion", "zebra"]


def test_what_was_booked_is_unchanged_for_dvc_too(root: Path) -> None:
    repo = DvcRepo(root)
    for spec in repo.stages():
        assert repo.changed(spec.name)
        work(repo, spec.name)
        assert not repo.changed(spec.name)
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"], cwd=root, capture_output=True, text=True, check=True
    )
    assert "Running stage" not in done.stdout
    assert repo.booked_output_hashes("first")["out_first.txt"] == "c4ca4238a0b923820dcc509a6f75849b"  # md5 of "1"


def test_a_run_with_the_same_inputs_is_restored(root: Path) -> None:
    repo = DvcRepo(root)
    work(repo, "first")
    (root / "data" / "raw" / "a.txt").write_text("2")
    assert not repo.restore("first", repo.snapshot("first"))
    work(repo, "first")
    (root / "data" / "raw" / "a.txt").write_text("1")
    (root / "out_first.txt").write_text("left by a run that failed")
    assert repo.changed("first")
    assert repo.restore("first", repo.snapshot("first"))
    assert (root / "out_first.txt").read_text() == "1"
    assert not repo.changed("first")


def test_changed_data_is_booked_when_asked(root: Path) -> None:
    repo = DvcRepo(root)
    before = repo.data_version()
    assert before.keys() == {"data/raw"}
    (root / "data" / "raw" / "b.txt").write_text("new")
    assert repo.commit_data() == ["data/raw.dvc"]
    assert repo.data_version() != before
    assert repo.commit_data() == []
    assert DvcRepo(root).data_version() == repo.data_version()


def test_a_folder_without_dvc_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ThawError):
        DvcRepo(tmp_path)


VALUES = {"seed": 1, "first": {"a": 1}, "second": {"depth": 2, "other": 3}}


def test_reasons_tell_what_changed_and_are_there_where_dvc_finds_a_change(root: Path) -> None:
    repo = DvcRepo(root)

    def told(values=VALUES) -> dict[str, list[str]]:
        reasons = repo.reasons(values)
        if values is VALUES:
            own = {name for name, why in reasons.items() if any(" will change " not in reason for reason in why)}
            assert own == {spec.name for spec in repo.stages() if repo.changed(spec.name)}
        return reasons

    not_run = "it has not run yet, as far as dvc.lock knows"
    coming = "out_first.txt will change (first runs)"
    assert told() == {"first": [not_run], "second": [not_run, coming]}
    for name in ("first", "second"):
        work(repo, name)
    assert told() == {"first": [], "second": []}
    assert told(VALUES | {"seed": 2}) == {"first": [], "second": ["seed: 1 -> 2"]}
    assert told(VALUES | {"second": {"depth": 2, "other": 4}}) == {"first": [], "second": []}
    assert told(VALUES | {"first": {"a": 1, "b": 0}}) == {"first": ["first.b is new: 0"], "second": [coming]}
    (root / "src" / "first.py").write_text("changed")
    assert told() == {"first": ["src/first.py changed"], "second": [coming]}
    (root / "src" / "first.py").write_text("")
    (root / "data" / "raw" / "a.txt").write_text("2")
    assert told()["first"] == ["data/raw changed"]
    (root / "data" / "raw" / "a.txt").write_text("1")
    (root / "result.json").unlink()
    assert told() == {"first": [], "second": ["result.json is missing"]}
    repo.close()
    graph = root / "dvc.yaml"
    graph.write_text(graph.read_text().replace("cp out_first.txt", "cp -f out_first.txt"))
    repo = DvcRepo(root)
    assert told()["second"] == ["its command changed"]


def test_stages_are_chosen_from_one_on_where_what_they_need_is_up_to_date(root: Path) -> None:
    repo = DvcRepo(root)
    assert choose_stages(repo, repo.changed) == ["first", "second"] == read_stage_names(root)
    assert choose_stages(repo, repo.changed, from_stage="first") == ["first", "second"]
    for chosen in ({"only": ["second"]}, {"from_stage": "second"}):
        with pytest.raises(ThawError, match="second: first, which it depends on, is out of date"):
            choose_stages(repo, repo.changed, **chosen)
    assert choose_stages(repo, repo.changed, only=["second", "first"]) == ["first", "second"]
    work(repo, "first")
    assert choose_stages(repo, repo.changed, from_stage="second") == ["second"]
    assert choose_stages(repo, repo.changed, only=["first"]) == ["first"]
