"""A training group of plain processes on this machine, that meet on loopback: what Ray's actors are on a cluster.

`python -m tests.code.local_group` is one of them: it reads which one it is and what to do from standard input, and writes
how it ended to the descriptor that it was given.
"""

import logging
import os
import pickle
import signal
import subprocess
import sys
from contextlib import suppress

from thaw.devices import prepare_backend
from thaw.processes import die_with_parent
from thaw.redaction import hide_in_logs
from thaw.training.groups import Ended, Member, Work, work_as
from thaw.training.groups.ray import free_port
from thaw.training.guard import Stop


class LocalPlaces:
    """Places for `count` processes on this machine."""

    def __init__(self, count: int) -> None:
        self._count = count

    def start(self, work: Work) -> list["_LocalProcess"]:
        """Start the processes."""
        address = f"127.0.0.1:{free_port()}"
        return [_LocalProcess(Member(rank, self._count, address), work) for rank in range(self._count)]

    def close(self) -> None:
        """Nothing is held."""


class _LocalProcess:
    def __init__(self, member: Member, work: Work) -> None:
        self._reader, writer = os.pipe()
        # The work's module is found where it is found here.
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "tests.code.local_group", str(writer), str(os.getpid())]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[writer], env=environment)
        os.close(writer)
        self._end: Ended | None = None
        assert self._process.stdin is not None
        with suppress(BrokenPipeError), self._process.stdin as stdin:  # it died already: `poll` will say so
            stdin.write(pickle.dumps((member, work)))

    def poll(self) -> Ended | None:
        """How it ended; None while it is at work."""
        code = self._process.poll()
        if code is None:
            return None
        if self._end is None:
            with open(self._reader, "rb", closefd=False) as file:
                data = file.read()
            self._end = pickle.loads(data) if data else Ended(fault=f"a process ended with exit code {code}")
        return self._end

    def ask_to_stop(self) -> None:
        """Have it end after its step."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, if it has not ended."""
        self._process.kill()
        self._process.wait()
        os.close(self._reader)


def main() -> None:
    """Do the work that standard input holds, then end at once: at its exit JAX would wait for those that cannot come."""
    die_with_parent(int(sys.argv[2]))
    prepare_backend()
    stop = Stop()
    member, work = pickle.load(sys.stdin.buffer)
    signal.signal(signal.SIGTERM, (lambda number, frame: stop.ask()) if member.leads else signal.SIG_IGN)
    hide_in_logs()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("thaw").setLevel(logging.INFO if member.leads else logging.WARNING)
    data = pickle.dumps(work_as(member, work, stop))
    os.write(int(sys.argv[1]), data)
    os._exit(0)


if __name__ == "__main__":
    main()
