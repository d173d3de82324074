"""WebSockets and uploads belong to the session that opened the page; the server checks sizes itself (S18, S22, S29)."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.factories import as_bytes, greeting
from tests.live.caller import Terminal
from tests.live_server import EMAIL, PASSWORD, LiveServer, live_server
from tests.security.beside import beside

pytestmark = pytest.mark.process

MIB = 1024 * 1024
FORM = {"content-type": "multipart/form-data; boundary=edge"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("pages") / "data") as running:
        yield running
        assert "Traceback" not in running.log(), running.log()


@dataclass
class Browser:
    """A signed-in person, as an HTTP client."""

    http: httpx.Client
    server: LiveServer

    @property
    def cookie(self) -> str:
        return self.http.cookies["flowport_session"]

    def open(self, path: str = "/flows") -> Page:
        """Opens a page without its WebSocket."""
        text = self.http.get(path).text
        client_id = re.search(r"client_id\W+([0-9a-f-]{36})", text)
        assert client_id, text[-3000:]
        elements = json.loads(_unescaped(re.search(r"String\.raw`(.*?)`", text, re.DOTALL)[1]))  # type: ignore[index]
        urls = [url for one in elements.values() if "/upload/" in (url := str(one.get("props", {}).get("url", "")))]
        return Page(client_id[1], urls[0] if urls else "", elements)


@dataclass
class Page:
    client_id: str
    upload: str
    elements: dict[str, Any]


def _unescaped(text: str) -> str:
    for short, letter in (("&#36;", "$"), ("&#96;", "`"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(short, letter)
    return text


@contextlib.contextmanager
def signed_in(server: LiveServer) -> Iterator[Browser]:
    with httpx.Client(base_url=server.url, headers={"origin": server.url}, timeout=60) as http:
        assert http.post("/sign-in", data={"email": EMAIL, "password": PASSWORD}).status_code == 303
        yield Browser(http, server)


@pytest.fixture(scope="module")
def owner(server: LiveServer) -> Iterator[Browser]:
    with signed_in(server) as browser:
        yield browser


@pytest.fixture(scope="module")
def other(server: LiveServer) -> Iterator[Browser]:
    """Another session of the same person."""
    with signed_in(server) as browser:
        yield browser


def file_of(content: bytes, name: str = "greeting.json", headers: bytes = b"") -> bytes:
    head = b'--edge\r\ncontent-disposition: form-data; name="file"; filename="' + name.encode() + b'"\r\n'
    return head + headers + b"content-type: application/json\r\n\r\n" + content + b"\r\n--edge--\r\n"


def flows(server: LiveServer) -> int:
    return len(json.loads(server.run("flows", "list", "--json").stdout))


@contextlib.contextmanager
def joined(browser: Browser, page: Page, *, named: bool = True, origin: str = "") -> Iterator[ClientConnection]:
    """The WebSocket of a page, after the server accepted it."""
    query = "EIO=4&transport=websocket&implicit_handshake=true&next_message_id=0&tab_id=tab&document_id=document"
    query += f"&client_id={page.client_id}" if named else ""
    with connect(
        f"{browser.server.url.replace('http', 'ws')}/_nicegui_ws/socket.io/?{query}",
        additional_headers={"cookie": f"flowport_session={browser.cookie}"},
        origin=origin or browser.server.url,  # type: ignore[arg-type]
        proxy=None,
    ) as line:
        assert str(line.recv(timeout=30)).startswith("0")
        line.send("40")
        yield line


def said(line: ClientConnection) -> str:
    """Returns the first message that is not a ping."""
    while (text := str(line.recv(timeout=15))) == "2":  # pings are more than 15 seconds apart
        line.send("3")
    return text


def test_the_page_itself_gets_its_socket(owner: Browser) -> None:
    with joined(owner, owner.open()) as line:
        assert said(line).startswith("40")


@pytest.mark.parametrize("named", [True, False], ids=["named in the address", "not named"])
def test_another_session_does_not_get_the_socket_of_a_page(owner: Browser, other: Browser, named: bool) -> None:
    page = owner.open()
    with joined(other, page, named=named) as line:
        assert said(line).startswith("44")
    unknown = Page("00000000-0000-4000-8000-000000000000", "", {})
    with joined(other, page) as line, joined(other, unknown) as nobodys:
        assert said(line) == said(nobodys)


def test_a_socket_of_one_page_sends_no_event_of_another(owner: Browser, other: Browser) -> None:
    """A log event represents all events: NiceGUI looks up the page in the same way for each."""
    page, own = owner.open(), other.open()
    with joined(owner, page) as watching, joined(other, own) as attacking:
        assert said(watching).startswith("40")
        assert said(attacking).startswith("40")
        log = {"client_id": page.client_id, "level": "error", "message": "written by somebody else"}
        attacking.send("42" + json.dumps(["log", log]))
        attacking.send("42" + json.dumps(["handshake", _handshake(page)]))
        attacking.send("42" + json.dumps(["log", {**log, "client_id": own.client_id, "message": "a line of its own"}]))
        _wait(lambda: "a line of its own" in owner.server.log())
    assert "written by somebody else" not in owner.server.log()


def _handshake(page: Page) -> dict[str, Any]:
    return {"client_id": page.client_id, "tab_id": "tab", "document_id": "document", "next_message_id": 0}


def test_a_stranger_and_a_foreign_origin_get_no_socket(owner: Browser) -> None:
    page = owner.open()
    with pytest.raises(InvalidStatus), joined(owner, page, origin="http://evil.example"):
        pass
    made_up = httpx.Client(cookies={"flowport_session": "made-up"})
    with made_up as http, pytest.raises(InvalidStatus), joined(Browser(http, owner.server), page):
        pass


def test_pages_that_nobody_looks_at_do_not_fill_the_server(server: LiveServer) -> None:
    with signed_in(server) as crowd, signed_in(server) as neighbour:
        answers = [crowd.http.get("/settings/about") for _ in range(45)]
        assert [answer.status_code for answer in answers].count(429) >= 5
        assert "Wait a minute" in answers[-1].text
        assert "href='/flows'" not in answers[-1].text, "another page would be refused like this one"
        assert neighbour.http.get("/settings/about").status_code == 200


def test_a_message_of_a_socket_is_bounded(owner: Browser, terminal: Terminal) -> None:
    page = owner.open()
    with beside(owner.server, terminal) as watch:
        for _ in range(3):
            with joined(owner, page) as line, contextlib.suppress(ConnectionClosed):
                line.send("42" + "a" * (15 * MIB))
                while True:
                    line.recv(timeout=30)
    watch.check(grown_mib=30)  # the page itself, and the four million characters received before the limit applies


def test_a_file_comes_from_the_page_it_was_chosen_on(server: LiveServer, owner: Browser, other: Browser) -> None:
    page, before = owner.open(), flows(server)
    body = file_of(as_bytes(greeting()))
    assert other.http.post(page.upload, content=body, headers=FORM).status_code == 404
    assert httpx.post(f"{server.url}{page.upload}", content=body, headers=FORM).status_code == 401
    foreign = {**FORM, "origin": "http://evil.example"}
    assert owner.http.post(page.upload, content=body, headers=foreign).status_code == 403
    assert flows(server) == before
    assert owner.http.post(page.upload, content=body, headers=FORM).status_code == 200
    _wait(lambda: flows(server) == before + 1)


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "in chunks"])
def test_a_file_that_is_too_large_is_not_read(owner: Browser, terminal: Terminal, announced: bool) -> None:
    page = owner.open()
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        yield file_of(b"")[: -len(b"\r\n--edge--\r\n")]
        for _ in range(300):
            sent += MIB
            yield b"a" * MIB

    headers = {**FORM, "content-length": str(301 * MIB)} if announced else FORM
    with beside(owner.server, terminal) as watch:
        status = _posted(owner, page.upload, headers, pieces())
    watch.check()
    assert status == 413
    assert sent < 300 * MIB


@pytest.mark.parametrize(
    "body",
    [
        b"".join(
            b'--edge\r\ncontent-disposition: form-data; name="f"; filename="a"\r\n\r\n\r\n' for _ in range(12_000)
        ),
        b"".join(b'--edge\r\ncontent-disposition: form-data; name="f"\r\n\r\na\r\n' for _ in range(15_000)),
        file_of(b"{}", headers=b"a:b\r\n" * 180_000),
        file_of(b"{}", headers=b"a:" + b"b" * 900_000 + b"\r\n"),
        b"no form at all",
    ],
    ids=["many files", "many fields", "many headers", "a long header", "no form"],
)
def test_what_is_no_single_file_is_refused(owner: Browser, terminal: Terminal, body: bytes) -> None:
    page = owner.open()
    with beside(owner.server, terminal) as watch:
        threads = [
            threading.Thread(target=owner.http.post, args=(page.upload,), kwargs={"content": body, "headers": FORM})
        ]
        for thread in threads:
            thread.start()
        answer = owner.http.post(page.upload, content=body, headers=FORM)
        for thread in threads:
            thread.join()
    watch.check()
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/change-password", "/setup/x", "/invite/x"])
def test_a_form_of_another_site_does_nothing(server: LiveServer, owner: Browser, path: str) -> None:
    for foreign in ({"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        answer = owner.http.post(path, headers=foreign, data={"email": EMAIL, "password": PASSWORD})
        assert answer.status_code == 403
        assert "not sent from here" in answer.text
    assert owner.http.get("/flows").status_code == 200


def test_a_page_runs_only_scripts_that_carry_its_mark(owner: Browser) -> None:
    first, second = owner.http.get("/flows"), owner.http.get("/flows")
    marks = [
        re.search(r"script-src 'self' 'nonce-([\w-]+)'", page.headers["content-security-policy"])
        for page in (first, second)
    ]
    assert all(marks)
    assert marks[0][1] != marks[1][1]  # type: ignore[index]
    policy = first.headers["content-security-policy"]
    assert "'unsafe-inline'" not in policy.split("script-src")[1]
    inline = re.findall(r"<script(?![^>]*\ssrc=)[^>]*>", first.text)
    assert inline
    assert all(f'nonce="{marks[0][1]}"' in tag for tag in inline)  # type: ignore[index]
    for path in ("/docs", "/sign-in", "/change-password"):
        assert (
            owner.http.get(path, follow_redirects=False)
            .headers["content-security-policy"]
            .endswith("script-src 'self'")
        )


def _posted(browser: Browser, path: str, headers: dict[str, str], pieces: Iterator[bytes]) -> int:
    """Sends pieces until the server answers; returns the status."""
    chunked = "content-length" not in headers
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1:" + str(browser.server.port), f"origin: {browser.server.url}"]
    lines += [f"cookie: flowport_session={browser.cookie}", *(f"{name}: {value}" for name, value in headers.items())]
    lines += ["transfer-encoding: chunked"] if chunked else []
    with socket.create_connection(("127.0.0.1", browser.server.port), timeout=60) as line:
        line.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        line.setblocking(True)
        for piece in pieces:
            line.settimeout(0.001)
            with contextlib.suppress(TimeoutError):
                if answer := line.recv(65_536):
                    return int(answer.split(b" ")[1])
            line.settimeout(60)
            line.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n" if chunked else piece)
        return 0


def _wait(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
