"""`dvc plots show` draws its plots in a browser that reaches no network."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
PLOTS = """\
plots:
  - curves: {title: Loss of both, x: epoch, y: {a.csv: [loss, validation_loss], b.csv: [loss]}}
  - confusion: {template: confusion, title: Confusion, x: class, y: {told.csv: predicted}}
"""
TOLD = [("sound", "sound")] * 5 + [("sound", "broken")] * 2 + [("broken", "broken")] * 3


@pytest.mark.skipif(not CHROMIUM, reason="needs chromium, which CI installs")
def test_plots_are_drawn_and_nothing_is_asked_of_any_network(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(PLOTS)
    write(tmp_path / "a.csv", ["epoch", "loss", "validation_loss"], [(1, 0.9, 1.0), (2, 0.5, 0.7), (3, 0.4, 0.8)])
    write(tmp_path / "b.csv", ["epoch", "loss"], [(4, 0.3), (5, 0.2)])
    write(tmp_path / "told.csv", ["class", "predicted"], TOLD)
    dvc(tmp_path, "init", "-q", "--no-scm")
    config = (ROOT / ".dvc" / "config").read_text().replace("[core]", "[core]\n    no_scm = true")
    (tmp_path / ".dvc" / "config").write_text(config)
    shutil.copyfile(ROOT / ".dvc" / "plots.html", tmp_path / ".dvc" / "plots.html")
    dvc(tmp_path, "plots", "show")
    page = tmp_path / "dvc_plots" / "index.html"
    assert "http" not in re.sub(r'"\$schema": "[^"]*"|http://www.w3.org/2000/svg|http-equiv', "", page.read_text())

    dom, said = browse(page, tmp_path / "profile")
    assert not said, said
    lines = [line.split() for line in re.findall(r'<polyline points="([^"]*)"', dom)]
    assert sorted(map(len, lines)) == [2, 3, 3]
    heights = {float(point.split(",")[1]) for line in lines for point in line}
    assert (min(heights), max(heights)) == (15, 300), "the largest loss at the top, the smallest at the bottom"
    assert {"Loss of both", "Confusion"} <= set(re.findall("<h2>(.*?)</h2>", dom))
    table = [re.findall("<t[dh].*?>(.*?)</t[dh]>", row) for row in re.findall("<tr>(.*?)</tr>", dom)]
    assert table == [["", "broken", "sound"], ["broken", "3", "2"], ["sound", "0", "5"]]


def write(path: Path, head: list[str], rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])


def dvc(root: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=root, check=True, env={**os.environ, "DVC_NO_ANALYTICS": "1"})


def browse(page: Path, profile: Path) -> tuple[str, str]:
    """What a page is once its scripts have run, and what they and the browser complained of; every name leads nowhere."""
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
               f"--user-data-dir={profile}", "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr",
               "--virtual-time-budget=5000", "--dump-dom"]  # fmt: skip
    done = subprocess.run([str(CHROMIUM), *options, page.as_uri()], capture_output=True, text=True, timeout=120)
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if ":CONSOLE" in line)
