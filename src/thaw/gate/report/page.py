"""The report as one HTML page that needs nothing else: no network, no script; every name in it is escaped."""

from bisect import bisect_left
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from thaw import images
from thaw.files import write_text
from thaw.gate.checks import CHECKS
from thaw.gate.findings import LISTED, cures
from thaw.gate.inspection import Inspection
from thaw.gate.report.charts import bar_chart, histogram
from thaw.gate.scan.ahead import read_inside
from thaw.pixels import read
from thaw.sources import StoreError

_THUMBNAIL_PIXELS = 112
_SHOWN_IMAGES = 24
"""Thumbnails a check."""
_SHOWN_CLUSTERS = 24
_SHOWN_MEMBERS = 12
_SHOWN_ROWS = 2000
"""Rows of the table a check."""
_VERDICTS = {"pass": "Passed", "warn": "Passed, with warnings", "block": "Blocked"}


def write_page(path: Path, inspection: Inspection, summary: dict[str, Any]) -> None:
    """Write the page, whole or not at all."""
    write_text(path, page(inspection, summary))


def page(inspection: Inspection, summary: dict[str, Any]) -> str:
    """The page: verdict, class balance, distributions, and each check with its offenders and clusters.

    Args:
        inspection: whose images are shown; only those that decode are opened again, and only so many.
        summary: the content of `findings.json`.
    """
    by_check: dict[str, list[dict[str, Any]]] = {}
    for row in summary["findings"]:
        by_check.setdefault(row["check"], []).append(row)
    shown = _Thumbnails(inspection)
    sections = "".join(_section(check, rows, shown) for check, rows in by_check.items())
    return _PAGE.format(
        style=_STYLE,
        status=summary["status"],
        verdict=_VERDICTS[summary["status"]],
        folder=escape(inspection.folder),
        about=_about(inspection, summary),
        totals=_totals(summary),
        contents=_contents(by_check),
        charts=_charts(inspection),
        sections=sections or "<p>Nothing was found.</p>",
    )


def _about(inspection: Inspection, summary: dict[str, Any]) -> str:
    """Which data was judged: its place, its version, and what is in it."""
    classes = {label for labels in inspection.counts.values() for label, images in labels.items() if images}
    splits = [name for name in inspection.counts if name]
    parts = [
        f"<b>{escape(inspection.folder)}</b>",
        f'version <span title="SHA-256 over the paths and SHA-256 of all files">{summary["version"][:12]}</span>',
        _number(summary["totals"]["images"], "image"),
        _number(len(classes), "class", "es"),
    ]
    return " · ".join([*parts, *([f"splits: {escape(', '.join(splits))}"] if splits else [])])


def _number(count: int, noun: str, plural: str = "s") -> str:
    return f"{count:,} {noun}{'' if count == 1 else plural}"


def _totals(summary: dict[str, Any]) -> str:
    totals, severities = summary["totals"], summary["severities"]
    tiles = [("images", totals["images"]), ("fit to use", totals["fit"])]
    tiles += [(name, severities[name]) for name in ("block", "quarantine", "warn")]
    return "".join(f"<div><b>{number:,}</b>{name}</div>" for name, number in tiles)


def _contents(by_check: dict[str, list[dict[str, Any]]]) -> str:
    items = "".join(
        f'<li><a href="#{check}"><i class="{rows[0]["severity"]}"></i>{escape(CHECKS[check].title)}</a> {len(rows):,}</li>'
        for check, rows in by_check.items()
    )
    return f"<ul>{items}</ul>" if items else ""


def _charts(inspection: Inspection) -> str:
    rows = inspection.rows
    counts = {split or "images": labels for split, labels in inspection.counts.items()}
    masks = {split: rows.splits == split for split in sorted(set(rows.splits) - {""}) or [""]}
    sides = np.sqrt(rows.numbers("width") * rows.numbers("height"))
    measures = [
        ("Size", sides, "pixels a side"),
        ("Brightness", rows.numbers("brightness"), "mean grey level"),
        ("Contrast", rows.numbers("contrast"), "grey levels"),
        ("Sharpness", rows.numbers("sharpness"), ""),
    ]
    plots = "".join(
        histogram(title, {split or "images": values[mask] for split, mask in masks.items()}, unit)
        for title, values, unit in measures
    )
    return f'<h2>Classes</h2>{bar_chart(counts)}<h2>Images</h2><div class="plots">{plots}</div>'


