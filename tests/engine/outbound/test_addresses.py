"""S10 to S14: what the outbound client refuses and permits, and that it never connects to a forbidden address.

No network is used.
"""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from engine.outbound.addresses import is_public
from engine.outbound.client import (
    AddressNotAllowed,
    BadUrl,
    ConnectFailed,
    OutboundClient,
    OutboundRefused,
    OutboundRules,
    TooManyRedirects,
    parse_allow_list,
)
from tests.stand_ins.network import Names, RecordedNetwork

PUBLIC = "93.184.216.34"
PUBLIC_6 = "2606:2800:220:1::1"

#: Literal hosts that are private addresses in various spellings; requested with http.
CLOSED_HOSTS = """
    127.0.0.1 127.0.0.53 127.255.255.254 127.1 127.0.1 0 0.0.0.0 0.0.0.1 0x7f000001 0x7f.0.0.1 0x7f.1 0X7F000001 2130706433
    017700000001 127.0.0.1. 3232235521 0xC0A80001 0xa9fea9fe 2852039166
    10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.254 192.168.0.1 192.168.255.255 169.254.1.1 169.254.169.254 169.254.170.2
    168.63.129.16 100.64.0.1 100.100.100.200 100.127.255.255 192.0.0.1 192.0.0.9 192.0.0.192 192.0.2.1 198.51.100.7 203.0.113.9
    198.18.0.1 198.19.255.255 192.88.99.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
    [::] [::1] [0:0:0:0:0:0:0:1] [::127.0.0.1] [::7f00:1] [::8.8.8.8] [::ffff:127.0.0.1] [::ffff:7f00:1] [::ffff:10.0.0.1]
    [::ffff:169.254.169.254] [::ffff:8.8.8.8] [::ffff:0:127.0.0.1] [64:ff9b::127.0.0.1] [64:ff9b::a9fe:a9fe] [64:ff9b::8.8.8.8]
    [64:ff9b:1::1] [2002:7f00:1::] [2002:a00:1::1] [2002:c0a8:1::1] [2002:808:808::1] [2001::1] [2001:0:7f00:1::1] [2001:2::1]
    [2001:10::1] [2001:20::1] [2001:db8::1] [3fff::1] [5f00::1] [100::1] [fc00::1] [fd00::1] [fd00:ec2::254] [fd20:ce::254]
    [fe80::1] [fe80::1%25eth0] [febf::1] [fec0::1] [feff::1] [ff02::1] [ff0e::1] [4000::1] [e000::1]
""".split()  # noqa: SIM905 - a table of words

#: Host names that are refused before any DNS query.
CLOSED_NAMES = """
    localhost LOCALHOST localhost. localhost.localdomain a.localhost intranet router metadata printer.local nas.lan app.internal
    metadata.google.internal db.corp wiki.intranet box.home gw.home.arpa 1.0.0.127.in-addr.arpa hidden.onion api.default.svc
    kubernetes.default.svc.cluster.local web.private host.localdomain site.i2p x.alt
""".split()  # noqa: SIM905 - a table of words

#: URLs that no allow-list entry can permit.
BAD_URLS = [
    "",
    "   ",
    "example.com",
    "//example.com/",
    "/path",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "javascript:alert(1)",
    "data:text/html,hi",
    "ws://example.com/",
    "http://",
    "http:///path",
    "http://./",
    "http://user:password@example.com/",
    "http://user@example.com/",
    "http://@example.com/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1\\@example.com/",
    "http://example.com\\.evil.example/",
    "http://exa\tmple.com/",
    "http://example.com/\r\nX-Evil: 1",
    "http://example.com/\x00",
    "http://exa mple.com/",
    "http://%31%32%37.0.0.1/",
    "http://127.0.0.1%2f@example.com/",
    "http://a..example.com/",
    "http://-a.example.com/",
    "http://①②⑦.0.0.1/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "http://0177.0.0.1/",
    "http://0177.0.0.01/",
    "http://127.000.000.001/",
    "http://00000000177.0.0.1/",
    "http://256.256.256.256/",
    "http://example.com:0/",
    "http://example.com:99999/",
    "http://example.com:abc/",
    "http://[::1/",
    f"http://{'a' * 64}.example.com/",
    f"http://example.com/{'a' * 9_000}",
]

