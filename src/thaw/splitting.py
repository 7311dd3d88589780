"""Divide the images of a manifest into train, validation and test: stratified, grouped, seeded."""

import difflib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from thaw.errors import ThawError
from thaw.files import write_text
from thaw.params import SplitParams

SPLITS = ("train", "validation", "test")
FIXED_COLUMNS = ("path", "class", "label", "target", "weight", "confidence", "grey", "group")
"""Columns of a split's CSV before the slices."""
_METADATA = "meta_"
_NOT_A_SLICE = {*FIXED_COLUMNS, "probability", "split"}
_SLICE_VALUES = range(2, 21)


def assign_splits(images: pd.DataFrame, params: SplitParams, seed: int) -> pd.Series:
    """Name the split of each image. Splits that the folder has of its own are kept.

    The images of each class are divided by largest remainders over the strata (class and `params.stratify`):
    the shares are exact. Which image goes where follows from a digest of seed and path: a new image moves few
    of the others. Images of one group, and images of equal bytes, stay together.

    Raises:
        ThawError: a class has too few images, or groups, for every split; an unknown column is named.
    """
    columns = slice_columns(images, params.slices)
    if params.stratify != "auto":
        columns = [_known_column(images, name, "split.stratify") for name in params.stratify]
    strata = images.groupby(
        ["class", *(_METADATA + name for name in columns)], dropna=False, sort=True
    ).ngroup()
    splits = (
        images["split"].replace("", "train") if (images["split"] != "").any() else pd.Series("", images.index)
    )
    wanted = _wanted_shares(splits, params)
    free = ~splits.isin(["validation", "test"])
    numbers = np.unique(strata[free].to_numpy(), return_inverse=True)[1]
    splits[free] = _divide(images[free], numbers, wanted, seed) if len(wanted) > 1 else "train"
    return splits


def label_images(images: pd.DataFrame, params: SplitParams) -> tuple[pd.DataFrame, list[str]]:
    """The rows of the CSVs (docs/architecture.md), and the classes in the order of their labels.

    `target` is the probability of the positive class where the metadata has a `probability`. `confidence` is
    the probability of the label that an image carries, by which Deitsch et al. (Solar Energy 2019) count
    uncertain cells; with more than two classes `probability` is that confidence itself. `group` is the path of the
    first of the images that do not count as independent: of one metadata group, of equal bytes, or alike for the gate.

    Raises:
        ThawError: a probability or weight is no such number, or `positive_class` is no class.
    """
    classes = sorted(images["class"].unique())
    probability = _numbers(images, "probability", 0.0, 1.0)
    means = probability.groupby(images["class"]).mean()
    likelier = str(means.idxmax()) if means.max() > means.min() else classes[-1]
    positive = likelier if params.positive_class == "auto" else params.positive_class
    if positive not in classes:
        near = difflib.get_close_matches(positive, classes, n=1, cutoff=0.0)
        raise ThawError(
            f"params.yaml: split.positive_class: no class {positive!r}", f"Did you mean {near[0]!r}?"
        )
    target = pd.Series(np.nan, images.index)
    confidence = probability.fillna(1.0)
    if len(classes) == 2:
        classes = [name for name in classes if name != positive] + [positive]
        target = probability if positive == likelier else 1 - probability
        confidence = target.where(images["class"] == positive, 1 - target).fillna(1.0)
    rows = {
        "path": images["path"],
        "class": images["class"],
        "label": images["class"].map({name: i for i, name in enumerate(classes)}),
        "target": target,
        "weight": _numbers(images, "weight", 0.0, np.inf).fillna(1.0),
        "confidence": confidence,
        "grey": images["grey"].astype(int),
        "group": _first_of_unit(images),
    }
    slices = {name: images[_METADATA + name] for name in slice_columns(images, params.slices)}
    return pd.DataFrame({**rows, **slices}), classes


def slice_columns(images: pd.DataFrame, slices: str | Sequence[str]) -> list[str]:
    """Names of the metadata columns that make slices, without their prefix.

    Raises:
        ThawError: a column that is named is not there, or its name is taken.
    """
    if slices != "auto":
        return [_known_column(images, name, "split.slices") for name in slices]
    found = [name.removeprefix(_METADATA) for name in images.columns if name.startswith(_METADATA)]
    return [
        name
        for name in found
        if name not in _NOT_A_SLICE and images[_METADATA + name].nunique(dropna=False) in _SLICE_VALUES
    ]


