"""Files are written whole or not at all."""

import hashlib
from pathlib import Path

import pytest

from thaw.files import digest, read_json, replacing, write_json, write_text


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
