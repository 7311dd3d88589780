"""Stage `evaluate`: judge the model on the held-out test split."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from thaw import images
from thaw.compute import Executor, Portable, open_executor
from thaw.decision import DEFAULT_THRESHOLD, Decision, decision_of, temperature_of, views_of
from thaw.devices import keras_backend
from thaw.engines import Compilation, Engine, compile_cached
from thaw.errors import ThawError
from thaw.evaluation import Predictions, headline, report_metrics
from thaw.evaluation.agreement import compare
from thaw.evaluation.calibration import report_calibration
from thaw.evaluation.confusion import confused_pairs, confusion_table, plotted_verdicts
from thaw.evaluation.deciding import check_answers, choose, held_out, is_chosen, report_decision
from thaw.evaluation.examples import caption, choose_examples, examples_of, heatmap_path
from thaw.evaluation.inference import Run, predict_files
from thaw.evaluation.mistakes import draw_mistakes
from thaw.evaluation.plots import draw_answered, draw_learning_curves, draw_predictions
from thaw.evaluation.slices import divide_images, read_pictures, slice_table, summarize_slices, tell_worse
from thaw.evaluation.tables import class_table, prediction_table
from thaw.files import write_csv, write_json
from thaw.fingerprint import content_key
from thaw.inference import exclude_tensor_float_32, run_in_float32
from thaw.models.saving import load, load_config, save_evaluated
from thaw.params import ComputeParams, EvaluateParams, ExtractParams
from thaw.sources import File
from thaw.splitting.files import FIXED_COLUMNS, read_classes, read_split

if TYPE_CHECKING:
    import keras

log = logging.getLogger("thaw.evaluate")

_SAMPLE_IMAGES = 16
_COMPARED_VIEWS = 256
_HEATMAP_PIXELS = 256


@dataclass(frozen=True)
class EvaluateInputs:
    """What `evaluate` reads."""

    raw_dir: Path
    manifest_path: Path
    train_path: Path
    validation_path: Path
    test_path: Path
    classes_path: Path
    fine_tuned_dir: Path
    validation_logits_path: Path
    out_of_fold_path: Path
    frozen_curve_path: Path
    fine_tuned_curve_path: Path


@dataclass(frozen=True)
class EvaluateOutputs:
    """What `evaluate` writes."""

    headline_path: Path
    """JSON: the few metrics that DVC shows of an experiment."""
    metrics_path: Path
    """JSON: all of them, with intervals and slices."""
    predictions_path: Path
    class_metrics_path: Path
    slices_path: Path
    """CSV: each slice against the rest of the test images."""
    confusion_path: Path
    confused_pairs_path: Path
    confusion_plot_path: Path
    """CSV: what DVC's plot counts; a row an image."""
    pictures_dir: Path
    evaluated_dir: Path
    """The model, with the decision it was evaluated with."""


@dataclass(frozen=True)
class Classifier:
    """A trained model, ready to predict what files show."""

    classes: list[str]
    decision: Decision
    shape: tuple[int, int, int]
    resize: images.Resize
    engine: Engine
    compilation: Compilation
    batch_size: int

    def predict(
        self, files: Sequence[File], executor: Executor | None = None
    ) -> tuple[np.ndarray, dict[int, ThawError]]:
        """As `thaw.evaluation.inference.predict_files`: probabilities, and what went wrong with which file."""
        return predict_files(self.run, files, self.shape, self.resize, self.batch_size, executor)

    @property
    def run(self) -> Run:
        """The engine, as it can be sent to another process."""
        return Portable(self.engine, self.compilation)


@dataclass(frozen=True)
class _LoadSaved:
    """Loads the model of a folder."""

    model_dir: Path
    weights_sha256: str

    def __call__(self) -> "keras.Model":
        return load(self.model_dir)[0]


@dataclass(frozen=True)
class _RunSaved:
    """Opens the model of a folder, to be run as MLflow serves it."""

    load: "Callable[[], keras.Model]"
    views: int

    def __call__(self) -> Run:
        return run_in_float32(self.load(), self.views)


