"""What a machine has to have in common with the one that hands out work.

It is sent to nodes by value, which may have no thaw, or another: it imports nothing but the standard library at its top.
"""

import importlib.metadata
import platform
from typing import Any

PACKAGES = (
    "numpy", "pillow", "opencv-python-headless", "pyarrow", "xxhash", "pydantic", "pandas", "fsspec",
    "tensorflow", "keras", "openvino", "jax", "jaxlib",
)  # fmt: skip
"""Those whose version can change what comes out, or without which nothing does."""


def describe() -> dict[str, Any]:
    """This machine's `thaw` (version, none: empty), `sources` (their fingerprint), `python`, `packages` and `processor`."""
    try:
        from thaw.fingerprint import package_digest

        sources = package_digest()
    except ImportError:  # there is none, or one without this function
        sources = ""
    try:
        from thaw.devices import cpu_name

        processor = cpu_name()
    except ImportError:
        processor = ""
    return {
        "thaw": _version("thaw") or ("not installed" if not sources else "of sources"),
        "sources": sources,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "processor": processor,
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def mismatch(node: str, there: dict[str, Any], here: dict[str, Any]) -> tuple[str, str] | None:
    """What keeps a node from working for this machine, and the cure; None where nothing does."""
    for name, version in here["packages"].items():
        found = there["packages"].get(name, "")
        if found != version:
            wanted = f"`pip install {name}=={version}`" if version else f"`pip uninstall {name}`"
            state = f"has {name} {found}" if found else f"lacks the package {name}"
            return f"node {node} {state}; here it is {version or 'not installed'}", f"{wanted} on {node}."
    if there["thaw"] != here["thaw"]:
        return f"node {node}: thaw is {there['thaw']}; here it is {here['thaw']}", f"Install thaw {here['thaw']} on {node}."
    if there["sources"] != here["sources"]:
        return (
            f"node {node}: thaw's source code is another than here",
            f"Bring the same code to {node}, or install thaw on a file system that it shares, and start Ray there again.",
        )
    return None
