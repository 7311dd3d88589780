"""Who may talk to Prefect's server: programs, and its own pages, which ask it alone; no page of another site, no other name.

Prefect knows no passwords here, and an address on this machine is open to every page that its user visits.
"""

import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from thaw.addresses import is_every, is_loopback

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


# A page may load from, ask and tell its own server alone. Prefect's compiles schemas (eval) and styles its elements.
_OWN_SERVER_ONLY = (
    b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; "
    b"form-action 'self'; frame-ancestors 'self'; base-uri 'self'"
)


class OwnPagesOnly:
    """ASGI middleware that refuses (403) what a browser sends for a page of another origin, or under another's name.

    A browser names the page's origin in `Origin`; a program sends none. A name of an attacker's that leads here (DNS rebinding)
    stands in `Host`.

    Args:
        host: the address listened on.
        port: the port.
    """

    def __init__(self, app: App, host: str, port: int) -> None:
        self._app = app
        self._host, self._port = host, port

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and not self._is_own(dict(scope["headers"])):
            await _refuse(scope["type"], send)
            return

        async def send_restricted(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"content-security-policy", _OWN_SERVER_ONLY)]
            await send(message)

        await self._app(scope, receive, send_restricted)

    def _is_own(self, headers: dict[bytes, bytes]) -> bool:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if not self._is_own_name(_parts(f"//{host}")[0]):
            return False
        if b"origin" not in headers:
            return True
        origin = headers[b"origin"].decode("latin-1").lower()
        name, port = _parts(origin)
        return origin.partition("://")[2] == host or (is_loopback(name) and port == self._port)

    def _is_own_name(self, name: str) -> bool:
        # An attacker's page has no numbers of this machine for a name: rebinding needs a name.
        return is_loopback(name) or name == self._host or (is_every(self._host) and _is_number(name))


def _parts(address: str) -> tuple[str, int | None]:
    """Host and port of an address; empty where it is none."""
    try:
        parts = urlsplit(address)
        return parts.hostname or "", parts.port
    except ValueError:
        return "", None


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _refuse(kind: str, send: Send) -> None:
    if kind == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": b"not a page of this server, or not its name\n"})
