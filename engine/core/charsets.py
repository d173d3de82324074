"""Decodes the bytes of web pages and answers in the charset in which they were written."""

from __future__ import annotations

import codecs
import re

_META_CHARSET = rb"<meta[^>]{0,200}?charset\s*+=\s*+[\"']?+\s*+([a-z0-9_.:-]{2,40})"

#: In a text of another charset next to no letters are UTF-8; in one that was cut or patched nearly all are.
_LETTERS_FOR_A_DAMAGED_ONE = 10


def decode_body(body: bytes, content_type: str = "", *, is_page: bool = True) -> str:
    """Returns the bytes of an answer as text; invalid bytes become replacement characters.

    The first of these that is known decides: byte order mark, Content-Type header, `<meta charset>` (with `is_page`),
    UTF-8 (a few of its letters may be damaged), Windows-1252.
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
        # a page whose meta tag can be read as ASCII is not UTF-16
        return body.decode("utf-8" if name.startswith("utf-16") else name, errors="replace")
    text = decode_utf8(body)
    return body.decode("cp1252", errors="replace") if text is None else text


def decode_utf8(body: bytes) -> str | None:
    """Returns bytes that are UTF-8 as text, also when a few of many letters are damaged; None for other bytes."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        text = body.decode("utf-8", errors="replace")
    damaged = text.count("\ufffd")
    letters = len(text) - len(text.encode("ascii", errors="ignore")) - damaged  # those of several bytes
    return text if letters >= _LETTERS_FOR_A_DAMAGED_ONE * damaged else None


def _codec(label: str) -> str | None:
    """Returns the codec that browsers use for a charset's name (https://encoding.spec.whatwg.org); None when it is not
    for pages.
    """
    try:
        name = codecs.lookup(label.strip().lower()).name
    except (LookupError, ValueError):
        return None
    if name in {"idna", "punycode", "utf-7", "unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem"}:
        return None
    wider = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932"}
    try:
        b"a".decode(wider.get(name, name), errors="replace")
    except LookupError:  # zip, hex and other codecs from bytes to bytes
        return None
    return wider.get(name, name)
