"""Where servers are: the addresses that they listen on, and Prefect's that is in use."""

import errno
import ipaddress
import os
import socket
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

from thaw.errors import ThawError
from thaw.files import read_json

LOOPBACK = "127.0.0.1"
_PORTS_TRIED = 50
_LAST_PORT = 65535
_SERVER_SECONDS = 4.0


def server_url(host: str, port: int) -> str:
    """The address of a server on this machine; IPv6 in brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    return host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_loopback)


def is_every(host: str) -> bool:
    """Whether a server that listens on `host` listens on all of this machine's addresses."""
    return _is_ip(host) and ipaddress.ip_address(host).is_unspecified


def own_addresses(host: str) -> list[str]:
    """The addresses that a server listening on `host` is reached at; of all of this machine's, the outer ones first."""
    if not is_every(host):
        return [host]
    import psutil

    families = {socket.AF_INET, socket.AF_INET6} if ":" in host else {socket.AF_INET}
    found = [
        item.address
        for items in psutil.net_if_addrs().values()
        for item in items
        if item.family in families and "%" not in item.address
    ]
    return sorted(found, key=lambda address: (is_loopback(address), ":" in address, address))


def free_port(host: str, port: int) -> int:
    """The first free port of `host` from `port` on.

    Raises:
        ThawError: there is none, or this machine has no such address.
    """
    last = min(port + _PORTS_TRIED, _LAST_PORT)
    for candidate in range(port, last + 1):
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, candidate, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
        except OSError:
            raise ThawError(
                f"--host {host}: not an address", "Name one of this machine's, or 0.0.0.0."
            ) from None
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except PermissionError:
                raise ThawError(
                    f"port {candidate}: not allowed to this user", "Name one above 1023."
                ) from None
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    raise ThawError(
                        f"--host {host}: not an address of this machine",
                        "`ip addr` lists them; or name 0.0.0.0.",
                    ) from None
                continue
            return candidate
    raise ThawError(f"no free port from {port} to {last} on {host}", "Name another one.")


def answers(url: str, seconds: float = 2.0) -> bool:
    """Whether a server answers at `url` with 200."""
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def prefect_url(home: Path) -> str:
    """The address of the Prefect server to use: that of `PREFECT_API_URL`, of Prefect's profile, or of `thaw ui`, if it is up.

    Empty without one.
    """
    named = os.environ.get("PREFECT_API_URL") or _profile().get("PREFECT_API_URL", "")
    if named:
        return named
    path = home / ".thaw" / "ui.json"
    if not path.exists():
        return ""
    url = f"{read_json(path)['prefect']}/api"
    return url if answers(f"{url}/health") else ""


def require_prefect(url: str) -> None:
    """Hold a run to a Prefect server that is there, before Prefect tries for minutes.

    Raises:
        ThawError: nothing answers at `url`.
    """
    import ssl
    import urllib.error
    import urllib.request

    cure = "Start it, or name another. With `PREFECT_API_URL` unset and no address in Prefect's profile thaw starts its own."
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ThawError(f"PREFECT_API_URL={url}: not an address that begins with http:// or https://", cure)
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=f"{parts.path.rstrip('/')}/health")
    try:
        with urllib.request.urlopen(plain.geturl(), timeout=_SERVER_SECONDS):  # noqa: S310
            return
    except urllib.error.HTTPError:
        return  # it answers; what it thinks of this user Prefect says itself
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
    if isinstance(reason, ssl.SSLError):
        return  # Prefect has settings of its own for certificates
    raise ThawError(f"no Prefect server answers at {url} ({reason})", cure)


def _profile() -> dict[str, str]:
    """The settings of Prefect's active profile; read without Prefect, which takes seconds to import."""
    home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect").expanduser()
    path = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml")
    try:
        profiles = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # Prefect itself says what is wrong with the file
        return {}
    name = os.environ.get("PREFECT_PROFILE") or profiles.get("active", "")
    return dict(profiles.get("profiles", {}).get(name, {}))


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
