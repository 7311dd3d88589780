"""The images and class folders of a data folder, as the gate's walk finds them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from unicodedata import normalize

from thaw.gate.checks.matching import Images
from thaw.gate.findings import Findings
from thaw.gate.scan.survey import Survey
from thaw.layout import Layout, class_name
from thaw.params.gate import SeverityParams


@dataclass(frozen=True)
class Folder:
    """Where images stand."""

    layout: Layout
    paths: frozenset[str]
    """Of the images in their place, relative to the folder."""
    folders: dict[tuple[str, str], str]
    """(Split, class) to the class folder as the disk spells it."""

    @cached_property
    def classes(self) -> list[str]:
        """The names of all classes, sorted."""
        return sorted({label for _, label in self.folders})

    @cached_property
    def images(self) -> Images:
        """To find an image by what others call it."""
        return Images(sorted(self.paths))

    def class_of(self, path: str) -> str:
        """The class of an image."""
        return self.layout.place(path).label

    def class_folder(self, path: str, label: str) -> str:
        """The folder of class `label` in the split of the image `path`; one that is not there yet is called as the class."""
        split = self.layout.place(path).split
        above = path.split("/")[: self.layout.depth - 1]
        return self.folders.get((split, label)) or "/".join([*above, label])

    def find_class(self, name: str) -> str | None:
        """The class that a name means, in whatever Unicode form; None where there is none."""
        plain = normalize("NFC", name.strip())
        return plain if plain in self.classes else None


def read_folder(root: Path) -> Folder:
    """Walk a folder of images, or its index.

    Raises:
        ThawError: it is no folder that can be listed.
    """
    survey = Survey(root, Findings(SeverityParams()))
    paths = [entry.path for entry in survey.files()]
    folders: dict[tuple[str, str], str] = {}
    for split, path in survey.spellings:
        folders.setdefault((split, class_name(path.rsplit("/", 1)[-1])), path)
    placed = frozenset(path for path in paths if not survey.layout.place_of_picture(path).check)
    return Folder(survey.layout, placed, folders)
