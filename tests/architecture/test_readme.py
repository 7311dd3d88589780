"""The README tells the truth about the tree and the commands."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tree_names_every_folder_that_is_tracked() -> None:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    folders = {name.split("/")[0] for name in done.stdout.decode().split("\0") if "/" in name}
    shown = set(re.findall(r"^    (\w+)/ ", README, re.MULTILINE))
    hidden_or_made = {".dvc", ".ci"}
    assert folders - hidden_or_made - {"src"} <= shown | {"src"}
    assert {name for name in shown if not (ROOT / name).is_dir()} == set()


def test_every_package_of_the_library_is_in_the_tree() -> None:
    packages = {path.parent.name for path in (ROOT / "src" / "thaw").glob("*/__init__.py")}
    shown = set(re.findall(r"^      (\w+)/ ", README, re.MULTILINE))
    assert packages == shown


def test_make_targets_that_the_readme_names_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", README)) <= targets