def _section(check: str, rows: list[dict[str, Any]], shown: "_Thumbnails") -> str:
    severity, cure = rows[0]["severity"], escape(cures(rows))
    pictures = (
        _clusters(rows, shown)
        if "duplicate" in check and "metadata" not in check
        else _offenders(rows, shown)
    )
    lines = "".join(
        f"<tr><td>{escape(row['path'])}</td><td>{escape(row['reason'])}</td><td>{_cell(row['value'])}</td>"
        f"<td>{_cell(row['threshold'])}</td></tr>"
        for row in rows[:_SHOWN_ROWS]
    )
    if len(rows) > _SHOWN_ROWS:
        lines += f'<tr><td colspan="4">and {len(rows) - _SHOWN_ROWS:,} more: findings.json has up to {LISTED:,}</td></tr>'
    opened = " open" if len(rows) <= 20 and not pictures else ""
    return (
        f'<section id="{check}"><h2><i class="{severity}">{severity}</i> {escape(CHECKS[check].title)} '
        f"<small>{check}, {len(rows):,}</small></h2><p>{cure}</p>{pictures}"
        f"<details{opened}><summary>all {len(rows):,}</summary><table><tr><th>path</th><th>reason</th><th>value</th>"
        f"<th>threshold</th></tr>{lines}</table></details></section>"
    )


def _cell(value: Any) -> str:
    return "" if value is None else escape(str(value))


def _offenders(rows: list[dict[str, Any]], shown: "_Thumbnails") -> str:
    figures = shown.figures((row["path"], row["reason"]) for row in rows)
    more = f"<p><small>{_of(len(figures), len(rows), 'finding')}</small></p>" if len(figures) < len(rows) else ""
    return f'<div class="pictures">{"".join(figures)}</div>{more}' if figures else ""


def _of(shown: int, total: int, noun: str) -> str:
    """How many there are, and how many of them are shown."""
    return f"{shown:,} of {_number(total, noun)}" if shown < total else _number(total, noun)


def _clusters(rows: list[dict[str, Any]], shown: "_Thumbnails") -> str:
    """Each cluster's pictures side by side; a row names its cluster in `value` and the picture it is like in `reason`."""
    clusters: dict[str, dict[str, None]] = {}
    names = {str(row["value"]) for row in rows}
    for row in rows:
        name = str(row["value"])
        if name in clusters or len(clusters) < _SHOWN_CLUSTERS:
            members = clusters.setdefault(name, {})
            members.update(dict.fromkeys(path for path in (shown.paired(row["reason"]), row["path"]) if path))
    figures = []
    for name, members in clusters.items():
        pictures = shown.figures(((path, "") for path in members), _SHOWN_MEMBERS)
        legend = f"{escape(name)}, {_of(len(pictures), len(members), 'picture')}"
        figures.append(f"<fieldset><legend>{legend}</legend>{''.join(pictures)}</fieldset>")
    more = f"<p><small>{_of(len(figures), len(names), 'cluster')}</small></p>" if len(figures) < len(names) else ""
    return f'<div class="pictures">{"".join(figures)}</div>{more}'


class _Thumbnails:
    """Small pictures of images that the scan could decode."""

    def __init__(self, inspection: Inspection) -> None:
        self.root, self.rows = inspection.root, inspection.rows

    def decodes(self, path: str) -> bool:
        """Whether `path` is an image that the scan could decode."""
        at, table = bisect_left(self.rows.paths, path), self.rows.table
        return (
            at < len(self.rows)
            and self.rows.paths[at] == path
            and bool(table["sha256"][at].as_py())
            and not table["problem"][at].as_py()
        )

    def paired(self, reason: str) -> str:
        """The path that a duplicate's reason names ("equals a/b.png and 2 more"); empty when there is none."""
        for start in ("equals ", "looks like "):
            if reason.startswith(start):
                path = reason.removeprefix(start)
                return path if self.decodes(path) else path.rsplit(" and ", 1)[0]
        return ""

    def figures(self, images: Iterable[tuple[str, str]], limit: int = _SHOWN_IMAGES) -> list[str]:
        made: list[str] = []
        for path, note in images:
            if len(made) == limit:
                break
            if self.decodes(path) and (source := self._source(path)):
                title = escape(f"{path}: {note}" if note else path)
                made.append(
                    f'<figure class="thumb"><img loading="lazy" alt="" title="{title}" src="{source}">'
                    f"<figcaption>{escape(path)}</figcaption></figure>"
                )
        return made

    def _source(self, path: str) -> str:
        try:
            with images.open_image(read_inside(self.root, path)) as image:
                image.draft("RGB", (_THUMBNAIL_PIXELS, _THUMBNAIL_PIXELS))
                picture = read(image).image.convert("RGB")
        except (OSError, ValueError, StoreError):  # gone or changed since the scan
            return ""
        return images.data_address(picture, _THUMBNAIL_PIXELS)


