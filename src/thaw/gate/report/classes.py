"""Which classes a report names: of many those with the fewest images and those with the most."""

from collections.abc import Mapping

_MOST_CLASSES, _SHOWN_AN_END = 60, 15


def shown_classes(groups: Mapping[str, Mapping[str, int]]) -> tuple[list[str], int]:
    """The classes to name, in their order or by their images, and how many are left out: `findings.json` counts each.

    Args:
        groups: of each split the images of each class.
    """
    totals: dict[str, int] = {}
    for counts in groups.values():
        for label, images in counts.items():
            totals[label] = totals.get(label, 0) + images
    if len(totals) <= _MOST_CLASSES:
        return list(totals), 0
    order = sorted(totals, key=totals.__getitem__)
    return [*order[:_SHOWN_AN_END], *order[-_SHOWN_AN_END:]], len(totals) - 2 * _SHOWN_AN_END
