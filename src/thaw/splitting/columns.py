"""The columns of `metadata.csv` in the manifest, and those of them that make slices."""

import difflib
from collections.abc import Sequence

import pandas as pd

from thaw.errors import ThawError
from thaw.splitting.files import FIXED_COLUMNS

METADATA = "meta_"
"""Prefix of the manifest's columns that come from `metadata.csv`."""
PROBABILITY = "probability_"
"""Prefix of the column of soft labels; the class that it is of follows (the gate has found it out)."""
_NOT_A_SLICE = {*FIXED_COLUMNS, "split"}
_SLICE_VALUES = range(2, 21)


def slice_columns(images: pd.DataFrame, slices: str | Sequence[str]) -> list[str]:
    """Names of the metadata columns that make slices, without their prefix.

    Raises:
        ThawError: a column that is named is not there, or its name is taken.
    """
    if slices != "auto":
        return [known_column(images, name, "split.slices") for name in slices]
    return [
        name
        for name in metadata_columns(images)
        if name not in _NOT_A_SLICE
        and not f"{name}_".startswith(PROBABILITY)
        and images[METADATA + name].nunique(dropna=False) in _SLICE_VALUES
    ]


def metadata_columns(images: pd.DataFrame) -> list[str]:
    """Names of all columns of `metadata.csv`, without their prefix."""
    return [name.removeprefix(METADATA) for name in images.columns if name.startswith(METADATA)]


def known_column(images: pd.DataFrame, name: str, key: str) -> str:
    """`name`, where `metadata.csv` has such a column.

    Raises:
        ThawError: it has none, or its name is taken; names the parameter `key`, and the nearest name.
    """
    known = metadata_columns(images)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        cure = f"Did you mean {near[0]!r}?" if near else "metadata.csv has no columns besides the path."
        raise ThawError(f"params.yaml: {key}: metadata.csv has no column {name!r}", cure)
    if name in FIXED_COLUMNS:
        raise ThawError(
            f"params.yaml: {key}: the name {name!r} is taken", "Rename the column of metadata.csv."
        )
    return name
