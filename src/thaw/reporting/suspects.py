"""The page of the labels that are probably wrong: their pictures, the worst first, and what to do about them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import NamedTuple

from thaw.files import write_text
from thaw.reporting.style import style

_MOST_PICTURES = 100
"""The page stays small however many there are; the CSV has all."""


class Suspect(NamedTuple):
    """A row of `label_suspects.csv`."""

    path: str
    label: str
    suggested_label: str
    score: float
    why: str


@dataclass(frozen=True)
class Suspects:
    """Everything that the page shows."""

    rows: Sequence[Suspect]
    """The worst first."""
    images: int
    """Whose labels were in question; 0 where no audit was made."""
    thumbnail: Callable[[str], str]
    """From an image's path to a small picture, as a `data:` address."""


def write_suspects(path: Path, found: Suspects) -> None:
    """Write the page, whole or not at all: the same bytes for the same suspects."""
    write_text(path, _PAGE.format(style=style(), content=_content(found)))


def _content(found: Suspects) -> str:
    if not found.images:
        return "<h1>No label was looked at</h1><p>There was no audit: <code>reports/audit.json</code> says why.</p>"
    asked = f"<p>{found.images:,} images of training and validation were looked at.</p>"
    if not found.rows:
        return f"<h1>No label looks wrong</h1>{asked}"
    count = len(found.rows)
    title = f"{count:,} labels look wrong" if count > 1 else "1 label looks wrong"
    more = f" The first {_MOST_PICTURES} of {count:,} are shown; the table has all." if count > _MOST_PICTURES else ""
    pictures = "".join(_picture(row, found.thumbnail(row.path)) for row in found.rows[:_MOST_PICTURES])
    listed = f'<h2>The surest first</h2><p>{_HOW}{more}</p><div class="pictures">{pictures}</div>'
    return f"<h1>{title}</h1>{asked}{_STEPS}{listed}"


def _picture(row: Suspect, thumbnail: str) -> str:
    return (
        f'<figure><img loading="lazy" src="{thumbnail}" alt="{escape(row.path)}: labelled {escape(row.label)}">'
        f"<figcaption>labelled <b>{escape(row.label)}</b><br>rather <b>{escape(row.suggested_label)}</b>?<br>"
        f"<small>{escape(row.why)}</small><br><small>{escape(row.path)}, score {row.score:.3f}</small></figcaption></figure>"
    )


_STEPS = """<div class="run"><h2>What to do next</h2><p>Look at the pictures. In a copy of the table delete the rows whose label
is right; where another class is the true one write it into <code>suggested_label</code>. Then:</p>
<pre>cp reports/label_suspects.csv reviewed.csv
thaw relabel reviewed.csv           # shows what would be done
thaw relabel reviewed.csv --apply   # moves the images to their class, metadata.csv with them
thaw run                            # trains on the new labels
thaw relabel --undo                 # takes it back</pre></div>"""
_HOW = (
    "Each image was judged by others of its kind, and not by itself. The score says how well the label fits, from 0 (surely "
    "wrong) to 1. A model may be wrong, too: the label is yours to decide."
)
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Labels that look wrong</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<link rel="icon" href="data:,"><style>{style}</style></head><body><main>
{content}</main></body></html>
"""
