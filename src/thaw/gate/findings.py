"""What the gate found: rows, their severity, and the summary that decides."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any, Literal

from thaw.errors import ThawError
from thaw.gate.checks import CHECKS, CLEAN, FOLDER, GRAVITY, TAKE_IN, brief_cure
from thaw.params.gate import SeverityParams

Scalar = str | float | int | None
Status = Literal["pass", "warn", "block"]
_SHELTERS = {"hidden": "hidden", "junk": "leftover"}
"""Checks of files and folders that nobody put there, and the word for these."""
_NAMED = 5
"""Paths that a refusal names of each check."""
LISTED = 10_000
"""Findings of each check that are written down."""
_RANK = {"block": 0, "quarantine": 1, "warn": 2, "off": 3}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with one path ("." is the whole set; a folder ends in "/")."""

    path: str
    check: str
    severity: str
    value: Scalar
    threshold: Scalar
    reason: str
    cure: str


@dataclass
class Findings:
    """Collects findings; a check that is off leaves none, but an unfit image stays unfit."""

    severities: SeverityParams
    clean: str = "thaw clean"
    """The command that cleans the folder."""
    folder: str = "data/raw"
    """The folder as one types it."""
    store: str = ""
    """Where its images lie, if not in it: nothing is cleaned there."""
    rows: list[Finding] = field(default_factory=list)
    verdicts: dict[str, tuple[str, str]] = field(default_factory=dict)
    """path -> (check, reason) of each image that may not train."""
    _cures: dict[str, str] = field(default_factory=dict)

    def add(
        self,
        check: str,
        path: str,
        reason: str,
        value: Scalar = None,
        threshold: Scalar = None,
        *,
        is_image: bool = False,
        warn_only: bool = False,
        cure: str = "",
    ) -> None:
        """Note that `path` failed `check`.

        Args:
            is_image: the path is a row of the manifest.
            warn_only: the severity is `warn`, unless the check is off.
            cure: what to do about this one, where it is not the check's.
        """
        severity = getattr(self.severities, check)
        if warn_only and severity != "off":
            severity = "warn"
        if severity != "off":
            own = self._own_cure(cure or CHECKS[check].cure)
            self.rows.append(Finding(path, check, severity, value, threshold, reason, own))
        if is_image:
            self.mark(check, path, reason)

    def _own_cure(self, text: str) -> str:
        """`text` with the commands for this folder; thousands of findings share few."""
        if text not in self._cures:
            own = text
            if self.store and CLEAN in own:
                own = f"Move or delete it in {self.store} yourself, then run `thaw data update`."
            if self.store and TAKE_IN in own:
                wanted = "<class>/* or {train,test}/<class>/*"
                own = f"Lay the objects of {self.store} out as {wanted}, then run `thaw data update`."
            own = own.replace(CLEAN, self.clean).replace(TAKE_IN, self._take_in())
            self._cures[text] = own.replace(FOLDER, quote(self.folder))
        return self._cures[text]

    def _take_in(self) -> str:
        """The command; the project's own folder is laid out anew in its place, and kept aside as it was."""
        is_projects = Path(self.folder).parts[-2:] == ("data", "raw")
        return f"thaw data add {quote(self.folder)}" + (" --replace" if is_projects else "")

    def mark(self, check: str, path: str, reason: str) -> None:
        """Give the image `path` the verdict `check`, unless the check only warns or a graver verdict stands."""
        if CHECKS[check].unfit or getattr(self.severities, check) in ("block", "quarantine"):
            known = self.verdicts.get(path)
            if known is None or GRAVITY[check] < GRAVITY[known[0]]:
                self.verdicts[path] = (check, reason)

    def sorted(self) -> list[Finding]:
        """The rows by severity, gravity of the check, and path."""
        return sorted(
            self.rows, key=lambda row: (_RANK[row.severity], GRAVITY[row.check], row.path, row.reason)
        )


class GateError(ThawError):
    """The data is not fit to train on; the reports are written."""


def status(rows: Iterable[Finding]) -> Status:
    """block, warn or pass: the gravest of `rows`; a quarantined image is a warning."""
    severities = {row.severity for row in rows}
    if "block" in severities:
        return "block"
    return "warn" if severities else "pass"


def summarize(rows: list[Finding], totals: dict[str, Any]) -> dict[str, Any]:
    """Status, totals, counts by severity and by check, and every row."""
    checks = Counter(row.check for row in rows)
    severities = Counter(row.severity for row in rows)
    return {
        "status": status(rows),
        "totals": totals,
        "severities": {name: severities.get(name, 0) for name in ("block", "quarantine", "warn")},
        "checks": {name: checks[name] for name in CHECKS if name in checks},
        "findings": [{name: getattr(row, name) for name in Finding.__slots__} for row in rows],
    }


def shorten(summary: dict[str, Any]) -> dict[str, Any]:
    """The content of `findings.json`: `summary` with the first 10,000 rows of each check, and how many are `left_out`."""
    shown: Counter[str] = Counter()
    listed = []
    for row in summary["findings"]:
        shown[row["check"]] += 1
        if shown[row["check"]] <= LISTED:
            listed.append(row)
    left_out = {check: count - LISTED for check, count in summary["checks"].items() if count > LISTED}
    return summary | {"findings": listed} | ({"left_out": left_out} if left_out else {})


def cures(rows: Iterable[Mapping[str, Any]]) -> str:
    """What to do about findings, as `summarize` has them: the first three cures that differ."""
    return " ".join(_first_cures(rows))


def _first_cures(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["cure"] for row in rows))[:3]


def describe_block(rows: Iterable[Mapping[str, Any]]) -> str:
    """What blocks the data and its cure in one line, as all that tell of a refusal say it; empty where nothing does.

    Args:
        rows: the findings, as `findings.json` has them.
    """
    by_check: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["severity"] == "block":
            by_check.setdefault(row["check"], []).append(row)
    if not by_check:
        return ""
    parts = [_describe_check(check, found) for check, found in by_check.items()]
    told = [brief_cure(cure).rstrip(".") for cure in _first_cures(row for found in by_check.values() for row in found)]
    return f"Blocked: {'; '.join(parts)}. Cure: {'; '.join(told)}"


def _describe_check(check: str, rows: list[Mapping[str, Any]]) -> str:
    shown, more = rows[:_NAMED], f" and {len(rows) - _NAMED:,} more" if len(rows) > _NAMED else ""
    if check not in _SHELTERS:
        faults = (row["reason"] if row["path"] == "." else f"{row['path']} ({row['reason']})" for row in shown)
        return f"{CHECKS[check].title}: {', '.join(faults)}{more}"
    folders = [row for row in rows if row["path"].endswith("/")]
    below, files, word = sum(row["value"] for row in folders), len(rows) - len(folders), _SHELTERS[check]
    counts = [f"{_counted(len(folders), f'{word} folder')} with {_counted(below, 'file')}"] if folders else []
    counts += [_counted(files, f"{word} file")] if files else []
    return f"{' and '.join(counts)}: {', '.join(row['path'] for row in shown)}{more}"


def _counted(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count:,} {noun}s"


def raise_if_blocked(summary: Mapping[str, Any]) -> None:
    """Refuse the data.

    Args:
        summary: the content of `findings.json`.

    Raises:
        GateError: there is a blocking finding; says which, and their cures.
    """
    reason = describe_block(summary["findings"])
    if reason:
        raise GateError(reason)
