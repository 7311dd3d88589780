"""A key of what is kept is of the code that this process runs, and of no other."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EDIT = "path.write_bytes(path.read_bytes() + b'#'); "


@pytest.fixture
def source(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(ROOT / "src", tmp_path / "src", ignore=ignored))


def digest_after(source: Path, edit: str, file: str = "engines/selection.py", asked: str = "engines") -> str:
    """What `code_digest` says in a process that imports a stage's package, has a file edited, and asks."""
    code = (
        "import thaw.stages; from pathlib import Path; from thaw.errors import ThawError\n"
        f"path = Path({str(source / 'thaw' / file)!r}); {edit}\n"
        "from thaw.fingerprint import code_digest\n"
        f"try: print(code_digest({asked!r}))\n"
        "except ThawError as error: print('refused', error.reason)"
    )
    environment = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_code_that_was_edited_since_it_was_loaded_gives_no_key(source: Path) -> None:
    before = digest_after(source, "")
    said = digest_after(source, EDIT)
    assert said.startswith("refused") and "engines/selection.py" in said
    after = digest_after(source, "")
    assert not after.startswith("refused") and after != before, "the next process runs the new code"


def test_a_new_file_and_a_removed_one_are_edits(source: Path) -> None:
    assert "engines/new.py" in digest_after(source, "path.touch()", "engines/new.py")
    assert "engines/new.py" in digest_after(source, "path.unlink()", "engines/new.py")


def test_an_edit_of_other_code_matters_to_no_key(source: Path) -> None:
    before = digest_after(source, "", asked="gate")
    assert digest_after(source, EDIT, asked="gate") == before
    other = digest_after(source, EDIT, "gate/duplicates/near.py", asked="images.py")
    assert other == digest_after(source, "", asked="images.py")