def evaluate(
    params: EvaluateParams,
    seed: int,
    extract: ExtractParams,
    compute: ComputeParams,
    inputs: EvaluateInputs,
    outputs: EvaluateOutputs,
    scratch_dir: Path,
) -> None:
    """Write the metrics, tables of images and classes, the pictures, and the model with the decision that it was judged with.

    Judged is the engine that `thaw predict` uses, in float32; where that is not Keras itself, Keras's network, as MLflow serves
    it, is held against it on test images spread over the split.

    Raises:
        ThawError: there are no test images, one cannot be read, the model was trained on other classes, the engine
            gives other probabilities than the network, or the decision that was asked for cannot be had.
    """
    rows, classes = read_split(inputs.test_path), read_classes(inputs.classes_path)
    if rows.empty:
        raise ThawError(f"{inputs.test_path}: no test images", "Set split.test_fraction above 0.")
    if len(classes) > 2 and params.threshold not in (DEFAULT_THRESHOLD, "auto"):
        log.warning("evaluate.threshold: %g has no effect on %d classes: it is of two", params.threshold, len(classes))
    files = [images.inside(inputs.raw_dir, path) for path in rows["path"]]
    network, config = load(inputs.fine_tuned_dir)
    if list(config["classes"]) != classes:
        raise ThawError(
            f"{inputs.fine_tuned_dir}: trained on {config['classes']}, the data has {classes}",
            "Train again: `thaw run`.",
        )
    temperature = temperature_of(config)
    decision, told = _choose(params, inputs, classes, temperature, seed)
    with open_executor(compute) as executor:
        classifier = open_classifier(inputs.fine_tuned_dir, extract, scratch_dir, files[:_SAMPLE_IMAGES], network)
        probabilities = _predict(classifier.run, classifier, files, executor)
        agreement = _compare(probabilities, network, views_of(config), classifier, files, decision.threshold, executor)
    predictions = Predictions(
        classes, rows["label"].to_numpy(), probabilities, rows["confidence"].to_numpy(), decision.threshold,
        rows["group"].to_numpy(str),
    )  # fmt: skip
    check_answers(decision, probabilities, "tested on")
    slices = {name: rows[name].to_numpy(str) for name in rows.columns if name not in FIXED_COLUMNS}
    metrics = report_metrics(predictions, slices, params.bootstrap_samples, params.confidence, seed)
    engine = {"engine": classifier.engine.name, "precision": classifier.engine.precision}
    metrics["calibration"] = report_calibration(
        predictions, temperature, params.bootstrap_samples, params.confidence, seed
    )
    metrics["decision"] = report_decision(decision, told, predictions, params.confidence)
    pictures = read_pictures(inputs.manifest_path, list(rows["path"]))
    tested = slice_table(predictions, divide_images(pictures, predictions.labels, classes, slices), params.confidence)
    metrics["slice_tests"] = summarize_slices(tested)
    metrics["served"] = {"phase": config.get("phase", "fine_tuned")} | engine | agreement
    write_json(outputs.headline_path, headline(metrics))
    write_json(outputs.metrics_path, metrics)
    log.info("accuracy %.4f on %d images", metrics["accuracy"], len(rows))
    if worse := tell_worse(tested):
        log.info("%s", worse)
    write_csv(outputs.predictions_path, prediction_table(rows, predictions))
    write_csv(outputs.class_metrics_path, class_table(predictions, params.confidence))
    write_csv(outputs.slices_path, tested)
    write_csv(outputs.confusion_path, confusion_table(predictions))
    write_csv(outputs.confused_pairs_path, confused_pairs(predictions))
    write_csv(outputs.confusion_plot_path, plotted_verdicts(predictions))
    if decision.least_certainty:
        draw_answered(predictions, decision.least_certainty, outputs.pictures_dir / "answered.png")
    _draw_plots(predictions, temperature, list(rows["path"]), inputs, outputs.pictures_dir)
    explained = load(inputs.fine_tuned_dir, averaged=False)[0] if "symmetries" in config else network
    _draw_grad_cam(params.explained_images, predictions, list(rows["path"]), files, explained, classifier, outputs.pictures_dir)
    save_evaluated(inputs.fine_tuned_dir, outputs.evaluated_dir, decision.told() | ({"decision": told} if told else {}))


def _choose(
    params: EvaluateParams, inputs: EvaluateInputs, classes: list[str], temperature: float, seed: int
) -> tuple[Decision, dict[str, Any]]:
    """As `thaw.evaluation.deciding.choose`; nothing is read where nothing is chosen."""
    if not is_chosen(params):
        return Decision(float(params.threshold)), {}
    splits = pd.concat([read_split(inputs.train_path), read_split(inputs.validation_path)])
    logits, out_of_fold = (
        pd.read_csv(path, dtype={"path": str}, keep_default_na=False, encoding="utf-8")
        for path in (inputs.validation_logits_path, inputs.out_of_fold_path)
    )
    return choose(params, held_out(classes, splits, logits, temperature, out_of_fold), seed)


def _predict(run: Run, classifier: Classifier, files: Sequence[File], executor: Executor) -> np.ndarray:
    """The probabilities of `run`, which takes pictures as the classifier does."""
    probabilities, failures = predict_files(
        run, files, classifier.shape, classifier.resize, classifier.batch_size, executor
    )
    for error in failures.values():
        raise error
    return probabilities


