"""metadata.csv as people have it: each row is given to the image it means, and what fits nothing is never passed over."""

import csv
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.data.dirty import picture
from thaw.gate.checks.matching import Images
from thaw.gate.inspection import Inspection, inspect_folder
from thaw.gate.report.manifest import write_manifest
from thaw.params import FitParams, SplitParams, ValidateParams
from thaw.splitting.files import read_split
from thaw.stages.split import SplitInputs, SplitOutputs, split
from thaw.training.labels import make_labels

NFC, NFD = "NFC", "NFD"
QUIET = dict.fromkeys(("tiny_class", "low_information", "blurred", "near_duplicate", "label_shift", "drift"), "off")
FOUND = ("metadata", "group", "probability", "duplicate", "class")


def form(text: str, name: str) -> str:
    return unicodedata.normalize(name, text)  # type: ignore[arg-type]


def make(root: Path, paths: list[str]) -> Path:
    for seed, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        picture(seed, side=24).save(root / path, format="PNG")
    return root


def write(path: Path, lines: list[tuple], encoding: str = "utf-8", delimiter: str = ",") -> None:
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=delimiter).writerows(lines)


def inspect(root: Path, **options) -> Inspection:
    params = ValidateParams.model_validate({"severity": QUIET | options.pop("severity", {})})
    return inspect_folder(params, root, root.parent / "scratch", **options)


