"""Which image a cell of a table means."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from itertools import takewhile
from posixpath import normpath, splitext

from thaw.intake.tables import Table
from thaw.layout import is_image_name
from thaw.roles import split_word
from thaw.tables import PATH_NAMES

_PATH_NAMES = frozenset((
    *PATH_NAMES, "paths", "images", "image_id", "imageid", "imagename", "img_path", "img_name", "image_file", "id", "id_code",
    "name", "picture", "photo",
))  # fmt: skip
"""Names of the column that holds the images, those of `metadata.csv` and of competitions."""


class Index:
    """The images of a folder by what a table may call them: their path or its end, with or without suffix."""

    def __init__(self, images: Iterable[str]) -> None:
        self._by_path: dict[str, str] = {}
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for image in images:
            path = _normal(image)
            self._by_path[path] = image
            name = path.rpartition("/")[2]
            self._by_name[name].append(image)
            stem = splitext(name)[0]
            if stem != name:
                self._by_name[stem].append(image)

    @property
    def names(self) -> frozenset[str]:
        """The names, with and without suffix."""
        return frozenset(self._by_name)

    def find(self, cell: str, folder: str = "", among: frozenset[str] | None = None) -> str:
        """The image that `cell` means; empty where none does, or several do.

        Args:
            cell: a path with either kind of slash, relative to `folder`, to the root or to a place elsewhere, or its end.
            folder: where the table lies.
            among: the images it speaks of, where several have the same name.
        """
        text = _normal(cell.strip().replace("\\", "/"))
        if not text or text in (".", ".."):
            return ""
        for path in (normpath(f"{folder}/{text}") if folder else text, text):
            if path in self._by_path:
                return self._by_path[path]
        name = text.rpartition("/")[2]
        candidates = self._by_name.get(name) or self._by_name.get(_without_suffix(name), [])
        if among is not None and len(candidates) > 1:
            candidates = [image for image in candidates if image in among] or candidates
        return self._longest(text, candidates)

    def _longest(self, text: str, candidates: list[str]) -> str:
        """Of images with the right name the one that has most folders in common with `text`, from its end on."""
        word = _split_of(text)
        scores = [
            (_common(text, image), image)
            for image in candidates
            if not word or _split_of(image) in ("", word)
        ]
        best = max((score for score, _ in scores), default=0)
        first = [image for score, image in scores if score == best]
        return first[0] if len(first) == 1 else ""


def _without_suffix(name: str) -> str:
    """The name without an image's suffix: tables say `.jpg` where files end in `.JPG` or `.png`."""
    stem = splitext(name)[0]
    return stem if is_image_name(name) else name


def _split_of(path: str) -> str:
    """The split that the folders of a path name: an image of test/ is none of train/, though it has the same name."""
    return next((word for name in path.split("/")[-2::-1] if (word := split_word(name))), "")


def _common(text: str, image: str) -> int:
    ours, theirs = text.split("/")[-2::-1], _normal(image).split("/")[-2::-1]
    pairs = zip(ours, theirs, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0].casefold() == pair[1].casefold(), pairs))


def _normal(path: str) -> str:
    return unicodedata.normalize("NFC", path).removeprefix("./")


def match(table: Table, column: str, index: Index, among: frozenset[str] | None = None) -> list[str]:
    """The image of each row, by one column; empty where none is meant."""
    return [index.find(cell, table.folder, among) for cell in table.column(column)]


def path_column(table: Table, index: Index, among: frozenset[str] | None = None) -> str:
    """The column that names images, by a sample of its cells; empty without one.

    At least half of the cells have to name images, each its own. A column that is called so (`image_id`) goes first: row
    numbers fit images that are numbered, too.
    """
    step = max(1, len(table.rows) // 500)
    best, rank = "", (False, 0.0)
    for at, name in enumerate(table.columns):
        cells = [row[at] for row in table.rows[::step]]
        found = {index.find(cell, table.folder, among) for cell in cells} - {""}
        share = len(found) / len(cells)
        own = (name.casefold().replace(" ", "_") in _PATH_NAMES, share)
        if share >= 0.5 and own > rank:
            best, rank = name, own
    return best
