"""`thaw cross-validate`: how good the classifier is, on folds of the images."""

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thaw.cli import app
from thaw.cli.console import print_table
from thaw.errors import ThawError
from thaw.progress import showing
from thaw.project import find_root, holding

if TYPE_CHECKING:
    from thaw.cross_validation.material import Material
    from thaw.params import Params
    from thaw.trials.folds import Plan
    from thaw.versioning import StageSpec

_KIND = "cross-validation"
_NAMES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "roc_auc": "ROC-AUC", "log_loss": "log loss"}


@dataclass(frozen=True)
class _Project:
    """What a cross-validation needs of the project."""

    root: Path
    params: "Params"
    specs: "dict[str, StageSpec]"
    data: dict[str, str]


@app.command("cross-validate")
def cross_validate(
    folds: Annotated[int | None, typer.Option(min=2, help="Parts; without it those of audit.folds.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Times, each with other parts and another seed.")] = 1,
    fine_tune: Annotated[bool, typer.Option("--fine-tune", help="Train whole models, from the pictures; hours.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")] = False,
) -> None:
    """Divide the images of training and validation into parts, and judge each part by what was trained on the others.

    Trained are heads on the frozen network's features, in seconds; with --fine-tune whole models, by train_frozen and
    fine_tune. The test split is not touched, nor is any file that a stage made. In MLflow it is one run, with a child for each
    part. One that was killed goes on where it was: type the same again.

    [bold]Examples[/bold]

      thaw cross-validate
      thaw cross-validate --folds 10 --repeats 3
      thaw cross-validate --fine-tune --json
    """
    root = find_root()
    with holding(root):
        project = _open(root, "split" if fine_tune else "audit")
        from thaw.trials.folds import Plan

        plan = Plan(folds or project.params.audit.folds or 5, repeats)
        with showing("cross-validation"):
            result = _run(project, plan, fine_tune)
    if as_json:
        typer.echo(json.dumps(result))
    else:
        _print(result)


def _open(root: Path, last: str) -> _Project:
    """The project, where what `last` needs is as the parameters and data of now make it."""
    from thaw.params import load_params
    from thaw.versioning import DvcRepo

    repo = DvcRepo(root)
    needed = [*repo.upstream(last), *([last] if last == "split" else [])]
    outdated = [name for name in needed if repo.changed(name)]
    if outdated:
        verb = "is" if len(outdated) == 1 else "are"
        raise ThawError(f"{', '.join(outdated)} {verb} out of date", "Run `thaw run` first.")
    specs = {spec.name: spec for spec in repo.stages()}
    project = _Project(root, load_params(root / "params.yaml"), specs, repo.data_version())
    repo.close()
    return project


def _run(project: _Project, plan: "Plan", fine_tune: bool) -> dict[str, Any]:
    """Cross-validate, recorded in MLflow; what folds came to is kept until all are done."""
    from thaw.cross_validation.material import NothingToAudit
    from thaw.trials import folds as trials
    from thaw.trials.recording import recording

    params = project.params
    key = _key(project, plan, fine_tune)
    kept_dir = _own_folder(project.root / ".thaw" / "cross-validate" / ("whole" if fine_tune else "heads"), key)
    sections = ["seed", "model", "augment", "extract", "train_frozen", *(["fine_tune"] if fine_tune else [])]
    told = params.flat(sections) | {"folds": plan.folds, "repeats": plan.repeats, "whole_trainings": fine_tune}
    try:
        material = _material(project, fine_tune)
        judge = _whole(project, material, kept_dir) if fine_tune else trials.by_heads(material, params)
        name = f"{plan.repeats} x {plan.folds} folds" + (", fine-tuned" if fine_tune else "")
        with recording(project.root, _KIND, name, told, project.data, key) as recorded:
            result = trials.cross_validate(material, plan, params, judge, kept_dir, recorded)
            result["whole_trainings"] = fine_tune
            path = kept_dir / "cross_validation.json"
            path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
            recorded.record_file(path)
    except NothingToAudit as nothing:
        raise ThawError(str(nothing), "Add images, or cross-validate whole trainings: --fine-tune.") from None
    shutil.rmtree(kept_dir)
    return result


def _own_folder(home_dir: Path, key: str) -> Path:
    """The folder of `key`; what was kept of others, with other parameters, data or code, is removed."""
    for other in home_dir.glob("*"):
        if other.name != key:
            shutil.rmtree(other)
    return home_dir / key


def _material(project: _Project, fine_tune: bool) -> "Material":
    from thaw.cross_validation.material import read_images, read_material

    audit = project.specs["audit"].inputs
    split_paths = [audit[f"{name}_path"] for name in ("train", "validation", "classes")]
    return read_images(*split_paths) if fine_tune else read_material(audit["features_dir"], *split_paths)


def _whole(project: _Project, material: "Material", kept_dir: Path) -> Any:
    from thaw.trials.whole import WholeTraining, by_whole_trainings

    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it wonders at one process that trains many networks
    training = WholeTraining(project.root, project.specs, project.params, kept_dir / "work")
    return by_whole_trainings(material, training)


def _key(project: _Project, plan: "Plan", fine_tune: bool) -> str:
    """All that decides what a fold comes to."""
    from thaw.files import digest
    from thaw.fingerprint import content_key, package_digest

    inputs = project.specs["audit"].inputs
    tables = [digest(inputs[f"{name}_path"]) for name in ("train", "validation", "classes")]
    params = project.params.flat(project.params.sections())
    return content_key(plan, fine_tune, params, project.data, *tables, package_digest())


def _print(result: dict[str, Any]) -> None:
    from rich.table import Table

    trained = "whole trainings" if result["whole_trainings"] else "heads on frozen features"
    coverage = f"{100 * result['intervals']['coverage']:g} % interval"
    table = Table("metric", "mean", "sd", coverage, title=f"{result['repeats']} x {result['folds']} folds, {trained}")
    for name, shown in _NAMES.items():
        found = result[name]
        ends = [found.get(end) for end in ("low", "high")]
        interval = f"{ends[0]:.4f} to {ends[1]:.4f}" if None not in ends else ""
        table.add_row(shown, _number(found["mean"]), _number(found["sd"]), interval)
    print_table(table)
    each = Table("repeat", "fold", "images", *_NAMES.values())
    for row in result["per_fold"]:
        each.add_row(*(str(row[name]) for name in ("repeat", "fold", "images")), *(_number(row[name]) for name in _NAMES))
    print_table(each)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