CLOSED_PORTS = [1, 22, 23, 25, 53, 110, 443 + 1, 2375, 3306, 5432, 6379, 8000, 9200, 11211, 11434, 27017, 65535]

#: Public host names with at least one private address.
LEADS_INSIDE = {
    "one.example.com": ["127.0.0.1"],
    "two.example.com": ["10.1.2.3"],
    "three.example.com": ["169.254.169.254"],
    "four.example.com": ["::1"],
    "five.example.com": ["fd12:3456::1"],
    "six.example.com": ["::ffff:192.168.1.1"],
    "seven.example.com": ["64:ff9b::a00:1"],
    "eight.example.com": ["100.64.3.2"],
    "nine.example.com": ["168.63.129.16"],
    "ten.example.com": ["0.0.0.0"],
    "mixed-last.example.com": [PUBLIC, "127.0.0.1"],
    "mixed-first.example.com": ["10.0.0.1", PUBLIC],
    "mixed-families.example.com": [PUBLIC, "fe80::1"],
    "mixed-many.example.com": [PUBLIC] * 9 + ["192.168.0.1"],
    "scoped.example.com": ["fe80::1%eth0"],
}


def outbound(
    network: RecordedNetwork, names: Names | None = None, allow: str = "", ports: tuple[int, ...] = ()
) -> OutboundClient:
    return OutboundClient(OutboundRules(parse_allow_list(allow), extra_ports=ports), names or Names(), network)


async def refused(url: str, names: Names | None = None, allow: str = "") -> OutboundRefused:
    network, names = RecordedNetwork(), names or Names()
    opened = outbound(network, names, allow)
    with pytest.raises(OutboundRefused) as caught:
        await opened.request("GET", url)
    await opened.aclose()
    assert network.dialled == []
    return caught.value


@pytest.mark.parametrize("host", CLOSED_HOSTS)
async def test_an_address_inside_is_refused_in_every_spelling(host):
    names = Names({host: [["127.0.0.1"]]})
    refusal = await refused(f"http://{host}/", names)
    assert refusal.code == "address_not_allowed"
    assert names.looked_up == []


@pytest.mark.parametrize("name", CLOSED_NAMES)
async def test_a_name_of_an_internal_network_is_refused_before_any_look_up(name):
    names = Names({name: [[PUBLIC]]})
    refusal = await refused(f"https://{name}/", names)
    assert refusal.code == "address_not_allowed"
    assert names.looked_up == []


@pytest.mark.parametrize("url", BAD_URLS)
async def test_what_is_no_plain_web_address_is_refused(url):
    names = Names({"example.com": [[PUBLIC]]})
    assert (await refused(url, names)).code == "bad_url"
    assert names.looked_up == []


async def test_an_address_whose_numbers_are_no_host_is_told_so():
    assert "its host or its port cannot be read" in (await refused("http://1.2.3.256/")).message


@pytest.mark.parametrize("port", CLOSED_PORTS)
async def test_a_port_that_is_not_for_the_web_is_refused(port):
    refusal = await refused(f"http://example.com:{port}/", Names({"example.com": [[PUBLIC]]}))
    assert refusal.code == "address_not_allowed"
    assert "443" in refusal.message


@pytest.mark.parametrize("name", LEADS_INSIDE)
async def test_a_name_is_refused_when_any_of_its_addresses_is_inside(name):
    refusal = await refused(f"https://{name}/", Names({name: [LEADS_INSIDE[name]]}))
    assert refusal.code == "address_not_allowed"
    for address in LEADS_INSIDE[name]:
        assert address not in refusal.message


@pytest.mark.parametrize(
    ("location", "code"),
    [
        *((f"http://{host}/", "address_not_allowed") for host in CLOSED_HOSTS[::4]),
        *((f"http://{name}/", "address_not_allowed") for name in CLOSED_NAMES[::4]),
        ("http://one.example.com/", "address_not_allowed"),
        ("//169.254.169.254/latest/meta-data/", "address_not_allowed"),
        ("http://example.com:22/", "address_not_allowed"),
        ("file:///etc/passwd", "address_not_allowed"),
        ("http://user:password@example.com/", "address_not_allowed"),
        ("gopher://127.0.0.1:6379/", "address_not_allowed"),
    ],
)
async def test_a_redirect_to_a_closed_address_is_refused(location, code):
    names = Names({"start.example.com": [[PUBLIC]], **{name: [answers] for name, answers in LEADS_INSIDE.items()}})
    sends_on = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    network = RecordedNetwork({PUBLIC: sends_on.encode("utf-8")})
    opened = outbound(network, names)
    with pytest.raises(OutboundRefused) as caught:
        await opened.request("GET", "http://start.example.com/")
    await opened.aclose()
    assert caught.value.code == code
    assert network.dialled == [(PUBLIC, 80)]
    assert "start.example.com" in caught.value.message
    assert location not in caught.value.message


