"""Addresses of pages: normalisation, membership of a site, and patterns."""

from __future__ import annotations

import time

import pytest

from engine.nodes.site_addresses import Picker, canonical, is_file, matches, page_key, site_of


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("HTTP://Example.COM", "http://example.com/"),
        ("https://example.com:443/a#b", "https://example.com/a"),
        ("http://example.com:8080/a", "http://example.com:8080/a"),
        ("https://example.com./a//b", "https://example.com/a//b"),
        ("https://example.com/a/./b/../c/", "https://example.com/a/c/"),
        ("https://example.com/../..", "https://example.com/"),
        ("https://example.com/%7euser/%c3%a4?q=%2f", "https://example.com/~user/%C3%A4?q=%2F"),
        ("https://example.com/ä b", "https://example.com/%C3%A4%20b"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://example.com/?utm_source=x&b=2&gclid=1&a=1", "https://example.com/?b=2&a=1"),
        ("https://example.com/?fbclid", "https://example.com/"),
        ("https://[2001:DB8::1]:8443/a", "https://[2001:db8::1]:8443/a"),
        ("https://user:pass@example.com/", None),
        ("mailto:a@b.c", None),
        ("//example.com/", None),
        ("/a", None),
        ("https://", None),
        ("https://[bad/", None),
        ("https://example.com:99999/", None),
        ("https://example.com/" + "a" * 5_000, None),
        ("https://" + "ä" * 70 + ".example/", None),
        ("https://bücher。example/", "https://xn--bcher-kva.example/"),
    ],
)
def test_an_address_has_one_form(url, form):
    assert canonical(url) == form
    assert form is None or canonical(form) == form


#: Hosts that would take seconds to encode, and an address whose host would take as long to normalise.
COSTLY = ("".join(map(chr, range(0x4E00, 0x4E00 + 3_900))), "a" + "\u0301" * 20_000 + "\u0316" * 20_000)


@pytest.mark.parametrize("host", COSTLY, ids=["letters", "accents"])
def test_no_host_takes_long(host: str):
    begun = time.thread_time()
    assert canonical(f"http://{host}/") is None
    assert time.thread_time() - begun < 0.1


def test_no_host_of_a_pattern_takes_long():
    begun = time.thread_time()
    assert not Picker.of([f"http://{COSTLY[0]}/*"], []).takes("https://example.com/")
    assert time.thread_time() - begun < 0.1


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("http://www.example.com/", "https://example.com/", True),
        ("https://shop.example.com/", "https://example.com/", False),
        ("https://example.com:8443/", "https://example.com/", False),
        ("https://example.com.evil.net/", "https://example.com/", False),
    ],
)
def test_a_site_is_a_host_with_or_without_www(left, right, same):
    assert (site_of(left) == site_of(right)) is same
    assert (page_key(left) == page_key(right)) is same


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("https://x.y/a.PDF", True),
        ("https://x.y/a.html", False),
        ("https://x.y/v1.2/a", False),
        ("https://x.y/?f=a.pdf", False),
        ("https://x.y/a.php?b", False),
        ("https://x.y/.gz", True),
    ],
)
def test_files_are_told_by_their_ending(url, file):
    assert is_file(url) is file


@pytest.mark.parametrize(
    ("pattern", "url", "fits"),
    [
        ("/blog/*", "https://x.y/blog/a/b", True),
        ("/blog/*", "https://x.y/a/blog/b", False),
        ("/blog/", "https://x.y/blog/a", True),
        ("/blog", "https://x.y/blog/a", False),
        ("/blog", "https://x.y/blog", True),
        ("/*/print", "https://x.y/a/b/print", True),
        ("*/print", "https://x.y/print", True),
        ("*/print", "https://x.y/print/a", False),
        ("*?page=*", "https://x.y/a?page=2", True),
        ("page=*", "https://x.y/a?page=2", True),
        ("page", "https://page.y/a", False),
        ("blog", "https://x.y/my-blog/a", True),
        ("https://x.y/*", "https://x.y/a", True),
        ("https://x.y/*", "http://x.y/a", False),
        ("*://*/a", "http://x.y/a", True),
        ("/a*a", "https://x.y/a", False),
        ("*", "https://x.y/", True),
        ("/" + "*a" * 500 + "b", "https://x.y/" + "a" * 3_000, False),
        ("/[a-z]+", "https://x.y/abc", False),
    ],
)
def test_a_pattern_is_text_with_stars(pattern, url, fits):
    assert matches(pattern, url) is fits


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("/über/", "https://x.y/über/a"),
        ("*/http://EXAMPLE.com/*", "https://x.y/w/http://EXAMPLE.com/"),
        ("*x.y/A://*", "https://x.y/A://b"),
        ("über", "https://x.y/%C3%BCber"),
        ("/%c3%bcber/*", "https://x.y/über/a"),
        ("/a b/*", "https://x.y/a b/c"),
        ("*?q=ä*", "https://x.y/?q=äb"),
        ("https://Müller.de/*", "https://müller.de/a"),
        ("HTTPS://X.y/ü", "https://x.y/ü"),
    ],
)
def test_a_pattern_may_be_written_as_people_read_the_address(pattern, url):
    assert Picker.of([f" {pattern} "], [""]).takes(canonical(url))
    assert not Picker.of([], [pattern]).takes(canonical(url))
