"""Addresses that are written into a node and can never be opened are problems before a run."""

from __future__ import annotations

from typing import Any

import pytest

from engine.outbound.allow_list import OutboundRules, parse_allow_list
from engine.outbound.written_addresses import address_problems, with_scheme
from tests.factories import document, greeting


def messages(url: Any, rules: OutboundRules | None, kind: str = "page_scraper") -> list[str]:
    file = greeting()
    node = {"id": "reads", "type": kind, "label": "Read it", "inputs": {"url": url}}
    edge = {"id": "e2", "source": "text_template", "target": "reads"}
    flow = document({**file, "nodes": [*file["nodes"], node], "edges": [*file["edges"], edge]})
    found = address_problems(flow, rules)
    assert all(
        (one.code, one.node_id, one.pointer, one.blocks_import) == ("bad_address", "reads", "/inputs/url", False)
        for one in found
    )
    return [one.message for one in found]


NEVER = [
    "file:///etc/passwd",
    "ftp://example.com/a",
    "javascript:alert(1)",
    "www.example.com",
    "example",
    "https://",
    "https://ada:secret@example.com/",
    "https://example.com:99999/",
    "file:///{{ api_input.out.name }}",
    "mailto:{{ api_input.out.name }}",
]
NOT_ALLOWED = [
    "http://localhost/",
    "http://localhost:8080/{{ api_input.out.name }}",
    "http://127.0.0.1/",
    "http://192.168.0.5/",
    "http://0x7f.1/",
    "http://intranet/",
    "http://printer.local/",
    "https://example.com:22/",
    "https://practice.flowport.example:9000/",
]
MAY = [
    "https://example.com/a?b=c#d",
    "https://practice.flowport.example/",
    "{{ api_input.out.name }}",
    "https://{{ api_input.out.name }}/",
    "https://example.com/{{ api_input.out.name }}",
    "  https://example.com/  ",
    "",
    None,
]


@pytest.mark.parametrize("kind", ["page_scraper", "website_mapper", "http_request"])
def test_every_node_that_opens_an_address_says_so(kind: str) -> None:
    (said,) = messages("file:///etc/passwd", None, kind)
    assert said.startswith("Read it: `file:///etc/passwd` is not opened: only http:// and https:// addresses are.")


@pytest.mark.parametrize("url", NEVER)
@pytest.mark.parametrize("rules", [None, OutboundRules()])
def test_what_no_rule_opens(url: str, rules: OutboundRules | None) -> None:
    assert len(messages(url, rules)) == 1


@pytest.mark.parametrize("url", NOT_ALLOWED)
def test_what_the_owner_has_not_allowed(url: str) -> None:
    (said,) = messages(url, OutboundRules())
    assert "is not opened" in said
    assert messages(url, None) == [], "without the rules of the server nobody knows"


def test_what_the_owner_has_allowed() -> None:
    allowed = OutboundRules(allow=parse_allow_list("localhost:8080, 192.168.0.0/16, intranet"))
    for url in ("http://localhost:8080/", "http://192.168.0.5/", "http://intranet/"):
        assert messages(url, allowed) == []
    assert len(messages("http://localhost/", allowed)) == 1


@pytest.mark.parametrize("url", MAY)
def test_what_may_be_opened(url: str | None) -> None:
    assert messages(url, OutboundRules()) == []


def test_a_secret_in_an_address_is_not_repeated() -> None:
    (said,) = messages("https://ada:secret@example.com/?key=hidden", None)
    assert "secret@" not in said
    assert "hidden" not in said


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("www.example.com/a", "https://www.example.com/a"),
        ("example.com", "https://example.com"),
        ("file:///a.b", None),
        ("example", None),
        ("{{ api_input.out.name }}.com", None),
        ("a b.com", None),
    ],
)
def test_an_address_that_only_lacks_its_beginning(text: str, meant: str | None) -> None:
    assert with_scheme(text) == meant
