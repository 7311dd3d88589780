"""The report in Markdown."""

from pathlib import Path
from typing import Any

from thaw.files import write_text
from thaw.gate.checks import CHECKS
from thaw.gate.findings import cures
from thaw.gate.report.classes import shown_classes

_SHOWN = 10
_HEADLINES = {
    "pass": "Passed: nothing was found.",
    "warn": "Passed, with warnings.",
    "block": "Blocked: the data is not fit to train on.",
}


def write_markdown(path: Path, summary: dict[str, Any]) -> None:
    """Write `gate.md`: the verdict, classes, counts by check, and the first findings of each."""
    write_text(path, "\n".join(markdown(summary)) + "\n")


def markdown(summary: dict[str, Any]) -> list[str]:
    """The lines of the report on `summary`, the content of `findings.json`."""
    totals = summary["totals"]
    lines = ["# Data gate", "", _HEADLINES[summary["status"]], ""]
    lines += [f"{totals['images']:,} images, {totals['fit']:,} of them fit to use.", ""]
    lines += ["| split | class | images |", "|---|---|---:|"]
    shown_labels, left_out = shown_classes(totals["classes"])
    for split, labels in totals["classes"].items():
        named = (label for label in shown_labels if label in labels)
        lines += [f"| {split or 'none'} | {_cell(label)} | {labels[label]:,} |" for label in named]
    if left_out:
        lines.append(f"| | and {left_out:,} classes between them | see findings.json |")
    shown: dict[str, list[dict[str, Any]]] = {}
    for row in summary["findings"]:
        shown.setdefault(row["check"], []).append(row)
    for check, rows in shown.items():
        lines += ["", f"## {check}: {CHECKS[check].title}", ""]
        lines += [f"{rows[0]['severity']}, {len(rows):,} found. {_text(cures(rows))}", ""]
        lines += ["| path | reason |", "|---|---|"]
        lines += [f"| {_cell(row['path'])} | {_cell(row['reason'])} |" for row in rows[:_SHOWN]]
        if len(rows) > _SHOWN:
            lines.append(f"| and {len(rows) - _SHOWN:,} more | see findings.json |")
    return lines


def _cell(text: str) -> str:
    """Text that can break neither the table nor, as HTML, the page around it."""
    return _text(" ".join(text.split())).replace("|", "\\|").replace("`", "\\`")


def _text(text: str) -> str:
    """Text, code in it, that is no HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
