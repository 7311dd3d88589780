"""Image folders as people download them, small: what each should be read as stands beside it."""

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

Counts = dict[str, dict[str, int]]


def put(root: Path, *paths: str) -> list[str]:
    """Write a small picture of its own at each path; the file's bytes follow from the path."""
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(list(path.encode())).integers(0, 255, (6, 6, 3), np.uint8)
        picture = Image.fromarray(pixels).resize((32, 32), Image.Resampling.BICUBIC)
        data = io.BytesIO()
        picture.save(data, "PNG" if path.endswith(".png") else "JPEG")
        file.write_bytes(data.getvalue())
    return list(paths)


def text(root: Path, path: str, lines: Iterable[str], encoding: str = "utf-8") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))


def table(root: Path, path: str, *rows: Iterable[object], delimiter: str = ",") -> None:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
    text(root, path, out.getvalue().splitlines())


def classes(root: Path, prefix: str, names: Iterable[str], count: int = 10, inner: str = "") -> None:
    for name in names:
        put(
            root, *(f"{prefix}{name}/{inner}{prefix.count('/')}{name}{number}.jpg" for number in range(count))
        )


@dataclass(frozen=True)
class Case:
    """A folder and what it is read as.

    Args:
        build: writes it.
        counts: split -> class -> images.
        unlabelled: images without a label.
        left_out: images that are not taken at all.
        guessed: somebody has to confirm it.
        says: words of the sentence.
        columns: of metadata.csv.
    """

    build: Callable[[Path], object]
    counts: Counts = field(default_factory=dict)
    unlabelled: int = 0
    left_out: int = 0
    guessed: bool = False
    says: str = "a folder a class"
    columns: tuple[str, ...] = ()


TWO = {"cat": 10, "dog": 10}
FLAT: Counts = {"": TWO}
SPLIT: Counts = {"test": TWO, "train": TWO}
THREE: Counts = {"test": TWO, "train": TWO, "validation": TWO}


def _kaggle_nested(root: Path) -> None:
    classes(root, "train/train/", TWO)
    put(root, *(f"test/test/{number}.jpg" for number in range(5)))


def _both(train: str, test: str, *more: str) -> Callable[[Path], None]:
    def build(root: Path) -> None:
        for prefix in (train, test, *more):
            classes(root, prefix, TWO)

    return build


def _intel(root: Path) -> None:
    classes(root, "seg_train/seg_train/", TWO)
    classes(root, "seg_test/seg_test/", TWO)
    put(root, *(f"seg_pred/seg_pred/{number}.jpg" for number in range(5)))


def _wrapped(prefix: str) -> Callable[[Path], None]:
    def build(root: Path) -> None:
        classes(root, prefix, TWO)
        text(root, "readme[1].txt", ["terms"])

    return build


def _class_then_split(root: Path) -> None:
    for name in TWO:
        for split in ("train", "test"):
            put(root, *(f"{name}/{split}/{number}.jpg" for number in range(10)))


def _unlabelled_test(where: str) -> Callable[[Path], None]:
    def build(root: Path) -> None:
        classes(root, "train/", TWO)
        put(root, *(f"{where}{number}.jpg" for number in range(5)))

    return build


def _competition(
    path: str = "train/{:05d}.jpg",
    cell: str = "{:05d}.jpg",
    header: tuple[str, str] = ("id", "label"),
    name: str = "train.csv",
    labels: tuple[str, str] = ("cat", "dog"),
    delimiter: str = ",",
    test: str = "test/{}.jpg",
) -> Callable[[Path], None]:
    def build(root: Path) -> None:
        put(root, *(path.format(number) for number in range(20)))
        put(root, *(test.format(number) for number in range(90, 95)))
        rows = [(cell.format(number), labels[number % 2]) for number in range(20)]
        table(root, name, header, *rows, delimiter=delimiter)
        table(
            root,
            "sample_submission.csv",
            header,
            *((test.format(number).split("/")[-1], labels[0]) for number in range(90, 95)),
        )

    return build


def _one_hot(root: Path) -> None:
    put(
        root,
        *(f"images/Train_{number}.jpg" for number in range(20)),
        *(f"images/Test_{number}.jpg" for number in range(5)),
    )
    table(
        root, "train.csv", ("image_id", "cat", "dog"), *((f"Train_{n}", 1 - n % 2, n % 2) for n in range(20))
    )
    table(root, "test.csv", ("image_id",), *((f"Test_{n}",) for n in range(5)))


