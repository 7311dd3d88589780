"""Parameters of `split` and `augment`."""

from typing import Literal

from pydantic import Field

from thaw.params.base import Section


class SplitParams(Section):
    """How images are divided into train, validation and test."""

    test_fraction: float = Field(0.25, ge=0, lt=1)
    """Share of all images that is held out for `evaluate`, unless the folder has a `test` split of its own."""
    validation_fraction: float = Field(0.1, ge=0, lt=1)
    """Share of what is left for training that training watches, unless the folder has a `validation` split of its own;
    0: none."""
    by: Literal["groups", "near_duplicates"] = "groups"
    """What stays whole in one split. groups: images of one `group` of the metadata, and of equal bytes; near_duplicates: those
    that the gate finds alike too, so that no test image has a near duplicate among those that were trained on."""
    stratify: Literal["auto"] | list[str] = "auto"
    """Metadata columns that each split holds in equal shares beside the class; auto: every slice."""
    slices: Literal["auto"] | list[str] = "auto"
    """Metadata columns that `evaluate` reports apart; auto: every column of 2 to 20 values."""
    positive_class: str = "auto"
    """Of two classes the one that counts as positive; auto: the one that `probability` is of, else the last."""


class AugmentParams(Section):
    """The pictures a network is trained on."""

    image_size: int = Field(224, ge=8, le=2048)
    """Height and width in pixels."""
    color: Literal["auto", "grey", "rgb"] = "auto"
    """auto: grey where every image of the train and validation splits is grey; the test split decides nothing."""
    resize: Literal["stretch", "crop", "pad"] = "stretch"
    views: int = Field(4, ge=0, le=64)
    """Views of each training image, the first the picture as it is; 0: new ones each epoch, made on the fly."""
    rotation_degrees: float = Field(0.0, ge=0, le=180)
    zoom: float = Field(0.0, ge=0, lt=1)
    shift: float = Field(0.0, ge=0, lt=1)
    """Largest shift, as a share of the side."""
    shear_degrees: float = Field(0.0, ge=0, lt=90)
    random_resized_crop: float = Field(1.0, gt=0, le=1)
    """Least share of the picture's area that a random crop shows, of an aspect of 3/4 to 4/3; 1: no crops."""
    brightness: float = Field(0.0, ge=0, lt=1)
    contrast: float = Field(0.0, ge=0, lt=1)
    """As `brightness` and `saturation`: a factor of 1 ± so much."""
    saturation: float = Field(0.0, ge=0, lt=1)
    hue: float = Field(0.0, ge=0, le=0.5)
    """Largest turn of the colours' circle, as a share of it."""
    blur: float = Field(0.0, ge=0, le=16)
    """Largest standard deviation of a Gaussian, in pixels."""
    rand_augment_ops: int = Field(0, ge=0, le=14)
    """RandAugment's N: so many operations, drawn for each view from fourteen (turns, shears, shifts, colours); 0: none."""
    rand_augment_magnitude: float = Field(9.0, ge=0, le=30)
    """RandAugment's M: how strong they are, of 30."""
    erasing: float = Field(0.0, ge=0, le=1)
    """Probability that a rectangle of noise covers 2 % to 33 % of a view (random erasing)."""
    horizontal_flip: Literal["auto"] | bool = "auto"
    """auto: made unless the images speak against it: a classifier that is shown mirrored copies too judges the images as they
    are worse."""
    vertical_flip: Literal["auto"] | bool = "auto"
    right_angle_turns: Literal["auto"] | bool = "auto"
    fill_mode: Literal["reflect", "nearest", "constant", "wrap"] = "reflect"
    contact_sheet_images: int = Field(8, ge=1, le=64)
