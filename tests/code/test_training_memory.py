"""What a process that trains does with memory it has freed."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, resource, sys
from thaw.devices import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

def use():
    tensor = libc.malloc(17_000_000)
    ctypes.memset(tensor, 1, 17_000_000)
    libc.free(tensor)

use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's allocator")
def test_a_tensor_takes_the_memory_of_the_one_before() -> None:
    faults = {}
    for kind in ("given back", "kept"):
        done = subprocess.run([sys.executable, "-c", PROGRAM, kind], capture_output=True, text=True, check=True)
        faults[kind] = int(done.stdout)
    assert faults["kept"] < faults["given back"] / 10
