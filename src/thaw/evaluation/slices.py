"""Slices of the test images: those that their metadata make, and those that the manifest tells of their pictures."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from thaw.errors import ThawError
from thaw.evaluation.predictions import Predictions
from thaw.statistics.slices import compare_slices

_MANIFEST_COLUMNS = ["path", "format", "width", "height", "brightness", "contrast", "sharpness", "grey"]
_ENDS = {"brightness": ("darkest", "brightest"), "contrast": ("lowest", "highest"), "sharpness": ("blurriest", "sharpest")}
_SIZE_ENDS = ("smallest", "largest")
_MOST_SIZES = 5
_PARTS = {2: ("half",), 3: ("third", "middle"), 4: ("quarter", "second", "third"), 5: ("fifth", "second", "middle", "fourth")}
"""By their number: what each is called, and the ranks between the ends."""
_IMAGES_A_BIN = 30
_DIGITS = 6
_MOST_TOLD, _MOST_NAMED = 20, 5


class Division(NamedTuple):
    """The images divided by one property."""

    codes: np.ndarray
    """int `(images,)`: the number of each one's value; -1: it has none."""
    values: list[str]
    """In their order; each has images."""


def read_pictures(manifest_path: Path, paths: Sequence[str]) -> pd.DataFrame:
    """What the manifest says of the pictures of `paths`, in their order.

    Raises:
        ThawError: it lacks one of them.
    """
    table = pd.read_parquet(manifest_path, columns=_MANIFEST_COLUMNS, filters=[("path", "in", set(paths))])
    places = pd.Index(table["path"]).get_indexer(pd.Index(paths))
    if (places < 0).any():
        missing = paths[int(np.argmin(places))]
        raise ThawError(f"{manifest_path}: no row of the test image {missing}", "Make it again: `thaw run`.")
    return table.iloc[places].reset_index(drop=True)


def divide_images(
    manifest: pd.DataFrame, labels: np.ndarray, classes: list[str], metadata: Mapping[str, np.ndarray]
) -> dict[str, Division]:
    """The divisions of the images by name, none that leaves all of them together.

    A column of the metadata takes the place of what the manifest says under the same name.

    Args:
        manifest: as `read_pictures` gives it, a row an image.
        labels: int `(images,)`.
        metadata: text `(images,)` of each column.
    """
    found = {"class": _divide_by_number(labels, classes)}
    found |= {name: _divide_by_quantile(manifest[name].to_numpy(np.float64), ends) for name, ends in _ENDS.items()}
    found["size"] = _divide_by_size(manifest["width"].to_numpy(np.int64), manifest["height"].to_numpy(np.int64))
    found["colour"] = _divide_by_number(manifest["grey"].to_numpy(np.int64), ["in colour", "grey"])
    found["format"] = _divide_by_text(manifest["format"].to_numpy(str))
    found |= {name: _divide_by_text(values) for name, values in metadata.items()}
    return {name: division for name, division in found.items() if len(division.values) > 1}


def slice_table(predictions: Predictions, divisions: Mapping[str, Division], coverage: float) -> pd.DataFrame:
    """A row a slice: images, accuracy and its difference to the rest, with intervals; what was not tested is empty.

    `worse` is said (1) of a slice that has survived the correction (`thaw.statistics.slices`).
    """
    slices = [(column, number) for column, division in divisions.items() for number in range(len(division.values))]
    members = (divisions[column].codes == number for column, number in slices)
    rows = [
        {
            "slice": column,
            "value": divisions[column].values[number],
            "images": part.images,
            "accuracy": part.share,
            "low": part.interval[0],
            "high": part.interval[1],
            "difference": part.difference,
            "difference_low": part.difference_interval[0],
            "difference_high": part.difference_interval[1],
            "p": part.p,
            "adjusted_p": part.adjusted_p,
            "detectable": part.detectable,
            "worse": int(part.adjusted_p <= 1 - coverage),
        }
        for (column, number), part in zip(
            slices, compare_slices(predictions.correct, predictions.units, members, coverage), strict=True
        )
    ]
    table = pd.DataFrame(rows, columns=_COLUMNS).round({name: _DIGITS for name in _COLUMNS if not name.endswith("p")})
    return table.assign(**{name: [float(f"{p:.{_DIGITS}g}") for p in table[name]] for name in ("p", "adjusted_p")})


