"""Stage `audit`: judge heads on every image of training and validation, each by one that has not seen it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from thaw.cross_validation.material import Material, NothingToAudit, choose_folds, read_material
from thaw.cross_validation.out_of_fold import predict_out_of_fold
from thaw.cross_validation.pooled import pooled
from thaw.cross_validation.summary import summarize_folds
from thaw.evaluation import Predictions
from thaw.evaluation.tables import prediction_table
from thaw.files import write_csv, write_json
from thaw.labels import Images, no_suspects, out_of_fold, suspects
from thaw.params import AuditParams, EvaluateParams, FitParams, ModelParams
from thaw.splitting.files import read_classes
from thaw.training.guard import guarded

_log = logging.getLogger("thaw.audit")


@dataclass(frozen=True)
class AuditInputs:
    """What `audit` reads."""

    features_dir: Path
    train_path: Path
    validation_path: Path
    classes_path: Path
    manifest_path: Path


@dataclass(frozen=True)
class AuditOutputs:
    """What `audit` writes."""

    out_of_fold_path: Path
    """CSV: a row an image, with its label, its fold from 1 on, and what the head says that was not trained on that fold."""
    audit_path: Path
    """JSON: accuracy, balanced accuracy, log loss and AUC over the folds; or why there is nothing to tell."""
    label_suspects_path: Path
    """CSV: the labels that are probably wrong, the worst first, as `thaw relabel` takes them."""


def audit(
    params: AuditParams,
    seed: int,
    model: ModelParams,
    train_frozen: FitParams,
    evaluate: EvaluateParams,
    inputs: AuditInputs,
    outputs: AuditOutputs,
    scratch_dir: Path,
) -> None:
    """Write the table of what heads say of images that they have not seen, and what it amounts to.

    Raises:
        ThawError: the features do not fit the splits, or a loss is not finite.
        Stopped: on request.
    """
    try:
        if params.folds < 2:
            raise NothingToAudit(f"audit.folds is {params.folds}")
        if not train_frozen.epochs:
            raise NothingToAudit("train_frozen.epochs is 0: no head is trained")
        material = read_material(inputs.features_dir, inputs.train_path, inputs.validation_path, inputs.classes_path)
        folds = choose_folds(material, params.folds, seed)
    except NothingToAudit as nothing:
        _log.info("no audit: %s", nothing)
        _write_nothing(outputs, read_classes(inputs.classes_path), str(nothing))
        return
    with guarded(scratch_dir) as stop:
        predictions = material.predictions(predict_out_of_fold(material, folds, train_frozen, model, seed, stop.check))
    summary = summarize_folds(predictions, folds, evaluate.confidence)
    write_csv(outputs.out_of_fold_path, _table(material.rows, folds, predictions))
    write_json(outputs.audit_path, _facts(material, folds, params.folds) | summary)
    write_csv(outputs.label_suspects_path, _find_suspects(material, folds, inputs.manifest_path, seed))
    mean, sd = (summary["accuracy"][name] for name in ("mean", "sd"))
    _log.info("out of fold: accuracy %.4f on %d images, %.4f between folds", mean, len(folds), sd)


def _find_suspects(material: Material, folds: np.ndarray, manifest_path: Path, seed: int) -> pd.DataFrame:
    """The labels that are probably wrong, of the audited images; those of the test split only speak of what looks like them."""
    manifest = pd.read_parquet(manifest_path, columns=["path", "class", "verdict", "sha256", "cluster"])
    fit = manifest[manifest["verdict"] == "ok"].set_index("path")
    judged = list(material.rows["path"])
    paths = [*judged, *sorted(set(fit.index) - set(judged))]
    fit = fit.loc[paths]
    classes = material.classes
    probabilities = np.full((len(paths), len(classes)), np.nan)
    given = out_of_fold(pooled(material.features), material.labels, folds, len(classes), seed)
    probabilities[: len(folds)] = given
    number_of = {name: number for number, name in enumerate(classes)}
    others = np.array([number_of[name] for name in fit["class"][len(folds) :]], np.int64)
    labels = np.concatenate([material.labels, others])
    copies, clusters = (pd.factorize(fit[name].replace("", None))[0] for name in ("sha256", "cluster"))
    found = suspects(Images(paths, labels, probabilities, copies, clusters), classes)
    _log.info("%d of %d labels look wrong", len(found), len(folds))
    return found


def _facts(material: Material, folds: np.ndarray, wanted: int) -> dict[str, Any]:
    """How the images were divided, and what was short of it."""
    count = int(folds.max()) + 1
    of_class = np.unique(np.stack([material.labels, material.units]), axis=1)[0]
    independent = np.bincount(of_class, minlength=len(material.classes))
    scarce = [name for name, units in zip(material.classes, independent, strict=True) if units < count]
    facts: dict[str, Any] = {"folds": count, "images": len(folds), "units": len(np.unique(material.units))}
    if count < wanted:
        facts["reason"] = f"{count} folds and not {wanted}: the smaller classes have no more independent images"
    return facts | ({"not_in_every_fold": scarce} if scarce else {})


def _table(rows: pd.DataFrame, folds: np.ndarray, predictions: Predictions) -> pd.DataFrame:
    table = prediction_table(rows, predictions)
    table.insert(2, "label", predictions.labels, allow_duplicates=True)
    table.insert(3, "fold", folds + 1, allow_duplicates=True)
    return table.sort_values("path", kind="stable")


def _write_nothing(outputs: AuditOutputs, classes: Sequence[str], reason: str) -> None:
    none = np.zeros(0, np.int64)
    predictions = Predictions(list(classes), none, np.zeros((0, len(classes))), np.zeros(0))
    rows = pd.DataFrame({"path": [], "class": []}, dtype=object)
    write_csv(outputs.out_of_fold_path, _table(rows, none, predictions))
    write_csv(outputs.label_suspects_path, no_suspects())
    write_json(outputs.audit_path, {"folds": 0, "reason": reason})
