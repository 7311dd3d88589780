"""Read what an index has booked from where it lies: S3 and its kin, and whatever else fsspec has a file system for.

What is read is what was booked: of an object with a version that version, of another one only while its etag is the same. The
store's credentials are those of the environment or the profile, as its own library finds them; thaw never has them.
"""

import functools
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from thaw.errors import ThawError

PROTOCOLS = {"s3": "thaw[s3]", "gs": "gcsfs", "abfs": "adlfs", "file": "thaw"}
"""What an address may begin with, and the package that reads it."""
_CONNECT_SECONDS, _READ_SECONDS = 4, 8
_PATIENCE_SECONDS = 15
"""No attempt begins later than this after the first; with the time limits above a read ends within 30 seconds."""
_FIRST_PAUSE_SECONDS = 0.2
_OUTAGE_SECONDS = 30
"""A store that did not answer one read is not asked by others of the process for so long: a thousand would wait in turn."""
_AWAY = {
    "EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError", "HTTPClientError",
    "ClientConnectorError", "FSTimeoutError", "TimeoutError", "ConnectionError", "ConnectionRefusedError",
    "ConnectionResetError", "ClientPayloadError", "ResponseParserError", "ServerDisconnectedError",
    "IncompleteRead", "ProxyConnectionError", "IncompleteReadError", "ResponseStreamingError",
}  # fmt: skip
_BUSY = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "500", "503"}
_CREDENTIALS = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
UPDATE = "Run `thaw data update`, which books what the store holds now, then `thaw run`."
_NETWORK = "Look at AWS_ENDPOINT_URL and the network, and try again."

T = TypeVar("T")


class StoreError(ThawError):
    """A store does not give what is asked of it; `gone` where that is the object's doing, and others may be read."""

    def __init__(self, reason: str, cure: str, gone: bool = False) -> None:
        super().__init__(reason, cure)
        self.gone = gone


class Object(NamedTuple):
    """An object of a store, as it was booked."""

    address: str
    etag: str
    version: str
    """Empty where the store keeps none."""


def read_range(held: Object, start: int, size: int) -> bytes:
    """The bytes `start` to `start + size` of an object.

    Raises:
        StoreError: the object is gone, another than was booked, or shorter; or the store does not answer.
    """
    if size == 0:
        return b""
    data = attempt(lambda: _get(held, start, size), held.address, _PATIENCE_SECONDS)
    if len(data) != size:
        raise _too_short(held.address)
    return data


def _get(held: Object, start: int, size: int) -> bytes:
    address = held.address
    if scheme(address) == "file":
        return _get_local(held, start, size)
    files = file_system(address)
    if scheme(address) == "s3":
        from fsspec.asyn import sync

        return bytes(sync(files.loop, _get_s3, files, held, f"bytes={start}-{start + size - 1}"))
    if etag_of(files.info(address)) != held.etag:
        raise _changed(address)
    return bytes(files.cat_file(address, start=start, end=start + size))


def size_of(held: Object) -> int:
    """In bytes.

    Raises:
        StoreError: as `read_range`.
    """
    info = attempt(
        lambda: file_system(held.address).info(held.address, **_version(held)), held.address, _PATIENCE_SECONDS
    )
    return int(info["size"])


def _version(held: Object) -> dict[str, str]:
    return {"version_id": held.version} if held.version else {}


async def _get_s3(files: Any, held: Object, wanted: str) -> bytes:
    bucket, key = split(held.address)
    same = {"VersionId": held.version} if held.version else {"IfMatch": f'"{held.etag}"'}
    answer = await files._call_s3("get_object", Bucket=bucket, Key=key, Range=wanted, **same)
    async with answer["Body"] as body:
        return bytes(await body.read())


def _get_local(held: Object, start: int, size: int) -> bytes:
    with open(held.address.removeprefix("file://"), "rb") as file:  # noqa: PTH123
        if etag_of({"mtime": os.fstat(file.fileno()).st_mtime}) != held.etag:
            raise _changed(held.address)
        file.seek(start)
        return file.read(size)


def etag_of(info: dict[str, Any]) -> str:
    """What changes when an object's bytes do, of what a file system tells of it."""
    for name in ("ETag", "etag", "md5Hash", "generation", "mtime"):
        if info.get(name):
            return str(info[name]).strip('"')
    return ""


def scheme(address: str) -> str:
    """What an address begins with, `s3` of `s3://bucket`; empty of a path."""
    return address.partition("://")[0] if "://" in address else ""


