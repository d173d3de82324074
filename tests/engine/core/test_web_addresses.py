"""Taking addresses apart, also those with endless accents in the host."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest

from engine.core.web_addresses import join_url, split_url

ACCENTS = "\u0301\u0316" * 1_000


@pytest.mark.parametrize(
    "url",
    [
        "https://bücher.example:8443/ü?q=ä#ö",
        f"https://example.com/{ACCENTS}?{ACCENTS}",
        f"//example.com/{ACCENTS}",
        ACCENTS,
        f"https://{'user' * 1_000}@example.com/",
        f"https://{'ä' * 253}/",
    ],
    ids=lambda url: url[:30].encode("unicode_escape").decode(),
)
def test_an_address_is_taken_apart_as_the_library_does(url: str):
    assert split_url(url) == urlsplit(url)
    assert join_url("https://example.org/a/b", url) == urljoin("https://example.org/a/b", url)


@pytest.mark.parametrize(
    "url", [f"https://b{ACCENTS}/", f" h\ttps:/\n/b{ACCENTS}", f"//{ACCENTS}", f"//b{'@'.join(ACCENTS)}"]
)
def test_a_host_that_is_far_too_long_is_refused(url: str):
    for take in (split_url, lambda one: join_url("https://example.org/", one)):
        with pytest.raises(ValueError, match="the host is too long"):
            take(url)
