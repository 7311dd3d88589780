"""How a stage's function is called, and what its errors say."""

import sys
from pathlib import Path

import pytest

import thaw.stages
from thaw.errors import ThawError
from thaw.params import load_params
from thaw.versioning import StageSpec

PROBE = """\
def probe(raw_dir):
    next(raw_dir.rglob("*.txt")).unlink()
    (raw_dir / "Bild å.txt").read_text() if {inside} else open("/nowhere/else.txt")
"""


@pytest.mark.parametrize("inside", [True, False])
def test_an_input_that_is_removed_under_a_stage_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: bool
) -> None:
    raw_dir, stages_dir = tmp_path / "raw", tmp_path / "stages"
    raw_dir.mkdir()
    stages_dir.mkdir()
    (raw_dir / "Bild å.txt").write_text("1")
    (stages_dir / "probe.py").write_text(PROBE.format(inside=inside))
    monkeypatch.setattr(thaw.stages, "__path__", [str(stages_dir)])
    monkeypatch.delitem(sys.modules, "thaw.stages.probe", raising=False)
    spec = StageSpec("probe", {"raw_dir": raw_dir}, {}, (), (), (), ())
    params = load_params(Path(__file__).parents[2] / "params.yaml")
    with pytest.raises(ThawError if inside else FileNotFoundError) as raised:
        thaw.stages.call_stage(spec, tmp_path, params)
    if inside:
        assert raised.value.reason == "raw/Bild å.txt: was removed while stage probe was at work"
        assert "thaw run" in raised.value.cure
