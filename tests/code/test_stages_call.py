"""How a stage's function is called, and what its errors say."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import thaw.stages
from thaw.errors import ThawError
from thaw.params import ComputeParams, load_params
from thaw.versioning import StageSpec

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")
MODULE = """\
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProbeInputs:
    raw_dir: Path


@dataclass(frozen=True)
class ProbeOutputs:
    report_path: Path
    table_path: Path


"""
SEEN: dict[str, Any] = {}
"""What the stage was called with."""


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Call a stage with that code, whose paths `dvc.yaml` declares as `change` says."""
    raw_dir, stages_dir = tmp_path / "raw", tmp_path / "stages"
    raw_dir.mkdir()
    stages_dir.mkdir()
    (raw_dir / "Bild å.txt").write_text("1")
    monkeypatch.setattr(thaw.stages, "__path__", [str(stages_dir)])
    monkeypatch.delitem(sys.modules, "thaw.stages.probe", raising=False)
    SEEN.clear()

    def run(code: str, **change: dict[str, Path]) -> None:
        (stages_dir / "probe.py").write_text(MODULE + code)
        paths = {"inputs": {"raw_dir": raw_dir}, "outputs": {"report_path": Path("r"), "table_path": Path("t")}} | change
        spec = StageSpec("probe", paths["inputs"], paths["outputs"], ("seed", "evaluate"), (), (), ())
        thaw.stages.call_stage(spec, tmp_path, PARAMS)

    return run


def remember(code: str) -> str:
    return f"def probe({code}):\n    from tests.code.test_stages_call import SEEN\n    SEEN.update(locals())\n"


def test_a_stage_gets_its_paths_as_its_own_dataclasses(call: Callable[..., None], tmp_path: Path) -> None:
    call(remember("seed, inputs: ProbeInputs, outputs: ProbeOutputs, compute, scratch_dir, evaluate"))
    assert SEEN["inputs"].raw_dir == tmp_path / "raw"
    assert (SEEN["outputs"].report_path, SEEN["outputs"].table_path) == (Path("r"), Path("t"))
    assert [type(SEEN[name]).__name__ for name in ("inputs", "outputs")] == ["ProbeInputs", "ProbeOutputs"]
    assert (SEEN["seed"], SEEN["evaluate"], SEEN["compute"]) == (PARAMS.seed, PARAMS.evaluate, ComputeParams())
    assert SEEN["scratch_dir"].is_dir() and SEEN["scratch_dir"].name == "probe"


def test_a_stage_is_told_no_more_than_it_asks_for(call: Callable[..., None], tmp_path: Path) -> None:
    call(remember("inputs: ProbeInputs"), inputs={"raw_dir": tmp_path / "raw", "notes_path": tmp_path / "raw"})
    assert vars(SEEN["inputs"]) == {"raw_dir": tmp_path / "raw"}


@pytest.mark.parametrize(
    ("code", "change", "missing"),
    [
        ("outputs: ProbeOutputs", {"outputs": {"report_path": Path("r")}}, "table_path"),
        ("inputs: ProbeInputs", {"inputs": {}}, "raw_dir"),
        ("raw_dir", {}, "raw_dir"),  # a path is handed over in `inputs` alone
        ("seed, model", {}, "model"),
    ],
)
def test_what_dvc_yaml_does_not_declare_is_named(
    call: Callable[..., None], code: str, change: dict[str, Any], missing: str
) -> None:
    with pytest.raises(ThawError) as raised:
        call(remember(code), **change)
    assert (raised.value.reason, raised.value.cure) == (f"stage probe wants {missing}", "Declare it in dvc.yaml.")
    assert not SEEN


@pytest.mark.parametrize("inside", [True, False])
def test_an_input_that_is_removed_under_a_stage_is_one_message(call: Callable[..., None], inside: bool) -> None:
    lost = 'inputs.raw_dir / "Bild å.txt"' if inside else '"/nowhere/else.txt"'
    with pytest.raises(ThawError if inside else FileNotFoundError) as raised:
        call(
            "def probe(inputs: ProbeInputs):\n"
            "    next(inputs.raw_dir.rglob('*.txt')).unlink()\n"
            f"    open({lost})\n"
        )
    if inside:
        assert raised.value.reason == "raw/Bild å.txt: was removed while stage probe was at work"
        assert "thaw run" in raised.value.cure
