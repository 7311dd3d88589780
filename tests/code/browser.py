"""Headless Chromium, driven over its DevTools protocol: what a page shows, asks for and says; a user who clicks and types."""

import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium")
_SECONDS = 60.0


class Page:
    """One tab. Everything that it asks for and logs is kept."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._ids = itertools.count(1)
        self.requests: dict[str, str] = {}
        """Every address asked for, by the request's id, reached or not; none that the page was forbidden."""
        self.errors: list[str] = []
        """What the page logged as an error, and exceptions that nobody caught."""

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command, and give its answer."""
        number = next(self._ids)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv(timeout=_SECONDS))
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return dict(message["result"])
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        parameters = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests[parameters["requestId"]] = parameters["request"]["url"]
            case "Network.webSocketCreated":
                self.requests[parameters["requestId"]] = parameters["url"]
            case "Network.loadingFailed" if parameters.get("blockedReason") == "csp":
                self.requests.pop(parameters["requestId"], None)
            case "Runtime.exceptionThrown":
                details = parameters["exceptionDetails"]
                self.errors.append(details.get("exception", {}).get("description", details["text"]))
            case "Log.entryAdded" if parameters["entry"]["level"] == "error":
                self.errors.append(f"{parameters['entry']['text']} ({parameters['entry'].get('url', '')})")
            case "Runtime.consoleAPICalled" if parameters["type"] == "error":
                self.errors.append(" ".join(str(item.get("value", item.get("description"))) for item in parameters["args"]))

    def open(self, url: str) -> None:
        """Go to `url`."""
        self.send("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """The value of a script's expression."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, script: str, seconds: float = _SECONDS) -> Any:
        """Wait until a script's expression is true, and give its value."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(AssertionError):  # the page is being replaced
                if value := self.run(script):
                    return value
            assert time.monotonic() < deadline, f"{script} never came true on the page:\n{self.text()[:3000]}"
            time.sleep(0.1)

    def text(self) -> str:
        """What the page shows as text."""
        return str(self.run("document.body.innerText"))

    def in_view(self, text: str) -> bool:
        """Whether `text` stands within the window, without scrolling and under nothing else."""
        return bool(self.run(f"({_IN_VIEW})({json.dumps(text)})"))

    def fill(self, label: str, text: str) -> None:
        """Type into the field below the innermost element whose text begins with `label`."""
        self.click_at(*self.wait(f"({_BOX_OF_FIELD})({json.dumps(label)})"))
        self.type(text)

    def field(self, label: str) -> str:
        """What the field below that element holds."""
        return str(self.wait(f"({_FIELD})({json.dumps(label)}, 'input, textarea')?.value"))

    def choose(self, label: str, option: str) -> None:
        """Choose from the menu below that element: the browser draws menus outside of the page."""
        self.wait(f"({_CHOICE})({json.dumps(label)}, {json.dumps(option)})")

    def click_text(self, text: str, selector: str = "*") -> None:
        """Click on the innermost element whose whole text is `text`."""
        box = self.wait(f"({_BOX_OF_TEXT})({json.dumps(text)}, {json.dumps(selector)})")
        self.click_at(*box)

    def click_at(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Type into what has the focus, in the place of what it holds."""
        self.key("a", 65, 2)
        self.send("Input.insertText", text=text)

    def key(self, key: str, code: int, modifiers: int = 0) -> None:
        for kind in ("keyDown", "keyUp"):
            commands = {"commands": ["selectAll"]} if modifiers and kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, modifiers=modifiers, **commands)

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Write what the page looks like, as PNG."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", captureBeyondViewport=whole)["data"]))

    def settle(self, seconds: float = 2) -> None:
        """Let the page work for a while, so that what it asks for is noted."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                self._note(json.loads(self._connection.recv(timeout=left)))

    def beyond_loopback(self) -> list[str]:
        """What was asked for from another machine."""
        local = ("127.0.0.1", "localhost", "::1")
        asked = [urlsplit(url) for url in self.requests.values()]
        return [url.geturl() for url in asked if url.scheme in ("http", "https", "ws", "wss") and url.hostname not in local]


_IN_VIEW = """text => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.textContent.includes(text)) continue;
    const range = document.createRange(); range.selectNodeContents(node);
    const b = range.getBoundingClientRect();
    if (!b.width || !b.height || b.top < 0 || b.left < 0 || b.bottom > innerHeight || b.right > innerWidth) continue;
    const top = document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2), own = node.parentElement;
    if (top && (top === own || top.contains(own) || own.contains(top))) return true;
  }
  return false;
}"""
_FIELD = """(label, kind) => {
  let e = [...document.querySelectorAll('label, div, span')].filter(e => e.innerText?.trim().startsWith(label)).at(-1);
  while (e && !e.querySelector(kind)) e = e.parentElement;
  return e?.querySelector(kind);
}"""
_CHOICE = f"""(label, option) => {{
  const menu = ({_FIELD})(label, 'select'), chosen = [...menu?.options ?? []].find(e => e.text === option);
  if (!chosen) return false;
  chosen.selected = true;
  menu.dispatchEvent(new Event('change', {{bubbles: true}}));
  return true;
}}"""
_BOX_OF_FIELD = f"""label => {{
  const field = ({_FIELD})(label, 'input, textarea');
  if (!field) return null;
  field.scrollIntoView({{block: 'center'}});
  const b = field.getBoundingClientRect();
  return [b.x + b.width / 2, b.y + b.height / 2];
}}"""
_BOX_OF_TEXT = """(text, selector) => {
  const e = [...document.querySelectorAll(selector)]
    .filter(e => e.innerText?.trim() === text && e.getBoundingClientRect().width).at(-1);
  if (!e) return null;
  e.scrollIntoView({block: 'center'});
  const b = e.getBoundingClientRect();
  return [b.x + b.width / 2, b.y + b.height / 2];
}"""


@contextlib.contextmanager
def browsing(profile: Path, width: int = 1440, height: int = 900) -> Iterator[Page]:
    """A tab of a fresh browser, `width` x `height` pixels."""
    assert CHROMIUM, "install chromium"
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
               "--disable-dev-shm-usage", "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        with connect(_tab_of(profile), max_size=None) as connection:
            page = Page(connection)
            for domain in ("Network", "Runtime", "Log", "Page"):
                page.send(f"{domain}.enable")
            size = {"width": width, "height": height}
            page.send("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=False)
            yield page
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tab_of(profile: Path) -> str:
    """The address of the browser's one tab."""
    import urllib.request

    deadline = time.monotonic() + _SECONDS
    port_file = profile / "DevToolsActivePort"
    while True:
        with contextlib.suppress(OSError, IndexError):
            port = port_file.read_text().splitlines()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=5) as answer:
                tabs = [tab for tab in json.load(answer) if tab["type"] == "page"]
            return str(tabs[0]["webSocketDebuggerUrl"])
        assert time.monotonic() < deadline, "Chromium does not start"
        time.sleep(0.1)
