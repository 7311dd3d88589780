"""The place in the report for what belongs to a run. The stage leaves it empty, so that its bytes repeat."""

STAGE_PAGE, RUN_PAGE = "reports/result.html", "reports/index.html"
"""The page that the stage writes and DVC keeps; the same with the run's part put in, which people open."""
SLOT = "<!-- the run -->"


def fill_slot(page: str, part: str) -> str:
    """The page with the run's part, HTML, in its place."""
    return page.replace(SLOT, part, 1)


def is_filled(page: str, empty: str) -> bool:
    """Whether a page is `empty` with some part, or none, in its place."""
    before, _, after = empty.partition(SLOT)
    return len(page) >= len(before) + len(after) and page.startswith(before) and page.endswith(after)
