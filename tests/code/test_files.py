"""Files are written whole or not at all."""

import csv
import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from thaw import files
from thaw.files import digest, folder_beside, read_json, replacing, write_json, write_text


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "häuser.json"
    write_json(path, {"名前": 1})
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert read_json(path) == {"名前": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_value_gives_the_same_bytes(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b.txt", "é\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"\xc3\xa9\n"
    assert digest(tmp_path / "a" / "b.txt") == hashlib.sha256(b"\xc3\xa9\n").hexdigest()


def test_nothing_that_json_lacks_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", float("nan"))
    assert not (tmp_path / "x.json").exists()


@pytest.fixture(params=[0o022, 0o077, 0o002])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_a_new_file_gets_the_rights_that_the_umask_leaves(tmp_path: Path, umask: int) -> None:
    write_text(tmp_path / "new.txt", "x")
    with folder_beside(tmp_path / "folder") as temporary:
        temporary.rename(tmp_path / "folder")
    assert mode(tmp_path / "new.txt") == 0o666 & ~umask
    assert mode(tmp_path / "folder") == 0o777 & ~umask


def test_a_file_that_is_replaced_keeps_its_rights(tmp_path: Path) -> None:
    path = tmp_path / "secret.txt"
    path.write_text("old")
    path.chmod(0o600)
    write_text(path, "new")
    assert (path.read_text(), mode(path)) == ("new", 0o600)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


WRITE_AND_HANG = """
import sys, time
from pathlib import Path
from thaw.files import folder_beside, replacing
folder = Path(sys.argv[1])
with replacing(folder / "weights.h5") as file, folder_beside(folder / "network") as made:
    file.with_name(file.name + ".weights.h5").write_text("a library's own file beside it")
    (made / "half").mkdir()
    print("here", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_writer_left_is_removed_by_the_next_write_and_nothing_else(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE_AND_HANG, tmp_path], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        for writer in writers:
            assert writer.stdout and writer.stdout.readline() == "here\n"
        dead, living = (set(tmp_path.glob(f".*-{writer.pid}-*")) for writer in writers)
        assert len(dead) == len(living) == 3
        writers[0].kill()
        writers[0].wait()
        elsewhere = tmp_path / f".a.00000000-{writers[0].pid}-00000000.part.txt"
        mine = tmp_path / ".hidden.part"
        for path in (elsewhere, mine):
            path.write_text("")
        subprocess.run(
            [sys.executable, "-c", "import sys; from pathlib import Path; from thaw.files import write_text;"
             "write_text(Path(sys.argv[1]), '')", tmp_path / "next.txt"], check=True
        )  # fmt: skip
        assert set(tmp_path.iterdir()) == living | {elsewhere, mine, tmp_path / "next.txt"}
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()


def test_a_folder_is_looked_through_once_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked, scandir = [], os.scandir
    monkeypatch.setattr(files.os, "scandir", lambda folder: looked.append(folder) or scandir(folder))
    for number in range(5):
        write_text(tmp_path / f"{number}.txt", "")
    assert looked == [tmp_path.resolve()]


def test_a_csv_is_read_back_whatever_its_names_hold(tmp_path):
    names = ["plain", "a,b", 'q"u"o', "two\nlines", "carriage\rreturn", "both\r\n", " lead", "", "é"]
    table = pd.DataFrame({"path": names, "weight": np.arange(len(names)) / 4})
    files.write_csv(tmp_path / "t.csv", table)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["path", "weight"], *([name, str(at / 4)] for at, name in enumerate(names))]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "t.csv", keep_default_na=False), table)
    files.write_csv(tmp_path / "t.csv", table[:3])
    assert (tmp_path / "t.csv").read_bytes() == b'path,weight\nplain,0.0\n"a,b",0.25\n"q""u""o",0.5\n'
