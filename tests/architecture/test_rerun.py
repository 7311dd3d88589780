"""The table of docs/architecture.md, what an edit runs again: held against dvc.yaml for every file, and asked of DVC."""

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from thaw.params import Params
from thaw.versioning import DvcRepo

ROOT = Path(__file__).parents[2]
SPECS = DvcRepo(ROOT).stages()
NAMES = {spec.name for spec in SPECS}
CONTRACT = "data/contract"
DATA = ("data/raw", CONTRACT, "models/pretrained")


def read_table() -> dict[str, set[str]]:
    """Each path (relative to the root) and key of the table, and the stages that an edit of it runs again."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("| an edit of | runs again |")[1]
    rows: dict[str, set[str]] = {}
    for line in text.split("\n\n")[0].splitlines()[2:]:
        edited, stages = (re.findall(r"`([^`]+)`", cell) for cell in line.strip("|").split("|"))
        for name in edited:
            path = name if name in DATA or name.startswith(("src/", "flows")) else f"src/thaw/{name}"
            is_file = "/" in name or name.endswith(".py")
            rows[path if is_file else name] = set(stages)
    return rows


TABLE = read_table()


def row_of(name: str, separator: str) -> str:
    """The line that is about `name`: its own, else that of the nearest folder or section."""
    fitting = [row for row in TABLE if name == row or name.startswith(row.rstrip(separator) + separator)]
    return max(fitting, key=len)


def leaves(section: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in section.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


SOURCES = sorted(path.relative_to(ROOT).as_posix() for folder in ("src", "flows") for path in (ROOT / folder).rglob("*.py"))
KEYS = sorted(leaves(Params().model_dump(by_alias=True)))


def test_the_table_knows_every_stage_and_names_nothing_that_is_not_there() -> None:
    assert set().union(*TABLE.values()) == NAMES
    for row in TABLE:
        assert any(row_of(name, "/") == row for name in [*SOURCES, *DATA]) or any(row_of(key, ".") == row for key in KEYS), row


def test_every_source_file_has_the_line_that_dvc_yaml_gives_it() -> None:
    for source in SOURCES:
        declared = {spec.name for spec in SPECS if any(source == dep or source.startswith(f"{dep}/") for dep in spec.sources)}
        assert TABLE[row_of(source, "/")] == declared, source


def test_every_key_has_the_line_that_dvc_yaml_gives_it() -> None:
    stages = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for key in KEYS:
        declared = {
            name for name, stage in stages.items() if any(f"{key}.".startswith(f"{one}.") for one in stage["params"])
        }
        assert TABLE[row_of(key, ".")] == declared, key


class Project:
    """A project with this one's sources and parameters, small data, and books that say that nothing is to be done."""

    def __init__(self, root: Path) -> None:
        from dvc.repo import Repo

        self.root = root
        for name in ("dvc.yaml", "params.yaml", ".dvcignore"):
            shutil.copy(ROOT / name, root / name)
        for source in SOURCES:
            (root / source).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, root / source)
        for spec in SPECS:
            for path in (*spec.inputs.values(), *spec.outputs.values()):
                self._fill(root / path.relative_to(ROOT))
        shutil.rmtree(root / CONTRACT)
        (root / CONTRACT).mkdir()
        (root / CONTRACT / ".gitkeep").touch()
        self.repo = Repo.init(str(root), no_scm=True)
        with contextlib.chdir(root):
            self.repo.commit(force=True)

    def _fill(self, path: Path) -> None:
        file = path if path.suffix else path / "content.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(path))

    def dirty(self) -> set[str]:
        """The stages whose dependencies are not what the books say."""
        self.repo._reset()
        with contextlib.chdir(self.root), self.repo.lock:
            return {stage.name for stage in self.repo.index.stages if stage.cmd and stage.changed_deps()}

    def dirty_after(self, path: Path, edit: Callable[[Path], None]) -> set[str]:
        """As `dirty`, with a file edited meanwhile."""
        content = path.read_bytes() if path.exists() else None
        try:
            edit(path)
            return self.dirty()
        finally:
            path.unlink() if content is None else path.write_bytes(content)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


def append_line(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\n# edited\n")


def test_at_first_nothing_is_to_be_done_and_a_kept_folder_is_no_data(project: Project) -> None:
    assert project.dirty() == set()
    (project.root / CONTRACT / ".gitkeep").unlink()
    assert project.dirty() == set()


@pytest.mark.parametrize("row", [row for row in TABLE if "/" in row])
def test_dvc_says_so_of_an_edited_file(project: Project, row: str) -> None:
    own = [f"{row}/content.bin"] if row in DATA else [source for source in SOURCES if row_of(source, "/") == row]
    name = own[0]
    assert project.dirty_after(project.root / name, append_line) == TABLE[row], name


def change_value(key: str, path: Path) -> None:
    yaml = YAML(typ="safe", pure=True)
    values = section = yaml.load(path.read_text(encoding="utf-8"))
    *parents, last = key.split(".")
    for parent in parents:
        section = section[parent]
    section[last] = "another value"
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(values, file)


@pytest.mark.parametrize("row", [row for row in TABLE if "/" not in row])
def test_dvc_says_so_of_a_changed_key(project: Project, row: str) -> None:
    key = next(key for key in KEYS if row_of(key, ".") == row)
    assert project.dirty_after(project.root / "params.yaml", partial(change_value, key)) == TABLE[row], key
