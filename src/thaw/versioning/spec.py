"""A stage as `dvc.yaml` declares it."""

from dataclasses import dataclass
from pathlib import Path

from thaw.errors import ThawError


@dataclass(frozen=True)
class StageSpec:
    """A stage as `dvc.yaml` declares it.

    Attributes:
        name: of the stage, its module, its function and its section of `params.yaml`.
        inputs: argument name to data path; source files are not among them.
        outputs: argument name to path.
        keys: top-level keys of `params.yaml` that it depends on.
        sources: the source files and folders that it depends on, relative to the root.
        metrics: those of the outputs that hold metrics.
        curves: those of the outputs that are to be plotted.
    """

    name: str
    inputs: dict[str, Path]
    outputs: dict[str, Path]
    keys: tuple[str, ...]
    sources: tuple[str, ...]
    metrics: tuple[Path, ...]
    curves: tuple[Path, ...]

    def require_inputs(self, root: Path) -> None:
        """Raise a `ThawError` that says the cure where an input is missing."""
        for name, path in self.inputs.items():
            if not path.exists():
                raise ThawError(
                    f"{path.relative_to(root)}: stage {self.name} needs it, and it is not there",
                    "Run `thaw demo` for the demo's images, or `thaw data add PATH` for your own."
                    if name == "raw_dir"
                    else "Run `thaw run` or `dvc repro`, which make it first.",
                )