OPEN_URLS = [
    ("http://example.com/", PUBLIC, 80),
    ("https://example.com/", PUBLIC, 443),
    ("https://example.com:8443/path?query=1#part", PUBLIC, 8443),
    ("http://example.com:8080/", PUBLIC, 8080),
    ("https://EXAMPLE.com/", PUBLIC, 443),
    ("https://example.com./", PUBLIC, 443),
    ("  https://example.com/  ", PUBLIC, 443),
    ("https://example.com/a path/ä?q=ü", PUBLIC, 443),
    ("https://example.com/user@host", PUBLIC, 443),
    ("https://example.com/?url=http://127.0.0.1/", PUBLIC, 443),
    ("https://example.com?x=a@b", PUBLIC, 443),
    ("https://bücher.example.org/", "151.101.1.69", 443),
    ("https://xn--bcher-kva.example.org/", "151.101.1.69", 443),
    ("https://under_score.example.org/", "151.101.1.69", 443),
    ("https://local.example.org/", "151.101.1.69", 443),
    ("https://internal-news.example.org/", "151.101.1.69", 443),
    ("https://1password.example.org/", "151.101.1.69", 443),
    ("https://six.example.org/", PUBLIC_6, 443),
    ("http://8.8.8.8/", "8.8.8.8", 80),
    ("http://1.1.1.1:8080/", "1.1.1.1", 8080),
    ("http://172.15.0.1/", "172.15.0.1", 80),
    ("http://172.32.0.1/", "172.32.0.1", 80),
    ("http://192.167.255.1/", "192.167.255.1", 80),
    ("http://100.128.0.1/", "100.128.0.1", 80),
    ("http://223.255.255.1/", "223.255.255.1", 80),
    ("http://[2606:4700::1111]/", "2606:4700::1111", 80),
    ("https://[2a00:1450:4001::5]:8443/", "2a00:1450:4001::5", 8443),
]


@pytest.mark.parametrize(("url", "address", "port"), OPEN_URLS)
async def test_the_public_web_is_open_and_the_checked_address_is_dialled(url, address, port):
    names = Names(
        {
            "example.com": [[PUBLIC, PUBLIC_6]],
            "six.example.org": [[PUBLIC_6]],
            **{
                f"{name}.example.org": [["151.101.1.69"]]
                for name in ("xn--bcher-kva", "under_score", "local", "internal-news", "1password")
            },
        }
    )
    network = RecordedNetwork()
    opened = outbound(network, names)
    answer = await opened.request("GET", url)
    await opened.aclose()
    assert (answer.status, answer.body) == (200, b"ok")
    assert network.dialled == [(address, port)]
    assert len(names.looked_up) <= 1


async def test_the_name_stays_in_host_header_and_tls_while_the_address_is_dialled():
    network = RecordedNetwork()
    opened = outbound(network, Names({"example.com": [[PUBLIC]]}))
    await opened.request("GET", "https://example.com/page?x=1#part")
    await opened.aclose()
    assert network.dialled == [(PUBLIC, 443)]
    assert network.tls_names == ["example.com"]
    head = b"".join(network.sent).lower()
    assert head.startswith(b"get /page?x=1 http/1.1\r\n")
    assert b"\r\nhost: example.com\r\n" in head