def read_split(path: Path) -> pd.DataFrame:
    """Read a split's CSV: names and slices as text (a class may be called `NA`), the rest as numbers."""
    rows = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    for name in ("label", "grey"):
        rows[name] = rows[name].astype(np.int64)
    for name in ("target", "weight", "confidence"):
        rows[name] = pd.to_numeric(rows[name].where(rows[name] != "")).astype(np.float64)
    return rows


def write_split(path: Path, rows: pd.DataFrame) -> None:
    """Write the rows of one split, sorted by path."""
    write_text(path, rows.sort_values("path").to_csv(index=False, lineterminator="\n"))


def write_classes(path: Path, classes: Sequence[str]) -> None:
    """Write the classes in the order of their labels."""
    write_text(path, json.dumps(list(classes), ensure_ascii=False, indent=2) + "\n")


def _wanted_shares(splits: pd.Series, params: SplitParams) -> dict[str, float]:
    """What the images that are not yet held out are divided into; the shares add up to 1, train's is last."""
    test = 0.0 if (splits == "test").any() else params.test_fraction
    validation = 0.0 if (splits == "validation").any() else params.validation_fraction * (1 - test)
    shares = {"test": test, "validation": validation, "train": 1 - test - validation}
    return {name: share for name, share in shares.items() if share > 0}


def _divide(images: pd.DataFrame, strata: np.ndarray, wanted: dict[str, float], seed: int) -> np.ndarray:
    """Split names, one an image."""
    units = _units(images)
    _check_enough(images["class"], units, list(wanted))
    order = np.argsort([_digest(seed, path) for path in images["path"]], kind="stable")
    room = _quotas(
        images["class"].astype("category").cat.codes.to_numpy(), strata, list(wanted.values()), seed
    )
    sizes = np.bincount(units)
    result = np.full(len(images), -1)
    _place_groups(result, units, strata, order[sizes[units[order]] > 1], room)
    single = order[sizes[units[order]] == 1]
    single = single[np.argsort(strata[single], kind="stable")]
    for members in np.split(single, np.flatnonzero(np.diff(strata[single])) + 1):
        if len(members):  # what groups took too much of one split, they left of the others
            left = _apportion(len(members), np.clip(room[strata[members[0]]], 0, None), seed)
            result[members] = np.repeat(np.arange(len(left)), left)
    splits = np.array(list(wanted), object)[result]
    for name in wanted:
        missing = set(images["class"]) - set(images["class"][splits == name])
        if missing:
            raise ThawError(
                f"class {min(missing)!r} has too few groups: no image of it is left for {name}",
                "Add images of other groups, or set split.validation_fraction: 0.",
            )
    return splits


def _quotas(classes: np.ndarray, strata: np.ndarray, shares: Sequence[float], seed: int) -> np.ndarray:
    """Images of each stratum for each split, `(strata, splits)`; the last split takes what is left."""
    class_sizes = np.bincount(classes)
    strata_sizes = np.bincount(strata)
    class_of = np.zeros(len(strata_sizes), np.int64)
    class_of[strata] = classes
    quotas = np.zeros((len(strata_sizes), len(shares)), np.int64)
    for i, share in enumerate(shares[:-1]):
        total = round(share * len(classes))
        later = len(shares) - 1 - i
        class_quotas = _apportion(min(total, class_sizes.sum()), class_sizes, seed)
        class_quotas = np.clip(class_quotas, 1, class_sizes - later)  # each class is in each split
        for number, quota in enumerate(class_quotas):
            members = np.flatnonzero(class_of == number)
            quotas[members, i] = _apportion(quota, strata_sizes[members], seed)
        strata_sizes, class_sizes = strata_sizes - quotas[:, i], class_sizes - class_quotas
    quotas[:, -1] = strata_sizes
    return quotas


def _apportion(total: int, sizes: np.ndarray, seed: int) -> np.ndarray:
    """Divide `total` in proportion to `sizes`, which bound it: largest remainders, equal ones by lot."""
    exact = total * sizes / max(sizes.sum(), 1)
    shares = np.floor(exact).astype(np.int64)
    lots = [_digest(seed, str(i)) for i in range(len(sizes))]
    by_remainder = np.lexsort((lots, shares - exact))
    shares[by_remainder[: total - shares.sum()]] += 1
    return shares


