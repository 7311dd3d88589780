"""`thaw restore`: an earlier run, back in the workspace."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thaw.cli import app
from thaw.cli.completion import complete_run
from thaw.errors import ThawError
from thaw.files import replacing
from thaw.params.yaml import parse_yaml
from thaw.progress import showing
from thaw.project import find_root, holding
from thaw.run_slot import RUN_PAGE

if TYPE_CHECKING:
    from thaw.versioning import DvcRepo
    from thaw.versioning.code import Code
    from thaw.versioning.restoring import Changes, Saved
    from thaw.versioning.state import State

_MOST_REASONS = 3


@app.command()
def restore(
    run: Annotated[
        str,
        typer.Argument(
            help="A number of `thaw runs`, the beginning of a run's id, or a run's name.", autocompletion=complete_run
        ),
    ] = "",
    undo: Annotated[
        bool, typer.Option("--undo", help="Bring back what was here before the last `thaw restore`.")
    ] = False,
    code: Annotated[
        bool, typer.Option("--code", help="Write the patch of the run's code to .thaw/code, for `git apply`.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would change, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Bring parameters, dvc.lock, data, models, metrics and reports of an earlier run back into the workspace.

    They come from MLflow and from DVC's cache, or its remote. What is here now is kept first: outputs in DVC's cache, the rest
    in [bold].thaw/before-restore[/bold]. Git is left alone: where the code differs from the run's, the commands that bring it
    back are printed. What was kept before another restore comes back by its folder's name, `.thaw/before-restore/N`.

    [bold]Examples[/bold]

      thaw runs
      thaw restore 3 --dry-run
      thaw restore 3
      thaw restore --undo
    """
    from thaw.versioning import DvcRepo

    if bool(run) == undo:
        raise ThawError("a run, or --undo", "`thaw runs` lists the runs: `thaw restore 3`.")
    root = find_root()
    with holding(root), tempfile.TemporaryDirectory(prefix="thaw-") as folder:
        goal = _undoing(root) if undo else _find(root, run, Path(folder))
        with showing("opening the project"):
            repo = DvcRepo(root)
        with ExitStack() as stack:
            stack.callback(repo.close)
            for stage in repo.stages():
                stack.enter_context(repo.reserved(stage.name))
            _restore(repo, goal, dry_run, yes)
            if goal.state.code.commit:
                _tell_code(repo, goal, code and not dry_run)


@dataclass(frozen=True)
class _Goal:
    """What is to be brought back.

    Attributes:
        title: what to call it in a sentence.
        name: what to call it on a command line.
        undoes: the number of the restoring that is taken back; empty where none is.
    """

    state: "State"
    title: str
    name: str
    undoes: str = ""


def _undoing(root: Path) -> _Goal:
    """What was here before the last restoring."""
    from thaw.versioning.restoring import last_saved
    from thaw.versioning.state import read_state

    saved = last_saved(root)
    number = saved.folder.name
    return _Goal(read_state(saved.folder), f"what was here before {saved.title}", "--undo", number)


def _find(root: Path, run: str, folder: Path) -> _Goal:
    """What a run kept, or what was kept before a restoring."""
    from thaw.versioning.restoring import check_whole
    from thaw.versioning.state import STATE, read_state

    if (Path(run) / STATE).is_file():
        return _Goal(read_state(Path(run)), run, run)
    kept_dir, page, title, name = _download(root, run, folder)
    state = read_state(kept_dir)
    if page:
        state = replace(state, files={**state.files, RUN_PAGE: page})
    try:
        check_whole(state)
    except ThawError as error:
        raise ThawError(f"{title}: {error.reason}", error.cure) from None
    return _Goal(state, title, name)


def _download(root: Path, text: str, folder: Path) -> tuple[Path, Path | None, str, str]:
    """Fetch what a run kept, and its page, if it has one; what to call the run in a sentence, and on a command line.

    Raises:
        ThawError: there is no such run, it did not end well, or it kept nothing.
    """
    from thaw.cli.runs import open_store
    from thaw.tracking.finding import find_run
    from thaw.tracking.recording import STATE_DIR
    from thaw.tracking.run_page import PAGE

    with open_store(root) as store:
        run = find_run(store.pipeline_runs(), text)
        name = str(run["number"] or run["run_id"][:8])
        title = f"run {name} ({run['name']})"
        if run["status"] != "FINISHED":
            word = "is at work" if run["status"] == "RUNNING" else f"ended as {run['status']}"
            raise ThawError(
                f"{title} {word}: it has no result to bring back",
                "`thaw runs` lists the runs; its parameters stand in `thaw runs --json`.",
            )
        kept = store.download_folder(run["run_id"], STATE_DIR, folder)
        page = store.download_file(run["run_id"], PAGE, folder)
    if kept is None:
        raise ThawError(
            f"{title} is of a release that did not keep what it takes to restore a run",
            "Its parameters stand in `thaw runs --json`: `thaw run -S key=value` makes it again.",
        )
    return kept, page, title, name


