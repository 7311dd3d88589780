"""What the names of folders say: which splits they are, and which hold pictures or what belongs to pictures."""

import re
from collections.abc import Collection, Iterable
from posixpath import splitext

TRAIN, VALIDATION, TEST, UNLABELLED = "train", "validation", "test", "unlabelled"
_HELD_OUT = "held out"
"""Validation where a test split stands beside it, else test: `resolve` decides."""
# fmt: off
_WORDS = {
    "train": TRAIN, "training": TRAIN,
    "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION, "validate": VALIDATION, "dev": VALIDATION,
    "development": VALIDATION,
    "test": TEST, "testing": TEST,
    "eval": _HELD_OUT, "evaluation": _HELD_OUT, "holdout": _HELD_OUT, "heldout": _HELD_OUT,
    "pred": UNLABELLED, "predict": UNLABELLED, "prediction": UNLABELLED, "predictions": UNLABELLED, "inference": UNLABELLED,
    "unlabelled": UNLABELLED, "unlabeled": UNLABELLED,
}
_PICTURES = frozenset((
    "image", "images", "img", "imgs", "picture", "pictures", "pic", "pics", "photo", "photos", "jpg", "jpeg", "jpegs",
    "png", "original", "originals", "input", "inputs", "rgb",
))
_FILLERS = _PICTURES | {
    "set", "sets", "data", "dataset", "split", "folder", "resized", "samples", "files", "batch", "part", "single",
}
TWINS = frozenset((
    "mask", "masks", "label", "labels", "annotation", "annotations", "segmentation", "segmentations", "ground_truth",
    "groundtruth", "gt", "trimap", "trimaps", "thumb", "thumbs", "thumbnail", "thumbnails", "preview", "previews", "depth",
    "output", "outputs", "target", "targets",
))
"""Folders of what belongs to pictures one to one."""
# fmt: on
_TOKEN = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_OF_TWIN = re.compile(r"[-_. ]+(mask|seg|segmentation|label|gt|groundtruth|thumb|thumbnail|preview|small)s?$", re.IGNORECASE)
_ENDINGS = ("set", "sets", "data", "images", "imgs")


def holds_pictures(name: str) -> bool:
    """Whether a folder's name says that there are pictures in it, and nothing of what they show (`images`, `part_2`)."""
    words = {token for token in _tokens(name) if not token.isdigit()}
    return bool(words) and words <= _FILLERS


def is_twin(name: str) -> bool:
    """Whether a folder's name says that it holds masks, previews or other files that belong to pictures."""
    words = set(_tokens(name))
    return name.casefold() in TWINS or bool(words & TWINS and words <= TWINS | _FILLERS)


def bare_stem(path: str) -> str:
    """A path without its suffix and without what tells a mask or preview from its picture (`_mask`, `-thumb`)."""
    return _OF_TWIN.sub("", splitext(path)[0])


def split_word(name: str) -> str:
    """The split that a single name speaks of, in any case (`Training`, `test_set`, `valImages`, `train2017`); else empty.

    `eval` and `holdout` come as "held out", for `resolve`.
    """
    words = [token for token in _tokens(name) if not token.isdigit() and token not in _FILLERS]
    return _word(words[0]) if len(words) == 1 and not name[:1].isdigit() else ""


def role_in(name: str) -> str:
    """The role that a file's name speaks of among other words (`val-00001`); empty where it names none, or several."""
    found = {_word(token) for token in _tokens(name)} - {""}
    return found.pop() if len(found) == 1 else ""


def split_in(name: str) -> str:
    """The split that a file's name speaks of by itself (`train_labels.csv`); empty where it names none, or several."""
    role = role_in(name)
    return resolve([role])[role] if role else ""


def resolve(roles: Iterable[str]) -> dict[str, str]:
    """Role -> split, of roles that stand side by side: what is held out is validation beside a test split, else test."""
    known = set(roles)
    return {role: (VALIDATION if TEST in known else TEST) if role == _HELD_OUT else role for role in known}


def read_siblings(names: Collection[str]) -> dict[str, str]:
    """Name -> split (or `unlabelled`) of folders side by side; empty where they are no splits.

    They are where all of them name splits, or at least two do and `train` is among them: `train/` beside `bus/` is a
    vehicle. A name that stands alone is a split only where it is `train`. What they have in common (`seg_train`,
    `seg_test`) does not count.
    """
    roles = {name: split_word(name) for name in names}
    if not all(roles.values()):
        roles = _without_common(names) or roles
    found = {name: role for name, role in roles.items() if role}
    kinds = set(found.values())
    if len(found) < len(names) and (TRAIN not in kinds or len(kinds) < 2):
        return {}
    if len(names) == 1 and kinds != {TRAIN}:
        return {}
    meant = resolve(kinds)
    return {name: meant[role] for name, role in found.items()}


def _without_common(names: Collection[str]) -> dict[str, str]:
    """The roles of names that differ in one word alone, which is a split's; empty otherwise."""
    roles, rests = {}, set()
    for name in names:
        tokens = _tokens(name)
        words = [at for at, token in enumerate(tokens) if _word(token)]
        if len(words) != 1:
            return {}
        roles[name] = _word(tokens[words[0]])
        rests.add((*tokens[: words[0]], "", *tokens[words[0] + 1 :]))
    return roles if len(rests) == 1 and len(roles) > 1 else {}


def _tokens(name: str) -> list[str]:
    text = _CAMEL.sub(" ", name).casefold()
    text = re.sub(r"\bhold[\W_]out\b", "holdout", text.replace("_", " ")).replace("held out", "heldout")
    return _TOKEN.findall(text)


def _word(token: str) -> str:
    if token in _WORDS:
        return _WORDS[token]
    for ending in _ENDINGS:
        if token.endswith(ending) and token.removesuffix(ending) in _WORDS:
            return _WORDS[token.removesuffix(ending)]
    return ""
