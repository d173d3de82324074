"""Reads e-mails (.eml) with the standard library: who, when, the subject, the text, and the names of attached files."""

from __future__ import annotations

import email
import email.errors
import email.policy
from collections.abc import Sequence
from email.message import EmailMessage, Message
from typing import Any

from msgspec import Struct

from engine.core.charsets import decode_body
from engine.documents.document import Page, Read, Unreadable, Wish
from engine.documents.html import MAX_TABLES, read_html_text

MEDIA_TYPE = "message/rfc822"
_HEADS = ("From", "To", "Cc", "Date", "Subject")
_MAX_PARTS = 1_000
_DEEPEST = 50


class _Text(Struct, frozen=True):
    """A piece of the text of an e-mail. `markdown`: empty when it is the same. `truncated`: as in `Read`."""

    text: str
    markdown: str = ""
    tables: Sequence[dict[str, Any]] = ()
    truncated: bool = False


def read_mail(content: bytes, wish: Wish) -> Read:
    """Reads an e-mail, and e-mails that it forwards. Attached files are named, not read. Raises Unreadable."""
    try:
        mail = email.message_from_bytes(content, policy=email.policy.default)
    except (ValueError, LookupError, TypeError, email.errors.MessageError) as error:
        raise Unreadable("damaged", detail=f"{error}"[:150]) from None
    attached = _attached(mail)
    heads = _heads(mail)
    body = _texts(mail, wish)
    if not heads and not body:
        raise Unreadable("no_text")
    files = [_Text(f"Attached files: {', '.join(attached)}")] if attached else []
    blocks = [*_told(heads), *body, *files]
    text = "\n\n".join(one.text for one in blocks)
    marked = "\n\n".join(one.markdown or one.text for one in blocks)
    tables = _tables(body)
    read = Read(MEDIA_TYPE, [Page(1, text, marked)], heads.get("Subject", ""), tables=tables[:MAX_TABLES])
    read.cut_long_texts()
    if len(tables) > MAX_TABLES:
        read.cut(f"Only its first {MAX_TABLES} tables were read.")
    if any(one.truncated for one in body) and not read.truncated:
        read.cut("Only the beginning of one of its parts was read.")
    if wish.pages.strip():
        read.notes.append("An e-mail has no pages to choose from, so all of it was read.")
    if attached:
        files_are = "file is" if len(attached) == 1 else "files are"
        read.notes.append(f"{len(attached)} attached {files_are} named at the end of the text, but not read.")
    return read


def _head(mail: Message, name: str) -> str:
    try:
        return " ".join(str(mail.get(name, "")).split())[:2_000]
    except (ValueError, LookupError, TypeError, AttributeError, IndexError, email.errors.MessageError):
        return ""  # a header that the standard library cannot take apart


def _heads(mail: Message) -> dict[str, str]:
    return {name: found for name in _HEADS if (found := _head(mail, name))}


def _told(heads: dict[str, str]) -> list[_Text]:
    lines = [f"{name}: {value}" for name, value in heads.items()]
    return [_Text("\n".join(lines), "\n".join(f"- {one}" for one in lines))] if lines else []


def _tables(body: Sequence[_Text]) -> list[dict[str, Any]]:
    """Returns the tables of all parts. Those without a caption are numbered, in each part from 1 on."""
    tables: list[dict[str, Any]] = []
    for one in body:
        before = len(tables)
        for place, table in enumerate(one.tables, 1):
            numbered = table["title"] == f"Table {place}"
            tables.append({**table, "title": f"Table {before + place}"} if numbered else table)
    return tables


def _attached(mail: Message) -> list[str]:
    """Returns the names of attached files. Raises Unreadable for too many parts."""
    attached: list[str] = []
    waiting: list[tuple[Message, int, bool]] = [(mail, 0, False)]
    seen = 0
    while waiting:
        part, depth, forwarded = waiting.pop()
        seen += 1
        if depth > _DEEPEST:
            raise Unreadable("too_deep")
        if seen > _MAX_PARTS:
            raise Unreadable("unsafe", detail=f"It has more than {_MAX_PARTS:,} parts.")
        if (inner := _inner(part)) is not None:
            message = part.get_content_type() == MEDIA_TYPE
            if message and forwarded:
                attached.append("a forwarded e-mail")
                continue
            waiting += [(one, depth + 1, forwarded or message) for one in reversed(inner)]
        elif not _is_text(part):
            attached.append(_file_name(part) or part.get_content_type())
    return attached


def _inner(part: Message) -> list[Message] | None:
    """Returns the parts that a part holds, None for one that holds none."""
    inner = part.get_payload()
    if part.is_multipart() and isinstance(inner, list):
        return [one for one in inner if isinstance(one, Message)]
    return None


def _is_text(part: Message) -> bool:
    return not _file_name(part) and part.get_content_type() in {"text/plain", "text/html"}


def _texts(part: Message, wish: Wish, *, forwarded: bool = False) -> list[_Text]:
    """Returns the texts of a part in order: of alternatives one, of a forwarded e-mail its head lines, too."""
    inner = _inner(part)
    if inner is None:
        return _text_of(part, wish) if _is_text(part) else []
    kind = part.get_content_type()
    if kind == MEDIA_TYPE:
        if forwarded:
            return []
        return [text for one in inner for text in (*_told(_heads(one)), *_texts(one, wish, forwarded=True))]
    found = (_texts(one, wish, forwarded=forwarded) for one in _by_wish(inner, kind, wish))
    if kind == "multipart/alternative":
        return next(filter(None, found), [])
    return [text for texts in found for text in texts]


def _by_wish(parts: list[Message], kind: str, wish: Wish) -> list[Message]:
    """Returns alternatives with the wanted one first: the HTML for tables and Markdown, otherwise the plain text."""
    if kind != "multipart/alternative":
        return parts
    wanted = "text/plain" if wish.how == "text" else "text/html"
    return sorted(parts, key=lambda part: all(one.get_content_type() != wanted for one in part.walk()))


def _text_of(part: Message, wish: Wish) -> list[_Text]:
    text = _decoded(part)
    if part.get_content_type() == "text/plain":
        return [_Text(text.strip())] if text.strip() else []
    try:
        read = read_html_text(text, MEDIA_TYPE, wish)
    except Unreadable:
        return []  # an empty HTML part
    return [_Text(read.pages[0].text, read.pages[0].markdown, read.tables, read.truncated)]


def _decoded(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    try:
        charset = str(part.get_content_charset() or "")
    except (ValueError, LookupError, TypeError):
        charset = ""
    return decode_body(payload, f"charset={charset}" if charset else "", is_page=False).replace("\r\n", "\n")


def _file_name(part: Message) -> str:
    try:
        name = part.get_filename()
        shown = part.get_content_disposition() in {None, "inline"} if isinstance(part, EmailMessage) else True
    except (ValueError, LookupError, TypeError, AttributeError, IndexError, email.errors.MessageError):
        return "a file without a readable name"
    if name:
        return " ".join(name.split())[:200]
    return "" if shown else "a file without a name"
