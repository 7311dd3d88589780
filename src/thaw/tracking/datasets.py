"""What MLflow shows of the images that a run used: the columns known of each, and how many of each class are in each split."""

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SPLITS = ("train", "validation", "test")
_DIGEST_LIMIT = 36  # MLflow's
_MARK = 8


def split_paths(places: Mapping[str, Path]) -> dict[str, Path]:
    """The CSV of each split, by what a stage reads and writes; empty for a stage that knows none of them.

    Args:
        places: paths by the stage's names for them, such as `train_path`.
    """
    known = {name: places[f"{name}_path"] for name in SPLITS if f"{name}_path" in places}
    if not known:
        return {}
    beside = next(iter(known.values()))
    paths = {name: known.get(name, beside.with_name(f"{name}{beside.suffix}")) for name in SPLITS}
    return {name: path for name, path in paths.items() if path.is_file()}


def describe_splits(version: str, paths: Mapping[str, Path]) -> dict[str, str]:
    """Digest, schema and profile of a data set, as MLflow takes them.

    MLflow keeps one schema and profile for a name and a digest: the digest is the data version's beginning and a mark of the
    splits, which another seed makes anew of the same data.

    Args:
        version: DVC's hash of the images.
        paths: the CSV of each split, with a column `class`.
    """
    mark = hashlib.sha256(b"".join(path.read_bytes() for path in paths.values())).hexdigest()[:_MARK]
    profile: dict[str, Any] = {"images": 0}
    columns: dict[str, _Column] = {}
    for split, path in paths.items():
        classes: Counter[str] = Counter()
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                classes[row.get("class", "")] += 1
                for name, text in row.items():
                    columns.setdefault(name, _Column()).add(text)
        profile["images"] += classes.total()
        profile[split] = dict(sorted(classes.items()))
    fields = [{"name": name, "type": column.kind, "required": True} for name, column in columns.items()]
    return {
        "version": f"{version[: _DIGEST_LIMIT - _MARK - 1]}-{mark}",
        "schema": json.dumps({"mlflow_colspec": fields}),
        "profile": json.dumps(profile | {"version": version}, ensure_ascii=False),
    }


class _Column:
    """MLflow's type of a column, of cells that come one after the other; a number that is missing is one of type `double`."""

    def __init__(self) -> None:
        self._is_empty, self._may_be = True, {"long": int, "double": float}

    def add(self, text: str) -> None:
        """Take one more cell."""
        self._is_empty = self._is_empty and not text
        for kind in [*self._may_be]:
            if text or kind == "long":
                try:
                    self._may_be[kind](text)
                except ValueError:
                    del self._may_be[kind]

    @property
    def kind(self) -> str:
        """The narrowest type that all cells have."""
        return "string" if self._is_empty else next(iter(self._may_be), "string")
