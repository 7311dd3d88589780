"""What is booked is what was run: edits beside a stage, locks of other commands, data that no stage reads."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.code.test_versioning import work
from thaw.errors import ThawError
from thaw.versioning import DvcRepo


def change_and_change_back(path: Path) -> None:
    before = path.read_text()
    path.write_text("2")
    path.write_text(before)


EDITS = {
    "params": (lambda root: (root / "params.yaml").write_text("seed: 1\nfirst: {a: 7}\n"), "first.a: 1 -> 7"),
    "data": (lambda root: (root / "data/raw/a.txt").write_text("2"), "data/raw/a.txt was written"),
    "a file more": (lambda root: (root / "data/raw/b.txt").write_text("1"), "data/raw/b.txt was added"),
    "a file less": (lambda root: (root / "data/raw/c.txt").unlink(), "data/raw/c.txt was removed"),
    "and back": (lambda root: change_and_change_back(root / "data/raw/a.txt"), "data/raw/a.txt was written"),
    "source": (lambda root: (root / "src/first.py").write_text("x = 1"), "src/first.py was written"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_stage_is_not_booked_when_its_inputs_changed_under_it(root: Path, edit: str) -> None:
    (root / "data" / "raw" / "c.txt").write_text("3")
    repo = DvcRepo(root)
    work(repo, "first")
    booked = (root / "dvc.lock").read_bytes()
    (root / "data" / "raw" / "a.txt").write_text("9")
    snapshot = repo.snapshot("first")
    repo.clear("first")
    (root / "out_first.txt").write_text("9")
    change, said = EDITS[edit]
    change(root)
    with pytest.raises(ThawError, match="while it ran") as refused:
        repo.commit("first", snapshot)
    assert said in refused.value.reason
    assert (root / "dvc.lock").read_bytes() == booked
    assert repo.changed("first")
    assert not repo.restore("first", repo.snapshot("first")), "nor does the run cache hold it"


def test_a_key_that_the_stage_does_not_use_may_change(root: Path) -> None:
    repo = DvcRepo(root)
    snapshot = repo.snapshot("first")
    (root / "out_first.txt").write_text("1")
    (root / "params.yaml").write_text("seed: 2\nfirst: {a: 1}\nsecond: {depth: 9, other: 3}\n")
    repo.commit("first", snapshot)
    assert not repo.changed("first")


def test_only_data_that_was_judged_is_booked(root: Path) -> None:
    (root / "data" / "raw" / "b.txt").write_text("new")
    repo = DvcRepo(root)
    work(repo, "first")
    version = (root / "data" / "raw.dvc").read_bytes()
    (root / "data" / "raw" / "late.txt").write_text("late")
    with pytest.raises(ThawError, match="data/raw: changed after first had judged it"):
        repo.commit_data("first")
    assert (root / "data" / "raw.dvc").read_bytes() == version
    (root / "data" / "raw" / "late.txt").unlink()
    assert DvcRepo(root).commit_data("first") == ["data/raw.dvc"]


def test_an_output_that_somebody_changed_is_not_gone_on_with(root: Path) -> None:
    repo = DvcRepo(root)
    work(repo, "first")
    repo.require_consistent("second", repo.snapshot("second"))
    (root / "out_first.txt").write_text("by hand")
    with pytest.raises(ThawError, match=r"out_first.txt: is not what first made"):
        repo.require_consistent("second", repo.snapshot("second"))


def test_what_is_unchanged_is_what_the_snapshot_has(root: Path) -> None:
    repo = DvcRepo(root)
    work(repo, "first")
    snapshot = repo.snapshot("first")
    repo.require_booked("first", snapshot)
    (root / "data" / "raw" / "a.txt").write_text("2")
    work(repo, "first")
    with pytest.raises(ThawError, match="data/raw"):
        repo.require_booked("first", snapshot)


def test_what_another_command_booked_is_seen(root: Path) -> None:
    repo, other = DvcRepo(root), DvcRepo(root)
    work(other, "first")
    assert not repo.changed("first")
    (root / "data" / "raw" / "a.txt").write_text("2")
    work(repo, "first")
    assert not other.changed("first")


def test_data_that_no_stage_reads_is_left_alone(root: Path) -> None:
    for name in ("gone", "new"):
        (root / "data" / name).mkdir()
        (root / "data" / name / "x.txt").write_text(name)
    repo = DvcRepo(root)
    for name in ("gone", "new"):
        repo.add(root / "data" / name)
    repo.close()
    (root / "data" / "gone" / "x.txt").unlink()
    (root / "data" / "gone").rmdir()
    (root / "data" / "new" / "y.txt").write_text("not booked")
    (root / "data" / "raw" / "b.txt").write_text("booked")
    version = (root / "data" / "new.dvc").read_bytes()
    repo = DvcRepo(root)
    assert repo.commit_data() == ["data/raw.dvc"]
    assert repo.data_version().keys() == {"data/raw"}
    assert (root / "data" / "new.dvc").read_bytes() == version


HOLD = """
import sys, time
from dvc.repo import Repo
with Repo(sys.argv[1]).lock:
    print("held", flush=True)
    time.sleep(6)
