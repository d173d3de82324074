"""Reads e-mails (.eml) with the standard library: who, when, the subject, the text, and the names of attached files."""

from __future__ import annotations

import email
import email.errors
import email.policy
from email.message import EmailMessage, Message

from engine.core.charsets import decode_body
from engine.documents.document import MOST_CHARACTERS, Page, Read, Unreadable, Wish
from engine.documents.html import read_html_text

MEDIA_TYPE = "message/rfc822"
_HEADS = ("From", "To", "Cc", "Date", "Subject")
_MOST_PARTS = 1_000
_DEEPEST = 50


def read_mail(content: bytes, wish: Wish) -> Read:
    """Reads an e-mail. Its attached files are named, not read. Raises Unreadable."""
    try:
        mail = email.message_from_bytes(content, policy=email.policy.default)
    except (ValueError, LookupError, TypeError, email.errors.MessageError) as error:
        raise Unreadable("damaged", detail=f"{error}"[:150]) from None
    heads = {name: found for name in _HEADS if (found := _head(mail, name))}
    plain, html, attached = _parts(mail)
    body = _body(plain, html, wish)
    if not heads and not body.pages[0].text:
        raise Unreadable("no_text")
    told = [f"{name}: {value}" for name, value in heads.items()]
    files = [f"Attached files: {', '.join(attached)}"] if attached else []
    page = body.pages[0]
    text = "\n\n".join(filter(None, ("\n".join(told), page.text, *files)))
    marked = "\n\n".join(filter(None, ("\n".join(f"- {one}" for one in told), page.markdown or page.text, *files)))
    read = Read(MEDIA_TYPE, [Page(1, text, marked)], heads.get("Subject", ""), tables=body.tables, notes=body.notes)
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


def _parts(mail: Message) -> tuple[list[str], list[str], list[str]]:
    """Returns the plain texts, the HTML texts, and the names of attached files."""
    plain: list[str] = []
    html: list[str] = []
    attached: list[str] = []
    waiting: list[tuple[Message, int, bool]] = [(mail, 0, False)]
    seen = 0
    while waiting:
        part, depth, forwarded = waiting.pop()
        seen += 1
        if depth > _DEEPEST:
            raise Unreadable("too_deep")
        if seen > _MOST_PARTS:
            raise Unreadable("unsafe", detail=f"It has more than {_MOST_PARTS:,} parts.")
        inner = part.get_payload()
        if part.is_multipart() and isinstance(inner, list):
            message = part.get_content_type() == MEDIA_TYPE
            if message and forwarded:
                attached.append("a forwarded e-mail")
                continue
            waiting += [(one, depth + 1, forwarded or message) for one in reversed(inner) if isinstance(one, Message)]
            continue
        kind = part.get_content_type()
        name = _file_name(part)
        if name or kind not in {"text/plain", "text/html"}:
            attached.append(name or kind)
        else:
            (html if kind == "text/html" else plain).append(_decoded(part))
    return plain, html, attached


def _body(plain: list[str], html: list[str], wish: Wish) -> Read:
    """Reads the HTML when tables or Markdown are wanted or there is nothing else, otherwise the plain text."""
    texts = [text for text in plain if text.strip()]
    if html and (not texts or wish.how != "text"):
        try:
            return read_html_text("\n".join(html), MEDIA_TYPE, wish)
        except Unreadable:
            pass  # an e-mail with an empty HTML part
    return Read(MEDIA_TYPE, [Page(1, "\n\n".join(text.strip() for text in texts)[:MOST_CHARACTERS])])


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
