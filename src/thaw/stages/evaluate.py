"""Stage `evaluate`: judge the model on the held-out test split."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thaw import images
from thaw.decision import threshold_of
from thaw.engines import Engine, compile_cached
from thaw.errors import ThawError
from thaw.evaluation import Predictions, report_metrics
from thaw.evaluation.agreement import Comparison, Run
from thaw.evaluation.examples import caption, choose_examples
from thaw.evaluation.inference import judge_files
from thaw.evaluation.mistakes import draw_mistakes
from thaw.evaluation.plots import draw_judgement, draw_learning_curves
from thaw.evaluation.tables import class_table, confusion_table, prediction_table
from thaw.files import write_csv, write_json
from thaw.fingerprint import content_key
from thaw.inference import exclude_tensor_float_32, run_in_float32
from thaw.models.saving import load, load_config, save_evaluated
from thaw.params import EvaluateParams, ExtractParams
from thaw.splitting.files import FIXED_COLUMNS, read_classes, read_split

if TYPE_CHECKING:
    import keras

log = logging.getLogger("thaw.evaluate")

_SAMPLE_IMAGES = 16


@dataclass(frozen=True)
class Classifier:
    """A trained model, ready to judge files."""

    classes: list[str]
    threshold: float
    """Of two classes: the probability from which an image counts as the second one."""
    shape: tuple[int, int, int]
    resize: images.Resize
    engine: Engine
    batch_size: int

    def judge(
        self, files: Sequence[Path], run: Run | None = None
    ) -> tuple[np.ndarray, dict[int, ThawError]]:
        """As `thaw.evaluation.inference.judge_files`: probabilities, and what went wrong with which file.

        Args:
            run: gives the logits in the place of the engine.
        """
        return judge_files(run or self.engine, files, self.shape, self.resize, self.batch_size)


def evaluate(
    params: EvaluateParams,
    seed: int,
    extract: ExtractParams,
    raw_dir: Path,
    test_path: Path,
    classes_path: Path,
    fine_tuned_dir: Path,
    frozen_curve_path: Path,
    fine_tuned_curve_path: Path,
    metrics_path: Path,
    predictions_path: Path,
    class_metrics_path: Path,
    confusion_path: Path,
    pictures_dir: Path,
    evaluated_dir: Path,
    scratch_dir: Path,
) -> None:
    """Write the metrics, tables of images and classes, the pictures, and the model with its threshold.

    Judged is the network in float32, as MLflow serves it; the engine that `thaw predict` uses is run beside it.

    Raises:
        ThawError: there are no test images, one cannot be read, the model was trained on other classes, or the engine
            gives other probabilities than the network.
    """
    rows, classes = read_split(test_path), read_classes(classes_path)
    if rows.empty:
        raise ThawError(f"{test_path}: no test images", "Set split.test_fraction above 0.")
    files = [images.inside(raw_dir, path) for path in rows["path"]]
    classifier = open_classifier(fine_tuned_dir, extract, scratch_dir, files[:_SAMPLE_IMAGES])
    if classifier.classes != classes:
        raise ThawError(
            f"{fine_tuned_dir}: trained on {classifier.classes}, the data has {classes}",
            "Train again: `thaw run`.",
        )
    network = load(fine_tuned_dir)[0]
    comparison = Comparison(run_in_float32(network), classifier.engine, params.threshold)
    probabilities, failures = classifier.judge(files, comparison)
    for error in failures.values():
        raise error
    predictions = Predictions(
        classes, rows["label"].to_numpy(), probabilities, rows["confidence"].to_numpy(), params.threshold,
        rows["group"].to_numpy(str),
    )  # fmt: skip
    write_csv(predictions_path, prediction_table(rows, predictions))
    write_csv(class_metrics_path, class_table(predictions, params.confidence))
    write_csv(confusion_path, confusion_table(predictions))
    slices = {name: rows[name].to_numpy(str) for name in rows.columns if name not in FIXED_COLUMNS}
    metrics = report_metrics(predictions, slices, params.bootstrap_samples, params.confidence, seed)
    metrics["served"] = {
        "phase": load_config(fine_tuned_dir).get("phase", "fine_tuned"),
        "engine": classifier.engine.name,
        "precision": classifier.engine.precision,
        **comparison.report(),
    }
    write_json(metrics_path, metrics)
    log.info("accuracy %.4f on %d images", metrics["accuracy"], len(rows))
    draw_learning_curves(frozen_curve_path, fine_tuned_curve_path, pictures_dir / "learning_curves.png")
    draw_judgement(predictions, pictures_dir)
    draw_mistakes(
        predictions,
        list(rows["path"]),
        lambda path: images.decode(images.inside(raw_dir, path), 3, at_least=(160, 160), resize="pad"),
        pictures_dir / "mistakes.png",
    )
    explain_examples(params.explained_images, predictions, raw_dir, list(rows["path"]), network, classifier, pictures_dir)
    save_evaluated(fine_tuned_dir, evaluated_dir, params.threshold)


def explain_examples(
    count: int,
    predictions: Predictions,
    raw_dir: Path,
    paths: Sequence[str],
    network: "keras.Model",
    classifier: Classifier,
    pictures_dir: Path,
) -> None:
    """Draw where the network looked in the `count` images that tell most, as `explained.png`; none: nothing."""
    chosen = choose_examples(predictions, count)
    if not chosen:
        return
    from thaw.explain.sheets import draw_sheet, open_picture, save_picture

    files = [images.inside(raw_dir, paths[image]) for image in chosen]
    opened = [open_picture(file, classifier.shape, classifier.resize) for file in files]
    captions = [caption(predictions, image, paths[image]) for image in chosen]
    labels = predictions.predicted[chosen].tolist()
    save_picture(draw_sheet(network, opened, labels, captions), pictures_dir / "explained.png")


def open_classifier(
    model_dir: Path, extract: ExtractParams, scratch_dir: Path, sample_files: Sequence[Path] = ()
) -> Classifier:
    """Make a saved model ready, in float32; without TensorFlow where an engine has it compiled.

    Args:
        sample_files: images on which the engine is held against Keras; none: it is not.

    Raises:
        ThawError: the model is missing or damaged, a sample cannot be read, or no engine runs the model.
    """
    config = load_config(model_dir)
    height, width, channels = config["input_shape"]
    shape, resize = (height, width, channels), config.get("resize", "stretch")
    sample = np.stack([images.load(file, *shape, resize) for file in sample_files]) if sample_files else None
    classes = list(config["classes"])
    key = content_key("classifier", config["model"], shape, len(classes), config.get("weights_sha256"))
    in_float32 = extract.model_copy(update={"precision": "float32"})
    engine = compile_cached(key, lambda: load(model_dir)[0], in_float32, scratch_dir, sample)
    if engine.name == "tensorflow":
        exclude_tensor_float_32()
    return Classifier(classes, threshold_of(config), shape, resize, engine, extract.batch_size)
