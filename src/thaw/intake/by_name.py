"""The label in each image's name, or anywhere in its path."""

from thaw.errors import ThawError
from thaw.intake.drafts import Clues, Draft
from thaw.intake.folders import Folders
from thaw.intake.listing import Listing
from thaw.intake.patterns import guess_pattern, read_pattern, require_no_boxes
from thaw.roles import TRAIN, split_word


def read(clues: Clues) -> Draft | None:
    """The label before or after a number in each name; None where no such pattern gives classes.

    Raises:
        Undecided: the images have a file of boxes each.
    """
    listing, folders = clues.listing, clues.folders
    trained = [image for image in listing.images if folders.split(image) in ("", TRAIN)]
    if len(folders.classes) > 1 or not trained:
        return None
    require_no_boxes(listing.images, listing.others)
    pattern = guess_pattern(trained)
    return read_by(pattern, listing, folders, guessed=True) if pattern else None


def read_by(pattern: str, listing: Listing, folders: Folders, guessed: bool = False) -> Draft:
    """What the pattern says: images of a test split that it does not fit are unlabelled, others are left out.

    Raises:
        ThawError: the pattern is no such, or gives a split that is none.
    """
    found = read_pattern(pattern, listing.images)
    splits = {image: folders.split(image) for image in listing.images}
    for image, (_, word) in found.items():
        if word:
            splits[image] = split_word(word)
            if not splits[image]:
                raise ThawError(
                    f"--label-pattern {pattern!r}: {word!r} in {image} names no split",
                    "Splits: train, validation, test.",
                )
    labels = {image: label for image, (label, _) in found.items()}
    rest = tuple(image for image in listing.images if image not in labels and splits[image] in ("", TRAIN))
    left_out = {"the pattern does not fit": rest} if rest else {}
    return Draft(
        f"labels in the names, by the pattern {pattern}",
        labels,
        splits,
        left_out,
        guessed,
        ("--label-pattern", pattern),
    )
