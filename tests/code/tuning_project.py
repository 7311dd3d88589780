"""Features, splits and classes on disk, as `extract` and `split` leave them: two clouds that overlap."""

from pathlib import Path

import numpy as np
import pandas as pd

from thaw.files import write_json
from thaw.splitting.files import write_classes, write_split
from thaw.tuning.heads import Features


def write_features(folder: Path, images: int = 120, width: int = 12, num_classes: int = 2) -> Features:
    """Write them below `folder`: three quarters of the images are the train split, the others the validation split."""
    rng = np.random.default_rng(0)
    labels = np.arange(images) % num_classes
    centres = rng.normal(0, 1, (num_classes, width))
    values = centres[labels][:, None] + rng.normal(0, 2, (images, 2, width))
    names = [f"{label}/{number:03}é.png" for number, label in enumerate(labels)]
    rows = pd.DataFrame({"path": names, "class": [f"class {label}" for label in labels], "label": labels})
    rows = rows.assign(target=np.nan, weight=1.0, confidence=1.0, grey=1, group="")
    order, cut = np.argsort(names), images * 3 // 4
    (folder / "features").mkdir(parents=True)
    for name, part, views in (("train", order[:cut], 2), ("validation", order[cut:], 1)):
        write_split(folder / f"{name}.csv", rows.iloc[part])
        np.save(folder / "features" / f"{name}.npy", values[part, :views].astype(np.float16))
    write_classes(folder / "classes.json", [f"class {label}" for label in range(num_classes)])
    write_json(folder / "features" / "features.json", {"features": True})
    return Features(folder / "features", folder / "train.csv", folder / "validation.csv", folder / "classes.json")
