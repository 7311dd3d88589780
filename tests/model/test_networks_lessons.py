"""The teaching page says what the code computes."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LESSONS = runpy.run_path(str(ROOT / "examples/lessons.py"))["LESSONS"]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.__name__)
def test_every_block_of_the_page_is_computed(lesson):
    page = (ROOT / "docs/teaching.md").read_text(encoding="utf-8")
    assert f"```text\n{lesson()}\n```" in page


def test_the_page_has_no_other_blocks():
    page = (ROOT / "docs/teaching.md").read_text(encoding="utf-8")
    assert page.count("```text") == len(LESSONS)