def _split_column(root: Path) -> None:
    put(root, *(f"images/{number}.png" for number in range(40)))
    rows = [(n, f"{n}.png", ("cat", "dog")[n % 2], ("train", "Test")[n % 4 // 2], n // 4) for n in range(40)]
    table(root, "labels.csv", ("", "filename", "class", "split", "patient"), *rows)


def _numbers(root: Path) -> None:
    put(root, *(f"train_images/{number}.jpg" for number in range(20)))
    table(root, "train.csv", ("image_id", "label"), *((f"{n}.jpg", n % 2) for n in range(20)))
    (root / "label_num_to_disease_map.json").write_text(json.dumps({"0": "cat", "1": "dog"}))


def _two_tables(root: Path) -> None:
    for split in ("train", "test"):
        put(root, *(f"{split}/{number}.jpg" for number in range(20)))
        table(
            root,
            f"{split}_labels.csv",
            ("file", "label"),
            *((f"{n}.jpg", ("cat", "dog")[n % 2]) for n in range(20)),
        )


def _lists(root: Path) -> None:
    put(root, *(f"images/{number}.jpg" for number in range(40)))
    text(root, "train.txt", (f"images/{n}.jpg {n % 2}" for n in range(20)))
    text(root, "test.txt", (f"images/{n}.jpg {n % 2}" for n in range(20, 40)))
    text(root, "classes.txt", TWO)


def _food(root: Path) -> None:
    for name in TWO:
        put(root, *(f"images/{name}/{number}.jpg" for number in range(20)))
    text(root, "meta/train.txt", (f"{name}/{number}" for name in TWO for number in range(10)))
    text(root, "meta/test.txt", (f"{name}/{number}" for name in TWO for number in range(10, 20)))
    text(root, "meta/classes.txt", TWO)


def _tiny_imagenet(root: Path) -> None:
    for name in TWO:
        put(root, *(f"train/{name}/images/{name}_{number}.jpg" for number in range(10)))
    put(
        root,
        *(f"val/images/val_{number}.jpg" for number in range(20)),
        *(f"test/images/test_{number}.jpg" for number in range(5)),
    )
    text(
        root,
        "val/val_annotations.txt",
        (f"val_{n}.jpg\t{('cat', 'dog')[n % 2]}\t0\t0\t9\t9" for n in range(20)),
    )


def _ham(root: Path) -> None:
    put(root, *(f"HAM_part_{1 + n // 10}/ISIC_{n:03d}.jpg" for n in range(20)))
    rows = [(f"L{n // 2}", f"ISIC_{n:03d}", ("cat", "dog")[n % 2], "histo", 40.5 + n % 9) for n in range(20)]
    table(root, "HAM_metadata.csv", ("lesion_id", "image_id", "dx", "dx_type", "age"), *rows)


def _xray(root: Path) -> None:
    put(root, *(f"images_{1 + n // 10:03d}/images/{n:08d}_000.png" for n in range(20)))
    rows = [(f"{n:08d}_000.png", ("cat", "dog")[n % 2], n // 2) for n in range(20)]
    table(root, "Data_Entry.csv", ("Image Index", "Finding Labels", "Patient ID"), *rows)


def _traffic_signs(root: Path) -> None:
    names, columns = tuple(TWO), ("Width", "ClassId", "Path")
    put(root, *(f"Test/{n:05d}.png" for n in range(20)))
    table(root, "Test.csv", columns, *((30 + n, names[n % 2], f"Test/{n:05d}.png") for n in range(20)))
    train = put(root, *(f"Train/{name}/{name}_{n}.png" for name in TWO for n in range(10)))
    table(root, "Train.csv", columns, *((30, path.split("/")[1], path) for path in train))


def _json(root: Path) -> None:
    put(root, *(f"imgs/{n}.jpg" for n in range(20)))
    (root / "answers.json").write_text(json.dumps({f"{n}.jpg": ("cat", "dog")[n % 2] for n in range(20)}))


def _mxnet(root: Path) -> None:
    put(root, *(f"images/{n}.jpg" for n in range(20)))
    text(root, "train.lst", (f"{n}\t{n % 2}.0\timages/{n}.jpg" for n in range(20)))
    text(root, "classes.txt", TWO)


def _roboflow(root: Path) -> None:
    for split in ("train", "valid"):
        put(root, *(f"{split}/{n}.jpg" for n in range(20)))
        rows = [(f"{n}.jpg", f" {1 - n % 2}", f" {n % 2}") for n in range(20)]
        table(root, f"{split}/_classes.csv", ("filename", " cat", " dog"), *rows)


def _pets(root: Path) -> None:
    names = ("Abyssinian", "basset_hound")
    put(root, *(f"images/{name}_{n}.jpg" for name in names for n in range(20)))
    for split, numbers in (("trainval", range(10)), ("test", range(10, 20))):
        lines = (f"{name}_{n} {1 + at} 1 1" for at, name in enumerate(names) for n in numbers)
        text(root, f"annotations/{split}.txt", lines)


def _western(root: Path) -> None:
    put(root, *(f"imgs/{n}.jpg" for n in range(20)))
    lines = ["image,label", *(f"{n}.jpg,{('Käfer', 'Bär')[n % 2]}" for n in range(20))]
    text(root, "labels.csv", lines, "cp1252")


def _beside_classes(*header: str) -> Callable[[Path], None]:
    """A table of something else than labels beside class folders."""

    def build(root: Path) -> None:
        classes(root, "", TWO)
        paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.jpg"))
        table(
            root,
            "info.csv",
            header,
            *((path, "ab"[n % 2], n % 2, 1 - n % 2)[: len(header)] for n, path in enumerate(paths)),
        )

    return build


def _imagefolder(where: str, lines: bool = False, label: str = "label") -> Callable[[Path], None]:
    def build(root: Path) -> None:
        for split in ("train", "test"):
            put(root, *(f"{split}/{split}{number}.png" for number in range(20)))
            names = [f"{split if not where else ''}/{split}{n}.png".lstrip("/") for n in range(20)]
            rows = [(name, ("cat", "dog")[n % 2], f"text {n}") for n, name in enumerate(names)]
            if lines:
                keys = ("file_name", label, "text")
                text(
                    root,
                    f"{split}/metadata.jsonl",
                    (json.dumps(dict(zip(keys, row, strict=True))) for row in rows),
                )
            elif where:
                table(root, f"{split}/metadata.csv", ("file_name", label, "text"), *rows)
            else:
                with (root / "metadata.csv").open("a") as file:
                    writer = csv.writer(file)
                    writer.writerows([("file_name", label, "text"), *rows] if split == "train" else rows)

    return build


def _metadata_in_splits(root: Path) -> None:
    for split in ("train", "test"):
        classes(root, f"{split}/", TWO)
        paths = sorted(path.relative_to(root / split) for path in (root / split).rglob("*.jpg"))
        table(
            root,
            f"{split}/metadata.csv",
            ("path", "group"),
            *((path, f"{split}{n}") for n, path in enumerate(paths)),
        )


def _by_name(*patterns: str, test: str = "test/{}.jpg") -> Callable[[Path], None]:
    def build(root: Path) -> None:
        for name in TWO:
            put(
                root,
                *(
                    pattern.format(name, number)
                    for pattern in patterns
                    for number in range(10 // len(patterns))
                ),
            )
        if test:
            put(root, *(test.format(number) for number in range(5)))

    return build


CASES = {
    # splits by other words, and wrapped folders
    "training_testing": Case(_both("Training/", "Testing/"), SPLIT),
    "dev_holdout": Case(_both("train/", "dev/", "holdout/"), THREE),
    "train_eval": Case(_both("TRAIN/", "Eval/"), SPLIT),
    "train_eval_test": Case(_both("train_set/", "evaluation_set/", "test_set/"), THREE),
    "camel_case": Case(_both("TrainingData/", "ValidationData/", "TestData/"), THREE),
    "years": Case(_both("train2017/", "val2017/", "test2017/"), THREE),
    "common_prefix": Case(_both("asl_train/asl_train/", "asl_test/asl_test/"), SPLIT),
    "wrapped": Case(_wrapped("PetImages/"), FLAT),
    "wrapped_deeply": Case(_wrapped("data/raw images/PetImages/"), FLAT),
    "wrapped_splits": Case(_both("chest/train/", "chest/val/", "chest/test/"), THREE),
    "wrapped_below": Case(_both("train/images/", "test/images/"), SPLIT),
    "class_then_split": Case(_class_then_split, SPLIT),
    "images_below_classes": Case(lambda root: classes(root, "set/", TWO, inner="images/"), FLAT),
    # test pictures without labels
    "kaggle_nested": Case(_kaggle_nested, FLAT, 5),
    "intel": Case(_intel, SPLIT, 5),
    "test_unlabelled": Case(_unlabelled_test("test/"), FLAT, 5),
    "test_unknown": Case(_unlabelled_test("test/unknown/"), FLAT, 5),
    "unlabelled": Case(_unlabelled_test("unlabeled/"), FLAT, 5),
    "test_images": Case(_unlabelled_test("test1/images/"), FLAT, 5),
    "pred_only": Case(_unlabelled_test("pred/more/"), FLAT, 5),
    # labels in tables
    "competition": Case(_competition(), FLAT, 5, guessed=True, says="train.csv"),
    "competition_stems": Case(
        _competition(cell="{:05d}", header=("image_id", "breed")), FLAT, 5, guessed=True, says="breed"
    ),
    "competition_paths": Case(
        _competition(cell="train\\{:05d}.jpg"), FLAT, 5, guessed=True, says="train.csv"
    ),
    "competition_absolute": Case(
        _competition(cell="/kaggle/input/x/train/{:05d}.jpg"), FLAT, 5, guessed=True, says="train.csv"
    ),
    "competition_excel": Case(
        _competition(delimiter=";", name="labels.csv"), FLAT, 5, guessed=True, says="labels.csv"
    ),
    "competition_same_names": Case(
        _competition(path="train/{}.jpg", cell="{}", test="test/{}.jpg"),
        FLAT,
        5,
        guessed=True,
        says="train.csv",
    ),
    "one_hot": Case(_one_hot, FLAT, 5, guessed=True, says="one-hot labels in cat, dog"),
    "split_column": Case(_split_column, SPLIT, guessed=True, says="splits in split", columns=("patient",)),
    "numbers": Case(_numbers, FLAT, guessed=True, says="train.csv"),
    "two_tables": Case(_two_tables, SPLIT, guessed=True, says="test_labels.csv"),
    "tiny_imagenet": Case(
        _tiny_imagenet, {"train": TWO, "validation": TWO}, 5, guessed=True, says="a folder a class"
    ),
    "other_suffix": Case(_competition(cell="{:05d}.JPEG"), FLAT, 5, guessed=True, says="train.csv"),
    "ham": Case(_ham, FLAT, guessed=True, says="labels in dx", columns=("lesion_id", "dx_type", "age")),
    "xray": Case(_xray, FLAT, guessed=True, says="labels in Finding Labels", columns=("Patient ID",)),
    "traffic_signs": Case(
        _traffic_signs, SPLIT, guessed=True, says="of the others in Test.csv", columns=("Width",)
    ),
    "json": Case(_json, FLAT, guessed=True, says="answers.json"),
    "roboflow": Case(
        _roboflow, {"train": TWO, "validation": TWO}, guessed=True, says="one-hot labels in cat, dog"
    ),
    "western": Case(_western, {"": {"Käfer": 10, "Bär": 10}}, guessed=True, says="labels.csv"),
    # lists in text
    "mxnet": Case(_mxnet, FLAT, guessed=True, says="train.lst"),
    "pets": Case(
        _pets,
        {"test": {"1": 10, "2": 10}, "train": {"1": 10, "2": 10}},
        guessed=True,
        says="annotations/test.txt",
    ),
    "lists": Case(_lists, SPLIT, guessed=True, says="train.txt"),
    "food": Case(_food, SPLIT, guessed=True, says="splits in meta/test.txt, meta/train.txt"),
    # Hugging Face's imagefolder
    "imagefolder": Case(_imagefolder(""), SPLIT, says="metadata.csv", columns=("text",)),
    "imagefolder_in_splits": Case(_imagefolder("in"), SPLIT, says="test/metadata.csv", columns=("text",)),
    "imagefolder_lines": Case(
        _imagefolder("in", lines=True), SPLIT, says="metadata.jsonl", columns=("text",)
    ),
    "imagefolder_other": Case(
        _imagefolder("in", label="breed"), SPLIT, guessed=True, says="breed", columns=("text",)
    ),
    "metadata_in_split": Case(_metadata_in_splits, SPLIT, columns=("group",)),
    # labels in names
    "flat_by_name": Case(_by_name("train/{}.{}.jpg"), FLAT, 5, guessed=True, says="in the names"),
    "by_name_top": Case(_by_name("{}_{:03d}.png", test=""), FLAT, guessed=True, says="in the names"),
    "by_name_number_first": Case(
        _by_name("imgs/{1:04d}-{0}.jpg", test=""), FLAT, guessed=True, says="in the names"
    ),
    "by_name_brackets": Case(_by_name("{} ({}).jpg", test=""), FLAT, guessed=True, says="in the names"),
    "by_name_words": Case(
        _by_name("all/{}_front_{}b.jpg", "all/{}-side-{}a.jpg", test=""),
        FLAT,
        guessed=True,
        says="in the names",
    ),
    # laid out as data/raw is
    "classes": Case(lambda root: classes(root, "", TWO), FLAT),
    "splits": Case(_both("train/", "val/", "test/"), {"test": TWO, "train": TWO, "val": TWO}),
    "camera_beside": Case(_beside_classes("file", "camera"), FLAT),
    "type_beside": Case(_beside_classes("file", "type", "day", "night"), FLAT),
    "vehicles": Case(lambda root: classes(root, "", ("train", "bus")), {"": {"train": 10, "bus": 10}}),
}
