"""Reads sitemaps: the addresses that a site lists for programs (https://www.sitemaps.org/protocol.html). Pure
functions.

Only the `<loc>` elements are searched, without an XML parser: a broken sitemap still gives its addresses, and no entity
is expanded.
"""

from __future__ import annotations

import html
import zlib

import re2
from msgspec import Struct

#: How many unpacked bytes and how many addresses are read of one sitemap.
LONGEST = 10 * 1024 * 1024
MAX_ADDRESSES = 20_000

_LONGEST_ADDRESS = 4_096
# RE2 takes time linear in the length of the sitemap and releases the interpreter lock.
_BYTES = re2.Options()
_BYTES.encoding = re2.Options.Encoding.LATIN1
_LOC = re2.compile(rb"(?i)<loc>\s*(?:<!\[CDATA\[)?\s*([^\s<\]]+)", _BYTES)
_LINE = re2.compile(rb"(?im)^\s*(https?://\S+)\s*$", _BYTES)


class Sitemap(Struct, frozen=True):
    """`addresses` are pages, or further sitemaps when `is_index`."""

    addresses: tuple[str, ...]
    is_index: bool


def read_sitemap(body: bytes) -> Sitemap:
    """Returns the addresses of a sitemap in XML or plain text, also compressed with gzip; none when it is no
    sitemap.
    """
    if body[:2] == b"\x1f\x8b":
        body = _unpacked(body)
    body = body[:LONGEST]
    is_xml = b"<" in body[:1_000]
    addresses: list[str] = []
    for match in (_LOC if is_xml else _LINE).finditer(body):
        written = match[1][: _LONGEST_ADDRESS + 1]
        if len(written) <= _LONGEST_ADDRESS:
            address = written.decode("utf-8", errors="replace")
            addresses.append(html.unescape(address) if is_xml else address)
        if len(addresses) == MAX_ADDRESSES:
            break
    return Sitemap(tuple(addresses), b"<sitemapindex" in body[:5_000])


def _unpacked(body: bytes) -> bytes:
    """Returns at most LONGEST unpacked bytes; nothing when the data is damaged."""
    try:
        return zlib.decompressobj(31).decompress(body, LONGEST)
    except zlib.error:
        return b""
