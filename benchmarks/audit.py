"""How long the judgements take that need no training of a network: the stage `audit`, head seeds, trials of a search.

    python -m benchmarks.audit [PROJECT]

PROJECT is a folder in which `thaw run` has been; by default this one. Times are of the work, after imports; those of a core
do not depend on what else the machine does.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from thaw.cross_validation.heads import train_heads
from thaw.cross_validation.material import choose_folds, read_material
from thaw.cross_validation.out_of_fold import held_out_probabilities, make_heads, predict_out_of_fold
from thaw.cross_validation.summary import measure_part
from thaw.params import load_params
from thaw.stages.audit import AuditInputs, AuditOutputs, audit

SEEDS, TRIALS = 5, 30


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", nargs="?", type=Path, default=Path(__file__).resolve().parents[1])
    project = parser.parse_args().project
    params = load_params(project / "params.yaml")
    splits = (project / "data" / "splits" / name for name in ("train.csv", "validation.csv", "classes.json"))
    inputs = AuditInputs(project / "data" / "features", *splits, project / "data" / "manifest.parquet")
    material = read_material(inputs.features_dir, inputs.train_path, inputs.validation_path, inputs.classes_path)
    folds = choose_folds(material, params.audit.folds, params.seed)

    def run_stage() -> float:
        with tempfile.TemporaryDirectory() as folder:
            outputs = AuditOutputs(*(Path(folder) / name for name in ("out_of_fold.csv", "audit.json", "label_suspects.csv")))
            arguments = (params.audit, params.seed, params.model, params.train_frozen, params.evaluate)
            audit(*arguments, inputs, outputs, Path(folder))
        return accuracy(predict_out_of_fold(material, folds, params.train_frozen, params.model, params.seed))

    def accuracy(probabilities: object) -> float:
        return measure_part(material.predictions(probabilities))["accuracy"]  # type: ignore[arg-type]

    def run_seeds() -> float:
        seeds = range(params.seed, params.seed + SEEDS)
        heads = [make_heads(material, folds, params.train_frozen, params.model, seed) for seed in seeds]
        trained = train_heads(material.features, [head for of_seed in heads for head in of_seed])
        count = len(heads[0])
        found = [held_out_probabilities(material, folds, trained[i * count : (i + 1) * count]) for i in range(SEEDS)]
        return max(map(accuracy, found))

    def run_trials() -> float:
        best = 0.0
        for trial in range(TRIALS):
            fit = params.train_frozen.model_copy(
                update={"learning_rate": 1e-4 * 1.2**trial, "weight_decay": 1e-3 * (trial % 5), "label_smoothing": 0.01 * trial}
            )
            model = params.model.model_copy(update={"dropout": 0.02 * trial})
            best = max(best, accuracy(predict_out_of_fold(material, folds, fit, model, params.seed)))
        return best

    print(f"{len(material.rows)} images, {material.features.views} views, {material.features.shape} features, 5 folds\n")
    print("| what | seconds | of a core | best accuracy out of fold |\n|---|---|---|---|")
    for name, work in {
        "stage `audit`, and once more its heads": run_stage,
        f"{SEEDS} seeds": run_seeds,
        f"{TRIALS} trials of a search": run_trials,
    }.items():
        _print_row(name, work)


def _print_row(name: str, work: Callable[[], float]) -> None:
    began, worked = time.perf_counter(), time.process_time()
    best = work()
    took, cores = time.perf_counter() - began, time.process_time() - worked
    print(f"| {name} | {took:.1f} | {cores:.1f} | {best:.4f} |", flush=True)


if __name__ == "__main__":
    main()