async def test_a_name_that_changes_its_address_after_the_check_gains_nothing():
    names = Names({"rebinds.example.com": [[PUBLIC], ["127.0.0.1"]]})
    network = RecordedNetwork({PUBLIC: b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"})
    opened = outbound(network, names)
    await opened.request("GET", "http://rebinds.example.com/")
    assert names.looked_up == ["rebinds.example.com"]
    with pytest.raises(AddressNotAllowed):
        await opened.request("GET", "http://rebinds.example.com/")
    await opened.aclose()
    assert network.dialled == [(PUBLIC, 80)]


async def test_a_redirect_to_the_same_name_is_checked_again():
    names = Names({"rebinds.example.com": [[PUBLIC], ["10.0.0.1"]]})
    sends_on = b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"
    network = RecordedNetwork({PUBLIC: sends_on})
    opened = outbound(network, names)
    with pytest.raises(AddressNotAllowed):
        await opened.request("GET", "http://rebinds.example.com/")
    await opened.aclose()
    assert network.dialled == [(PUBLIC, 80)]


async def test_more_than_five_redirects_are_refused():
    sends_on = b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n"
    network = RecordedNetwork({PUBLIC: sends_on})
    opened = outbound(network, Names({"example.com": [[PUBLIC]]}))
    with pytest.raises(TooManyRedirects) as caught:
        await opened.request("GET", "http://example.com/")
    await opened.aclose()
    assert caught.value.code == "too_many_redirects"
    assert len(network.dialled) == 6


async def test_a_name_that_nobody_knows_is_said_so_and_not_tried_again():
    network = RecordedNetwork()
    opened = outbound(network)
    with pytest.raises(ConnectFailed, match=r"no address is known for nobody\.example\.com") as caught:
        await opened.request("GET", "https://nobody.example.com/")
    await opened.aclose()
    assert (caught.value.code, caught.value.passing) == ("connect_failed", False)


@pytest.mark.parametrize(
    ("allow", "url", "answers", "dialled"),
    [
        ("nas.lan", "http://nas.lan:5000/", ["192.168.1.9"], ("192.168.1.9", 5000)),
        ("ollama", "http://ollama:11434/", ["172.18.0.3"], ("172.18.0.3", 11434)),
        ("my_ollama:11434", "http://my_ollama:11434/", ["172.18.0.3"], ("172.18.0.3", 11434)),
        ("*.corp", "https://wiki.corp/", ["10.0.0.8"], ("10.0.0.8", 443)),
        ("*.example.com:9000", "https://deep.api.example.com:9000/", ["10.0.0.8"], ("10.0.0.8", 9000)),
        ("10.0.0.0/8", "http://10.2.3.4:3000/", None, ("10.2.3.4", 3000)),
        ("10.0.0.0/8", "http://inside.example.com/", ["10.9.9.9"], ("10.9.9.9", 80)),
        ("10.0.0.0/8", "http://nas.lan:5000/", ["10.9.9.9"], ("10.9.9.9", 5000)),
        ("10.0.0.0/8:5000", "http://nas.lan:5000/", ["10.9.9.9"], ("10.9.9.9", 5000)),
        ("[fd00::5]:8080", "http://[fd00::5]:8080/", None, ("fd00::5", 8080)),
        ("fd00::/8", "http://[fd00::5]/", None, ("fd00::5", 80)),
        ("127.0.0.1:3000", "http://127.0.0.1:3000/", None, ("127.0.0.1", 3000)),
        ("127.0.0.1:3000", "http://localhost:3000/", None, ("127.0.0.1", 3000)),
        ("::1", "http://localhost:3000/", None, ("::1", 3000)),
        ("localhost", "http://localhost:3000/", None, ("127.0.0.1", 3000)),
        ("localhost:3000", "http://localhost.:3000/", None, ("127.0.0.1", 3000)),
        ("example.com:22", "http://example.com:22/", [PUBLIC], (PUBLIC, 22)),
        ("metadata.google.internal", "http://metadata.google.internal/", ["169.254.169.254"], ("169.254.169.254", 80)),
    ],
)
async def test_what_the_owner_allows_is_open(allow, url, answers, dialled):
    host = url.split("/")[2].rsplit(":", 1)[0]
    network = RecordedNetwork()
    opened = outbound(network, Names({host: [answers]} if answers else {}), allow)
    await opened.request("GET", url)
    await opened.aclose()
    assert network.dialled == [dialled]


@pytest.mark.parametrize(
    ("allow", "url", "answers"),
    [
        ("nas.lan:5000", "http://nas.lan:5001/", ["192.168.1.9"]),
        ("nas.lan", "http://evilnas.lan/", ["192.168.1.9"]),
        ("*.corp", "http://corp/", ["10.0.0.8"]),
        ("*.example.com:9000", "http://api.example.com/", ["10.0.0.8"]),
        ("10.0.0.0/8", "http://mixed.example.com/", ["10.9.9.9", "192.168.0.1"]),
        ("10.0.0.0/8", "http://nas.lan/", ["192.168.0.1"]),
        ("10.0.0.0/8", "http://nas.lan/", [PUBLIC]),
        ("10.0.0.0/8", "http://example.com:22/", [PUBLIC]),
        ("10.0.0.0/8", "http://unknown.lan/", None),
        ("10.0.0.0/8", "http://unknown/", None),
        ("10.0.0.0/8:5000", "http://10.0.0.1:5001/", None),
        ("127.0.0.1:3000", "http://localhost:3001/", None),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]/", None),
        ("10.0.0.1", "http://10.1/", None),
    ],
)
async def test_what_the_owner_allows_opens_nothing_beside_it(allow, url, answers):
    host = url.split("/")[2].rsplit(":", 1)[0]
    refusal = await refused(url, Names({host: [answers]} if answers else {}), allow)
    assert refusal.code == "address_not_allowed"


async def test_an_allowed_address_may_be_the_end_of_a_redirect_from_another_one():
    sends_on = b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.7:3000/\r\nContent-Length: 0\r\n\r\n"
    network = RecordedNetwork({"10.0.0.6": sends_on})
    opened = outbound(network, Names({"nas.lan": [["10.0.0.6"]]}), "10.0.0.7:3000, nas.lan")
    answer = await opened.request("GET", "http://nas.lan/")
    await opened.aclose()
    assert network.dialled == [("10.0.0.6", 80), ("10.0.0.7", 3000)]
    assert (answer.url, answer.redirects) == ("http://10.0.0.7:3000/", ("http://nas.lan/",))


async def test_new_rules_count_at_once_also_for_pooled_connections():
    network = RecordedNetwork()
    opened = outbound(network, allow="10.0.0.7:3000")
    await opened.request("GET", "http://10.0.0.7:3000/")
    opened.replace_rules(OutboundRules())
    with pytest.raises(AddressNotAllowed):
        await opened.request("GET", "http://10.0.0.7:3000/")
    opened.replace_rules(OutboundRules(parse_allow_list("10.0.0.7")))
    await opened.request("GET", "http://10.0.0.7:3000/")
    await opened.aclose()
    assert network.dialled == [("10.0.0.7", 3000)] * 2


async def test_what_one_call_may_reach_another_may_not():
    network = RecordedNetwork()
    opened = outbound(network)
    extra = parse_allow_list("10.0.0.7:11434")
    await opened.request("GET", "http://10.0.0.7:11434/", allow_extra=extra)
    with pytest.raises(AddressNotAllowed):
        await opened.request("GET", "http://10.0.0.7:11434/")
    await opened.aclose()
    assert network.dialled == [("10.0.0.7", 11434)]


async def test_an_extra_port_is_open_for_public_addresses_only():
    network = RecordedNetwork()
    opened = outbound(network, Names({"example.com": [[PUBLIC]]}), ports=(9000,))
    await opened.request("GET", "http://example.com:9000/")
    with pytest.raises(AddressNotAllowed):
        await opened.request("GET", "http://10.0.0.1:9000/")
    await opened.aclose()
    assert network.dialled == [(PUBLIC, 9000)]


async def test_a_refusal_says_what_why_and_what_to_do():
    refusal = await refused("http://nas.lan:5000/files?token=secret")
    assert isinstance(refusal, AddressNotAllowed)
    assert refusal.message == (
        "`http://nas.lan:5000/files` is not opened: names that end in .lan belong to internal networks. The owner of this "
        "server can allow it under Settings → Server, Allowed addresses (FLOWPORT_OUTBOUND_ALLOW), for example with `nas.lan:5000`."
    )
    assert not refusal.passing


async def test_a_password_in_a_url_is_not_repeated():
    refusal = await refused("http://ann:swordfish@example.com/")
    assert isinstance(refusal, BadUrl)
    assert "swordfish" not in refusal.message


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "9.255.255.255", "11.0.0.1", "2a02::1"])
def test_public_addresses_are_known(address):
    assert is_public(ip_address(address))