_STYLE = """
:root{color-scheme:light dark;--ink:#1d2733;--soft:#5c6b7a;--line:#d8dee6;--paper:#fff;--card:#f5f7fa}
@media(prefers-color-scheme:dark){:root{--ink:#e6ebf0;--soft:#9aa8b6;--line:#36424e;--paper:#14191f;--card:#1d242c}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1180px;padding:24px;font:15px/1.5 system-ui,sans-serif;color:var(--ink);
background:var(--paper)}
h1{margin:0 0 16px;font-size:26px}h2{margin:32px 0 8px;font-size:18px}small{color:var(--soft);font-weight:400}
.about{margin:-8px 0 16px;color:var(--soft);overflow-wrap:anywhere}
h1::before{content:"";display:inline-block;width:14px;height:14px;border-radius:7px;margin-right:10px}
.is-pass h1::before{background:#2e9e5b}.is-warn h1::before{background:#d9980d}.is-block h1::before{background:#d23c3c}
.tiles{display:flex;gap:12px;flex-wrap:wrap}.tiles div{background:var(--card);border-radius:8px;padding:10px 18px;
color:var(--soft)}.tiles b{display:block;font-size:22px;color:var(--ink)}
ul{columns:2 300px;padding:0;list-style:none;margin-top:20px}a{color:inherit}
i{display:inline-block;font:600 12px/1.6 system-ui;padding:0 7px;border-radius:4px;color:#fff;min-width:10px;
min-height:10px;margin-right:8px}
i.block{background:#d23c3c}i.quarantine{background:#b4630a}i.warn{background:#8a6d00}
.chart{display:grid;grid-template-columns:fit-content(40%) 1fr;gap:6px 14px;margin:0}dt{overflow-wrap:anywhere}
dd{margin:0;min-width:0}.bars{display:grid;grid-template-columns:1fr max-content;gap:2px 8px;align-items:center}
.bar{height:14px;border-radius:3px;min-width:1px}
.bars span{font-size:12px;color:var(--soft)}.c0{background:#3b7dd8}.c1{background:#e08a2e}.c2{background:#3aa76d}
.c3{background:#9a5fc4}.key{display:inline-block;width:10px;height:10px;margin:0 5px 0 8px}
.legend{margin:2px 0;font-size:13px;color:var(--soft)}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(320px,1fr));gap:16px}
.plots figure{margin:0;background:var(--card);border-radius:8px;padding:12px}
polyline{fill:none;stroke-width:2;vector-effect:non-scaling-stroke}.l0{stroke:#3b7dd8}.l1{stroke:#e08a2e}
.l2{stroke:#3aa76d}.l3{stroke:#9a5fc4}.axis{stroke:var(--line)}text{font-size:12px;fill:var(--soft)}
section{border-top:1px solid var(--line);content-visibility:auto;contain-intrinsic-size:auto 400px}
.pictures{display:flex;flex-wrap:wrap;gap:10px;margin:10px 0}.thumb{margin:0;width:116px;display:inline-block;
vertical-align:top}.thumb img{max-width:112px;max-height:112px;display:block;border:1px solid var(--line)}
.thumb figcaption{font-size:11px;color:var(--soft);overflow-wrap:anywhere}
fieldset{min-width:0;border:1px solid var(--line);border-radius:8px;margin:0}legend{font-size:12px;color:var(--soft)}
table{border-collapse:collapse;width:100%;font-size:13px;margin-top:8px}td:first-child{min-width:8em}
td,th{text-align:left;padding:4px 10px 4px 0;
border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}th{white-space:nowrap}
summary{cursor:pointer;color:var(--soft)}
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Data gate: {folder}</title>
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<style>{style}</style></head><body class="is-{status}">
<h1>{verdict}</h1><p class="about">{about}</p><div class="tiles">{totals}</div>{contents}{charts}
{sections}</body></html>
"""
