"""Folders that cannot be read, or in two ways: what is said, and that every command in the cure decides it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data.folders import CASES, TWO, classes, put, table, text
from tests.data.test_intake_layouts import images_below, options_of
from thaw.errors import ThawError
from thaw.intake.evidence import Options
from thaw.intake.reading import Unreadable
from thaw.intake.recognition import recognise

Build = Callable[[Path], object]


def twins(pictures: str, others: str, other_name: str = "{}.png") -> Build:
    def build(root: Path) -> None:
        put(root, *(f"{pictures}/{number}.jpg" for number in range(12)))
        put(root, *(f"{others}/{other_name.format(number)}" for number in range(12)))

    return build


def covid(root: Path) -> None:
    for name in ("COVID", "Normal"):
        for kind in ("images", "masks"):
            put(root, *(f"{name}/{kind}/{name}-{number}.png" for number in range(10)))


def flat(root: Path) -> None:
    put(
        root,
        *(f"IMG_{number:04d}.jpg" for number in range(20)),
        *(f"DSC{number:05d}.jpg" for number in range(20)),
    )


def kinds(root: Path) -> None:
    for group, names in {"pets": ("cat", "dog"), "vehicles": ("bus", "car")}.items():
        classes(root, f"{group}/", names)


def parts(root: Path) -> None:
    for part in (1, 2):
        put(root, *(f"HAM_{'ab'[part - 1]}/{number}.jpg" for number in range(20 * part, 20 * part + 20)))
    table(root, "ham.csv", ("image_id", "dx"), *((n, ("mel", "nv")[n % 2]) for n in range(20, 60)))


def one_table(
    *rows: tuple[object, ...], header: tuple[str, ...] = ("file", "label"), images: int = 20
) -> Build:
    def build(root: Path) -> None:
        put(root, *(f"images/{number}.jpg" for number in range(images)))
        table(root, "labels.csv", header, *rows)

    return build


def two_columns(root: Path) -> None:
    rows = [(n, ("cat", "dog")[n % 2], ("pet", "wild", "farm")[n % 3]) for n in range(20)]
    one_table(*rows, header=("file", "species", "category"))(root)


def boxes(root: Path) -> None:
    put(root, *(f"train/images/{number}.jpg" for number in range(12)))
    for number in range(12):
        text(root, f"train/labels/{number}.txt", ["0 0.5 0.5 0.1 0.1"])


def beside(root: Path) -> None:
    for prefix in ("train/", "test/", "extra/"):
        classes(root, prefix, TWO)


def twice(root: Path) -> None:
    for prefix in ("train/", "val/", "valid/"):
        classes(root, prefix, TWO)


def strays(root: Path) -> None:
    classes(root, "set/", TWO)
    put(root, "set/cover.jpg")


def nothing(root: Path) -> None:
    text(root, "notes.txt", ["x"])


def pets_with_masks(root: Path) -> None:
    CASES["pets"].build(root)
    put(root, *(f"annotations/trimaps/{path.stem}.png" for path in (root / "images").iterdir()))


def illness(root: Path) -> None:
    one_table(*((n, 30 + n, ("yes", "no")[n % 2]) for n in range(20)), header=("image", "age", "is_ill"))(
        root
    )


def matlab(root: Path) -> None:
    put(root, *(f"jpg/image_{number:05d}.jpg" for number in range(20)))
    (root / "imagelabels.mat").write_bytes(b"MATLAB 5.0")


PAIR = [(n, ("cat", "dog")[n % 2]) for n in range(20)]
REFUSED: dict[str, tuple[Build, str]] = {
    "thumbs": (twins("images", "thumbs"), "images/ and thumbs/ pair one to one"),
    "masks": (
        twins("train/images", "train/masks", "{}_mask.png"),
        "train/images/ and train/masks/ pair one to one",
    ),
    "ground truth": (twins("imgs", "GT"), "imgs/ and GT/ pair one to one"),
    "previews": (twins("photos", "previews", "{}-thumb.jpg"), "photos/ and previews/ pair one to one"),
    "masks in classes": (covid, "COVID/images/ and COVID/masks/ pair one to one"),
    "no labels": (flat, "neither folders nor tables nor names tell their classes"),
    "classes in classes": (kinds, "folders in folders, as pets/cat/"),
    "folders against a table": (parts, "the folders say HAM_a, HAM_b, and ham.csv says mel, nv"),
    "rows without image": (
        one_table(*PAIR, *((n, "cat") for n in range(50, 56))),
        "6 of the 26 rows of labels.csv name no",
    ),
    "images without row": (one_table(*PAIR, images=26), "6 of 26 images have no row in labels.csv"),
    "two labels": (one_table(*PAIR, (3, "cat")), "images/3.jpg has two labels, 'dog' and 'cat'"),
    "two label columns": (two_columns, "several columns that may be the label: species, category"),
    "case": (one_table(*PAIR[:-1], (19, "Dog")), "the classes 'Dog', 'dog' would share a folder"),
    "measurements": (one_table(*((n, n + 0.5) for n in range(20))), "neither folders nor tables"),
    "boxes": (boxes, "have a text of their own"),
    "beside the splits": (beside, "extra/cat/, extra/dog/ beside the splits test, train"),
    "two names of a split": (twice, "val/ and valid/ name the same split"),
    "strays": (strays, "1 images lie in no class folder: set/cover.jpg"),
    "masks elsewhere": (pets_with_masks, "images/ and annotations/trimaps/ pair one to one"),
    "a label called otherwise": (illness, "none of its columns is called label: is_ill"),
    "labels in a form that is not read": (matlab, "neither folders nor tables"),
    "no images": (nothing, "holds no images; its files end in: .txt (1)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_said_why_and_each_command_decides_it(name: str, tmp_path: Path) -> None:
    build, reason = REFUSED[name]
    root = tmp_path / "it's a folder"
    build(root)
    with pytest.raises(Unreadable) as refused:
        recognise(root)
    assert reason in refused.value.reason
    assert refused.value.cure
    readings = []
    for command in re.findall(r"`(thaw data add .*?)`", refused.value.cure):
        folder, options = options_of(command)
        reading = recognise(Path(folder), options)
        out = [image for images in reading.left_out.values() for image in images]
        inside = images_below(Path(folder))
        assert inside == {*reading.placed, *reading.unlabelled, *out} & inside
        readings.append(reading.placed)
    assert len({tuple(sorted(placed.items())) for placed in readings}) == len(readings)
    assert len(readings) == {
        "classes in classes": 2,
        "folders against a table": 2,
        "two label columns": 2,
        "masks elsewhere": 1,
        "a label called otherwise": 1,
        "masks in classes": 1,
    }.get(name, 0)


def test_masks_in_classes_are_left_out_by_the_command(tmp_path: Path) -> None:
    covid(tmp_path)
    reading = recognise(tmp_path, Options(pattern=r"(?P<label>[^/]+)/images/[^/]+$"))
    assert reading.counts() == {"": {"COVID": 10, "Normal": 10}}
    assert len(reading.left_out["the pattern does not fit"]) == 20


def test_pictures_beside_masks_are_taken_alone_where_they_have_classes(tmp_path: Path) -> None:
    classes(tmp_path, "images/", TWO)
    classes(tmp_path, "masks/", TWO)
    for path in [*(tmp_path / "masks").rglob("*.jpg")]:
        path.rename(path.with_name(path.name.replace("masks", "images")))
    with pytest.raises(Unreadable) as refused:
        recognise(tmp_path)
    (command,) = re.findall(r"`(.*?)`", refused.value.cure)
    folder, options = options_of(command)
    assert recognise(Path(folder), options).as_is


def test_one_hot_rows_with_several_classes_are_refused(tmp_path: Path) -> None:
    rows = [(n, n % 2, 1 - n % 2) for n in range(19)]
    one_table(*rows, (19, 1, 1), header=("file", "cat", "dog"))(tmp_path)
    options = Options(("labels.csv",), "file", ("cat", "dog"))
    with pytest.raises(Unreadable, match=r"labels\.csv gives images/19\.jpg several labels"):
        recognise(tmp_path, options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (Options(("none.csv",)), "no such file"),
        (Options(("labels.csv",), "nope"), "no column 'nope'"),
        (Options(("labels.csv",), "label", ("file",)), "no column names images"),
        (Options(pattern="("), "unterminated"),
        (Options(pattern="(cat)"), "no group called label"),
        (Options(pattern="(?P<label>zebra)"), "fits no image's path"),
        (Options(pattern=r"(?P<split>images)/(?P<label>.)"), "'images' in images/0.jpg names no split"),
    ],
)
def test_options_that_do_not_fit_are_told(options: Options, reason: str, tmp_path: Path) -> None:
    one_table(*PAIR)(tmp_path)
    with pytest.raises(ThawError, match=re.escape(reason)):
        recognise(tmp_path, options)