def told(inspection: Inspection) -> list[tuple[str, str, str]]:
    return [(row.severity, row.check, row.path) for row in inspection.found if row.check.startswith(FOUND)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make(tmp_path / "raw", [f"{label}/{number}.png" for label in ("cat", "dog") for number in range(4)])


PATHS = [f"{label}/{number}.png" for label in ("cat", "dog") for number in range(4)]
WRITINGS: dict[str, Callable[[str], str]] = {
    "windows": lambda path: path.replace("/", "\\"),
    "here": lambda path: f"./{path}",
    "windows here": lambda path: ".\\" + path.replace("/", "\\"),
    "project": lambda path: f"data/raw/{path}",
    "absolute": lambda path: f"/home/me/Bilder 2024/{path}",
    "drive": lambda path: "C:\\data\\" + path.replace("/", "\\"),
    "address": lambda path: f"s3://bucket/set/{path}",
    "upper": str.upper,
    "spaces": lambda path: f" {path} ",
}


@pytest.mark.parametrize("how", WRITINGS)
def test_paths_written_elsewhere_mean_the_same_images(folder, how):
    write(folder / "metadata.csv", [("path", "group"), *((WRITINGS[how](path), f"g{path}") for path in PATHS)])
    inspection = inspect(folder)
    guessed = how in ("project", "absolute", "drive", "address", "upper")
    assert told(inspection) == ([("warn", "metadata_read_as", "metadata.csv")] if guessed else [])
    assert inspection.metadata.values == {path: [f"g{path}"] for path in PATHS}


def test_the_right_image_is_found_whatever_was_changed():
    rng = np.random.default_rng(5)
    letters = list("abeouñéäßкл猫 _-(),'\"")
    for _ in range(30):
        names = {"".join(rng.choice(letters, 6)).strip() or "x" for _ in range(12)}
        unique = {form(form(name, NFC).casefold(), NFC): name for name in names}.values()
        images = [f"{label}/{form(name, rng.choice([NFC, NFD]))}.jpg" for name in unique for label in ("Ünder", "Ober")]
        known = Images(images)
        for image in images:
            written = form(image, str(rng.choice([NFC, NFD])))
            written = rng.choice(["", "./", "/data/raw/", "raw/"]) + (written.upper() if "ß" not in written else written)
            written = written.replace("/", str(rng.choice(["/", "\\"])))
            assert known.find(written).images == (image,)
            assert known.find(image) == ((image,), "")
        assert known.find("Ober/not there.jpg").images == ()


def test_what_may_mean_several_images_means_none():
    café, cafe = f"a/{form('é', NFC)}.jpg", f"a/{form('é', NFD)}.jpg"
    known = Images([café, cafe, "a/x.jpg", "a/X.jpg", "b/x.jpg", "b/y.jpg", "b/same\\name.jpg"])
    for exact in (café, cafe, "a/x.jpg", "a/X.jpg", "b/same\\name.jpg"):
        assert known.find(exact).images == (exact,)
    assert set(known.find(f"A/{form('É', NFC)}.jpg").images) == {café, cafe}
    assert known.find("a\\é.jpg".replace("é", form("é", NFC))).images == (café, cafe)
    assert known.find("A/x.JPG").images == ("a/x.jpg", "a/X.jpg")
    assert known.find("x.jpg").images == ("a/x.jpg", "b/x.jpg")
    assert known.find("y.jpg") == (("b/y.jpg",), "folders")


def test_two_images_that_a_row_may_mean_are_told(tmp_path):
    root = make(tmp_path / "raw", ["cat/a.png", "cat/A.png", "cat/b.png", "dog/c.png"])
    write(root / "metadata.csv", [("path", "group"), ("CAT/a.PNG", "g"), ("cat/b.png", "h"), ("dog/c.png", "i")])
    inspection = inspect(root)
    reasons = {row.check: row.reason for row in inspection.found}
    assert reasons["metadata_extra_row"] == "line 2 of metadata.csv has a row for it, and may mean cat/A.png or cat/a.png"
    assert reasons["metadata_unmatched"] == (
        "2 of 4 images have no row (cat/A.png, cat/a.png), 1 rows fit no image (CAT/a.PNG); without one they have no group"
    )


@pytest.mark.parametrize(
    ("column", "severity"),
    [
        ("group", "block"), ("Group", "block"), ("weight", "block"), ("confidence", "block"), ("probability", "block"),
        ("probability_dog", "block"), ("camera", "warn"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["header alone", "other names", "half"])
def test_a_table_that_leaves_images_out_is_told_and_blocks_where_it_would_teach(folder, column, severity, kind):
    paths = {"header alone": [], "other names": [f"img_{path.replace('/', '_')}" for path in PATHS], "half": PATHS[::2]}[kind]
    write(folder / "metadata.csv", [("path", column), *((path, "1" if "dog" in path else "0") for path in paths)])
    inspection = inspect(folder)
    (row,) = [row for row in inspection.found if row.check == "metadata_unmatched"]
    assert (row.severity, row.path, row.value) == (severity, "metadata.csv", 4 if kind == "half" else 8)
    assert ("8 rows fit no image (img_cat_0.png, img_cat_1.png, ...)" in row.reason) == (kind == "other names")
    assert ("cat/1.png" in row.reason) and "metadata_unmatched: warn" in row.cure
    assert inspection.summary()["status"] == severity
    allowed = inspect(folder, severity={"metadata_unmatched": "warn", "probability_unclear": "off"})
    assert "block" not in {row.severity for row in allowed.found}


def test_rows_of_images_that_are_not_here_only_warn(folder):
    write(folder / "metadata.csv", [("path", "group"), *((path, path) for path in [*PATHS, "cat/9.png", "dog/9.png"])])
    assert told(inspect(folder)) == [("warn", "metadata_extra_row", f"{label}/9.png") for label in ("cat", "dog")]


@pytest.mark.parametrize("name", ["file_name", "filename", "Image", "PATH", "image_path"])
def test_other_names_of_the_path_are_read(folder, name):
    write(folder / "metadata.csv", [("id", name, "group"), *((n, path, f"g{n}") for n, path in enumerate(PATHS))])
    inspection = inspect(folder)
    assert inspection.metadata.columns == ["id", "group"]
    assert inspection.metadata.values == {path: [str(n), f"g{n}"] for n, path in enumerate(PATHS)}
    (note,) = [row for row in inspection.found if row.check.startswith("metadata")]
    assert (note.check, note.severity, note.reason) == ("metadata_read_as", "warn", f"{name} was read as path")


@pytest.mark.parametrize(("encoding", "delimiter"), [("utf-8", ","), ("utf-16", "\t"), ("cp1252", ";")])
def test_the_cure_for_a_path_of_another_name_works_as_printed(folder, encoding, delimiter, python_on_path):
    lines = [("größe", "bild, datei", "group"), *((f"NA {n}", path, f"g{n}") for n, path in enumerate(PATHS))]
    write(folder / "metadata.csv", lines, encoding, delimiter)
    blocked = inspect(folder, folder=str(folder))
    (row,) = [row for row in blocked.found if row.check == "metadata_invalid"]
    assert "bild, datei holds the images" in row.reason
    subprocess.run(row.cure.split("`")[1], shell=True, check=True, env=python_on_path)
    inspection = inspect(folder)
    assert told(inspection) == []
    assert inspection.metadata.values == {path: [f"NA {n}", f"g{n}"] for n, path in enumerate(PATHS)}
    assert inspection.metadata.columns == ["größe", "group"]


@pytest.fixture
def python_on_path() -> dict[str, str]:
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (["0,5", "1", "0,25", ""], [0.5, 1, 0.25, None]),
        (["1,5E-1", ",5", "0", "2"], [0.15, 0.5, 0, 2]),
        (["0.5", "1", "0.25", "1.5"], [0.5, 1, 0.25, 1.5]),
    ],
)
def test_decimal_commas_beside_semicolons_are_read(folder, cells, wanted):
    write(folder / "metadata.csv", [("path", "weight"), *zip(PATHS, cells * 2, strict=True)], delimiter=";")
    inspection = inspect(folder)
    assert told(inspection) == []
    write_manifest(folder.parent / "m.parquet", inspection)
    assert pq.read_table(folder.parent / "m.parquet")["meta_weight"].to_pylist() == wanted * 2


@pytest.mark.parametrize(("cells", "delimiter"), [(["1.000,5", "2,5"], ";"), (["1.000", "2,5"], ";"), (["1,000", "2"], ",")])
def test_commas_that_may_mean_thousands_are_refused(folder, cells, delimiter):
    write(folder / "metadata.csv", [("path", "weight"), *zip(PATHS, cells * 4, strict=True)], delimiter=delimiter)
    assert {row[:2] for row in told(inspect(folder))} == {("block", "metadata_invalid")}


def test_a_guessed_encoding_is_told(folder):
    write(folder / "metadata.csv", [("path", "halle"), *((path, "Süd") for path in PATHS)], "cp1252", ";")
    inspection = inspect(folder)
    assert told(inspection) == [("warn", "metadata_read_as", "metadata.csv")]
    assert {cells[0] for cells in inspection.metadata.values.values()} == {"Süd"}
    assert "cp1252" in inspection.found[0].reason


def test_second_rows_block_unless_they_say_the_same(folder):
    rows = [(path, path) for path in PATHS]
    write(folder / "metadata.csv", [("path", "group"), *rows, (PATHS[0], PATHS[0]), ("cat\\1.png", "other")])
    assert told(inspect(folder)) == [
        ("block", "metadata_duplicate_row", "cat/1.png"), ("warn", "metadata_duplicate_row", "cat/0.png")
    ]  # fmt: skip


def test_a_table_called_by_another_case_is_read(folder):
    write(folder / "Metadata.CSV", [("path", "group"), *((path, path) for path in PATHS)])
    assert told(inspect(folder)) == []
    assert len(inspect(folder).metadata.values) == len(PATHS)
    write(folder / "metadata.csv", [("path", "camera"), *((path, path) for path in PATHS)])
    inspection = inspect(folder)
    assert inspection.metadata.columns == ["camera"]
    assert told(inspection) == [("block", "metadata_not_read", "Metadata.CSV")]


@pytest.mark.parametrize(
    ("name", "content", "severity"),
    [
        ("train/metadata.csv", "path,group\n", "block"),
        ("train/cat/metadata.csv", "file_name;Weight\n", "block"),
        ("test/metadata.jsonl", '{"file_name": "a.png", "probability": 1}\n', "block"),
        ("test/metadata.jsonl", '{"file_name": "a.png", "text": "a cat"}\n', "warn"),
        ("metadata.jsonl", '{"file_name": "a.png", "group": 1}\n', "block"),
        ("metadata.xlsx", "PK", "warn"),
        ("train/Metadata.csv", "path,camera\n", "warn"),
        ("train/metadata.csv", "", "warn"),
    ],
)
def test_metadata_where_it_is_not_read_is_told(tmp_path, name, content, severity):
    root = make(tmp_path / "raw", [f"{part}/{path}" for part in ("train", "test") for path in PATHS])
    (root / name).write_text(content)
    (row,) = [row for row in inspect(root).found if row.check.startswith(("metadata", "foreign"))]
    assert (row.severity, row.check, row.path) == (severity, "metadata_not_read", name)
    assert "`thaw data add data/raw --replace`" in row.cure
    (row,) = [row for row in inspect(root, clean="thaw clean x", folder="my pictures").found if "read" in row.check]
    assert "`thaw data add 'my pictures'`" in row.cure


def test_of_equal_files_the_one_with_a_row_stays_then_the_shortest_name(tmp_path):
    root = make(tmp_path / "raw", PATHS)
    for source, copies in {"cat/0.png": ["a copy.png", "0 (1).png", "zz.png"], "dog/0.png": ["0 (1).png", "00.png"]}.items():
        for copy in copies:
            (root / source).with_name(copy).write_bytes((root / source).read_bytes())
    rows = [(path, "g", "1") for path in PATHS if path != "cat/0.png"]
    write(root / "metadata.csv", [("path", "group", "weight"), *rows, ("cat/zz.png", "kept", "3"), ("cat/a copy.png", "", "")])
    inspection = inspect(root)
    gone = {row.path for row in inspection.found if row.check == "duplicate"}
    assert gone == {"cat/0.png", "cat/0 (1).png", "cat/a copy.png", "dog/0 (1).png", "dog/00.png"}
    assert {row.check for row in inspection.found} == {"duplicate"}
    write_manifest(tmp_path / "m.parquet", inspection)
    rows = {row["path"]: row for row in pq.read_table(tmp_path / "m.parquet").to_pylist() if row["verdict"] == "ok"}
    assert (rows["cat/zz.png"]["meta_group"], rows["cat/zz.png"]["meta_weight"]) == ("kept", 3.0)
    assert not gone & set(rows)
    (root / "metadata.csv").unlink()
    gone = {row.path for row in inspect(root).found if row.check == "duplicate"}
    assert gone == {"cat/zz.png", "cat/0 (1).png", "cat/a copy.png", "dog/0 (1).png", "dog/00.png"}


def test_rows_of_equal_files_that_differ_are_told(tmp_path):
    root = make(tmp_path / "raw", PATHS)
    for label in ("cat", "dog"):
        (root / label / "copy.png").write_bytes((root / label / "0.png").read_bytes())
    values = {path: ("0.9" if "dog" in path else "0.1", "g", "x") for path in PATHS}
    values |= {"cat/copy.png": ("0.10", "g", "y"), "dog/copy.png": ("0.8", "h", "x")}
    lines = [(path, *cells) for path, cells in values.items()]
    write(root / "metadata.csv", [("path", "probability", "group", "camera"), *lines])
    found = [(row.path, row.reason) for row in inspect(root).found if row.check == "metadata_rows_differ"]
    assert found == [
        ("dog/copy.png", "equals dog/0.png, and their rows differ: group is h here and g there"),
        ("dog/copy.png", "equals dog/0.png, and their rows differ: probability is 0.8 here and 0.9 there"),
    ]


def test_every_stage_gets_the_values_of_the_row_that_was_meant(tmp_path):
    rng = np.random.default_rng(3)
    labels = [form("Käfer", NFD), "O'Hara, \"x\""]
    names = ["plain", form("ü1", NFD), form("ü2", NFC), "two words", "com,ma", 'quo"te', "back\\slash", "semi;colon", "猫"]
    names += ["line\nbreak", "carriage\rreturn", "=1+1", " lead"]
    paths = [f"{label}/{name}.png" for label in labels for name in names]
    make(tmp_path / "raw", paths)
    wanted = {
        path: (round(float(rng.uniform(0.1, 4)), 3), 0.75 if path.startswith("O") else 0.125, f"g{n % 7}", "ab"[n % 2])
        for n, path in enumerate(paths)
    }
    written = {path: form(path, str(rng.choice([NFC, NFD]))) for path in paths}
    slashes = {path: text.replace("/", "\\") if n % 3 else f"C:\\raw\\{text}" for n, (path, text) in enumerate(written.items())}
    lines = [(slashes[path], *(str(cell).replace(".", ",") for cell in wanted[path])) for path in rng.permutation(paths)]
    head = ("file_name", "Weight", f"probability_{labels[1]}", "group", "camera")
    write(tmp_path / "raw" / "metadata.csv", [head, *lines], "utf-16", ";")
    inspection = inspect(tmp_path / "raw")
    assert {row.check for row in inspection.found} == {"metadata_read_as"}
    write_manifest(tmp_path / "m.parquet", inspection)
    (tmp_path / "findings.json").write_text('{"status": "warn"}')
    files = [tmp_path / f"{name}.csv" for name in ("train", "validation", "test")]
    inputs = SplitInputs(tmp_path / "m.parquet", tmp_path / "findings.json")
    split(SplitParams(), 1, inputs, SplitOutputs(*files, tmp_path / "classes.json"))
    parts = [read_split(file) for file in files]
    rows = pd.concat(parts)
    assert sorted(rows["path"]) == sorted(paths)
    assert set(rows["class"]) == {form("Käfer", NFC), labels[1]}
    taught = make_labels(rows, 2, FitParams())
    got = zip(taught.paths, taught.weights.astype(float), taught.targets[:, 0].astype(float), rows["camera"], strict=True)
    for path, weight, target, camera in got:
        assert (round(weight, 3), target, camera) == (wanted[path][0], wanted[path][1], wanted[path][3])
    groups = [{wanted[path][2] for path in part["path"]} for part in parts]
    assert not any(groups[a] & groups[b] for a, b in ((0, 1), (0, 2), (1, 2)))
