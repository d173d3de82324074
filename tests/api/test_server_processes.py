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
from http import HTTPStatus
from pathlib import Path

import pytest

from api.server_processes import FIGURE_BYTES, FIGURE_FILES, FIGURES, NUMBER, figures_folder
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


#: A process that counts as many calls as it is told, without its files if told so, says that it has, and answers a scrape for each line it is told.
COUNTER = """
import os, shutil, sys
from pathlib import Path
from api.http.call_figures import CallFigures
figures = CallFigures(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]), os.environ["FLOWPORT_PROCESS"])
if "remove" in sys.argv: shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"])
for _ in range(int(sys.argv[1])): figures.count("/public/v1/jobs", 200, 0.01)
print(os.getpid(), flush=True)
for line in sys.stdin: print(figures.text().decode())
"""
#: A process that counts a call of each route with each status.
EVERYTHING = """
import os, sys
from pathlib import Path
from api.app import ROUTES
from api.http.call_figures import CallFigures
figures = CallFigures(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]), os.environ["FLOWPORT_PROCESS"])
for route in {*(route.path for route in ROUTES), "?"}:
    for status in map(int, sys.argv[1:]): figures.count(route, status, 0.01)
print(figures.text().decode())
"""


def counting(environment: dict[str, str], number: int, *words: str, program: str = COUNTER) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *words],
        cwd=ROOT,
        env={**os.environ, **environment, NUMBER: str(number)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said_pid(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def scraped(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate("scrape\n", timeout=60)
    assert process.returncode == 0
    return said


CALLS = 'flowport_api_calls_total{route="/public/v1/jobs",status="200"} '


def test_any_process_tells_the_calls_of_all_and_the_memory_of_each(tmp_path: Path):
    with figures_folder(tmp_path / "figures", 3, print) as environment:
        gone, asked, other = (counting(environment, number, str(number + 1)) for number in range(3))
        pids = [said_pid(one) for one in (gone, asked, other)]
        gone.communicate()
        follows = counting(environment, 0, "10")
        said_pid(follows)
        said = scraped(asked)
        for one in (other, follows):
            one.communicate()

    assert f"{CALLS}16.0" in said, "one that ended counts, too"
    assert 'flowport_api_call_seconds_count{route="/public/v1/jobs"} 16.0' in said
    told = set(re.findall(r'process_resident_memory_bytes\{process="(\d+)"\}', said))
    assert (told & set(pids)) == set(pids[1:])
    assert list(tmp_path.iterdir()) == []


def test_the_files_of_the_figures_have_their_blocks_before_a_call_and_never_grow(tmp_path: Path):
    """A full disk ends a process that writes to a mapped page without a block."""
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "counter_0.db").write_bytes(b"of a parent that was killed")
    with figures_folder(folder, 1, print) as environment:
        files = {path.name: path for path in folder.iterdir()}
        assert set(files) == {name.format(0) for name in FIGURE_FILES}
        for path in files.values():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)  # disks choose the blocks late
            os.close(descriptor)
            assert path.stat().st_blocks * 512 >= FIGURE_BYTES
        said = scraped(counting(environment, 0, "0", *(str(status.value) for status in HTTPStatus), program=EVERYTHING))
        assert said.count("flowport_api_calls_total{") > 1_000
        assert {path.stat().st_size for path in folder.iterdir()} == {FIGURE_BYTES}


def test_figures_without_room_are_left_out_and_that_is_said(tmp_path: Path):
    (tmp_path / "file").touch()
    said: list[str] = []
    with figures_folder(tmp_path / "file" / "figures", 2, said.append) as environment:
        assert environment == {}
    assert len(said) == 1
    assert said[0].startswith("/metrics has the calls of one process at a time: ")
    assert said[0].endswith("figures cannot be written: Not a directory.")


def test_calls_are_answered_where_somebody_has_removed_the_files_of_the_figures(tmp_path: Path):
    alone = counting({FIGURES: str(tmp_path / "gone")}, 0, "2")
    said_pid(alone)
    assert f"{CALLS}2.0" in scraped(alone), "it counts for itself"
    with figures_folder(tmp_path / "figures", 1, print) as environment:
        lost = counting(environment, 0, "2", "remove")
        said_pid(lost)
        assert "process_resident_memory_bytes" in scraped(lost)
