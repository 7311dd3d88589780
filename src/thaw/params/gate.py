"""Parameters of `validate`."""

from typing import Literal

from pydantic import Field

from thaw.params.base import Section

Severity = Literal["block", "quarantine", "warn", "off"]
"""block: the run stops. quarantine: the image is left out of training. warn: it is reported. off: it is not."""


class SeverityParams(Section):
    """How hard each check is. An image that cannot be read never trains, whatever stands here."""

    hidden: Severity = "block"
    """Dot files and folders at any depth: `.ipynb_checkpoints`, `.DS_Store`, `._x.jpg`, `.git`."""
    junk: Severity = "block"
    """`__MACOSX`, `@eaDir`, `Thumbs.db`, `desktop.ini`, leftovers of editors and downloads."""
    foreign_file: Severity = "warn"
    """A file that is no image, in a place for images."""
    empty_folder: Severity = "warn"
    mixed_layout: Severity = "block"
    """Folders beside `train` and `test` that are no splits."""
    too_few_classes: Severity = "block"
    empty_class: Severity = "block"
    tiny_class: Severity = "warn"
    class_sets_differ: Severity = "block"
    """A split lacks a class that another split has."""
    class_name_collision: Severity = "block"
    """Class names that differ by case or outer spaces alone, in a split or from split to split; within a split also by
    Unicode form alone."""
    splits_as_classes: Severity = "block"
    """`train/*.jpg` beside `test/*.jpg`: a classifier would learn to tell the splits apart."""
    twins_as_classes: Severity = "block"
    """`images/` beside `masks/` or `thumbs/`; a warning where the files' names do not pair."""
    image_outside_class: Severity = "block"
    nested_folder: Severity = "block"
    """Images in a folder below a class folder."""
    name_not_utf8: Severity = "block"
    link_leaves_root: Severity = "block"
    link_loop: Severity = "block"
    link_dangling: Severity = "block"
    link_folder: Severity = "block"
    """A link to another folder of the data: its images would count twice."""
    special_file: Severity = "block"
    """A pipe, socket or device; it is never opened."""
    unreadable: Severity = "block"
    metadata_invalid: Severity = "block"
    metadata_not_read: Severity = "block"
    """A table in a split or class folder, or metadata of another format; a warning where it has no `group`, `weight`,
    `confidence` or `probability`."""
    metadata_unmatched: Severity = "block"
    """Images without a row where the table has `group`, `weight`, `confidence` or `probability`; a warning where it has only
    slices."""
    metadata_missing_row: Severity = "warn"
    metadata_extra_row: Severity = "warn"
    metadata_duplicate_row: Severity = "block"
    """A warning where the rows say the same."""
    metadata_rows_differ: Severity = "warn"
    """Equal pictures with another group, weight, confidence or probability each."""
    metadata_read_as: Severity = "warn"
    """An encoding that was guessed, a column or paths by other names."""
    probability_unclear: Severity = "block"
    """A column `probability` that could be of either of two classes, or of none; unless it blocks it is not used."""
    probability_contradicts: Severity = "warn"
    """An image of one class with a probability that speaks for the other."""
    probability_missing: Severity = "warn"
    group_across_splits: Severity = "block"
    """Images of one group in several of the folder's own splits."""
    empty_file: Severity = "block"
    truncated: Severity = "block"
    corrupt: Severity = "block"
    decoder_crash: Severity = "block"
    decoder_timeout: Severity = "block"
    decompression_bomb: Severity = "block"
    """More pixels, or more bytes, than the limits allow; it is never decoded."""
    pointer_file: Severity = "block"
    """A pointer of Git LFS, DVC or git-annex: the picture was not fetched."""
    not_a_picture: Severity = "block"
    """A web page, an archive, a video, a text, named as a picture."""
    unsupported_format: Severity = "quarantine"
    animated: Severity = "quarantine"
    wrong_suffix: Severity = "warn"
    cmyk: Severity = "warn"
    color_profile: Severity = "warn"
    """A colour profile or gamma that is not sRGB's: it was applied, or it is damaged and was not."""
    sixteen_bit: Severity = "warn"
    palette: Severity = "warn"
    alpha: Severity = "warn"
    exif_orientation: Severity = "warn"
    too_small: Severity = "quarantine"
    odd_aspect: Severity = "warn"
    odd_size: Severity = "warn"
    constant: Severity = "quarantine"
    dark: Severity = "warn"
    bright: Severity = "warn"
    low_information: Severity = "warn"
    blurred: Severity = "warn"
    grey_among_color: Severity = "warn"
    duplicate: Severity = "quarantine"
    """Equal bytes or pixels within a class and a split: the one that metadata.csv tells most of stays, then the shortest
    name."""
    duplicate_across_classes: Severity = "block"
    duplicate_across_splits: Severity = "block"
    near_duplicate: Severity = "warn"
    near_duplicate_across_classes: Severity = "warn"
    near_duplicate_across_splits: Severity = "warn"
    imbalance: Severity = "warn"
    label_shift: Severity = "warn"
    drift: Severity = "warn"
    """Size, brightness, contrast or sharpness differ between splits."""
    reference_label_shift: Severity = "warn"
    reference_drift: Severity = "warn"
    """As `label_shift` and `drift`, against the manifest of an earlier data version."""
    expectation: Severity = "block"
    """An expectation of your own suite that is not met."""


