"""Whole trainings on folds: the pipeline's own stages, from views to a fine-tuned model, on a part of the images."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from thaw import images
from thaw.cross_validation.material import Material
from thaw.cross_validation.out_of_fold import choose_watched
from thaw.params import Params
from thaw.splitting.files import write_classes, write_split
from thaw.stages import call_stage
from thaw.stages.evaluate import open_classifier
from thaw.trials.folds import Judge
from thaw.versioning import StageSpec

_STAGES = ("augment", "extract", "train_frozen", "fine_tune")
_SAMPLE_IMAGES = 16
_GIVEN = ("raw_dir", "pretrained_dir")


@dataclass(frozen=True)
class WholeTraining:
    """Trains models on all folds but one, each in a folder of its own that a killed one goes on in."""

    root: Path
    """The project's folder."""
    specs: dict[str, StageSpec]
    """Its stages by name."""
    params: Params
    work_dir: Path

    def judge(self, material: Material, folds: np.ndarray, fold: int, seed: int) -> np.ndarray:
        """What a model that was trained on the other folds says of the images of `fold`, float64 `(images, classes)`.

        A part of the others, as large as the project's validation split, is what its training watches.
        """
        folder = self.work_dir / f"{seed}-{fold}"
        held, rows = folds == fold, material.rows
        watched = choose_watched(material, ~held, seed) if material.validation_images else np.zeros(len(held), bool)
        splits = {"train": rows[~held & ~watched], "validation": rows[watched], "test": rows[held]}
        self._lay_out(folder, material.classes, splits)
        params = self.params.model_copy(update={"seed": seed})
        for name in _STAGES:
            self._run(folder, name, params)
        files = [images.inside(self.specs["evaluate"].inputs["raw_dir"], path) for path in splits["test"]["path"]]
        model_dir = self._moved(folder, self.specs["fine_tune"].outputs["fine_tuned_dir"])
        classifier = open_classifier(model_dir, params.extract, folder / ".thaw" / "evaluate", files[:_SAMPLE_IMAGES])
        probabilities, failures = classifier.predict(files)
        for error in failures.values():
            raise error
        keras.backend.clear_session()  # or networks of all trainings would stay in memory
        shutil.rmtree(folder)
        return probabilities

    def _lay_out(self, folder: Path, classes: list[str], splits: dict[str, pd.DataFrame]) -> None:
        for name, rows in splits.items():
            path = self._moved(folder, self.specs["split"].outputs[f"{name}_path"])
            path.parent.mkdir(parents=True, exist_ok=True)
            write_split(path, rows)
        write_classes(self._moved(folder, self.specs["split"].outputs["classes_path"]), classes)

    def _run(self, folder: Path, name: str, params: Params) -> None:
        """Run a stage in `folder`, unless that was done before a kill; within a training its own checkpoints go on."""
        done = folder / ".thaw" / f"{name}.done"
        if done.exists():
            return
        spec = self.specs[name]
        inputs = {key: path if key in _GIVEN else self._moved(folder, path) for key, path in spec.inputs.items()}
        outputs = {key: self._moved(folder, path) for key, path in spec.outputs.items()}
        for path in outputs.values():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.rmtree(path)
        call_stage(replace(spec, inputs=inputs, outputs=outputs), folder, params)
        done.parent.mkdir(parents=True, exist_ok=True)
        done.touch()

    def _moved(self, folder: Path, path: Path) -> Path:
        return folder / path.relative_to(self.root)


def by_whole_trainings(material: Material, training: WholeTraining) -> Judge:
    """Models trained from the pictures, one after the other."""

    def judge(folds: np.ndarray, todo: list[int], seed: int) -> Iterator[tuple[int, np.ndarray]]:
        for fold in todo:
            yield fold, training.judge(material, folds, fold, seed)

    return judge
