"""Prefect's pages in a browser: they ask nothing of another machine, and work."""

from collections.abc import Iterator

import pytest

from tests.code.browser import CHROMIUM, Page, browsing
from tests.code.prefect_server import PrefectServer, serving
from tests.code.test_prefect_origins import post

PATHS = ("/dashboard", "/deployments", "/settings")

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs chromium, which CI installs")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with serving(tmp_path_factory.mktemp("prefect")) as started:
        assert post(started, **{"Content-Type": "application/json"}) in (200, 201)
        yield started


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browsing(tmp_path_factory.mktemp("browser")) as tab:
        yield tab


@pytest.mark.parametrize("path", [*PATHS, *(f"/v2{path}" for path in PATHS)])
def test_no_page_asks_another_machine(server: PrefectServer, page: Page, path: str) -> None:
    """Though Prefect's second interface would: it counts visits at a company's, whatever its server is told."""
    page.requests.clear()
    page.errors.clear()
    page.open(server.url + path)
    page.wait("document.body.innerText.includes('Deployments')")
    page.settle(2)
    assert page.beyond_loopback() == []
    assert any("/api/" in asked for asked in page.requests.values()), "what is shown is the server's"
    if not path.startswith("/v2"):
        ours = [error for error in page.errors if "favicon" not in error]
        assert ours == []


def test_the_first_interface_is_the_one_that_opens(server: PrefectServer, page: Page) -> None:
    page.open(server.url)
    page.wait("location.pathname.length > 1 && document.body.innerText.includes('Deployments')")
    assert not page.run("location.pathname").startswith("/v2")