class LimitParams(Section):
    """What the gate accepts. Grey levels run from 0 to 255."""

    formats: tuple[str, ...] = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
    """Pillow's names."""
    min_side_pixels: int = Field(16, ge=1)
    max_megapixels: float = Field(64.0, gt=0, le=89.0)
    """Checked in the header, before a picture is decoded."""
    max_file_mb: float = Field(256.0, gt=0)
    timeout_seconds: float = Field(30.0, gt=0)
    """Longest time for one file; its worker is then killed."""
    max_aspect: float = Field(4.0, ge=1)
    """Longer side by shorter side."""
    odd_size_factor: float = Field(4.0, gt=1)
    """An image whose square root of pixels is this many times above or below the set's median."""
    dark_level: float = Field(32.0, ge=0, le=255)
    """Dark: 99 of 100 pixels lie below it."""
    bright_level: float = Field(224.0, ge=0, le=255)
    """Bright: 95 of 100 pixels lie above it."""
    min_entropy_bits: float = Field(2.0, ge=0, le=8)
    """Low information: the grey histogram's entropy lies below it."""
    min_sharpness: float = Field(0.06, ge=0)
    """Blurred: the Laplacian on a grid of 150 points a side, by the picture's contrast, lies below it."""
    grey_share: float = Field(0.05, gt=0, lt=0.5)
    """Grey pictures are reported where they are a smaller share of the set than this."""
    min_class_images: int = Field(10, ge=1)
    """A class below it is tiny."""
    max_imbalance: float = Field(20.0, ge=1)
    """Images of the largest class by those of the smallest."""
    near_duplicate_distance: float = Field(0.05, ge=0, le=1)
    """Largest distance of two pictures that count as near duplicates; docs/gate.md has recall and precision."""
    max_label_shift: float = Field(0.15, ge=0, le=1)
    """Total variation distance between the class shares of two splits."""
    max_drift: float = Field(0.3, ge=0, le=1)
    """Kolmogorov-Smirnov distance between two splits, where it is significant at 0.001."""


class ValidateParams(Section):
    """What the data gate checks, and how hard."""

    reference: str = ""
    """Manifest of an earlier data version to compare with, a file in `data/contract`; empty: none."""
    expectations: str = ""
    """JSON suite of Great Expectations with expectations of your own, a file in `data/contract`; empty: none."""
    severity: SeverityParams = SeverityParams()
    limits: LimitParams = LimitParams()
