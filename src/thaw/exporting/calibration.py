"""The images that whole numbers are calibrated on."""

from pathlib import Path

import numpy as np

from thaw.augmentation import open_views
from thaw.errors import ThawError
from thaw.splitting.files import read_split

_EXAMPLES = 300
"""As NNCF takes by default; more hardly move the ranges."""


def draw_examples(views_dir: Path, splits_dir: Path, shape: tuple[int, int, int], seed: int) -> np.ndarray:
    """Training images as they are, uint8 `(n, *shape)`: of each class its share, at least one, the same for the same seed.

    Raises:
        ThawError: the views are not there, or of another size than the model takes.
    """
    views = open_views(views_dir, "train")
    if views.shape != tuple(shape):
        raise ThawError(f"{views_dir}: views of {views.shape}, the model takes {tuple(shape)}",
                        "Export where the model was trained, or leave --int8 out.")  # fmt: skip
    labels = read_split(splits_dir / "train.csv")["label"].to_numpy()
    if not len(labels) or len(labels) != views.count:
        raise ThawError(f"{views_dir}: {views.count} images, the train split has {len(labels)}", "`dvc checkout`")
    chosen = draw(labels, _EXAMPLES, seed)
    return views.gather(chosen, np.zeros(len(chosen), np.int64))


def draw(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Indices of about `count` images, sorted: of each class as many as its share asks for, and at least one."""
    random = np.random.default_rng(seed)
    chosen = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        wanted = min(len(members), max(1, round(count * len(members) / len(labels))))
        chosen.append(random.choice(members, wanted, replace=False))
    return np.sort(np.concatenate(chosen))
