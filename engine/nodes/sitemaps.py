"""Reads sitemaps: the addresses a site lists for programs (sitemaps.org). Pure functions.

A sitemap is read by its `<loc>` elements alone, so a broken one still gives what it has, and nothing in it can be expanded.
"""

from __future__ import annotations

import html
import re
import zlib
from dataclasses import dataclass

#: Unpacked bytes and addresses that are read of one sitemap.
LONGEST = 10 * 1024 * 1024
MOST_ADDRESSES = 20_000

_LOC = re.compile(r"<loc>\s*(?:<!\[CDATA\[)?\s*([^\s<\]]{1,4096})", re.IGNORECASE)
_LINE = re.compile(r"^\s*(https?://\S{1,4096})\s*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Sitemap:
    """`addresses` are pages, or other sitemaps when it `is_index`."""

    addresses: tuple[str, ...]
    is_index: bool


def read_sitemap(body: bytes) -> Sitemap:
    """The addresses of a sitemap in XML or plain text, also packed with gzip; none of what is no sitemap."""
    if body[:2] == b"\x1f\x8b":
        body = _unpacked(body)
    text = body[:LONGEST].decode("utf-8", errors="replace")
    if "<" not in text[:1_000]:
        found = (match[1] for match in _LINE.finditer(text))
    else:
        found = (html.unescape(match[1]) for match in _LOC.finditer(text))
    addresses = tuple(address for address, _ in zip(found, range(MOST_ADDRESSES), strict=False))
    return Sitemap(addresses, "<sitemapindex" in text[:5_000])


def _unpacked(body: bytes) -> bytes:
    """At most LONGEST bytes; what is damaged ends where it broke."""
    try:
        return zlib.decompressobj(31).decompress(body, LONGEST)
    except zlib.error:
        return b""
