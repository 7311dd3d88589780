"""A stage as `dvc.yaml` declares it."""

from dataclasses import dataclass
from pathlib import Path

from thaw.errors import ThawError
from thaw.params.yaml import parse_yaml

# Folders that are in git, for files that parameters name: no stage makes them.
_GIVEN = ("contract_dir", "pretrained_dir")


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
                    _cure_for(name, path, root),
                )


def _cure_for(name: str, path: Path, root: Path) -> str:
    if name == "raw_dir":
        return _cure_for_data(path)
    if name in _GIVEN:
        return f"Run `mkdir -p {path.relative_to(root)}`: it holds files that parameters name, and may be empty."
    return "Run `thaw run` or `dvc repro`, which make it first."


def read_stage_names(root: Path) -> list[str]:
    """The names in `dvc.yaml`, as they stand there: read without DVC, which takes seconds to load.

    Raises:
        ThawError: the file is not to be read, or is no YAML.
    """
    path = root / "dvc.yaml"
    try:
        values = parse_yaml(path.read_text(encoding="utf-8"))
        return [str(name) for name in values["stages"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ThawError(f"{path}: {error}", "Mend dvc.yaml.") from None


def _cure_for_data(raw_dir: Path) -> str:
    if raw_dir.with_name(f"{raw_dir.name}.dvc").exists():
        return (
            f"Run `dvc pull`, which brings the version that {raw_dir.name}.dvc names; or put other images in its place by "
            "`thaw demo --replace` or `thaw data add PATH`."
        )
    return "Run `thaw demo` for the demo's images, or `thaw data add PATH` for your own."