def _first_of_unit(images: pd.DataFrame) -> pd.Series:
    """The first path of the images that depend on each other: of one group, equal, or alike; empty for an image alone."""
    paths = images["path"].groupby(_units(images, ("sha256", "meta_group", "cluster")))
    return paths.transform("min").where(paths.transform("size") > 1, "")


def _units(images: pd.DataFrame, links: Sequence[str] = ("sha256", "meta_group")) -> np.ndarray:
    """Number the sets of images that the columns `links` join: those that must stay together share a group or their bytes.

    An empty cell joins nothing.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(images)
    known = [images[name].mask(images[name] == "") for name in links if name in images]
    nodes = [pd.factorize(column)[0] for column in known]
    rows, columns, total = [], [], count
    for numbers in nodes:
        linked = np.flatnonzero(numbers >= 0)
        rows.append(linked)
        columns.append(total + numbers[linked])
        total += int(numbers.max(initial=-1)) + 1
    if not rows:
        return np.arange(count)
    ends = (np.concatenate(rows), np.concatenate(columns))
    labels = connected_components(
        coo_array((np.ones(len(ends[0]), bool), ends), (total, total)), directed=False
    )[1]
    return np.unique(labels[:count], return_inverse=True)[1]


def _place_groups(
    result: np.ndarray, units: np.ndarray, strata: np.ndarray, order: np.ndarray, room: np.ndarray
) -> None:
    """Put each group, the largest first, where it brings the strata nearest to their quotas."""
    scale = room + 1.0
    groups = pd.Series(order).groupby(units[order], sort=False)
    for members in sorted((group.to_numpy() for _, group in groups), key=len, reverse=True):
        touched, counts = np.unique(strata[members], return_counts=True)
        counts = counts[:, None]
        gain = (counts * (2 * room[touched] - counts) / scale[touched]).sum(axis=0)
        best = int(np.argmax(gain))
        result[members] = best
        room[touched, best] -= counts[:, 0]


def _check_enough(classes: pd.Series, units: np.ndarray, splits: Sequence[str]) -> None:
    counts = pd.Series(units, classes.index).groupby(classes).nunique()
    for name, count in counts.items():
        if count < len(splits):
            images = int((classes == name).sum())
            groups = "" if images == count else f" in {count} group{'s' * (count != 1)}"
            raise ThawError(
                f"class {name!r} has {images} image{'s' * (images != 1)}{groups}, "
                f"and {' and '.join(sorted(splits))} need at least one each",
                f"Add images to {name!r}"
                + (", or set split.validation_fraction: 0." if len(splits) > 2 else "."),
            )


def _known_column(images: pd.DataFrame, name: str, key: str) -> str:
    known = [column.removeprefix(_METADATA) for column in images.columns if column.startswith(_METADATA)]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        cure = f"Did you mean {near[0]!r}?" if near else "metadata.csv has no columns besides the path."
        raise ThawError(f"params.yaml: {key}: metadata.csv has no column {name!r}", cure)
    if name in FIXED_COLUMNS:
        raise ThawError(
            f"params.yaml: {key}: the name {name!r} is taken", "Rename the column of metadata.csv."
        )
    return name


def _numbers(images: pd.DataFrame, name: str, low: float, high: float) -> pd.Series:
    column = _METADATA + name
    if column not in images:
        return pd.Series(np.nan, images.index)
    given = images[column].replace("", np.nan)
    numbers = pd.to_numeric(given, errors="coerce").astype(np.float64)
    wrong = given.notna() & ~((numbers >= low) & (numbers <= high) & np.isfinite(numbers))
    if wrong.any():
        first = images[wrong].iloc[0]
        raise ThawError(
            f"metadata.csv: {first['path']}: {name} is {first[column]!r}",
            f"Give a number from {low:g} to {high:g}." if np.isfinite(high) else "Give a number from 0 on.",
        )
    return numbers


def _digest(seed: int, text: str) -> int:
    key = f"{seed}\n{text}".encode(errors="surrogateescape")
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")
