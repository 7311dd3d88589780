"""What the gate found: rows, their severity, and the summary that decides."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any, Literal

from thaw.errors import ThawError
from thaw.gate.checks import CHECKS, CLEAN, FOLDER, GRAVITY, TAKE_IN
from thaw.params.gate import SeverityParams

Scalar = str | float | int | None
Status = Literal["pass", "warn", "block"]
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
    rows: list[Finding] = field(default_factory=list)
    verdicts: dict[str, tuple[str, str]] = field(default_factory=dict)
    """path -> (check, reason) of each image that may not train."""

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
            own = (cure or CHECKS[check].cure).replace(CLEAN, self.clean).replace(TAKE_IN, self._take_in())
            own = own.replace(FOLDER, quote(self.folder))
            self.rows.append(Finding(path, check, severity, value, threshold, reason, own))
        if is_image:
            self.mark(check, path, reason)

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
    """The content of `findings.json`: status, totals, counts by severity and by check, and every row."""
    checks = Counter(row.check for row in rows)
    severities = Counter(row.severity for row in rows)
    return {
        "status": status(rows),
        "totals": totals,
        "severities": {name: severities.get(name, 0) for name in ("block", "quarantine", "warn")},
        "checks": {name: checks[name] for name in CHECKS if name in checks},
        "findings": [{name: getattr(row, name) for name in Finding.__slots__} for row in rows],
    }


def cures(rows: Iterable[dict[str, Any]]) -> str:
    """What to do about findings of one check, as `summarize` has them: the first three cures that differ."""
    return " ".join(list(dict.fromkeys(row["cure"] for row in rows))[:3])


def raise_if_blocked(rows: list[Finding], report_path: str) -> None:
    """Refuse the data.

    Raises:
        GateError: there is a blocking finding; names the first of them, their cures and the report.
    """
    blocking = [row for row in rows if row.severity == "block"]
    if not blocking:
        return
    shown = "\n".join(f"  {row.path}: {row.reason}" for row in blocking[:5])
    more = f"\n  and {len(blocking) - 5} more" if len(blocking) > 5 else ""
    noun = "finding blocks" if len(blocking) == 1 else "findings block"
    cures = dict.fromkeys(row.cure for row in blocking)
    raise GateError(
        f"{len(blocking)} {noun} the data:\n{shown}{more}",
        f"{' '.join(list(cures)[:3])} The whole report: {report_path}",
    )
