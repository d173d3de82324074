"""The outbound client with real local servers: redirects, secrets, limits, time, TLS, proxy and pooled connections."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl
import tracemalloc
import zlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from engine.flow.node_http import SecretValue
from engine.outbound.client import (
    AddressNotAllowed,
    Answer,
    AnswerUnreadable,
    BadHeader,
    ConnectFailed,
    OutboundClient,
    OutboundFailed,
    OutboundRules,
    ResponseTooLarge,
    TimedOut,
    outbound_fault,
    parse_allow_list,
)
from tests.stand_ins.network import Names
from tests.stand_ins.web_server import answer, serve

pytestmark = pytest.mark.process

MIB = 1024 * 1024
SECRET = SecretValue("Shop token", "swordfish", ("127.0.0.1",))


@pytest.fixture
async def outbound():
    opened = OutboundClient(OutboundRules(parse_allow_list("127.0.0.1")))
    yield opened
    await opened.aclose()


async def says_hello(asked, write):
    await write(answer(200, b"hello", content_type="text/plain"))


def sends_on(to: str, status: int = 302):
    async def handler(asked, write):
        if asked.target == "/start":
            await write(answer(status, b"moved", location=to))
        else:
            await says_hello(asked, write)

    return handler


async def test_an_allowed_local_server_is_reached(outbound):
    async with serve(says_hello) as web:
        got = await outbound.request("get", web.url("/path?a=1"), query={"b": "2 3"}, headers={"X-Mine": "ü"})
    assert (got.status, got.body, got.text(), got.content_type) == (200, b"hello", "hello", "text/plain")
    assert (got.url, got.redirects) == (web.url("/path?a=1&b=2+3"), ())
    (asked,) = web.asked
    assert (asked.method, asked.target) == ("GET", "/path?a=1&b=2+3")
    assert asked.headers["x-mine"] == "ü"
    assert asked.headers["accept-encoding"] == "gzip, deflate"
    assert asked.headers["user-agent"].startswith("Flowport/")
    assert "cookie" not in asked.headers


async def test_without_the_list_the_same_server_is_refused():
    closed = OutboundClient()
    async with serve(says_hello) as web:
        for host in ("127.0.0.1", "localhost"):
            with pytest.raises(AddressNotAllowed):
                await closed.request("GET", web.url(host=host))
        assert web.connections == 0
    await closed.aclose()


async def test_only_the_allowed_port_of_a_machine_is_open():
    async with serve(says_hello) as one, serve(says_hello) as other:
        narrow = OutboundClient(OutboundRules(parse_allow_list(f"127.0.0.1:{one.port}")))
        assert (await narrow.request("GET", one.url())).status == 200
        with pytest.raises(AddressNotAllowed):
            await narrow.request("GET", other.url())
        await narrow.aclose()
        assert other.connections == 0


async def test_any_status_is_an_answer(outbound):
    async def broken(asked, write):
        await write(answer(503, b"later", retry_after="7"))

    async with serve(broken) as web:
        got = await outbound.request("GET", web.url())
    assert (got.status, got.headers["retry-after"]) == (503, "7")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_secrets_stay_behind_when_the_origin_changes(outbound, status):
    secret = {"X-Api-Key": SECRET}
    plain = {"Authorization": "Bearer swordfish", "Cookie": "session=swordfish", "X-Plain": "kept"}
    plain["Baggage"] = "customer=swordfish"  # data that the caller attached to a trace
    async with serve(says_hello) as other, serve(sends_on(other.url("/end"), status)) as first:
        got = await outbound.request("GET", first.url("/start"), headers=plain, secret_headers=secret)
    assert (got.url, got.redirects) == (other.url("/end"), (first.url("/start"),))
    assert first.asked[0].headers["authorization"] == "Bearer swordfish"
    assert first.asked[0].headers["x-api-key"] == "swordfish"
    (asked,) = other.asked
    assert "swordfish" not in str(asked.headers)
    assert asked.headers["x-plain"] == "kept"


async def test_secrets_do_not_return_after_a_detour(outbound):
    async with serve(says_hello) as home, serve(sends_on(home.url("/end"))) as detour:
        home_start = sends_on(detour.url("/start"))
        async with serve(home_start) as start:
            await outbound.request("GET", start.url("/start"), secret_headers={"X-Api-Key": SECRET})
    assert start.asked[0].headers["x-api-key"] == "swordfish"
    assert "x-api-key" not in detour.asked[0].headers
    assert "x-api-key" not in home.asked[0].headers


async def test_secrets_go_along_within_the_same_origin(outbound):
    async with serve(sends_on("/end")) as web:
        await outbound.request("GET", web.url("/start"), secret_headers={"X-Api-Key": SECRET})
    assert [asked.headers["x-api-key"] for asked in web.asked] == ["swordfish"] * 2


@pytest.mark.parametrize(
    ("method", "status", "becomes", "body"),
    [
        ("POST", 301, "GET", b""),
        ("POST", 302, "GET", b""),
        ("POST", 303, "GET", b""),
        ("PUT", 303, "GET", b""),
        ("PUT", 302, "PUT", b"data"),
        ("POST", 307, "POST", b"data"),
        ("POST", 308, "POST", b"data"),
        ("HEAD", 303, "HEAD", b""),
    ],
)
async def test_redirected_methods_follow_the_rules_of_browsers(outbound, method, status, becomes, body):
    async with serve(sends_on("/end", status)) as web:
        content = None if method == "HEAD" else b"data"
        await outbound.request(method, web.url("/start"), headers={"Content-Type": "text/plain"}, content=content)
    assert [asked.method for asked in web.asked] == [method, becomes]
    assert web.asked[1].body == body
    assert ("content-type" in web.asked[1].headers) == (becomes != "GET")


async def test_redirects_can_be_left_to_the_caller(outbound):
    async with serve(sends_on("/end")) as web:
        got = await outbound.request("GET", web.url("/start"), follow_redirects=False)
    assert (got.status, got.headers["location"], len(web.asked)) == (302, "/end", 1)


async def test_headers_about_the_connection_are_the_doors_own(outbound):
    theirs = {"Host": "evil.example", "Content-Length": "999", "Connection": "close", "Accept-Encoding": "br"}
    async with serve(says_hello) as web:
        await outbound.request("POST", web.url(), headers=theirs, content=b"data")
    (asked,) = web.asked
    assert asked.headers["host"] == f"127.0.0.1:{web.port}"
    assert asked.headers["content-length"] == "4"
    assert asked.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    "header", [("X-Evil", "a\r\nX-Other: b"), ("X Evil", "a"), ("", "a"), ("X-Nul", "a\0b"), ("X:", "a")]
)
async def test_a_header_that_would_break_the_request_is_refused(outbound, header):
    async with serve(says_hello) as web:
        with pytest.raises(BadHeader):
            await outbound.request("GET", web.url(), headers=dict([header]))
        assert web.asked == []


async def test_a_method_that_is_none_is_refused(outbound):
    async with serve(says_hello) as web:
        with pytest.raises(BadHeader):
            await outbound.request("GET / HTTP/1.1\r\nX-Evil: 1", web.url())
        assert web.asked == []


def bomb(mebibytes: int) -> bytes:
    """gzip of zeros, made of one repeated block so that the test need not compress all of them."""
    packer = zlib.compressobj(9, wbits=31)
    start = packer.compress(b"\0" * MIB) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b"\0" * MIB) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + block * (mebibytes - 1)


async def test_a_gzip_bomb_of_600_mb_ends_at_the_limit_and_stays_small(outbound):
    body = bomb(600)
    assert len(body) < MIB

    async def explodes(asked, write):
        await write(answer(200, body, content_encoding="gzip"))

    async with serve(explodes) as web:
        tracemalloc.start()
        try:
            with pytest.raises(ResponseTooLarge, match="larger than the 10 MiB that are read") as caught:
                await outbound.request("GET", web.url())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert caught.value.code == "response_too_large"
    assert peak < 20 * MIB


async def test_a_long_body_ends_at_the_limit(outbound):
    async def endless(asked, write):
        await write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await write(b"x" * 65_536)

    async with serve(endless) as web:
        with pytest.raises(ResponseTooLarge, match="larger than the 1 MiB"):
            await outbound.request("GET", web.url(), max_bytes=MIB)


async def test_a_slow_drip_ends_with_the_time_limit(outbound):
    async def drips(asked, write):
        await write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            await write(b"x")
            await asyncio.sleep(0.02)

    async with serve(drips) as web:
        with pytest.raises(TimedOut) as caught:
            await outbound.request("GET", web.url("/slow?token=swordfish"), timeout_seconds=0.3)
    assert (caught.value.code, caught.value.passing) == ("timed_out", True)
    assert "0.3 seconds" in caught.value.message
    assert "swordfish" not in caught.value.message


async def test_redirects_share_the_time_limit(outbound):
    async def slow_circle(asked, write):
        await asyncio.sleep(0.2)
        await write(answer(302, location="/again"))

    async with serve(slow_circle) as web:
        with pytest.raises(TimedOut):
            await outbound.request("GET", web.url(), timeout_seconds=0.5)


async def test_a_server_that_is_not_there_is_a_passing_fault(outbound):
    async with serve(says_hello) as web:
        url = web.url()
    with pytest.raises(ConnectFailed, match="does not take connections right now") as caught:
        await outbound.request("GET", url)
    assert (caught.value.code, caught.value.passing) == ("connect_failed", True)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"])
async def test_a_connection_that_breaks_off_is_a_passing_fault(outbound, sent):
    async def breaks(asked, write):
        if sent:
            await write(sent)
        raise ConnectionError

    async with serve(breaks) as web:
        with pytest.raises(ConnectFailed, match="broke off") as caught:
            await outbound.request("GET", web.url())
    assert caught.value.passing


async def test_a_server_that_speaks_no_http_is_said_so(outbound):
    async def greets(asked, write):
        await write(b"SSH-2.0-OpenSSH_9.9\r\n")

    async with serve(greets) as web:
        with pytest.raises(AnswerUnreadable, match=r"it is no HTTP/1\.1") as caught:
            await outbound.request("GET", web.url())
    assert not caught.value.passing


async def test_an_encoding_that_was_not_asked_for_is_said_so(outbound):
    async def brotli(asked, write):
        await write(answer(200, b"...", content_encoding="br"))

    async with serve(brotli) as web:
        with pytest.raises(AnswerUnreadable, match="packed as br"):
            await outbound.request("GET", web.url())


async def test_a_packed_body_comes_out_unpacked_and_its_headers_agree(outbound):
    async def packs(asked, write):
        await write(answer(200, zlib.compress(b"hello"), content_encoding="deflate"))

    async with serve(packs) as web:
        got = await outbound.request("GET", web.url())
    assert got.body == b"hello"
    assert "content-encoding" not in got.headers
    assert "content-length" not in got.headers


async def test_connections_are_used_again(outbound):
    async with serve(says_hello) as web:
        for _ in range(10):
            await outbound.request("GET", web.url())
        assert (len(web.asked), web.connections) == (10, 1)


async def test_a_connection_that_its_server_closed_is_not_used_again(outbound):
    closed = asyncio.Event()

    async def answers_once(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(200, b"hello"))  # without saying that it closes
        writer.close()
        await writer.wait_closed()
        closed.set()

    server = await asyncio.start_server(answers_once, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        for _ in range(2):
            closed.clear()
            assert (await outbound.request("GET", url)).body == b"hello"
            await closed.wait()


async def test_a_connection_that_sent_more_than_was_asked_is_not_used_again(outbound):
    asked, stray, ended = 0, asyncio.Event(), asyncio.Semaphore(0)

    async def sends_two(reader, writer):
        nonlocal asked
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                asked += 1
                writer.write(answer(200, b"mine %d" % asked))
                await asyncio.sleep(0.02)
                writer.write(answer(200, b"stray"))
                await writer.drain()
                stray.set()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        ended.release()

    server = await asyncio.start_server(sends_two, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        assert (await outbound.request("GET", url)).body == b"mine 1"
        await stray.wait()
        assert (await outbound.request("GET", url)).body == b"mine 2"
        await outbound.aclose()
        for _ in range(2):
            await ended.acquire()


async def test_idle_connections_are_few_and_end(outbound, monkeypatch):
    monkeypatch.setattr("engine.outbound.connection_pools._MAX_IDLE", 5)
    monkeypatch.setattr("engine.outbound.connection_pools._IDLE_SECONDS", 0.2)
    together = asyncio.Barrier(20)

    async def waits_for_all(asked, write):
        await together.wait()
        await says_hello(asked, write)

    async with serve(waits_for_all) as web:
        await asyncio.gather(*(outbound.request("GET", web.url(f"/{n}")) for n in range(20)))
        while web.open > 5:
            await asyncio.sleep(0.01)
        while web.open:
            await asyncio.sleep(0.01)


async def test_many_requests_run_at_once(outbound):
    together = asyncio.Barrier(100)

    async def waits_for_all(asked, write):
        await together.wait()
        await says_hello(asked, write)

    async with serve(waits_for_all) as web:
        answers = await asyncio.gather(*(outbound.request("GET", web.url(f"/{n}")) for n in range(100)))
    assert [got.status for got in answers] == [200] * 100


async def test_a_cancelled_request_ends_its_connection_and_nothing_else(outbound):
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def waits(asked, write):
        if asked.target == "/quick":
            return await says_hello(asked, write)
        arrived.set()
        try:
            while True:
                await asyncio.sleep(0.01)
                await write(b"")
        finally:
            gone.set()

    async with serve(waits) as web:
        asking = asyncio.create_task(outbound.request("GET", web.url("/slow")))
        await arrived.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await outbound.request("GET", web.url("/quick"))).status == 200
    assert gone.is_set()


async def test_nothing_is_taken_from_the_environment(outbound, monkeypatch, tmp_path):
    async with serve(says_hello) as trap, serve(says_hello) as web:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, trap.url())
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ann password swordfish")
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        await outbound.request("GET", web.url())
        async with outbound.client() as client:
            await client.get(web.url())
    assert len(web.asked) == 2
    assert trap.asked == []
    assert all("authorization" not in asked.headers for asked in web.asked)


async def test_a_company_proxy_is_used_for_the_web_and_not_for_the_inside():
    async with serve(says_hello) as proxy, serve(says_hello) as inside:
        names = Names({"example.com": [["93.184.216.34"]], "leads-inside.example.com": [["10.0.0.1"]]})
        rules = OutboundRules(parse_allow_list("127.0.0.1"), proxy=f"http://ann:pass@127.0.0.1:{proxy.port}")
        opened = OutboundClient(rules, names)
        await opened.request("GET", "http://example.com/page")
        await opened.request("GET", "http://known-to-the-proxy.example.com/")
        await opened.request("GET", inside.url())
        for closed in (
            "http://10.0.0.1/",
            "http://nas.lan/",
            "http://leads-inside.example.com/",
            "http://example.com:22/",
        ):
            with pytest.raises(AddressNotAllowed):
                await opened.request("GET", closed)
        await opened.aclose()
    assert [asked.target for asked in proxy.asked] == [
        "http://example.com/page",
        "http://known-to-the-proxy.example.com/",
    ]
    assert proxy.asked[0].headers["proxy-authorization"].startswith("Basic ")
    assert len(inside.asked) == 1
    assert "proxy-authorization" not in inside.asked[0].headers
    assert "pass" not in repr(rules)


def certificate(tmp_path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Returns a server context with a certificate for `name`, and a client context that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "both.pem").write_bytes(pem + private)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "both.pem")
    return server, ssl.create_default_context(cadata=pem.decode())


async def test_tls_is_verified_against_the_name_while_the_checked_address_is_dialled(tmp_path):
    server, trusting = certificate(tmp_path, "shop.example.com")
    names = Names({"shop.example.com": [["127.0.0.1"]], "other.example.com": [["127.0.0.1"]]})
    async with serve(says_hello, server) as web:
        opened = OutboundClient(OutboundRules(parse_allow_list("*.example.com")), names, tls=trusting)
        got = await opened.request("GET", web.url(host="shop.example.com"))
        assert got.status == 200
        assert web.asked[0].headers["host"] == f"shop.example.com:{web.port}"
        with pytest.raises(ConnectFailed, match="could not prove who it is") as caught:
            await opened.request("GET", web.url(host="other.example.com"))
        await opened.aclose()
        assert not caught.value.passing
        suspicious = OutboundClient(OutboundRules(parse_allow_list("*.example.com")), names)
        with pytest.raises(ConnectFailed, match="could not prove who it is"):
            await suspicious.request("GET", web.url(host="shop.example.com"))
        await suspicious.aclose()
    assert len(web.asked) == 1


@pytest.mark.parametrize(
    ("header", "body", "text"),
    [
        ("text/html; charset=ISO-8859-1", b"caf\xe9", "café"),
        ('Text/HTML;charset="UTF-8"', "café".encode(), "café"),
        ("text/html", "\ufeffcafé".encode(), "café"),
        ("text/html", '<meta charset="cp1251">Да'.encode("cp1251"), '<meta charset="cp1251">Да'),
        ("application/json", '"<meta charset=cp1251>é"'.encode(), '"<meta charset=cp1251>é"'),
        ("text/html; charset=no-such", "café".encode(), "café"),
        ("text/html; charset=idna", "café".encode(), "café"),
        ("", b"\xff", "ÿ"),
    ],
)
def test_an_answer_knows_its_text(header, body, text):
    got = Answer("http://example.com/", 200, {"content-type": header}, body)
    assert got.text() == text
    assert got.content_type == header.split(";")[0].lower()


async def test_a_client_for_model_sdks_is_guarded_and_unpacked():
    async def packs(asked, write):
        await write(
            answer(200, zlib.compress(b'{"ok": true}'), content_encoding="deflate", content_type="application/json")
        )

    async with serve(packs) as web:
        opened = OutboundClient()
        async with opened.client(parse_allow_list(f"127.0.0.1:{web.port}")) as client:
            got = await client.post(web.url("/v1/chat"), json={"q": 1})
            assert got.json() == {"ok": True}
            with pytest.raises(AddressNotAllowed):
                await client.get("http://127.0.0.1:9/")
        async with opened.client() as stranger:
            with pytest.raises(AddressNotAllowed) as caught:
                await stranger.get(web.url())
        assert outbound_fault(caught.value) is caught.value
        await opened.aclose()
    assert (len(web.asked), web.asked[0].body) == (1, b'{"q":1}')


async def test_a_client_for_model_sdks_follows_no_redirect_and_stops_a_bomb(outbound):
    async def both(asked, write):
        if asked.target == "/start":
            await write(answer(302, location="/bomb"))
        else:
            await write(answer(200, bomb(20), content_encoding="gzip"))

    async with serve(both) as web, outbound.client() as client:
        assert (await client.get(web.url("/start"))).status_code == 302
        with pytest.raises(ResponseTooLarge):
            await client.get(web.url("/bomb"))
        async with client.stream("GET", web.url("/start")) as streamed:
            assert streamed.status_code == 302
        assert (await client.get(web.url("/start"))).status_code == 302


async def test_a_fault_below_an_sdks_own_error_is_found(outbound):
    inner = ConnectFailed("no")
    outer = RuntimeError("Connection error.")
    outer.__cause__ = inner
    assert outbound_fault(outer) is inner
    assert outbound_fault(RuntimeError("other")) is None
    assert issubclass(ConnectFailed, OutboundFailed)


async def test_rules_that_are_the_same_keep_pooled_connections_and_new_ones_do_not(outbound):
    async with serve(says_hello) as web:
        for rules in ("127.0.0.1", "127.0.0.1", "127.0.0.1,10.0.0.1"):
            outbound.replace_rules(OutboundRules(parse_allow_list(rules)))
            await outbound.request("GET", web.url())
    assert (len(web.asked), web.connections) == (3, 2)
