"""Prefect's server answers programs and its own pages, and no page of another origin: by request, and in a browser."""

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.code.prefect_server import (
    ROOT,
    PrefectServer,
    clean_environment,
    free_port,
    serving,
    wait_until_up,
)

CHROMIUM = shutil.which("chromium")
PAGE = """<!doctype html><title>other</title><script>
const flow = JSON.stringify({name: "planted"});
const attempts = {
  plain: {method: "POST", body: flow},
  typed: {method: "POST", body: flow, headers: {"content-type": "application/json"}},
  blind: {method: "POST", body: new Blob([flow]), mode: "no-cors"},
};
(async () => {
  const said = {};
  for (const [name, options] of Object.entries(attempts))
    said[name] = await fetch("TARGET/api/flows/", options).then(a => a.status, e => "blocked");
  said.socket = await new Promise(done => {
    const socket = new WebSocket("TARGET/api/events/in".replace("http", "ws"));
    socket.onopen = () => done("open"); socket.onerror = () => done("blocked");
  });
  await fetch("/said", {method: "POST", body: JSON.stringify(said)});
})();
</script>"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with serving(tmp_path_factory.mktemp("prefect")) as started:
        yield started


def post(server: PrefectServer, **headers: str) -> int:
    """The status of an attempt to create a flow."""
    request = urllib.request.Request(f"{server.url}/api/flows/", b'{"name": "posted"}', headers)
    with contextlib.closing(_open(request)) as answer:
        return int(answer.status)


def _open(request: urllib.request.Request):
    try:
        return urllib.request.urlopen(request, timeout=20)
    except urllib.error.HTTPError as error:
        return error


def names_of_flows(server: PrefectServer) -> set[str]:
    request = urllib.request.Request(
        f"{server.url}/api/flows/filter", b"{}", {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return {flow["name"] for flow in json.load(answer)}


def test_a_program_and_its_own_pages_are_answered(server: PrefectServer) -> None:
    assert post(server, **{"Content-Type": "application/json"}) in (200, 201)
    for origin in (server.url, f"http://localhost:{server.port}"):
        assert post(server, **{"Content-Type": "application/json", "Origin": origin}) in (200, 201)


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:1", "http://localhost", "file://", "http://[", ""],
)
def test_another_origin_is_refused(server: PrefectServer, origin: str) -> None:
    assert post(server, Origin=origin) == 403
    assert post(server, **{"Content-Type": "application/json", "Origin": origin}) == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "10.1.2.3", "["]
)
def test_another_name_is_refused(server: PrefectServer, host: str) -> None:
    host = host.format(port=server.port)
    assert post(server, Host=host) == 403
    assert post(server, Host=host, Origin=f"http://{host}") == 403


class Page(BaseHTTPRequestHandler):
    """A page of another origin: another port of this machine."""

    target = ""
    said: "queue.Queue[bytes]" = queue.Queue()
    """What its script tells when it is done, however long that takes."""

    def do_POST(self) -> None:
        self.said.put(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def do_GET(self) -> None:
        body = PAGE.replace("TARGET", self.target).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def browser(profile: Path, *options: str) -> list[str]:
    """The command line of a browser without a window and without a request of its own."""
    assert CHROMIUM, "install chromium"
    return [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
            f"--user-data-dir={profile}", *options]  # fmt: skip


def browse(url: str, profile: Path, *options: str, milliseconds: int = 30_000) -> tuple[str, str]:
    """What a page is once its scripts have run, and what they logged."""
    dump = ["--enable-logging=stderr", f"--virtual-time-budget={milliseconds}", "--dump-dom"]
    done = subprocess.run([*browser(profile, *dump, *options), url], capture_output=True, text=True, timeout=120)
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if ":CONSOLE" in line)


@pytest.mark.skipif(not CHROMIUM, reason="needs chromium, which CI installs")
@pytest.mark.parametrize("rebound", [False, True])
def test_a_page_of_another_origin_cannot_trigger_anything(
    server: PrefectServer, tmp_path: Path, rebound: bool
) -> None:
    """Nor one whose name its owner makes lead here: to the browser that one is of the same origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        target = f"http://evil.example:{server.port}" if rebound else server.url
        Page.target = target
        address = f"http://{'evil.example' if rebound else '127.0.0.1'}:{other.server_port}/"
        command = browser(tmp_path, "--remote-debugging-port=0", "--host-resolver-rules=MAP evil.example 127.0.0.1")
        with subprocess.Popen(
            [*command, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as shown:
            try:
                said = json.loads(Page.said.get(timeout=120))
            finally:
                os.killpg(shown.pid, signal.SIGKILL)
        other.shutdown()
    assert said == {"plain": "blocked", "typed": "blocked", "blind": 0, "socket": "blocked"}
    assert "planted" not in names_of_flows(server)


@pytest.mark.skipif(not CHROMIUM, reason="needs chromium, which CI installs")
@pytest.mark.parametrize("path", ["/flows", "/v2/flows"])
def test_its_own_page_works(server: PrefectServer, tmp_path: Path, path: str) -> None:
    assert post(server, **{"Content-Type": "application/json"}) in (200, 201)
    dom, console = browse(server.url + path, tmp_path)
    assert "posted" in dom, "what the interface answers is shown"
    assert "error" not in console.lower(), console


def test_two_servers_with_one_fresh_home_both_start(tmp_path: Path) -> None:
    """As the first two runs of a machine: both would migrate the database at once."""
    ports = [free_port(), free_port()]
    environment = {**clean_environment(tmp_path / "home"), "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    servers = [
        subprocess.Popen(
            [sys.executable, "-m", "flows.server", "127.0.0.1", str(port)], cwd=ROOT, env=environment
        )
        for port in ports
    ]
    try:
        for process, port in zip(servers, ports, strict=True):
            wait_until_up(f"http://127.0.0.1:{port}/api/health", process)
        assert [process.poll() for process in servers] == [None, None]
    finally:
        for process in servers:
            process.terminate()
            process.wait(20)