def _compare(
    probabilities: np.ndarray,
    network: "keras.Model",
    views: int,
    classifier: Classifier,
    files: Sequence[File],
    threshold: float,
    executor: Executor,
) -> dict[str, Any]:
    """How far the engine's `probabilities` are from the network's, on files spread over all; nothing where the engine is Keras
    itself: that is this network in the same library and precision, and would give the same again.

    A sample, as Keras takes some three times as long as OpenVINO: what differs by more than the order of sums does so on most
    pictures.
    """
    if classifier.engine.name == keras_backend():
        return {}
    count = min(len(files), _COMPARED_VIEWS // views)
    sample = np.arange(count) * len(files) // count
    served = Portable(run_in_float32(network, views), _RunSaved(classifier.compilation.load, views))
    expected = _predict(served, classifier, [files[int(image)] for image in sample], executor)
    return compare(expected, probabilities[sample], threshold)


def _draw_plots(
    predictions: Predictions, temperature: float, paths: Sequence[str], inputs: EvaluateInputs, pictures_dir: Path
) -> None:
    draw_learning_curves(
        inputs.frozen_curve_path, inputs.fine_tuned_curve_path, pictures_dir / "learning_curves.png"
    )
    draw_predictions(predictions, temperature, pictures_dir)
    draw_mistakes(
        predictions,
        paths,
        lambda path: images.decode(images.inside(inputs.raw_dir, path), 3, at_least=(160, 160), resize="pad"),
        pictures_dir / "mistakes.png",
    )


def _draw_grad_cam(
    count: int,
    predictions: Predictions,
    paths: Sequence[str],
    files: Sequence[File],
    network: "keras.Model",
    classifier: Classifier,
    pictures_dir: Path,
) -> None:
    """Draw where the network looked: in the `count` images that say most about it as `explained.png`, and in `count` images of
    each kind (`thaw.evaluation.examples`) as a picture each below `heatmaps`, named by the image's row. None: nothing.
    """
    chosen = choose_examples(predictions, count)
    if not chosen:
        return
    if keras_backend() != "tensorflow":
        log.warning("explained.png and the heatmaps are left out: they take gradients by TensorFlow")
        return
    from thaw.explain.sheets import draw_heatmaps, draw_sheet, open_image, save_png, shrink

    images_of = {image: open_image(files[image], classifier.shape, classifier.resize)
                 for image in examples_of(predictions, count).all()}  # fmt: skip
    labels = predictions.predicted[list(images_of)].tolist()
    kept: dict[int, list[np.ndarray]] = {}
    drawn = draw_heatmaps(network, images_of.values(), ("grad_cam", "grad_cam++"), labels)
    for image, heatmaps in zip(images_of, drawn, strict=True):
        save_png(shrink(heatmaps[0], _HEATMAP_PIXELS), heatmap_path(pictures_dir, image))
        if image in chosen:
            kept[image] = heatmaps
    pictures = [images_of[image] for image in chosen]
    plain, plus = zip(*(kept[image] for image in chosen), strict=True)
    captions = [caption(predictions, image, paths[image]) for image in chosen]
    sheet = draw_sheet(pictures, {"Grad-CAM": plain, "Grad-CAM++": plus}, captions)
    save_png(sheet, pictures_dir / "explained.png")


def open_classifier(
    model_dir: Path,
    extract: ExtractParams,
    scratch_dir: Path,
    sample_files: Sequence[File] = (),
    network: "keras.Model | None" = None,
) -> Classifier:
    """Make a saved model ready, in float32; without TensorFlow where an engine has it compiled.

    Args:
        sample_files: images on which the engine is held against Keras; none: it is not.
        network: what `load(model_dir)` gave, where it is loaded already.

    Raises:
        ThawError: the model is missing or damaged, a sample cannot be read, or no engine runs the model.
    """
    config = load_config(model_dir)
    height, width, channels = config["input_shape"]
    shape, resize = (height, width, channels), config.get("resize", "stretch")
    sample = np.stack([images.load(file, *shape, resize) for file in sample_files]) if sample_files else None
    classes = list(config["classes"])
    key = content_key("classifier", config["model"], shape, len(classes), config.get("weights_sha256"), temperature_of(config),
                      config.get("symmetries", []))  # fmt: skip
    in_float32 = extract.model_copy(update={"precision": "float32"})

    load_saved = _LoadSaved(model_dir.absolute(), str(config.get("weights_sha256")))
    engine = compile_cached(key, load_saved if network is None else lambda: network, in_float32, scratch_dir, sample)
    compilation = Compilation(engine.name, engine.precision, key, load_saved, in_float32, scratch_dir.absolute())
    if engine.name == keras_backend():
        exclude_tensor_float_32()
    batch_size = max(1, extract.batch_size // views_of(config))
    return Classifier(classes, decision_of(config), shape, resize, engine, compilation, batch_size)
