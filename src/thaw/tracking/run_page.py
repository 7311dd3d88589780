"""The page of a run: the stage's report, and above it what MLflow knows of the run by the time it is closed."""

import shutil
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from thaw.files import replacing, write_text
from thaw.redaction import redact
from thaw.run_slot import RUN_PAGE, STAGE_PAGE, fill_slot, is_filled
from thaw.tracking.names import DATA_TAG
from thaw.tracking.outbox import PIPELINE, Outbox

PAGE = "report.html"
"""What it is called in the outbox, and at the root of the run's artifacts."""
_DIGITS = 8
_NO_RESULT = "This run made the page anew; the result is an earlier run's."


def write_run_page(
    outbox: Outbox, run: Mapping[str, Any], description: str, model: str, links: Mapping[str, str]
) -> Path | None:
    """Write the page of an outbox's run beside its events; None where the run made no report.

    Args:
        run: as `Store.pipeline_runs` gives it.
        description: of the run, Markdown.
        model: which version of the registered model it is; empty where it is none.
        links: title to address.
    """
    report = outbox.report(PIPELINE)
    if not report or not (outbox.folder / report["path"]).exists():
        return None
    text = (outbox.folder / report["path"]).read_text(encoding="utf-8")
    part = run_part(run, description, model, {**links, **report["links"]})
    write_text(outbox.folder / PAGE, fill_slot(text, redact(part)))
    return outbox.folder / PAGE


def run_part(run: Mapping[str, Any], description: str, model: str, links: Mapping[str, str]) -> str:
    """What belongs to the run, as HTML."""
    from markdown_it import MarkdownIt

    if not any(name.startswith("test/") for name in run["metrics"]):
        description = _NO_RESULT
    number = f"Run {run['number']}" if run["number"] else "This run"
    facts = "".join(f"<div><dt>{name}</dt> <dd>{value}</dd></div>" for name, value in _facts(run, model))
    listed = "".join(f'<li><a href="{escape(url)}">{escape(title)}</a></li>' for title, url in links.items())
    note = "They open while <code>thaw ui</code> is at work, or where the servers are that the run used."
    return (
        f'<div class="run" id="run"><h2>{number}: {escape(str(run["name"]))}</h2>'
        f"{MarkdownIt('commonmark', {'html': False}).enable('table').render(description)}<dl>{facts}</dl>"
        f"<ul>{listed}</ul><p><small>{note}</small></p></div>"
    )


def _facts(run: Mapping[str, Any], model: str) -> list[tuple[str, str]]:
    """What the run was made of, and the model that it made: name and HTML."""
    tags, commit = run["tags"], run["commit"]
    dirty = ", and files that Git has not committed" if tags.get("git.dirty") == "true" else ""
    facts = [("Code", f"{_code(commit[:_DIGITS])}{dirty}" if commit else "not in Git")]
    facts += [
        ("Data", f"{escape(key.removeprefix(DATA_TAG))}, version {_code(value[:_DIGITS])}")
        for key, value in sorted(tags.items())
        if key.startswith(DATA_TAG)
    ]
    return facts + ([("Model", escape(model))] if model else [])


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def publish_run_page(outbox: Outbox, root: Path) -> None:
    """Put the page of an outbox's run where people open it; where it made no report, remove one that is of another result.

    Where MLflow is down, and the run could not be told by others, that is the stage's page as it is.
    """
    page, report = root / RUN_PAGE, outbox.report(PIPELINE)
    made = outbox.folder / PAGE
    source = made if made.exists() else outbox.folder / report.get("path", PAGE)
    if report and source.exists():
        with replacing(page) as temporary:
            shutil.copyfile(source, temporary)
    elif page.exists() and not _is_of(page, root / STAGE_PAGE):
        page.unlink()


def _is_of(page: Path, report: Path) -> bool:
    return report.exists() and is_filled(page.read_text(encoding="utf-8"), report.read_text(encoding="utf-8"))
