"""Servers on this machine are reached past a proxy that the environment names."""

import os

import pytest

from thaw.telemetry import bypass_proxy_for_loopback


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name in ("NO_PROXY", "no_proxy"):  # so that what is set is undone
        monkeypatch.setenv(name, "")
    return monkeypatch


def test_loopback_goes_past_the_proxy(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", "http://proxy:3128")
    environment.setenv("no_proxy", "intern.example, localhost")
    bypass_proxy_for_loopback()
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == "intern.example,localhost,127.0.0.1,::1"


@pytest.mark.parametrize("named", ["", "intern.example"])
def test_without_a_proxy_nothing_changes(environment: pytest.MonkeyPatch, named: str) -> None:
    environment.setenv("no_proxy", named)
    bypass_proxy_for_loopback()
    assert os.environ["no_proxy"] == named


def test_all_is_direct_already(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("http_proxy", "http://proxy:3128")
    environment.setenv("no_proxy", "*")
    bypass_proxy_for_loopback()
    assert os.environ["no_proxy"] == "*"
