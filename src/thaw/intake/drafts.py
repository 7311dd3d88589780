"""A reading before its images have their places, and what the layouts are told by."""

from dataclasses import dataclass, field

from thaw.intake.evidence import Evidence, Options
from thaw.intake.folders import Folders
from thaw.intake.listing import Listing


@dataclass(frozen=True)
class Draft:
    """How a folder is read.

    Args:
        says: what it looks like.
        labels: image -> label, of those that have one.
        splits: image -> split, of all images; empty without one.
        left_out: why -> images that are neither placed nor set aside as unlabelled.
        guessed, arguments: as of `Reading`.
    """

    says: str
    labels: dict[str, str]
    splits: dict[str, str]
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)
    guessed: bool = False
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Clues:
    """All that is known of a folder before it is read."""

    listing: Listing
    folders: Folders
    evidence: Evidence
    options: Options

    def splits(self) -> dict[str, str]:
        """Image -> split: that of a table's column, else its folder's, else that of a table's name; else none."""
        columns, hints = self.evidence.splits, self.evidence.hints
        return {
            image: columns.get(image) or self.folders.split(image) or hints.get(image, "")
            for image in self.listing.images
        }
