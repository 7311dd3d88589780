"""Which image goes to which split: stratified, grouped, seeded."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_array

from thaw.errors import ThawError
from thaw.params import SplitParams
from thaw.splitting.columns import METADATA, known_column, slice_columns
from thaw.splitting.grouping import LINKS, Undividable, link_images, place_groups

_HELD_OUT = ("validation", "test")


def assign_splits(images: pd.DataFrame, params: SplitParams, seed: int) -> pd.Series:
    """Name the split of each image. Splits that the folder has of its own are kept.

    The images of each class are divided by largest remainders over the strata (class and `params.stratify`):
    the shares are exact. Which image goes where follows from a digest of seed and path: a new image moves few
    of the others. What `params.by` names stays together: then the shares are the nearest to exact ones that the groups allow.

    Raises:
        ThawError: a class has too few images, or groups, for every split; an unknown column is named; there are
            fewer images to divide than the test split is to hold.
    """
    columns = slice_columns(images, params.slices)
    if params.stratify != "auto":
        columns = [known_column(images, name, "split.stratify") for name in params.stratify]
    strata = images.groupby(
        ["class", *(METADATA + name for name in columns)], dropna=False, sort=True
    ).ngroup()
    splits = (
        images["split"].replace("", "train") if (images["split"] != "").any() else pd.Series("", images.index)
    )
    wanted = _held_out_shares(splits, params)
    free = ~splits.isin(_HELD_OUT)
    numbers = np.unique(strata[free].to_numpy(), return_inverse=True)[1]
    splits[free] = _divide(images[free], numbers, params.by, wanted, seed) if wanted else "train"
    return splits


def _held_out_shares(splits: pd.Series, params: SplitParams) -> dict[str, float]:
    """What of the images that are not yet held out goes to the test and validation splits; the rest is train's.

    `test_fraction` is of all images, those that the folder holds out itself included.
    """
    free = int((~splits.isin(_HELD_OUT)).sum())
    test = 0.0 if (splits == "test").any() else params.test_fraction * len(splits) / max(free, 1)
    if test >= 1:
        raise ThawError(
            f"params.yaml: split.test_fraction: {params.test_fraction:g} of {len(splits)} images are more than the "
            f"{free} that are not in the validation folder",
            "Lower split.test_fraction, or add a test folder.",
        )
    validation = 0.0 if (splits == "validation").any() else params.validation_fraction * (1 - test)
    return {name: share for name, share in [("test", test), ("validation", validation)] if share > 0}


def _divide(images: pd.DataFrame, strata: np.ndarray, by: str, wanted: dict[str, float], seed: int) -> np.ndarray:
    """Split names, one an image."""
    splits = [*wanted, "train"]
    units = link_images(images, LINKS[by])
    _check_enough(images["class"], units, splits, by)
    names, classes = np.unique(images["class"].to_numpy(str), return_inverse=True)
    class_of = np.zeros(strata.max() + 1, np.int64)
    class_of[strata] = classes
    quotas = _quotas(classes, strata, list(wanted.values()), seed)
    order = np.argsort([_digest(seed, path) for path in images["path"]], kind="stable")
    is_single = (np.bincount(units) == 1)[units[order]]
    grouped, single = order[~is_single], order[is_single]
    numbers = pd.factorize(units[grouped])[0]
    ends = (numbers, strata[grouped])
    counts = coo_array((np.ones(len(grouped), np.int64), ends), (len(np.unique(numbers)), len(class_of)))
    singles = np.bincount(strata[single], minlength=len(class_of))
    try:
        split_of_group, shares = place_groups(counts.tocsr(), singles, class_of, quotas)
    except Undividable as error:
        raise _say_undividable(names[error.classes], splits, by) from None
    result = np.full(len(images), -1)
    result[grouped] = split_of_group[numbers]
    single = single[np.argsort(strata[single], kind="stable")]
    result[single] = np.repeat(np.tile(np.arange(len(splits)), len(class_of)), shares.ravel())
    return np.array(splits, object)[result]


def _quotas(classes: np.ndarray, strata: np.ndarray, shares: Sequence[float], seed: int) -> np.ndarray:
    """Images of each stratum for each share, and what is left, `(strata, shares + 1)`."""
    class_sizes = np.bincount(classes)
    strata_sizes = np.bincount(strata)
    class_of = np.zeros(len(strata_sizes), np.int64)
    class_of[strata] = classes
    quotas = np.zeros((len(strata_sizes), len(shares) + 1), np.int64)
    for i, share in enumerate(shares):
        total = round(share * len(classes))
        later = len(shares) - i
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
    exact = total * sizes / sizes.sum()
    shares = np.floor(exact).astype(np.int64)
    lots = [_digest(seed, str(i)) for i in range(len(sizes))]
    by_remainder = np.lexsort((lots, shares - exact))
    shares[by_remainder[: total - shares.sum()]] += 1
    return shares


def _check_enough(classes: pd.Series, units: np.ndarray, splits: Sequence[str], by: str) -> None:
    counts = pd.Series(units, classes.index).groupby(classes).nunique()
    for name, count in counts.items():
        if count < len(splits):
            images = int((classes == name).sum())
            groups = "" if images == count else f" in {count} group{'s' * (count != 1)}"
            raise ThawError(
                f"class {name!r} has {images} image{'s' * (images != 1)}{groups}, "
                f"and {_join(sorted(splits))} need at least one each",
                f"Add images to {name!r}" + _or_otherwise(splits, by if groups else ""),
            )


def _say_undividable(classes: Sequence[str], splits: Sequence[str], by: str) -> ThawError:
    """Of classes whose groups cannot be divided: `_check_enough` has passed, so they share groups."""
    return ThawError(
        f"the groups that {_join(repr(str(name)) for name in classes)} share cannot be divided so that each of "
        f"{_join(sorted(splits))} has every class",
        "Add images of other groups" + _or_otherwise(splits, by),
    )


def _or_otherwise(splits: Sequence[str], by: str) -> str:
    ways = ["split.validation_fraction: 0"] * (len(splits) > 2) + ["split.by: groups"] * (by == "near_duplicates")
    return f", or set {' or '.join(ways)}." if ways else "."


def _join(names: Iterable[str]) -> str:
    return " and ".join(names)


def _digest(seed: int, text: str) -> int:
    key = f"{seed}\n{text}".encode(errors="surrogateescape")
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")
