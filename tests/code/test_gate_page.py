"""The page and the Markdown: whole, self-contained, and safe with any name."""

import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.code.browser import CHROMIUM, browsing
from tests.data.dirty import Planter, clean_folder, picture
from thaw.gate.inspection import Inspection, inspect_folder
from thaw.gate.report.charts import bar_chart
from thaw.gate.report.markdown import markdown
from thaw.gate.report.page import page, write_page
from thaw.params import ValidateParams

COLLISIONS = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), boxes = [], found = [];
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.textContent.trim() || !node.parentElement.checkVisibility()) continue;
    const range = document.createRange(); range.selectNodeContents(node);
    for (const b of range.getClientRects()) boxes.push([node.textContent.trim(), b.left, b.top, b.right, b.bottom]);
  }
  for (const [i, a] of boxes.entries()) for (const b of boxes.slice(i + 1)) {
    const x = Math.min(a[3], b[3]) - Math.max(a[1], b[1]), y = Math.min(a[4], b[4]) - Math.max(a[2], b[2]);
    if (x > 2 && y > 4) found.push([a[0], b[0]]);
  }
  return found;
}"""
"""Pairs of texts whose lines cover one another."""
VOID = {"meta", "img", "line", "polyline"}


class Checker(HTMLParser):
    """Every tag that is opened is closed, in order; collects tags and the attributes that could load something."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href", "action")]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.stack.pop() == tag


@pytest.fixture(scope="module")
def dirty(tmp_path_factory) -> Inspection:
    root = clean_folder(tmp_path_factory.mktemp("page") / "raw")
    Planter(root).plant_all()
    evil = root / "train" / "<script>alert(1)<" / "script>'\"&.png"
    evil.parent.mkdir()
    evil.write_bytes(b"no image")
    picture(3).save(evil.parent / "| `x` | [y](javascript:1).png")
    picture(3).save(evil.parent / "a\nb.png")
    return inspect_folder(ValidateParams(), root, root.parent / "scratch")


def test_page_is_well_formed_and_loads_nothing(dirty):
    text = page(dirty, dirty.summary())
    checker = Checker()
    checker.feed(text)
    assert checker.stack == []
    assert "script" not in checker.tags
    assert checker.tags.count("img") > 30
    assert all(source.startswith(("data:image/jpeg;base64,", "#")) for source in checker.sources)
    assert "&lt;script&gt;alert(1)&lt;" in text


def test_clusters_stand_side_by_side(dirty):
    text = page(dirty, dirty.summary())
    section = re.search(r'<section id="duplicate_across_splits">.*?</section>', text, re.S).group()
    cluster = re.search(r"<fieldset>.*?</fieldset>", section, re.S).group()
    assert re.findall(r'title="([^"]*)"', cluster) == ["train/dog/leak.png", "test/dog/leak.png"]


def test_a_cluster_shows_all_its_pictures_or_says_how_many(tmp_path):
    root = clean_folder(tmp_path / "raw", splits=("",))
    for number, copies in ((7001, 9), (7002, 14)):
        for copy in range(copies):
            picture(number).save(root / "cat" / f"copy {number} {copy:02}.png")
    inspection = inspect_folder(ValidateParams(), root, tmp_path / "scratch")
    text = page(inspection, inspection.summary())
    section = re.search(r'<section id="duplicate">.*?</section>', text, re.S).group()
    clusters = re.findall(r"<legend>[^<]*, ([^<]*)</legend>(.*?)</fieldset>", section, re.S)
    assert [(told, pictures.count("<img")) for told, pictures in clusters] == [("9 pictures", 9), ("12 of 14 pictures", 12)]


def test_the_head_names_the_data(tmp_path):
    root = clean_folder(tmp_path / "raw")
    (root / "train" / "none").mkdir()
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    sums = "".join(f"{hashlib.sha256((root / file).read_bytes()).hexdigest()}  {file}\n" for file in files)
    inspection = inspect_folder(ValidateParams(), root, tmp_path / "scratch", folder="photos & more")
    text = page(inspection, inspection.summary())
    head = re.sub("<[^>]*>", "", re.search(r'<p class="about">.*?</p>', text, re.S).group())
    version = hashlib.sha256(sums.encode()).hexdigest()[:12]
    told = f"photos &amp; more · version {version} · {len(files)} images · 2 classes · splits: "
    assert head.startswith(told) and set(head.removeprefix(told).split(", ")) == {"train", "test"}
    assert "<title>Data gate: photos &amp; more</title>" in text
    picture(9000).save(root / files[0])
    other = inspect_folder(ValidateParams(), root, tmp_path / "scratch", folder="photos & more")
    assert other.summary()["findings"] == inspection.summary()["findings"]
    assert other.summary()["version"] != inspection.summary()["version"], "no page of other data is taken for this one's"


