"""S11: the owner's allow-list of addresses beyond the public internet."""

from __future__ import annotations

import pytest

from engine.outbound.client import allowed_origin, parse_allow_list


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", []),
        (" , ,\n", []),
        ("nas.lan", ["nas.lan"]),
        ("NAS.lan.", ["nas.lan"]),
        ("nas.lan, *.corp:8080 ,10.0.0.0/8", ["nas.lan", "*.corp:8080", "10.0.0.0/8"]),
        ("nas.lan\nollama:11434", ["nas.lan", "ollama:11434"]),
        ("nas.lan,nas.lan", ["nas.lan"]),
        ("my_host", ["my_host"]),
        ("10.0.0.5", ["10.0.0.5"]),
        ("10.0.0.5:3000", ["10.0.0.5:3000"]),
        ("10.0.0.0/8:3000", ["10.0.0.0/8:3000"]),
        ("::1", ["::1"]),
        ("[::1]", ["::1"]),
        ("[::1]:3000", ["[::1]:3000"]),
        ("fd00::/8", ["fd00::/8"]),
        ("[fd00::/8]:80", ["[fd00::/8]:80"]),
        ("[fd00::]/8:80", ["[fd00::/8]:80"]),
        ("bücher.example", ["xn--bcher-kva.example"]),
    ],
)
def test_entries_are_read_and_shown(text, entries):
    assert [str(entry) for entry in parse_allow_list(text)] == entries


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("https://nas.lan/", "Write only the host"),
        ("nas.lan/files", "Write only the host"),
        ("nas.lan:", "Ports are whole numbers"),
        ("nas.lan:0", "Ports are whole numbers"),
        ("nas.lan:70000", "Ports are whole numbers"),
        ("nas.lan:http", "Ports are whole numbers"),
        ("[::1]:x", "Ports are whole numbers"),
        ("*", "would allow everything"),
        ("*:80", "would allow everything"),
        ("a.*.lan", "A `*` may stand only at the start"),
        ("nas lan", "is not a name"),
        ("-nas.lan", "is not a name"),
        ("user@nas.lan", "is not a name"),
        ("10.0.0.5/8", "Did you mean `10.0.0.0/8`?"),
        ("10.0.0.256", "is not an IP address or network"),
        ("127.1", "is not an IP address or network"),
        ("0x7f000001", "is not an IP address or network"),
        ("10.0.0.0/40", "is not an IP address or network"),
        ("fd00::g", "is not an IP address or network"),
        ("fd00::1/8", "Did you mean `fd00::/8`?"),
        ("[::1", "cannot be read"),
        ("nas.lan, ok.lan, 10.0.0.5/8", "`10.0.0.5/8`"),
    ],
)
def test_a_wrong_entry_is_named_with_what_to_write_instead(text, says):
    with pytest.raises(ValueError) as caught:
        parse_allow_list(text)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("url", "entry"),
    [
        ("https://api.example.com/v1", "api.example.com:443"),
        ("http://localhost:11434/v1", "localhost:11434"),
        ("http://10.0.0.5/v1", "10.0.0.5:80"),
        ("http://[::1]:8000/v1", "[::1]:8000"),
        ("http://ollama:11434", "ollama:11434"),
    ],
)
def test_a_base_url_allows_exactly_its_host_and_port(url, entry):
    assert str(allowed_origin(url)) == entry


@pytest.mark.parametrize("url", ["", "api.example.com", "ftp://example.com", "http:///v1", "http://[::1/v1"])
def test_a_base_url_that_is_no_web_address_is_refused(url):
    with pytest.raises(ValueError, match="is not a web address"):
        allowed_origin(url)
