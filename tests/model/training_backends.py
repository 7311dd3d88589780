"""The three training stages on a pretrained network, on JAX: alone, or as a process of a group."""

import sys
from pathlib import Path
from typing import Any

from tests.code.backend_training import RefuseTensorFlow, die_once, save_each_step
from tests.model.training_project import fine_tune_inputs, run_stages, training_data
from thaw.params import ComputeParams, ExtractParams, FineTuneParams, FitParams, ModelParams

MODEL = ModelParams(architecture="mobilenet", weights="random.weights.h5", dropout=0.0)
FROZEN = FitParams(epochs=4, batch_size=8, learning_rate=0.01, precision="float32", mixup=0.2)
TUNED = FineTuneParams(
    epochs=3, min_steps=0, batch_size=8, optimizer="sgd", learning_rate=0.02, precision="float32", weight_decay=1e-3,
    batch_norm="train",
)  # fmt: skip
EXTRACT = ExtractParams(engine="auto")


def run_alone(folder: Path, out: Path) -> None:
    """All three stages in this process, with TensorFlow refused."""
    sys.meta_path.insert(0, RefuseTensorFlow())  # type: ignore[arg-type]
    run_stages(folder, out, MODEL, FROZEN, TUNED, EXTRACT)
    assert not [name for name in sys.modules if name.partition(".")[0] == "tensorflow"]


def train_in_group(folder: Path, alone: Path, out: Path, stage: str, dies_at: int, member: Any, stop: Any) -> None:
    """`train_frozen` on the features, or `fine_tune` on the frozen network, that `run_alone` left in `alone`."""
    from thaw.stages import fine_tune, train_frozen

    save_each_step()
    if member.rank == 1:
        die_once(dies_at, out / "died")
    scratch, together = out / "scratch" / stage, {"devices": "all_machines"}
    if stage == "train_frozen":
        inputs = train_frozen.TrainFrozenInputs(
            features_dir=alone / "features", pretrained_dir=folder / "pretrained", **training_data(folder)
        )
        outputs = train_frozen.TrainFrozenOutputs(out / "frozen", out / "frozen.csv")
        params = FROZEN.model_copy(update=together)
        train_frozen._train(params, 1, MODEL, inputs, outputs, scratch, member, stop)
    else:
        given = fine_tune_inputs(folder, alone / "frozen")
        made = fine_tune.FineTuneOutputs(out / "tuned", out / "tuned.csv", out / "validation_logits.csv")
        tuned = TUNED.model_copy(update=together)
        fine_tune._train(tuned, 1, EXTRACT, ComputeParams(), given, made, scratch, member, stop)


if __name__ == "__main__":
    run_alone(Path(sys.argv[1]), Path(sys.argv[2]))
