"""What MLflow shows of the images that a run used: the columns known of each, and how many of each class are in each split."""

import contextlib
import csv
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
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
    columns: dict[str, list[str]] = {}
    for split, path in paths.items():
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        profile["images"] += len(rows)
        profile[split] = dict(sorted(Counter(row.get("class", "") for row in rows).items()))
        for row in rows:
            for name, text in row.items():
                columns.setdefault(name, []).append(text)
    fields = [{"name": name, "type": _type_of(texts), "required": True} for name, texts in columns.items()]
    return {
        "version": f"{version[: _DIGEST_LIMIT - _MARK - 1]}-{mark}",
        "schema": json.dumps({"mlflow_colspec": fields}),
        "profile": json.dumps(profile | {"version": version}, ensure_ascii=False),
    }


def _type_of(texts: Sequence[str]) -> str:
    """MLflow's type of a column; a number that is missing is one of type `double`."""
    if any(texts):
        for kind, read, known in (("long", int, texts), ("double", float, list(filter(None, texts)))):
            with contextlib.suppress(ValueError):
                for text in known:
                    read(text)
                return kind
    return "string"