def split(address: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`."""
    bucket, _, key = address.partition("://")[2].partition("/")
    return bucket, key


def check_address(address: str) -> None:
    """Refuse an address that is not read, or that holds credentials: it would be written down.

    Raises:
        ThawError: which of both.
    """
    if scheme(address) not in PROTOCOLS:
        known = ", ".join(f"{name}://" for name in PROTOCOLS)
        raise ThawError(f"{scheme(address)}://: no store that is read here", f"Begin the address with one of {known}.")
    host = address.partition("://")[2].partition("/")[0]  # of key:secret@bucket with a / in the secret its begin
    if (":" in host and not host.startswith("arn:")) or ("@" in host and scheme(address) != "abfs"):
        raise ThawError("the address holds credentials, and would be kept in the index", f"Leave them out. {_CREDENTIALS}")
    if scheme(address) != "file" and not split(address)[0]:
        raise ThawError(f"{address}: names no bucket", f"Write {scheme(address)}://BUCKET/FOLDER.")


def file_system(address: str) -> Any:
    """fsspec's file system for an address, one a process: its connections are not shared across a fork."""
    return _open(scheme(address), os.getpid())


@functools.lru_cache(maxsize=4)
def _open(protocol: str, process: int) -> Any:
    import fsspec

    options: dict[str, Any] = {"use_listings_cache": False}
    if protocol == "s3":
        timing = {"connect_timeout": _CONNECT_SECONDS, "read_timeout": _READ_SECONDS, "max_pool_connections": 32}
        options["config_kwargs"] = {**timing, "retries": {"total_max_attempts": 1, "mode": "standard"}}
    try:
        files = fsspec.filesystem(protocol, skip_instance_cache=True, **options)
    except ImportError as error:
        package = PROTOCOLS[protocol]
        raise ThawError(
            f"{protocol}://: the package that reads it is not installed: {error}", f"Run `pip install '{package}'`."
        ) from None
    files.retries = 1  # `attempt` is the one that tries again
    return files


_outages: dict[str, tuple[float, StoreError]] = {}
"""Which store did not answer, until when it is not asked again, and what to say until then."""


def attempt(call: Callable[[], T], address: str, patience_seconds: float) -> T:
    """What `call` gives; it is called again, after longer and longer pauses, while the store is away or busy.

    Raises:
        StoreError: what is wrong, with the address.
    """
    begin, pause = time.monotonic(), _FIRST_PAUSE_SECONDS
    until, outage = _outages.get(scheme(address), (0.0, None))
    if outage and begin < until:
        raise outage
    while True:
        try:
            return call()
        except ThawError:
            raise
        except Exception as error:  # stores, their libraries and the network raise many kinds
            left = begin + patience_seconds - time.monotonic()
            if not _is_passing(error):
                raise _explain(error, address) from error
            if left < pause:
                outage = _explain(error, address)
                _outages[scheme(address)] = time.monotonic() + _OUTAGE_SECONDS, outage
                raise outage from error
        time.sleep(pause)
        pause *= 2


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__
    return found


def _code(error: BaseException) -> str:
    """The store's own word for an error."""
    for one in _chain(error):
        response = getattr(one, "response", None)
        if isinstance(response, dict) and "Error" in response:
            return str(response["Error"].get("Code", ""))
    return ""


def _is_away(error: BaseException) -> bool:
    return any(kind.__name__ in _AWAY for one in _chain(error) for kind in type(one).__mro__)


def _is_passing(error: BaseException) -> bool:
    return _is_away(error) or _code(error) in _BUSY


def _changed(address: str) -> StoreError:
    return StoreError(f"{address}: changed in the store since it was booked", UPDATE, gone=True)


def _too_short(address: str) -> StoreError:
    return StoreError(f"{address}: ends before what was booked of it", UPDATE, gone=True)


def _explain(error: BaseException, address: str) -> StoreError:
    code, names = _code(error), {kind.__name__ for one in _chain(error) for kind in type(one).__mro__}
    told = " ".join(str(error).split())[:300]
    if code in ("PreconditionFailed", "412"):
        return _changed(address)
    if code in ("InvalidRange", "416"):
        return _too_short(address)
    if code == "NoSuchBucket":
        return StoreError(f"{address}: there is no bucket {split(address)[0]!r}", "Look at its name, and at AWS_ENDPOINT_URL.")
    if code == "NoSuchVersion" or "FileNotFoundError" in names:
        return StoreError(f"{address}: is not in the store any more, as it was booked", UPDATE, gone=True)
    if {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"} & names:
        return StoreError(f"{address}: no credentials for the store: {told}", _CREDENTIALS)
    if "PermissionError" in names:
        return StoreError(f"{address}: the store refuses it ({code or told})", f"Look at what may be read. {_CREDENTIALS}")
    if _is_passing(error):
        return StoreError(f"{address}: the store does not answer: {told}", _NETWORK)
    return StoreError(f"{address}: cannot be read: {code or type(error).__name__}: {told}", "Mend that, and try again.")
