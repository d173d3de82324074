"""Bytes of the web as text, in the charset they were written in."""

from __future__ import annotations

import codecs
import re

_META_CHARSET = rb"<meta[^>]{0,200}?charset\s*+=\s*+[\"']?+\s*+([a-z0-9_.:-]{2,40})"


def decode_body(body: bytes, content_type: str = "", *, is_page: bool = True) -> str:
    """The bytes of an answer as text; what cannot be read becomes a replacement mark.

    Order of trust: byte order mark, Content-Type header, with `is_page` a `<meta charset>`, UTF-8, Windows-1252.
    """
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if body.startswith(mark):
            return body[len(mark) :].decode(name, errors="replace")
    in_header = re.search(r"charset\s*+=\s*+[\"']?+\s*+([^\s\"';]+)", content_type, re.IGNORECASE)
    if in_header and (name := _codec(in_header[1])):
        return body.decode(name, errors="replace")
    in_page = re.search(_META_CHARSET, body[:4096], re.IGNORECASE) if is_page else None
    if in_page and (name := _codec(in_page[1].decode("ascii"))):
        # a page that can say so in ASCII is not UTF-16
        return body.decode("utf-8" if name.startswith("utf-16") else name, errors="replace")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("cp1252", errors="replace")


def _codec(label: str) -> str | None:
    """The codec browsers use for a charset's name; None for one that is unknown or not meant for pages."""
    try:
        name = codecs.lookup(label.strip().lower()).name
    except (LookupError, ValueError):
        return None
    if name in {"idna", "punycode", "utf-7", "unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem"}:
        return None
    wider = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932"}
    try:
        b"a".decode(wider.get(name, name), errors="replace")
    except LookupError:  # zip, hex and others that make bytes of bytes
        return None
    return wider.get(name, name)