def _restore(repo: "DvcRepo", goal: _Goal, dry_run: bool, yes: bool) -> None:
    from thaw.versioning.restoring import find_changes, is_unfinished, restore

    with showing("comparing with the cache"):
        changes = find_changes(repo, goal.state)
    if not changes and not is_unfinished(repo.root):
        typer.echo(f"The workspace is at {goal.title} already.")
        return
    _tell_changes(repo.root, changes, goal.title)
    if dry_run:
        return
    if not yes:
        if not sys.stdin.isatty():
            raise ThawError("nobody is there to ask whether to go on", "Give --yes. What is here now is kept.")
        typer.confirm("What is here now is kept. Go on?", abort=True)
    with showing("restoring") as report:
        saved = restore(repo, goal.title, changes, goal.undoes, report)
    _tell_kept(repo.root, saved)


def _tell_changes(root: Path, changes: "Changes", title: str) -> None:
    from thaw.versioning.state import PARAMS

    typer.echo(f"To restore {title}, these change:")
    for path, content in changes.files.items():
        typer.echo(f"  {path}{'' if content is not None else ' (is removed)'}")
        if path == PARAMS and content is not None:
            for line in _differences(root / PARAMS, content):
                typer.echo(f"    {line}")
    for path, version in changes.outputs.items():
        typer.echo(f"  {path} ({f'version {version[:8]}' if version else 'is removed'})")


def _differences(path: Path, then: bytes) -> list[str]:
    """Each parameter that differs, as `key: now -> then`."""
    from thaw.params import flatten

    try:
        texts = (path.read_text(encoding="utf-8"), then.decode())
        now, old = (flatten(parse_yaml(text)) for text in texts)
    except (OSError, ValueError, AttributeError):
        return []
    keys = [key for key in dict.fromkeys([*now, *old]) if now.get(key) != old.get(key)]
    return [f"{key}: {now.get(key, '(none)')} -> {old.get(key, '(none)')}" for key in keys]


def _tell_kept(root: Path, saved: "Saved") -> None:
    folder = saved.folder.relative_to(root)
    command = f"thaw restore {folder}" if saved.undoes else "thaw restore --undo"
    typer.echo(f"Done. What was here is kept in {folder}: `{command}` brings it back.")
    _tell_outdated(root)


def _tell_outdated(root: Path) -> None:
    """Say whether DVC agrees: the code may be another, or the run may have been of a part of the pipeline."""
    from thaw.params import read_values
    from thaw.versioning import DvcRepo
    from thaw.versioning.state import PARAMS

    repo = DvcRepo(root)
    try:
        reasons = {name: why for name, why in repo.reasons(read_values(root / PARAMS)).items() if why}
    finally:
        repo.close()
    if not reasons:
        typer.echo("Every stage is up to date.")
    for name, why in reasons.items():
        typer.echo(f"{name} is out of date: {'; '.join(why[:_MOST_REASONS])}{'; ...' if why[_MOST_REASONS:] else ''}")


def _tell_code(repo: "DvcRepo", goal: _Goal, write: bool) -> None:
    """Say how the run's code comes back, where it is not that of now."""
    from thaw.versioning.state import current_code

    then, now = goal.state.code, current_code(repo)
    patch = Path(".thaw") / "code" / f"{goal.name}.patch"
    if write and then.patch:
        with replacing(repo.root / patch) as temporary:
            temporary.write_bytes(then.patch)
    if (then.commit, then.patch) == (now.commit, now.patch):
        typer.echo("The code is that of the run.")
    else:
        typer.echo("The code is not that of the run. To have it too:")
        for command in _code_commands(repo.root, goal, now, patch, write):
            typer.echo(f"  {command}")
    for path, reason in then.left_out.items():
        typer.echo(f"The run's {path} differed from the commit and is not in the patch: {reason}.")
    for path in goal.state.edited:
        typer.echo(f"The run's {path} was edited after the stage that reads it had run.")


def _code_commands(root: Path, goal: _Goal, now: "Code", patch: Path, written: bool) -> Iterator[str]:
    """What brings the run's code back; `git stash pop` then brings back that of now."""
    from thaw.git import has_commit

    then = goal.state.code
    other = then.commit != now.commit
    away = other or bool(now.patch or now.left_out)
    if away:  # Git checks no commit out over files that differ, and by now those that were restored do
        yield "git stash --include-untracked"
    if other and not has_commit(root, then.commit):
        yield "git fetch --all"
    if other:
        yield f"git checkout {then.commit}"
    if away or (then.patch and not written):
        yield f"thaw restore {goal.name} --yes{' --code' if then.patch else ''}"
    if then.patch:
        yield f"git apply {patch}"
