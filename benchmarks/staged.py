"""The stages up to `extract` as functions, in a folder where each path has its place by its field's name."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

from thaw.params import Params
from thaw.stages.augment import AugmentInputs, AugmentOutputs, augment
from thaw.stages.extract import ExtractInputs, ExtractOutputs, extract
from thaw.stages.split import SplitInputs, SplitOutputs, split
from thaw.stages.validate import ValidateInputs, ValidateOutputs, validate

_SUFFIXES = {"contact_sheet_path": ".png"}
_Paths = TypeVar("_Paths")


class Staged:
    """A folder that holds `raw_dir`, or a link of this name to it, before the first stage runs."""

    def __init__(self, root: Path, params: Params) -> None:
        self.root, self.params = root, params
        for folder in ("scratch", "contract_dir", "pretrained_dir"):
            (root / folder).mkdir()

    def paths(self, kind: type[_Paths]) -> _Paths:
        """A stage's inputs or outputs."""
        names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
        return kind(**{name: self.root / f"{name}{_SUFFIXES.get(name, '')}" for name in names})

    def stages(self) -> dict[str, Callable[[], object]]:
        """What runs each stage, in their order."""
        params, compute, paths, scratch = self.params, self.params.compute, self.paths, self.root / "scratch"
        return {
            "validate": lambda: validate(params.validate_, compute, paths(ValidateInputs), paths(ValidateOutputs), scratch),
            "split": lambda: split(params.split, params.seed, paths(SplitInputs), paths(SplitOutputs)),
            "augment": lambda: augment(
                params.augment, params.seed, compute, paths(AugmentInputs), paths(AugmentOutputs), scratch
            ),
            "extract": lambda: extract(
                params.extract, params.model, compute, paths(ExtractInputs), paths(ExtractOutputs), scratch
            ),
        }
