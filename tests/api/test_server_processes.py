"""Several processes at one port: one that ends is replaced, calls go on, and none is left when the parent ends."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.server_processes import FIGURES
from tests.running_processes import is_running

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
#: A process that answers each connection with its own id, on the socket that its parent opened.
CHILD = """
import os, select, signal, socket, sys
if "fails" in sys.argv: sys.exit(3)
listener = socket.socket(fileno=int(os.environ["LISTENER"]))
listener.setblocking(False)
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
os.write(0, b"ready\\n")
while not ended:
    ready, _, _ = select.select([0, listener], [], [], 0.2)
    if 0 in ready and not os.read(0, 100): break
    if listener in ready:
        try: connection, _ = listener.accept()
        except BlockingIOError: continue
        with connection: connection.sendall(str(os.getpid()).encode())
"""
PARENT = """
import os, socket, sys
from api.server_processes import ServerProcesses
listener = socket.create_server(("127.0.0.1", 0), backlog=100)
environment = {**os.environ, "LISTENER": str(listener.fileno())}
command = [sys.executable, "-c", sys.argv[1], *sys.argv[3:]]
print(listener.getsockname()[1], flush=True)
say = lambda line: print(line, file=sys.stderr, flush=True)
sys.exit(ServerProcesses(lambda number: command, environment, listener, int(sys.argv[2]), say).run())
"""


class Running:
    """A parent with its processes."""

    def __init__(self, count: int, *words: str) -> None:
        self.parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, CHILD, str(count), *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.parent.stdout is not None
        self.port = int(self.parent.stdout.readline())

    def call(self) -> int:
        """Returns the id of the process that answered."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as caller:
            return int(caller.recv(100))

    def answering(self, count: int) -> set[int]:
        """Returns the ids of the processes that answer, once there are `count`."""
        seen: set[int] = set()

        def enough() -> bool:
            seen.add(self.call())
            seen.intersection_update(self.children())
            return len(seen) == count

        until(enough)
        return seen

    def children(self) -> set[int]:
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.parent.pid)], capture_output=True, text=True, check=False
        )
        return {int(word) for word in found.stdout.split()}


@contextlib.contextmanager
def running(count: int, *words: str) -> Iterator[Running]:
    one = Running(count, *words)
    try:
        yield one
    finally:
        for pid in one.children():
            os.kill(pid, signal.SIGKILL)  # a suspended one would keep the pipe that is read to its end
        one.parent.kill()
        one.parent.communicate()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_process_is_replaced_and_calls_go_on_meanwhile():
    with running(2) as one:
        first = one.answering(2)
        killed = min(first)
        os.kill(killed, signal.SIGKILL)
        assert {one.call() for _ in range(20)} - {killed}, "the other answers"
        second = one.answering(2)
        assert killed not in second
        assert len(second & first) == 1


def test_sigterm_ends_all_of_them_with_the_parent():
    with running(2) as one:
        pids = one.answering(2)
        one.parent.terminate()
        _, said = one.parent.communicate(timeout=30)
        assert one.parent.returncode == 0
        assert not any(is_running(pid) for pid in pids)
        assert "another is started" not in said


def test_a_suspended_process_does_not_hold_up_a_stop():
    with running(2) as one:
        pids = one.answering(2)
        os.kill(min(pids), signal.SIGSTOP)
        one.parent.terminate()
        one.parent.communicate(timeout=30)
        assert one.parent.returncode == 0
        assert not any(is_running(pid) for pid in pids)


def test_a_process_that_stays_suspended_is_replaced():
    with running(2) as one:
        first = one.answering(2)
        suspended = min(first)
        os.kill(suspended, signal.SIGSTOP)
        until(lambda: not is_running(suspended))
        assert len(one.answering(2) & first) == 1
        one.parent.terminate()
        _, said = one.parent.communicate(timeout=30)
        assert "of 2 has been suspended for 6 s and is ended." in said
        assert said.count("another is started") == 1


def test_a_killed_parent_leaves_no_process_behind():
    with running(2) as one:
        pids = one.answering(2)
        one.parent.kill()
        until(lambda: not any(is_running(pid) for pid in pids))


def test_what_keeps_a_process_from_starting_ends_all_with_its_exit_code():
    with running(2, "fails") as one:
        _, said = one.parent.communicate(timeout=30)
        assert one.parent.returncode == 3
        assert said == ""


#: A process that counts as many calls as it is told, says so, and answers a scrape once it is told to.
COUNTER = """
import os, sys
from api.http.call_figures import CallFigures
figures = CallFigures()
for _ in range(int(sys.argv[1])): figures.count("/public/v1/jobs", 200, 0.01)
print(os.getpid(), flush=True)
if sys.stdin.read(): print(figures.text().decode())
"""


def test_any_process_tells_the_calls_of_all_and_the_memory_of_each(tmp_path: Path):
    def counting(calls: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", COUNTER, str(calls)],
            cwd=ROOT,
            env={**os.environ, FIGURES: str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    gone, asked, other = counting(1), counting(2), counting(3)
    pids = []
    for one in (gone, asked, other):
        assert one.stdout is not None
        pids.append(one.stdout.readline().strip())
    gone.communicate()
    said, _ = asked.communicate("scrape")
    other.communicate()

    assert 'flowport_api_calls_total{route="/public/v1/jobs",status="200"} 6.0' in said, "one that ended counts, too"
    assert 'flowport_api_call_seconds_count{route="/public/v1/jobs"} 6.0' in said
    told = set(re.findall(r'process_resident_memory_bytes\{process="(\d+)"\}', said))
    assert (told & set(pids)) == set(pids[1:])
