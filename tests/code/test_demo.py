import csv
import typing

import pytest

from thaw import demo
from thaw.errors import ThawError
from thaw.files import digest


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory):
    raw_dir = tmp_path_factory.mktemp("demo") / "data" / "raw"
    demo.lay_out("elpv", raw_dir)
    return raw_dir


def tree(raw_dir):
    return {
        path.relative_to(raw_dir).as_posix(): digest(path) for path in raw_dir.rglob("*") if path.is_file()
    }


def test_every_cell_is_there_once(laid_out):
    rows = list(csv.DictReader((laid_out / "metadata.csv").open(encoding="utf-8")))
    assert len(rows) == 2624
    assert {row["path"] for row in rows} == set(tree(laid_out)) - {"metadata.csv"}
    assert all((row["path"].startswith("defective/")) == (float(row["probability"]) > 0.5) for row in rows)
    assert {row["type"] for row in rows} == {"mono", "poly"}
    assert [row["path"] for row in rows] == sorted(row["path"] for row in rows)


def test_files_are_those_of_the_package(laid_out):
    source = demo.elpv._package_data_dir() / "images" / "cell0001.png"
    assert (laid_out / "defective" / "cell0001.png").read_bytes() == source.read_bytes()


def test_a_second_time_changes_nothing_and_reports_progress(laid_out):
    before, seen = tree(laid_out), []
    assert demo.lay_out("elpv", laid_out, lambda done, total: seen.append((done, total))) == 0
    assert tree(laid_out) == before
    assert seen[-1] == (2625, 2625)
    assert list(laid_out.parent.iterdir()) == [laid_out]


def test_what_is_missing_or_cut_short_is_completed(laid_out):
    before = tree(laid_out)
    (laid_out / "metadata.csv").unlink()
    cut = laid_out / "functional" / "cell0011.png"
    cut.write_bytes(cut.read_bytes()[:100])
    assert demo.lay_out("elpv", laid_out) == 2
    assert tree(laid_out) == before


@pytest.mark.parametrize("name", ["functional/mine.png", "defective/.x/y.png", ".DS_Store", "third/a.png"])
def test_other_files_are_never_mixed_with(tmp_path, name):
    mine = tmp_path / "raw" / name
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    with pytest.raises(ThawError, match="is not the demo's"):
        demo.lay_out("elpv", tmp_path / "raw")
    assert [path for path in (tmp_path / "raw").rglob("*") if path.is_file()] == [mine]
    assert mine.read_bytes() == b"mine"


def test_a_file_of_the_same_name_is_not_overwritten(tmp_path):
    mine = tmp_path / "raw" / "defective" / "cell0001.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    with pytest.raises(ThawError, match="differs"):
        demo.lay_out("elpv", tmp_path / "raw")
    assert mine.read_bytes() == b"mine"


def test_a_missing_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(demo.elpv.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ThawError, match=r"elpv-dataset") as caught:
        demo.lay_out("elpv", tmp_path / "raw")
    assert "make install" in caught.value.cure
    assert not (tmp_path / "raw").exists()


def test_the_command_offers_every_set():
    from thaw.cli.demo import demo as command

    offered = typing.get_args(typing.get_args(typing.get_type_hints(command, include_extras=True)["name"])[0])
    assert set(offered) == set(demo.SETS)
