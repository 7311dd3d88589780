"""Layouts that people have: what each is read as, that no image is lost, and that the printed command reads the same."""

import random
import shlex
import unicodedata
from pathlib import Path

import pytest

from tests.data.folders import CASES, Case, table
from thaw.errors import ThawError
from thaw.intake.evidence import Options
from thaw.intake.reading import Reading
from thaw.intake.recognition import recognise
from thaw.intake.telling import take_in
from thaw.layout import is_image_name

AS_IS = ("classes", "splits", "vehicles", "camera_beside", "type_beside")


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Case, Path]:
    root = tmp_path / "a folder"
    CASES[request.param].build(root)
    return request.param, CASES[request.param], root


def images_below(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if is_image_name(path.name)}


def options_of(command: str) -> tuple[str, Options]:
    """The folder and the options that a printed command names, by its own words."""
    thaw, data, add, folder, *rest = shlex.split(command)
    assert (thaw, data, add) == ("thaw", "data", "add")
    given: dict[str, list[str]] = {}
    rest = [word for word in rest if word != "--yes"]
    for option, value in zip(rest[::2], rest[1::2], strict=True):
        given.setdefault(option, []).append(value)
    (path_column,) = given.get("--path-column", [""])
    (pattern,) = given.get("--label-pattern", [""])
    return folder, Options(
        tuple(given.get("--labels", [])), path_column, tuple(given.get("--label-column", [])), pattern
    )


def test_a_layout_is_told_and_no_image_is_lost(case: tuple[str, Case, Path]) -> None:
    name, wanted, root = case
    reading = recognise(root)
    assert reading.counts() == wanted.counts
    assert wanted.says in reading.says
    assert (len(reading.unlabelled), reading.guessed, reading.columns) == (
        wanted.unlabelled, wanted.guessed, wanted.columns,
    )  # fmt: skip
    assert reading.as_is == (name in AS_IS)
    out = [image for images in reading.left_out.values() for image in images if is_image_name(image)]
    assert sorted([*reading.placed, *reading.unlabelled, *out]) == sorted(images_below(root))
    targets = [*reading.placed.values()]
    assert len(set(targets)) == len(targets)


def test_the_printed_command_reads_the_same_without_a_guess(case: tuple[str, Case, Path]) -> None:
    _, _, root = case
    reading = recognise(root)
    folder, options = options_of(take_in(reading, root))
    again = recognise(Path(folder), options)
    assert again.placed == reading.placed
    assert (again.unlabelled, again.rows, again.columns) == (
        reading.unlabelled,
        reading.rows,
        reading.columns,
    )
    assert not again.guessed or not reading.arguments


def reading_of(case: str, root: Path) -> Reading:
    CASES[case].build(root)
    return recognise(root)


def test_labels_are_those_of_the_table(tmp_path: Path) -> None:
    reading = reading_of("competition_same_names", tmp_path)
    for number in range(20):
        assert reading.placed[f"train/{number}.jpg"] == f"{('cat', 'dog')[number % 2]}/{number}.jpg"


def test_a_table_without_labels_is_none_that_labels(tmp_path: Path) -> None:
    reading = reading_of("one_hot", tmp_path)
    assert reading.says == "labels in train.csv (paths in column image_id, one-hot labels in cat, dog)"
    assert " ".join(reading.arguments) == (
        "--labels train.csv --path-column image_id --label-column cat --label-column dog"
    )


def test_images_in_no_list_are_told(tmp_path: Path) -> None:
    CASES["food"].build(tmp_path)
    (tmp_path / "meta" / "train.txt").unlink()
    reading = recognise(tmp_path)
    assert "(20 images in none of them, which train)" in reading.says
    assert reading.counts() == {"test": {"cat": 10, "dog": 10}, "train": {"cat": 10, "dog": 10}}


def test_groups_go_with_their_images(tmp_path: Path) -> None:
    reading = reading_of("split_column", tmp_path)
    for number in range(40):
        assert reading.rows[reading.placed[f"images/{number}.png"]] == (str(number // 4),)


WORDS = (
    "train",
    "Test",
    "val",
    "cat",
    "dog",
    "Cat",
    "images",
    "masks",
    "part_1",
    "part_2",
    "a",
    "unlabeled",
    "IMG",
    "0",
)


@pytest.mark.parametrize("seed", range(60))
def test_of_any_folder_every_image_is_placed_once_or_listed_or_it_is_refused(
    seed: int, tmp_path: Path
) -> None:
    """Random trees of words that mean something, with a table now and then."""
    rng = random.Random(seed)
    folders = ["/".join(rng.sample(WORDS, rng.randint(0, 3))) for _ in range(rng.randint(1, 6))]
    stems = [rng.choice(("{}", "cat.{}", "{}_dog", "IMG_{}")) for _ in folders]
    images = []
    for folder, stem in zip(folders, stems, strict=True):
        for number in range(rng.randint(1, 12)):
            path = tmp_path / folder / f"{stem.format(number)}{rng.choice(('.jpg', '.JPG'))}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            images.append(path.relative_to(tmp_path).as_posix())
    if rng.random() < 0.6:
        names = rng.sample(images, len(images) * rng.choice((1, 1, 2)) // 2) or images
        rows = [
            (rng.choice((name, Path(name).stem, Path(name).name)), rng.choice("xy"), n)
            for n, name in enumerate(names)
        ]
        table(
            tmp_path,
            rng.choice(("train.csv", "labels.csv", "metadata.csv")),
            ("file_name", "label", "more"),
            *rows,
        )
    try:
        reading = recognise(tmp_path)
    except ThawError as error:
        assert error.cure
        return
    out = [image for files in reading.left_out.values() for image in files if is_image_name(image)]
    assert sorted([*reading.placed, *reading.unlabelled, *out]) == sorted(set(images))
    targets = [unicodedata.normalize("NFC", target).casefold() for target in reading.placed.values()]
    assert reading.as_is or len(set(targets)) == len(targets)
    assert {len(target.split("/")) for target in targets} <= (
        {3} if any(reading.counts().keys() - {""}) else {2}
    )
    assert set(reading.rows) <= set(reading.placed.values())