@pytest.mark.skipif(not CHROMIUM, reason="needs chromium, which CI installs")
def test_no_texts_collide_on_a_phone(tmp_path):
    """Not with names that have no place to break either."""
    root = clean_folder(tmp_path / "raw")
    name = "averylongnamewithoutanyplacetobreakit" * 4
    for number in range(2):
        (root / "train" / name[:100]).mkdir(exist_ok=True)
        picture(3).save(root / "train" / name[:100] / f"{name}{number}.png")
    inspection = inspect_folder(ValidateParams(), root, tmp_path / "scratch")
    write_page(tmp_path / "gate.html", inspection, inspection.summary())
    with browsing(tmp_path / "browser", 390, 844) as tab:
        tab.open((tmp_path / "gate.html").as_uri())
        tab.wait("document.querySelectorAll('section').length")
        tab.run("document.querySelectorAll('section').forEach(e => { e.style.contentVisibility = 'visible' })")
        tab.run("document.querySelectorAll('details').forEach(e => { e.open = true })")
        assert tab.run(f"({COLLISIONS})()") == []
        assert tab.run("document.documentElement.scrollWidth <= innerWidth"), "nothing lies beyond the right edge"


def test_markdown_holds_every_check_and_no_markup_of_names(dirty):
    lines = markdown(dirty.summary())
    text = "\n".join(lines)
    assert {f"## {check}:" for check in dirty.summary()["checks"]} <= {
        line[: line.find(":") + 1] for line in lines
    }
    assert "<" not in text
    assert all(line.count("|") - line.count("\\|") in (0, 3, 4) for line in lines)


def test_of_a_thousand_classes_the_fewest_and_the_most_images_are_told(dirty):
    counts = {"": {f"class {number:04d}": 1000 - number for number in range(1000)}}
    summary = dirty.summary()
    text = "\n".join(markdown(summary | {"totals": summary["totals"] | {"classes": counts}}))
    for told in (text, bar_chart({"images": counts[""]})):
        assert "class 0999" in told and "class 0985" in told and "class 0000" in told
        assert "class 0984" not in told and "class 0500" not in told
        assert "970 classes between them" in told and len(told) < 20_000
    few = {"": dict(list(counts[""].items())[:40])}
    assert "between them" not in bar_chart(few) and bar_chart(few).count("<dt>") == 40


def test_ten_thousand_findings_make_a_page_under_20_mb(tmp_path):
    root = clean_folder(tmp_path / "raw", splits=("",))
    data = (root / "cat" / "000.png").read_bytes()
    for number in range(10_000):
        (root / "dog" / f"broken picture number {number:05d}.png").write_bytes(data[:200])
    inspection = inspect_folder(ValidateParams(), root, tmp_path / "scratch")
    write_page(tmp_path / "gate.html", inspection, inspection.summary())
    assert len(inspection.found) == 10_000
    assert Path(tmp_path / "gate.html").stat().st_size < 20_000_000


def test_a_huge_cluster_and_many_of_them_leave_the_page_small(dirty):
    rows = [
        {"check": "duplicate", "path": f"a/{number}.png", "reason": f"equals a/{cluster}.png", "value": f"cluster {cluster}"}
        for cluster, size in enumerate([9000, *[1] * 40])
        for number in range(50, 50 + size)
    ]
    rest = {"severity": "warn", "threshold": None, "cure": "Nothing."}
    summary = dirty.summary() | {"checks": {"duplicate": len(rows)}, "findings": [row | rest for row in rows]}
    text = page(dirty, summary)
    assert text.count("<fieldset>") == 24
    assert re.search(r"<legend>cluster 0, \d+ of 9,001 pictures</legend>", text)
    assert "24 of 41 clusters" in text
    assert text.count("<tr><td>") == 2000
