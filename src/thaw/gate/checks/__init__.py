"""Every check of the gate: what it says, what to do about it, and whether its images are unfit whatever the severity.

The order is that of gravity: an image's verdict is the first check here that it failed.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """A check.

    Args:
        title: what is wrong, as a headline.
        cure: what to do about it, a whole sentence; `CLEAN` in it is to be replaced.
        unfit: the image cannot train, whatever severity `params.yaml` gives the check.
        movable: `thaw clean` may move the file out.
    """

    title: str
    cure: str
    unfit: bool = False
    movable: bool = False


CLEAN = "{clean}"
"""Stands in a cure for the command that cleans the folder."""
FOLDER = "{folder}"
"""Stands in a cure for the folder as one types it."""
TAKE_IN = "{take_in}"
"""Stands in a cure for the command that takes the folder in anew."""
UNLABELLED_CURE = f"Run `{TAKE_IN}`: it sets images without a label aside, for `thaw predict`."
"""Of a picture in a test split, outside of its classes."""
_CLEAN = f"Run `{CLEAN}` to see what it would move out, then `{CLEAN} --apply`."
_LAST_COMMAND = re.compile(r"^Run `[^`]+` to see [^`]+, then `([^`]+)`\.$")


def brief_cure(cure: str) -> str:
    """A cure in a sentence of a refusal: of one that is a command to look and one to do it, the latter."""
    return _LAST_COMMAND.sub(r"\1", cure)


CHECKS: dict[str, Check] = {
    "hidden": Check("hidden file or folder", _CLEAN, unfit=True, movable=True),
    "junk": Check("system or editor leftover", _CLEAN, unfit=True, movable=True),
    "name_not_utf8": Check("name is not UTF-8", f"Rename it in UTF-8. {_CLEAN}", unfit=True, movable=True),
    "special_file": Check("pipe, socket or device", "Remove it from the folder.", unfit=True),
    "link_leaves_root": Check(
        "link leads out of the folder", "Put the file itself in its place.", unfit=True
    ),
    "link_loop": Check("link leads back to a folder above it", "Remove the link.", unfit=True),
    "link_dangling": Check("link leads nowhere", "Remove the link or bring its target back.", unfit=True),
    "link_folder": Check("link to another folder of the data", "Remove the link.", unfit=True),
    "unreadable": Check("cannot be read", "Give yourself permission to read it.", unfit=True),
    "mixed_layout": Check("folder beside the splits", "Move it out, or into a split.", unfit=True),
    "image_outside_class": Check(
        "image in no class folder", "Lay it in the folder of its class, or move it out of the data.", unfit=True
    ),
    "nested_folder": Check(
        "image below a class folder",
        f"Run `{TAKE_IN}`: it reads folders around and below the classes, or says what would decide which they are.",
        unfit=True,
    ),
    "empty_file": Check("empty file", _CLEAN, unfit=True, movable=True),
    "truncated": Check("file ends too early", f"Fetch it again. {_CLEAN}", unfit=True, movable=True),
    "corrupt": Check("cannot be decoded", f"Fetch it again. {_CLEAN}", unfit=True, movable=True),
    "decoder_crash": Check("crashes the decoder", _CLEAN, unfit=True, movable=True),
    "decoder_timeout": Check("takes too long to decode", _CLEAN, unfit=True, movable=True),
    "decompression_bomb": Check(
        "larger than the limits allow",
        "Check the picture; raise validate.limits if it is meant.",
        unfit=True,
        movable=True,
    ),
    "pointer_file": Check(
        "pointer where a picture should be", "Fetch what it points to, then validate again.", unfit=True
    ),
    "not_a_picture": Check(
        "something else, named as a picture", "Replace it by the picture, or leave it out.", unfit=True, movable=True
    ),
    "unsupported_format": Check(
        "format is not supported", "Convert it to PNG or JPEG.", unfit=True, movable=True
    ),
    "animated": Check("several pictures in one file", "Keep one picture of it.", movable=True),
    "too_small": Check("smaller than the limit", "Leave it out, or lower the limit.", movable=True),
    "constant": Check("one single colour", "Leave it out.", movable=True),
    "duplicate_across_splits": Check(
        "the same picture in several splits",
        "Keep it in one split: the test would know its answers. "
        f"`{CLEAN} --check duplicate_across_splits --apply` keeps the copy in the test split.",
        movable=True,
    ),
    "duplicate_across_classes": Check(
        "the same picture with several labels",
        "Decide its class and remove it from the others.",
        movable=True,
    ),
    "duplicate": Check(
        "the same picture again",
        f"Nothing: it is left out. `{CLEAN} --check duplicate --apply` moves it out of the folder, too.",
        movable=True,
    ),
    "wrong_suffix": Check(
        "name has another suffix than the format's",
        f"Run `{CLEAN} --rename` to see the new names, then `{CLEAN} --rename --apply`.",
        movable=True,
    ),
    "cmyk": Check("CMYK colours", "Convert it to RGB.", movable=True),
    "color_profile": Check(
        "colours of another space than sRGB", "Nothing, or save it in sRGB for other programs.", movable=True
    ),
    "sixteen_bit": Check(
        "more than 8 bits a channel", "Scale it to 8 bits as your task needs.", movable=True
    ),
    "palette": Check("palette picture", "Convert it to RGB.", movable=True),
    "alpha": Check("has transparency", "Flatten it on the background that your task needs.", movable=True),
    "exif_orientation": Check("is turned by an EXIF tag", "Turn the pixels and drop the tag.", movable=True),
    "odd_aspect": Check("very long or very wide", "Crop it.", movable=True),
    "odd_size": Check("size unlike the rest of the set", "Look at it.", movable=True),
    "dark": Check("almost black", "Look at it.", movable=True),
    "bright": Check("almost white", "Look at it.", movable=True),
    "low_information": Check("few grey levels", "Look at it.", movable=True),
    "blurred": Check("blurred", "Look at it.", movable=True),
    "grey_among_color": Check("grey among colour pictures", "Look at it.", movable=True),
    "near_duplicate_across_splits": Check(
        "nearly the same picture in several splits",
        f"Keep it in one split. `{CLEAN} --check near_duplicate_across_splits --apply` keeps the one in the test split.",
        movable=True,
    ),
    "near_duplicate_across_classes": Check(
        "nearly the same picture with several labels", "Decide its class.", movable=True
    ),
    "near_duplicate": Check(
        "nearly the same picture again",
        f"Keep one, `{CLEAN} --check near_duplicate --apply`, or give both one group.",
        movable=True,
    ),
    "foreign_file": Check(
        "not an image", f"Run `{CLEAN} --check foreign_file --apply` to move it out of the folder.", movable=True
    ),
    "metadata_not_read": Check(
        "table that is not read",
        f"Only metadata.csv beside the classes or splits is read. Run `{TAKE_IN}`: it joins such tables into that one.",
    ),
    "empty_folder": Check("empty folder", f"Run `find {FOLDER} -type d -empty -delete` to remove empty folders."),
    "too_few_classes": Check(
        "fewer than two classes",
        f"Lay images out as <class>/* or {{train,test}}/<class>/*, or run `{TAKE_IN}`: it reads other layouts, and labels in "
        "tables and names.",
    ),
    "empty_class": Check("class without a usable image", "Add images or remove the folder."),
    "tiny_class": Check("class with few images", "Add images, or leave the class out."),
    "class_sets_differ": Check("split lacks a class", "Give every split the same class folders."),
    "class_name_collision": Check(
        "class names alike",
        "Rename one so that nobody takes it for the other, or lay the images of one class in one folder.",
    ),
    "splits_as_classes": Check(
        "splits taken for classes",
        f"Run `{TAKE_IN}`: it reads labels in tables and in the files' names, and sets images without a label aside.",
    ),
    "twins_as_classes": Check(
        "masks or previews beside images", "Move the masks or previews out of the data, and lay the images out as <class>/*."
    ),
    "metadata_invalid": Check(
        "metadata.csv is not valid",
        "Mend the file: a CSV in UTF-8 with commas, whose first line names each column once, path among them.",
    ),
    "metadata_unmatched": Check(
        "metadata.csv leaves images out",
        "Give each image a row, with its path as the folder has it and cells empty where there is nothing to say; or set "
        "validate.severity.metadata_unmatched: warn if the others are meant to have none.",
    ),
    "metadata_missing_row": Check("image without a row in metadata.csv", "Add a row."),
    "metadata_extra_row": Check("row of metadata.csv without an image", "Remove the row or add the image."),
    "metadata_duplicate_row": Check("several rows for one image", "Keep one row."),
    "metadata_rows_differ": Check(
        "equal pictures with different rows", "Keep the row that is right, or mend the other: the picture that stays decides."
    ),
    "metadata_read_as": Check(
        "metadata.csv was read with a guess",
        "See that it is as you meant it. Read without a guess: UTF-8, commas, a column path with paths below the folder.",
    ),
    "probability_unclear": Check(
        "probability of no known class",
        "Call the column probability_<class> after one of two classes, or confidence if it is how certain each label is.",
    ),
    "probability_contradicts": Check(
        "label and probability disagree", "Mend one of them, or train with labels: hard."
    ),
    "probability_missing": Check(
        "image without a probability", "Add it; without one the label is taught as certain."
    ),
    "group_across_splits": Check("group in several splits", "Keep each group in one split."),
    "imbalance": Check("classes of very different size", "Add images, or set class_weights: balanced."),
    "label_shift": Check("class shares differ between splits", "Split again, stratified."),
    "drift": Check("pictures differ between splits", "See whether the splits come from one source."),
    "reference_label_shift": Check("class shares differ from the reference", "See what changed in the data."),
    "reference_drift": Check("pictures differ from the reference", "See what changed in the data."),
    "expectation": Check("expectation not met", "Mend the data or the suite."),
}

GRAVITY = {name: rank for rank, name in enumerate(CHECKS)}