"""


def test_a_lock_that_is_held_is_waited_for(root: Path) -> None:
    repo = DvcRepo(root)
    work(repo, "first")
    (root / "data" / "raw" / "a.txt").write_text("2")
    snapshot = repo.snapshot("first")
    repo.clear("first")
    (root / "out_first.txt").write_text("2")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(root)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    began = time.monotonic()
    repo.commit("first", snapshot)
    assert time.monotonic() - began > 3.5, "longer than DVC itself would have waited"
    assert not repo.changed("first")
    holder.wait()


def test_without_waiting_a_held_lock_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THAW_NO_WAIT", "1")
    repo = DvcRepo(root)
    with (
        subprocess.Popen([sys.executable, "-c", HOLD, str(root)], stdout=subprocess.PIPE, text=True) as holder,
        pytest.raises(ThawError, match="held by another"),
    ):
        assert holder.stdout
        holder.stdout.readline()
        repo.changed("first")


def test_a_stage_that_dvc_repro_works_on_is_waited_for(root: Path) -> None:
    text = (root / "dvc.yaml").read_text()
    (root / "dvc.yaml").write_text(text.replace("cmd: cp data", "cmd: sleep 4 && cp data"))
    repro = subprocess.Popen([sys.executable, "-m", "dvc", "repro", "first"], cwd=root, stdout=subprocess.PIPE, text=True)
    rwlock = root / ".dvc" / "tmp" / "rwlock"
    while not (rwlock.exists() and "out_first.txt" in rwlock.read_text()):
        assert repro.poll() is None
        time.sleep(0.1)
    repo = DvcRepo(root)
    with repo.reserved("first"):
        assert (root / "out_first.txt").exists()
        assert not repo.changed("first"), "dvc repro has booked it meanwhile"
    assert repro.wait() == 0


def test_dvc_repro_keeps_off_a_stage_that_is_reserved(root: Path) -> None:
    repo = DvcRepo(root)
    with repo.reserved("first"):
        done = subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=root, capture_output=True, text=True)
        assert done.returncode != 0
        assert "busy" in done.stderr
        work(repo, "first")
    subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=root, check=True, capture_output=True)


KILLED = """
import os, sys
from pathlib import Path
import dvc.utils.serialize._yaml as yaml
from thaw.versioning import DvcRepo

dump = yaml._dump

def be_killed(data, stream):
    if "cmd" in data:  # an entry of the run cache
        return dump(data, stream)
    stream.write("outs:\\n- pa")
    stream.flush()
    os._exit(9)

repo = DvcRepo(Path(sys.argv[1]))
snapshot = repo.snapshot("first")
yaml._dump = be_killed
repo.commit("first", snapshot) if sys.argv[2] == "dvc.lock" else repo.commit_data("first")
"""


@pytest.mark.parametrize("name", ["dvc.lock", "data/raw.dvc"])
def test_a_kill_while_something_is_booked_leaves_what_was_booked(root: Path, name: str) -> None:
    repo = DvcRepo(root)
    for stage in ("first", "second"):
        work(repo, stage)
    repo.commit_data("first")
    booked = (root / name).read_bytes()
    (root / "data" / "raw" / "a.txt").write_text("2")
    if name != "dvc.lock":
        work(repo, "first")
    repo.close()
    assert subprocess.run([sys.executable, "-c", KILLED, str(root), name], check=False).returncode == 9
    assert (root / name).read_bytes() == booked
    repo = DvcRepo(root)
    work(repo, "first")
    assert repo.commit_data("first") == ["data/raw.dvc"]
    assert not repo.changed("first")


WRONG = {
    "cut short": "schema: '2.0'\nsta",
    "a merge left it": "<<<<<<< HEAD\nschema: '2.0'\n=======\n>>>>>>> other\n",
    "of other keys": "schema: '2.0'\nstage: {}\n",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_lock_file_that_is_wrong_is_named_with_its_cure(root: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(root)
    repo = DvcRepo(root)
    work(repo, "first")
    repo.close()
    (root / "dvc.lock").write_text(text)
    with pytest.raises(ThawError, match=r"'(\./)?dvc\.lock'") as refused:
        DvcRepo(root)
    assert "`git checkout HEAD -- dvc.lock`" in refused.value.cure
    (root / "dvc.lock").unlink()
    repo = DvcRepo(root)
    assert repo.restore("first", repo.snapshot("first")), "the other cure that it names"


def test_a_data_file_that_is_wrong_is_named_with_its_cure(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    (root / "data" / "raw.dvc").write_text("outs:\n- md")
    with pytest.raises(ThawError, match=r"data/raw\.dvc") as refused:
        DvcRepo(root)
    assert "`git checkout HEAD -- data/raw.dvc`" in refused.value.cure and "`thaw data add`" in refused.value.cure
