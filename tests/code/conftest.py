"""A small DVC project, made once and copied for each test."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from thaw.versioning import DvcRepo

GRAPH = """
stages:
  first:
    cmd: cp data/raw/a.txt out_first.txt
    deps: [data/raw, src/first.py]
    params: [first]
    outs: [out_first.txt]
  second:
    cmd: cp out_first.txt result.json
    deps: [out_first.txt]
    params: [seed, second.depth]
    metrics:
      - result.json: {cache: false}
"""


@pytest.fixture(scope="session")
def dvc_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template") / "projekt ß"
    (root / "data" / "raw").mkdir(parents=True)
    (root / "src").mkdir()
    (root / "src" / "first.py").write_text("")
    (root / "data" / "raw" / "a.txt").write_text("1")
    (root / "params.yaml").write_text("seed: 1\nfirst: {a: 1}\nsecond: {depth: 2, other: 3}\n")
    (root / "dvc.yaml").write_text(GRAPH)
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=root, check=True)
    repo = DvcRepo(root)
    repo.add(root / "data" / "raw")
    repo.close()
    return root


@pytest.fixture
def root(dvc_template: Path, tmp_path: Path) -> Path:
    """Two stages of small files, `first` and `second`, with data/raw under DVC and nothing run yet."""
    return shutil.copytree(dvc_template, tmp_path / dvc_template.name, symlinks=True)
