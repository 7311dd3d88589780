"""Tables as people save them are read as the cells that were written; what cannot be read says why and the cure."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from thaw.errors import ThawError
from thaw.tables import Table, read_table

WORDS = ("a", "Café", "Straße 7", "x,y", "a;b", 'say "no"', "two\nlines", "tab\tbed", "ключ", "猫", "NA", "007", "", " b ")
LATIN = tuple(word for word in WORDS if word.encode("cp1252", "ignore").decode("cp1252") == word)
DIALECTS = [
    ("utf-8", ","), ("utf-8-sig", ","), ("utf-8-sig", ";"), ("utf-16", "\t"), ("utf-16-le", ","), ("utf-16-be", ";"),
    ("utf-32", ","), ("cp1252", ";"), ("utf-8", "|"),
]  # fmt: skip


def save(path: Path, lines: list[list[str]], encoding: str = "utf-8", delimiter: str = ",", end: str = "\r\n") -> Path:
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if end == "\r" else csv.QUOTE_MINIMAL  # it leaves a line feed bare where lines end otherwise
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(lines)
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def read(tmp_path: Path, content: bytes, names: tuple[str, ...] = ()) -> Table:
    (tmp_path / "t.csv").write_bytes(content)
    return read_table(tmp_path / "t.csv", names)


@pytest.mark.parametrize(("encoding", "delimiter"), DIALECTS)
def test_random_tables_are_read_as_they_were_written(tmp_path, encoding, delimiter):
    rng = np.random.default_rng(len(encoding) * ord(delimiter))
    words = LATIN if encoding == "cp1252" else WORDS
    for number in range(25):
        columns = ["file_name", *(f"größe {at}" for at in range(rng.integers(0, 4)))]
        rows = [
            [f"cat/{row}.jpg", *(str(rng.choice(words)) for _ in columns[1:])] for row in range(rng.integers(0, 30))
        ]
        end = ("\r\n", "\n", "\r")[number % 3]
        table = read_table(save(tmp_path / "t.csv", [columns, *rows], encoding, delimiter, end), ["größe"])
        assert (table.columns, table.rows, table.faults) == (columns, rows, [])
        assert table.path_column() == 0
        assert table.is_sure == (encoding != "cp1252" or b"\xf6" not in (tmp_path / "t.csv").read_bytes())


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("cp1252", "Käfer"), ("cp1251", "кошка"), ("cp1250", "Źródło"), ("mac_roman", "Käfer"), ("cp932", "こねこ"),
        ("cp437", "Käfer"),
    ],
)
def test_the_names_of_the_images_tell_8_bit_encodings_apart(tmp_path, encoding, name):
    save(tmp_path / "t.csv", [["path", "group"], [f"{name}/1.jpg", "g"]], encoding)
    table = read_table(tmp_path / "t.csv", ["cat", name])
    assert (table.rows, table.is_sure) == ([[f"{name}/1.jpg", "g"]], False)


def test_what_excel_and_pandas_add_is_left_out(tmp_path):
    table = read(tmp_path, b"sep=;\r\npath;group;;\r\na.jpg;g;;\r\n;;;\r\n\r\nb.jpg;h;;\r\n")
    assert (table.columns, table.rows, table.lines) == (["path", "group"], [["a.jpg", "g"], ["b.jpg", "h"]], [3, 6])
    table = read(tmp_path, b",path,group\n0,a.jpg,g\n1,b.jpg,h\n")
    assert (table.columns, table.rows) == (["path", "group"], [["a.jpg", "g"], ["b.jpg", "h"]])


def test_a_header_that_names_no_path_is_divided_by_its_lines(tmp_path):
    assert read(tmp_path, b"bild;werk, halle\na.jpg;5\n").columns == ["bild", "werk, halle"]
    assert read(tmp_path, b"bild\na.jpg\n").columns == ["bild"]


def test_lines_of_another_width_are_told(tmp_path):
    table = read(tmp_path, b'path,group\na.jpg,"x\ny"\nb.jpg\nc.jpg,g,h\nd.jpg,g\n')
    assert table.faults == ["line 4 has 1 values for 2 columns", "line 5 has 3 values for 2 columns"]
    assert (table.rows, table.lines) == ([["a.jpg", "x\ny"], ["d.jpg", "g"]], [3, 6])


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf\r\n", "empty"),
        (b"path,group\na.jpg,\x00\n", "zero bytes"),
        (b"path,group,group\na,b,c\n", "'group' twice"),
        (b"path,,group\na,b,c\n", "column 2 has no name"),
        (b'path,group\na.jpg,"open\nb.jpg,g\n', "cannot be read"),
        (b'path,group\na.jpg,"x"y\n', "cannot be read"),
        (b"\xff\xfep", "UTF-16"),
        (b"\xef\xbb\xbfpath\n\xff", "UTF-8"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, content, word):
    with pytest.raises(ThawError, match=word) as error:
        read(tmp_path, content)
    assert "t.csv" in error.value.reason
    assert "CSV in UTF-8" in error.value.cure
