"""Strangers who keep connections open or send endless data do not block others or grow the server's memory (S29)."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.live.caller import Terminal
from tests.live.flows import fetch, one_node
from tests.live.holding_site import HoldingSite
from tests.live_server import LiveServer, live_server
from tests.security.beside import beside

pytestmark = pytest.mark.process

MIB = 1024 * 1024
DESCRIPTORS = 256
PATIENCE = 60


def connected(server: LiveServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)


def head(path: str, *lines: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *lines, "", ""]).encode()


def poured(server: LiveServer, beginning: bytes, piece: Callable[[int], bytes], size: int) -> bytes:
    """Sends a request with pieces until `size` bytes are sent or the server closes the connection.

    Returns the response.
    """
    answer = b""
    with connected(server) as line:
        with contextlib.suppress(ConnectionError):
            line.sendall(beginning)
            for number in range(size // len(piece(0))):
                line.sendall(piece(number))
        with contextlib.suppress(ConnectionError, TimeoutError):
            while got := line.recv(65_536):
                answer += got
    return answer


def at_once(*acts: Callable[[], object]) -> None:
    threads = [threading.Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE * 2)
    assert not any(thread.is_alive() for thread in threads)


CHUNKED = "transfer-encoding: chunked"


@pytest.mark.parametrize("path", ["/sign-in", "/healthz", "/public/v1/flows/execute/flow_x"])
def test_trailers_without_end_cost_no_memory(server: LiveServer, terminal: Terminal, path: str) -> None:
    answers: list[bytes] = []

    def attack() -> None:
        beginning = head(path, CHUNKED) + b"1\r\na\r\n0\r\n"
        answers.append(poured(server, beginning, lambda number: b"x-%09d: %s\r\n" % (number, b"a" * 1000), 10 * MIB))

    with beside(server, terminal) as watch:
        at_once(*[attack] * 3)
    watch.check()
    assert len(answers) == 3


def test_one_trailer_without_end_costs_no_memory(server: LiveServer, terminal: Terminal) -> None:
    with beside(server, terminal) as watch:
        beginning = head("/sign-in", CHUNKED) + b"0\r\nx: "
        poured(server, beginning, lambda _number: b"a" * 60_000, 30 * MIB)
    watch.check()


def test_a_body_of_tiny_pieces_and_requests_in_a_heap_hold_nobody_up(server: LiveServer, terminal: Terminal) -> None:
    with beside(server, terminal) as watch:
        at_once(
            lambda: poured(server, head("/sign-in", CHUNKED), lambda _number: b"1\r\na\r\n" * 10_000, 10 * MIB),
            lambda: poured(server, b"", lambda _number: head("/healthz", method="GET") * 2000, 10 * MIB),
            lambda: poured(
                server, head("/healthz", CHUNKED), lambda _number: b"1;" + b"e" * 60_000 + b"\r\na\r\n", 10 * MIB
            ),
        )
    watch.check()


def test_a_call_that_another_server_may_read_in_another_manner_is_refused_and_the_connection_ends(
    server: LiveServer,
) -> None:
    """Request smuggling: data after such a request could be read as another user's request on the same proxy
    connection.
    """
    hidden = head("/healthz", method="GET")
    for framing in (
        ("transfer-encoding: chunked", f"content-length: {len(hidden)}"),
        ("transfer-encoding: gzip, chunked",),
        (f"content-length: {len(hidden)}", "content-length: 0"),
        ("host: other",),
    ):
        answer = poured(server, head("/public/v1/jobs", *framing) + b"0\r\n\r\n", lambda _number: hidden, len(hidden))
        assert answer.startswith(b"HTTP/1.1 400 "), framing
        assert b'"code":"malformed_request"' in answer
        assert answer.count(b"HTTP/1.1 ") == 1


def test_a_body_behind_a_wish_for_another_protocol_is_no_request(server: LiveServer) -> None:
    hidden = head("/healthz", method="GET")
    wish = head("/public/v1/jobs", "connection: upgrade", "upgrade: h2c", f"content-length: {len(hidden)}")
    with connected(server) as line:
        line.sendall(wish)
        line.sendall(hidden + head("/readyz", "connection: close", method="GET"))
        answer = b""
        while got := line.recv(65_536):
            answer += got
    assert answer.count(b"HTTP/1.1") == 2
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b'"status":"ready"' in answer


def test_a_form_that_drips_is_refused_in_words_after_ten_seconds(server: LiveServer) -> None:
    begun = time.monotonic()
    with connected(server) as line:
        line.sendall(head("/sign-in", "content-length: 1000", "content-type: application/x-www-form-urlencoded"))
        answer = b""
        line.settimeout(1)
        while b"</html>" not in answer and time.monotonic() - begun < PATIENCE:
            with contextlib.suppress(TimeoutError):
                answer += line.recv(65_536)
            with contextlib.suppress(ConnectionError):
                line.sendall(b"a")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"within 10 seconds" in answer


def test_a_form_that_is_too_long_is_refused_in_words(server: LiveServer) -> None:
    for path in ("/sign-in", "/setup/unknown", "/invite/unknown"):
        answer = httpx.post(f"{server.url}{path}", content=b"a" * 20_000, timeout=PATIENCE)
        assert answer.status_code == 413
        assert "16 KiB" in answer.text


@pytest.fixture(scope="module")
def small_server(tmp_path_factory: pytest.TempPathFactory, site: HoldingSite) -> Iterator[LiveServer]:
    """A server with a limit of 256 file descriptors."""
    data = tmp_path_factory.mktemp("small") / "data"
    env = {"FLOWPORT_OUTBOUND_ALLOW": site.origin.removeprefix("http://")}
    with live_server(data, owner=False, env=env, descriptors=DESCRIPTORS) as running:
        yield running
        assert "Traceback" not in running.log(), running.log()
        assert "Too many open files" not in running.log()


@pytest.fixture(scope="module")
def small_terminal(small_server: LiveServer) -> Iterator[Terminal]:
    made = Terminal(small_server)
    yield made
    made.close()


@pytest.mark.parametrize(
    "beginning",
    [
        head("/sign-in", "content-length: 1000") + b"email=",
        head("/setup/unknown", "content-length: 1000") + b"name=",
        head("/sign-in", method="GET")[:-2],
        b"",
        head("/public/v1/flows/execute/flow_x", "content-length: 1000", "content-type: application/json") + b"{",
    ],
    ids=["sign-in", "setup", "heads", "silence", "bodies"],
)
def test_three_hundred_connections_that_wait_shut_nobody_out(
    small_server: LiveServer, small_terminal: Terminal, beginning: bytes
) -> None:
    with beside(small_server, small_terminal) as watch, contextlib.ExitStack() as held:
        for _ in range(300):
            line = held.enter_context(connected(small_server))
            with contextlib.suppress(ConnectionError):
                line.sendall(beginning)
        for _ in range(5):
            assert httpx.get(f"{small_server.url}/sign-in", timeout=PATIENCE).status_code == 200
        taken = len(list(Path(f"/proc/{watch.pid}/fd").iterdir()))
    assert taken < DESCRIPTORS
    watch.check()


def test_calls_of_one_key_that_wait_leave_half_of_the_connections_to_others(
    small_server: LiveServer, small_terminal: Terminal, site: HoldingSite
) -> None:
    """This machine is a trusted proxy, so its address has no limit of its own. The server takes 80 connections."""
    small_terminal.set_plan("enterprise")  # other plans do not permit so many calls in a second
    caller = small_terminal.caller()
    flow_id = small_terminal.flow(one_node(fetch(), {"name": "url", "type": "string"}))
    job_id = caller.accepted(flow_id, {"url": site.hold("busy")})
    key = f"authorization: Bearer {caller.key}"
    waiting = [head(f"/public/v1/jobs/{job_id}{what}", key, method="GET") for what in ("/events", "?wait=60")]
    with beside(small_server, small_terminal) as watch, contextlib.ExitStack() as held:
        lines = [held.enter_context(connected(small_server)) for _ in range(40)]
        for line in lines:
            line.sendall(waiting[0])
            assert line.recv(65_536).startswith(b"HTTP/1.1 200 ")
        for request in waiting * 30:
            line = held.enter_context(connected(small_server))
            line.sendall(request)
            assert line.recv(65_536).startswith(b"HTTP/1.1 429 ")
        for path in ("/healthz", "/sign-in"):
            assert httpx.get(f"{small_server.url}{path}", timeout=PATIENCE).status_code == 200
        assert caller.job(job_id)["status"] == "processing"
    watch.check()
    site.let_go("busy")


def test_the_soft_limit_of_descriptors_is_raised_to_the_hard_one(server: LiveServer) -> None:
    assert server.process is not None
    limits = Path(f"/proc/{server.process.pid}/limits").read_text()
    soft, hard = next(line for line in limits.splitlines() if line.startswith("Max open files")).split()[3:5]
    assert int(soft) == min(int(hard), 65_536)
