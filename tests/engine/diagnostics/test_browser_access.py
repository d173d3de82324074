"""Checks of proxy, https and host name, judged from the request of a page."""

from __future__ import annotations

import pytest

from engine.core.settings import Settings
from engine.diagnostics.browser_access import Opened, check_way_in

PROXIED = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}


@pytest.mark.parametrize(
    ("public_url", "opened", "states", "fix"),
    [
        ("", Opened("http", "localhost:8080", "127.0.0.1", {}, origin="http://localhost:8080"), ["ok", "ok"], ""),
        ("", Opened("http", "192.168.1.5:8080", "192.168.1.7", {}), ["ok", "ok"], ""),
        ("https://flows.example.com", Opened("https", "flows.example.com", "203.0.113.9", PROXIED, origin="https://flows.example.com"), ["ok", "ok"], ""),
        ("https://flows.example.com", Opened("http", "127.0.0.1:8080", "127.0.0.1", {}, origin="http://127.0.0.1:8080"), ["ok", "ok"], ""),
        ("https://flows.example.com", Opened("https", "flows.lan", "10.0.0.7", {}, origin="https://flows.lan"), ["note", "ok"], ""),
        ("", Opened("http", "flows.example.com", "172.18.0.2", PROXIED, origin="https://flows.example.com"), ["ok", "bad"], "FLOWPORT_TRUSTED_PROXIES"),
        ("", Opened("http", "flows.example.com", "172.18.0.2", {"x-forwarded-for": "203.0.113.9"}, origin="https://flows.example.com"), ["ok", "bad"], "X-Forwarded-Proto"),
        ("", Opened("http", "flows.lan", "172.18.0.2", {"x-forwarded-for": "10.0.0.7"}, trusted=False, origin="http://flows.lan"), ["ok", "warn"], "172.18.0.2"),
        ("", Opened("http", "flows.lan", "10.0.0.1", {"x-forwarded-for": "10.0.0.12"}, trusted=False, origin="http://flows.lan"), ["ok", "warn"], "10.0.0.1"),
        ("", Opened("http", "flows.lan", "127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, trusted=False, origin="http://flows.lan"), ["ok", "warn"], "127.0.0.1"),
        ("", Opened("http", "flows.lan", "10.0.0.7", {"x-forwarded-for": "10.0.0.7:5123, 10.0.0.2"}, origin="http://flows.lan"), ["ok", "ok"], ""),
        ("", Opened("http", "flows.lan", "2001:db8::7", {"x-forwarded-for": "[2001:db8::7]:5123"}, origin="http://flows.lan"), ["ok", "ok"], ""),
        ("", Opened("http", "upstream:8080", "10.0.0.7", {"x-forwarded-for": "10.0.0.7"}, origin="http://flows.lan"), ["warn", "ok"], "FLOWPORT_ALLOWED_ORIGINS"),
    ],
    ids=["localhost", "an address in the LAN", "a trusted proxy", "beside the proxy", "another name", "https by a proxy that is not trusted", "a proxy that does not say https", "http by a proxy that is not trusted", "a proxy whose address is the beginning of another", "a proxy and a browser on this machine", "an address with a port", "an IPv6 address with a port", "the host is not handed on"],
)  # fmt: skip
def test_the_way_in(public_url: str, opened: Opened, states: list[str], fix: str) -> None:
    lines = list(check_way_in(Settings(public_url=public_url), opened))
    assert [line.name for line in lines] == ["Socket origin", "Proxy headers"]
    assert [line.state for line in lines] == states, lines
    assert fix in " ".join(line.fix for line in lines)
    assert all(line.fix for line in lines if line.state in {"warn", "bad"})
