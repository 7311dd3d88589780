"""The whole inspection of a folder: scan, check, and what came of it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thaw.compute import Executor, Local
from thaw.errors import ThawError
from thaw.gate.checks.class_names import check_class_names
from thaw.gate.checks.drift import check_reference, check_splits, read_reference
from thaw.gate.checks.images import check_files, check_formats, check_looks
from thaw.gate.checks.metadata import Metadata, check_equal_rows, check_metadata, read_metadata
from thaw.gate.checks.probabilities import name_probabilities
from thaw.gate.checks.structure import Counts, check_spellings, check_structure, count_images, usable
from thaw.gate.checks.unread_tables import check_unread_tables
from thaw.gate.duplicates import first_alike, kept_first, near_clusters, report_clusters
from thaw.gate.duplicates.equal import exact_clusters
from thaw.gate.duplicates.near import NearClusters
from thaw.gate.findings import Finding, Findings, summarize
from thaw.gate.mapped import BATCH_ROWS
from thaw.gate.rows import Rows, gather
from thaw.gate.scan import store
from thaw.gate.scan.arrays import skip_pandas
from thaw.gate.scan.image import Bounds
from thaw.gate.scan.scanning import AWAY
from thaw.gate.scan.survey import Survey
from thaw.params.gate import LimitParams, ValidateParams
from thaw.sources import is_indexed, open_index


@dataclass(frozen=True)
class Inspection:
    """What the gate knows of a folder."""

    root: Path
    rows: Rows
    metadata: Metadata
    findings: Findings
    counts: Counts
    first_alike: np.ndarray
    """For each row the index of the first one that equals it or looks like it, int `(rows,)`."""
    raw_names: dict[str, str]
    """Path as reported -> its bytes in hexadecimal, where it is not UTF-8."""
    folder: str = "data/raw"
    """The folder as one types it."""

    @property
    def found(self) -> list[Finding]:
        """The findings, gravest first."""
        return self.findings.sorted()

    @cached_property
    def version(self) -> str:
        """Of what was judged: SHA-256 over path and SHA-256 of every file that could be read, in hexadecimal."""
        files = hashlib.sha256()
        for batch in self.rows.table.select(["sha256", "path"]).to_batches(BATCH_ROWS):
            line = pc.binary_join_element_wise(pc.fill_null(batch["sha256"], ""), batch["path"], "  ")
            files.update(pc.binary_join(pa.ListArray.from_arrays([0, len(line)], line), "\n")[0].as_buffer())
            files.update(b"\n")
        return files.hexdigest()

    def summary(self) -> dict[str, Any]:
        """The content of `findings.json`."""
        fit = sum(images for labels in self.counts.values() for images in labels.values())
        totals = {"images": len(self.rows), "fit": fit, "classes": self.counts}
        return {"version": self.version, **summarize(self.found, totals)}


def inspect_folder(
    params: ValidateParams,
    root: Path,
    scratch_dir: Path,
    on_progress: Callable[[int], None] = lambda count: None,
    reference_path: Path | None = None,
    executor: Executor | None = None,
    clean: str = "thaw clean",
    folder: str = "data/raw",
) -> Inspection:
    """Scan every image below `root` and run every check.

    Args:
        params: what is checked, and how hard.
        root: the image folder, `<class>/*` or `<split>/<class>/*`.
        scratch_dir: keeps the rows of this scan for the next one; never changes a result.
        on_progress: called with the number of images scanned so far.
        reference_path: the manifest of an earlier data version to compare with.
        executor: reads the images; None: a process for each core. Never changes a result.
        clean: the command that cleans this folder, for cures; without a folder it is the project's.
        folder: this folder as one types it, for cures.

    Raises:
        ThawError: `root` is no folder that can be listed, or its images lie in a store that does not give them.
    """
    findings = Findings(params.severity, clean, folder, open_index(root).url if is_indexed(root) else "")
    skip_pandas()
    reference = read_reference(reference_path) if reference_path else None
    survey = _survey(root, findings)
    rows_path = scratch_dir / "rows.arrow"
    limits = params.limits
    for count in store.scan(
        root, survey.files(), bounds(limits), rows_path, executor or Local(), limits.timeout_seconds
    ):
        on_progress(count)
    rows = gather(store.read_rows(rows_path), survey.unread, survey.layout, scratch_dir)
    _require_answers(rows)
    check_files(rows, findings)
    check_formats(rows, limits, findings)
    check_looks(rows, limits, findings)
    metadata = read_metadata(root, rows.paths, findings)
    alike = _check_duplicates(rows, metadata, params, findings, scratch_dir / "near.json")
    check_metadata(metadata, rows, findings)
    check_unread_tables(root, survey.tables, findings)
    metadata = name_probabilities(metadata, rows, findings)
    counts = count_images(rows, survey.classes, findings)
    check_structure(counts, limits, findings)
    check_spellings(survey.spellings, findings)
    check_class_names(rows, survey.classes, findings)
    fit = usable(rows, findings)
    check_splits(rows, fit, limits, findings)
    if reference:
        check_reference(rows, fit, reference, limits, findings)
    return Inspection(root, rows, metadata, findings, counts, alike, survey.raw_names, folder)


def _check_duplicates(
    rows: Rows, metadata: Metadata, params: ValidateParams, findings: Findings, store_path: Path
) -> np.ndarray:
    """Report equal pictures and near duplicates; for each row the first one that is alike (`first_alike`)."""
    equal = kept_first(rows, exact_clusters(rows), metadata.filled)
    report_clusters(rows, equal, "duplicate", findings)
    check_equal_rows(metadata, rows.paths, equal, findings)
    severities, found = params.severity, NearClusters([], [])
    names = ("near_duplicate", "near_duplicate_across_classes", "near_duplicate_across_splits")
    if any(getattr(severities, name) != "off" for name in names):
        found = near_clusters(rows, equal, params.limits.near_duplicate_distance, store_path)
        near = kept_first(rows, found.members, metadata.filled)
        report_clusters(rows, near, "near_duplicate", findings, found.distances)
    return first_alike(len(rows), equal, found)


def _require_answers(rows: Rows) -> None:
    """Raise a `ThawError` where the store was away, or refused: what it did not give says nothing of the images."""
    away = np.flatnonzero(rows.words("problem") == AWAY)
    if len(away):
        reason, cure = rows.words("reason")[away[0]], rows.words("cure")[away[0]]
        raise ThawError(f"{reason} ({len(away):,} of {len(rows):,} images were not read)", cure)


def bounds(limits: LimitParams) -> Bounds:
    """What the scan decodes at all."""
    return Bounds(tuple(limits.formats), int(limits.max_megapixels * 1e6), int(limits.max_file_mb * 1e6))


def _survey(root: Path, findings: Findings) -> Survey:
    try:
        return Survey(root, findings)
    except FileNotFoundError:
        raise ThawError(
            f"{root}: no such folder", "Put images there as <class>/*, or run `thaw demo`."
        ) from None
    except NotADirectoryError:
        raise ThawError(f"{root}: not a folder", "Name the folder that holds the class folders.") from None
    except PermissionError:
        raise ThawError(f"{root}: no permission to list it", "Give yourself permission to read it.") from None
