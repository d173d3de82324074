from __future__ import annotations

import pytest

from engine.core.settings import Settings
from ui.allowed_origins import Origins

PUBLIC = Settings(public_url="https://flows.example.com", allowed_origins=("http://tools.lan:3000",))


@pytest.mark.parametrize(
    ("settings", "origin", "scheme", "host", "let_in"),
    [
        (Settings(), "http://localhost:8080", "http", "localhost:8080", True),
        (Settings(), "http://LOCALHOST:8080", "http", "localhost:8080", True),
        (Settings(), "http://10.0.0.5", "http", "10.0.0.5:80", True),
        (Settings(), "http://[::1]:8080", "http", "[::1]:8080", True),
        (Settings(), "http://flows.lan:8080", "http", "flows.lan:8080", False),
        (Settings(), "http://localhost:8081", "http", "localhost:8080", False),
        (Settings(), "https://localhost:8080", "http", "localhost:8080", False),
        (Settings(), "null", "http", "localhost:8080", False),
        (Settings(), "http://evil.example", "http", "localhost:8080", False),
        (Settings(), "http://localhost:bad", "http", "localhost:8080", False),
        (Settings(), "http://[", "http", "localhost:8080", False),
        (Settings(), "http://[", "http", "[", False),
        (Settings(), "http://localhost:bad", "http", "localhost:bad", False),
        (PUBLIC, "https://flows.example.com", "http", "127.0.0.1:8080", True),
        (PUBLIC, "https://flows.example.com:443", "http", "127.0.0.1:8080", True),
        (PUBLIC, "http://tools.lan:3000", "http", "127.0.0.1:8080", True),
        (PUBLIC, "https://flows.example.com.evil.example", "https", "flows.example.com.evil.example", False),
        (PUBLIC, "http://localhost:8080", "http", "localhost:8080", True),
    ],
)
def test_a_page_of_this_server_is_let_in_and_no_other(settings, origin, scheme, host, let_in):
    assert Origins(settings).accepts(origin, scheme, host) is let_in


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://Flows.Example.com", "https://flows.example.com"),
        ("https://flows.example.com:443", "https://flows.example.com"),
        ("http://flows.example.com:80/path", "http://flows.example.com"),
        ("https://büro.example", "https://xn--bro-hoa.example"),
    ],
)
def test_an_address_is_one_however_it_is_written(address, origin):
    scheme, _, host = origin.partition("://")
    assert Origins(Settings(public_url=address)).accepts(origin, scheme, "127.0.0.1:8080")
    assert Origins(Settings(allowed_origins=(address,))).accepts(origin, scheme, host)
    known = address.partition("://")[2].partition("/")[0]
    assert Origins(Settings()).accepts(origin, scheme, host, [known])
    assert not Origins(Settings()).accepts(f"{origin}:8443", scheme, f"{host}:8443", [f"{host}:8444"])


def test_the_name_the_owner_opened_is_let_in():
    assert Origins(Settings()).accepts("http://flows.lan:8080", "http", "flows.lan:8080", ["flows.lan:8080"])
    assert not Origins(Settings()).accepts("http://other.lan:8080", "http", "other.lan:8080", ["flows.lan:8080"])


def test_a_name_with_a_port_is_let_in_at_that_port_alone():
    for known in ("flows.lan:80", "flows.lan:9998"):
        assert not Origins(Settings()).accepts("http://flows.lan:9999", "http", "flows.lan:9999", [known])
    assert Origins(Settings()).accepts("http://flows.lan:9999", "http", "flows.lan:9999", ["flows.lan"])
