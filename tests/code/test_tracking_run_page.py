"""The page of a run: the stage's report with what belongs to the run, where people open it and in MLflow; on a real store."""

import json
from pathlib import Path

import pytest

from tests.code.report_page import Reader
from thaw.run_slot import RUN_PAGE, SLOT, STAGE_PAGE
from thaw.tracking.outbox import Outbox, create_outbox
from thaw.tracking.run_page import publish_run_page, run_part
from thaw.tracking.shipper import Shipper
from thaw.tracking.store import Store

REPORT = f"<main><h1>{{}}</h1>{SLOT}</main>"
LINK = "http://127.0.0.1:4200/deployments/deployment/1/run?parameters={}&amp"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("projekt ünïcode")


@pytest.fixture(scope="module")
def store(home: Path) -> Store:
    return Store(home)


def make_report(root: Path, text: str) -> Path:
    path = root / STAGE_PAGE
    path.parent.mkdir(exist_ok=True)
    path.write_text(REPORT.format(text), encoding="utf-8")
    return path


def run(home: Path, accuracy: float, rate: str, report: bool = True) -> Outbox:
    """What a run of the pipeline logs, as far as its page tells of it."""
    outbox = create_outbox(home)
    tags = {"mlflow.source.git.commit": "c0ffee" * 6, "git.dirty": "true", "data.data/raw": "d1d2d3d4d5.dir"}
    outbox.open_run("pipeline", "a", tags=tags, params={"fine_tune.learning_rate": rate})
    ends = {"test/accuracy_low": accuracy - 0.1, "test/accuracy_high": accuracy + 0.1}
    outbox.log_metrics("pipeline", {"test/accuracy": accuracy, **ends})
    if report:
        outbox.log_report("pipeline", make_report(home, str(accuracy)), "ab12")
    outbox.log_links("pipeline", {"Run again with these parameters": LINK})
    outbox.close_run("pipeline")
    outbox.finish()
    return outbox


def page_in_mlflow(store: Store, outbox: Outbox, folder: Path) -> str:
    page = store.download_file(outbox.run_ids()["pipeline"], "report.html", folder)
    return page.read_text(encoding="utf-8") if page else ""


def test_the_page_tells_the_run_by_the_runs_before_it(home: Path, store: Store, tmp_path: Path) -> None:
    registered = {"champion": "1", "versions": {"ab12": {"name": "thaw", "version": "3", "accuracy": "0.9"}}}
    (home / ".thaw").mkdir(exist_ok=True)
    (home / ".thaw" / "registered.json").write_text(json.dumps(registered))
    first, second = run(home, 0.75, "0.0005"), run(home, 0.875, "0.001")
    pages = []
    for outbox in (first, second):
        Shipper(outbox, store).ship()
        publish_run_page(outbox, home)
        pages.append((home / RUN_PAGE).read_text(encoding="utf-8"))
        assert page_in_mlflow(store, outbox, tmp_path) == pages[-1]
    assert "<h1>0.75</h1>" in pages[0] and "Run 1: 0.750" in pages[0] and "the run before" not in pages[0]
    assert "<h1>0.875</h1>" in pages[1] and "Run 2: 0.875" in pages[1]
    assert "0.125 higher than the run before" in pages[1].replace(" (within the interval)", "")
    assert "<code>0.0005</code> → <code>0.001</code>" in pages[1]
    for told in ("c0ffeec0</code>, and files", "data/raw, version <code>d1d2d3d4</code>", "thaw v3, the champion is v1",
                 "thaw restore 2"):  # fmt: skip
        assert told in pages[1], told
    leads = {str(link["href"]) for link in Reader(pages[1]).of("a")}
    assert LINK in leads and any(second.run_ids()["pipeline"] in lead and "machine_learning" in lead for lead in leads)
    assert not any(first.run_ids()["pipeline"] in lead for lead in leads)


def test_shipped_again_it_is_the_same_page(home: Path, store: Store) -> None:
    outbox = run(home, 0.5, "0.001")
    Shipper(outbox, store).ship()
    before = (outbox.folder / "report.html").read_bytes()
    outbox.position_path.unlink()  # as if killed before it was written
    Shipper(outbox, store).ship()
    assert (outbox.folder / "report.html").read_bytes() == before


def test_what_mlflow_does_not_have_is_the_stages_page_and_tells_of_no_other_run(home: Path) -> None:
    outbox = run(home, 0.625, "0.002")
    publish_run_page(outbox, home)
    assert (home / RUN_PAGE).read_text(encoding="utf-8") == REPORT.format("0.625")


def test_a_run_without_a_report_leaves_a_page_only_of_the_result_that_lies_beside_it(home: Path, store: Store) -> None:
    made, without = run(home, 0.75, "0.003"), run(home, 0.25, "0.003", report=False)
    for outbox in (made, without):
        Shipper(outbox, store).ship()
        publish_run_page(outbox, home)
    assert "<h1>0.75</h1>" in (home / RUN_PAGE).read_text(encoding="utf-8"), "the result is still that one"
    assert not (without.folder / "report.html").exists()
    make_report(home, "0.25")
    publish_run_page(without, home)
    assert not (home / RUN_PAGE).exists()
    publish_run_page(made, home)
    (home / STAGE_PAGE).unlink()  # as DVC does before the stage runs, which then failed
    publish_run_page(without, home)
    assert not (home / RUN_PAGE).exists()


def test_no_name_or_address_is_markup() -> None:
    awkward = {"number": 0, "name": "<b>&", "commit": "", "tags": {"data.<i>": "<u>"}, "metrics": {"test/accuracy": 1.0}}
    text = run_part(awkward, "**Failed:** `<script>`\n\n<script>1</script> [x](javascript:alert)", "<s>", {"<em>": '"><em>'})
    reader = Reader(text)
    assert {tag for tag, _ in reader.tags} == {"div", "h2", "p", "strong", "code", "dl", "dt", "dd", "ul", "li", "a", "small"}
    assert [link["href"] for link in reader.of("a")] == ['"><em>']
    assert "made the page anew" in run_part(awkward | {"metrics": {}}, "**No result**", "", {})