def summarize_slices(table: pd.DataFrame) -> dict[str, Any]:
    """How many slices were tested and how many are worse, and the first of these, the surest first, for JSON."""
    worse = table[table["worse"] == 1].sort_values("adjusted_p", kind="stable")
    shown = ["slice", "value", "images", "accuracy", "difference", "difference_low", "difference_high", "adjusted_p"]
    return {
        "slices": len(table),
        "tested": int(table["p"].notna().sum()),
        "worse": len(worse),
        "found": worse[shown].head(_MOST_TOLD).to_dict("records"),
    }


def tell_worse(table: pd.DataFrame) -> str:
    """The slices that are worse, in one line; empty where none is."""
    found = summarize_slices(table)
    names = [f"{one['slice']} {one['value']} ({100 * one['difference']:+.1f} points)" for one in found["found"][:_MOST_NAMED]]
    more = f" and {found['worse'] - len(names)} more" if found["worse"] > len(names) else ""
    return f"worse than the rest: {', '.join(names)}{more}" if names else ""


_COLUMNS = ["slice", "value", "images", "accuracy", "low", "high", "difference", "difference_low", "difference_high",
                 "p", "adjusted_p", "detectable", "worse"]  # fmt: skip


def _divide_by_number(numbers: np.ndarray, names: list[str]) -> Division:
    present, codes = np.unique(numbers, return_inverse=True)
    return Division(codes, [names[number] for number in present])


def _divide_by_text(values: np.ndarray) -> Division:
    present, codes = np.unique(values, return_inverse=True)
    return Division(codes, [str(value) or "(none)" for value in present])


def _divide_by_size(widths: np.ndarray, heights: np.ndarray) -> Division:
    sizes, codes = np.unique(np.column_stack([widths, heights]), axis=0, return_inverse=True)
    if len(sizes) <= _MOST_SIZES:
        return Division(codes.ravel(), [f"{width} x {height}" for width, height in sizes.tolist()])
    return _divide_by_quantile((widths * heights).astype(np.float64), _SIZE_ENDS, " pixels")


def _divide_by_quantile(values: np.ndarray, ends: tuple[str, str], unit: str = "") -> Division:
    """Parts of about equal size, at most fifths, between edges of three digits; equal values may leave fewer of them."""
    known = np.isfinite(values)
    all_codes = np.full(len(values), -1)
    if not known.any():
        return Division(all_codes, [])
    parts = int(np.clip(known.sum() // _IMAGES_A_BIN, min(_PARTS), max(_PARTS)))
    quantiles = np.quantile(values[known], np.arange(1, parts) / parts)
    edges = np.unique([float(f"{quantile:.3g}") for quantile in quantiles])
    present, all_codes[known] = np.unique(np.searchsorted(edges, values[known], side="right"), return_inverse=True)
    names = _name_ranges(edges.tolist(), unit)
    if len(present) == parts:
        what, *between = _PARTS[parts]
        names = [f"{rank} {what} ({span})" for rank, span in zip([ends[0], *between, ends[1]], names, strict=True)]
    return Division(all_codes, [names[part] for part in present])


def _name_ranges(edges: list[float], unit: str) -> list[str]:
    told = [f"{edge:,.0f}" if edge >= 100 else f"{edge:.4g}" for edge in edges]
    between = [f"{low} to {high}{unit}" for low, high in itertools.pairwise(told)]
    return [f"< {told[0]}{unit}", *between, f"≥ {told[-1]}{unit}"]
