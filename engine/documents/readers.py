"""What an evaluator process does with a file: finds out what it is by its content, and reads it.

The name and the media type that a file came with decide only between kinds of text.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from engine.documents.document import Read, Unreadable, Wish

Json = Any

#: Family -> the modules that it needs; one family is chosen by the first bytes of the file (`reading.family_of`).
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "pdf": ("pdf",),
    "zip": ("office_archive", "word", "slides", "sheets"),
    "ole": ("sheets",),
    "csv": ("plain", "tables"),
    "text": ("plain", "html", "mail"),
}
#: The share of the time limit after which readers return what they have.
_ENOUGH = 0.75

#: Other files that people send, by their first bytes: what they are.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF87a", "a picture"),
    (b"GIF89a", "a picture"),
    (b"II*\0", "a picture"),
    (b"MM\0*", "a picture"),
    (b"BM", "a picture"),
    (b"RIFF", "a picture, sound or film"),
    (b"ID3", "a sound file"),
    (b"OggS", "a sound file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3", "a database"),
    (b"{\\rtf", "a document in Rich Text Format (RTF)"),
    (b"%!PS", "a PostScript file"),
)
#: Those of them that are letters with which a text or the head of a CSV file may begin, too. These files, and no text,
#: have a zero byte among their first ones.
_LETTERS = frozenset({b"BM", b"RIFF", b"ID3", b"OggS", b"MZ"})
_TO_PROMPT = "Give a picture to a Prompt node: a model that sees pictures can look at it."
_UNPACK = "Unpack it, and send the files in it one by one."
_SAVE_AS = "Save it as {} and use that file."
_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--[^>]{0,2000}-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE
)
_MAIL_HEAD = re.compile(rb"[A-Za-z][A-Za-z0-9-]{1,60}:[ \t]")
_MAIL_HEADS = re.compile(
    rb"^(?:from|to|subject|date|received|return-path|message-id|mime-version|delivered-to):",
    re.IGNORECASE | re.MULTILINE,
)


def warm_up(family: str) -> None:
    """Imports what the family needs, with all codecs: nothing can be opened after the process is locked."""
    import encodings
    import heapq  # noqa: F401 - Counter.most_common imports it when it is called

    for name in FAMILIES[family]:
        importlib.import_module(f"engine.documents.{name}")
    wanted = {"pdf": ("utf_16_le",), "csv": None, "text": None}.get(family, ("cp437", "utf_16", "utf_16_le", "latin_1"))
    for one in pkgutil.iter_modules(encodings.__path__):
        if wanted is None or one.name in wanted:
            try:
                importlib.import_module(f"encodings.{one.name}")
            except ImportError:
                continue  # those of other systems
    _WARM[family]()


def read(
    family: str, reader: str, arguments: Mapping[str, Json], content: bytes, *, seconds: float
) -> tuple[dict[str, Json], bytes]:
    """Runs the reader `document` or `pictures`. Returns `{"value"}` and pictures, or `{"wrong", "facts"}`.

    The readers `rows` and `row texts` return the rows of a table (`engine.documents.tables`) in place of pictures.

    `arguments`: `name`, `media_type`, `pages`, and `as` or `width`. `seconds`: the time limit of the process.
    """
    if reader in {"rows", "row texts"}:
        return _told_by(_table, reader, arguments, content)
    wish = Wish(
        arguments["name"], arguments["media_type"], arguments["pages"], arguments.get("as", "text"),
        time.monotonic() + _ENOUGH * seconds,
    )  # fmt: skip
    return _told_by(_document, family, reader, arguments, content, wish)


def _document(
    family: str, reader: str, arguments: Mapping[str, Json], content: bytes, wish: Wish
) -> tuple[dict[str, Json], bytes]:
    if reader == "pictures":
        return _pictures(family, content, wish, arguments["width"])
    return {"value": _told(_read(family, content, wish))}, b""


def _table(reader: str, arguments: Mapping[str, Json], content: bytes) -> tuple[dict[str, Json], bytes]:
    from engine.documents.tables import read_row_texts, read_rows

    return (read_rows if reader == "rows" else read_row_texts)(arguments, content)


def _told_by(work: Callable[..., tuple[dict[str, Json], bytes]], *args: Any) -> tuple[dict[str, Json], bytes]:
    """Returns the answer of a reader, or what ended it."""
    try:
        return work(*args)
    except Unreadable as error:
        return {"wrong": error.key, "facts": error.facts}, b""
    except MemoryError:
        return {"wrong": "too_much_memory", "facts": {}}, b""
    except RecursionError:
        return {"wrong": "too_deep", "facts": {}}, b""
    except Exception as error:  # noqa: BLE001 - whatever a library says about a hostile file is told as damage
        return {"wrong": "damaged", "facts": {"detail": f"The reader says: {type(error).__name__}."}}, b""


def _pictures(family: str, content: bytes, wish: Wish, width: int) -> tuple[dict[str, Json], bytes]:
    if family != "pdf":
        raise Unreadable("no_pages")
    from engine.documents.pdf import page_pictures

    told, notes, drawn = page_pictures(content, wish, width)
    return {"value": {"pictures": told, "notes": notes}}, drawn


def _read(family: str, content: bytes, wish: Wish) -> Read:
    if family == "pdf":
        from engine.documents.pdf import read_pdf

        return read_pdf(content, wish)
    if family == "zip":
        return _read_archive(content, wish)
    if family == "ole":
        return _read_old_office(content, wish)
    for head, what in _OTHERS:
        if content.startswith(head) and (head not in _LETTERS or b"\0" in content[:1_000]):
            raise _unsupported(what)
    if content[4:12] in {b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif"}:
        raise _unsupported("a picture")
    return _read_text(content, wish, is_csv=family == "csv")


def _read_archive(content: bytes, wish: Wish) -> Read:
    from engine.documents.office_archive import Archive
    from engine.documents.sheets import EXCEL, OPEN_DOCUMENT, read_sheets
    from engine.documents.slides import read_slides
    from engine.documents.word import read_word

    archive = Archive(content)
    names = archive.names
    if "word/document.xml" in names or "word/document2.xml" in names:
        return read_word(content, archive, wish)
    if "ppt/presentation.xml" in names:
        return read_slides(archive, wish)
    # some programs write names with capitals or backslashes
    if any(name.replace("\\", "/").lower().startswith("xl/workbook.") for name in names):
        archive.check()
        return read_sheets(content, wish, EXCEL, archive.title())
    if "content.xml" in names and "mimetype" in names:
        kind = archive.read("mimetype", 200).decode("ascii", "replace")
        if "spreadsheet" not in kind:
            what = "text" if "text" in kind else "presentation" if "presentation" in kind else "file"
            better = "Word (.docx) or PDF" if what == "text" else "PowerPoint (.pptx) or PDF"
            raise Unreadable("unsupported", what=f"an OpenDocument {what}", hint=_SAVE_AS.format(better))
        archive.check()
        return read_sheets(content, wish, OPEN_DOCUMENT, archive.title())
    raise _unsupported("a zip archive", _UNPACK)


def _read_old_office(content: bytes, wish: Wish) -> Read:
    """Reads old Excel tables. Other files of this container are told apart by the names of their parts."""
    small = content.lower()
    names = {name for name in _OLD_PARTS if name.lower().encode("utf-16-le") in small}
    if names & {"EncryptedPackage", "EncryptionInfo"}:
        raise Unreadable("with_password")
    if names & {"Workbook", "Book"}:
        from engine.documents.sheets import OLD_EXCEL, read_sheets

        return read_sheets(content, wish, OLD_EXCEL)
    if "WordDocument" in names:
        raise _unsupported("an old Word document (.doc)", _SAVE_AS.format("a newer Word document (.docx) or PDF"))
    if "PowerPoint Document" in names:
        raise _unsupported("an old presentation (.ppt)", _SAVE_AS.format("a newer presentation (.pptx) or PDF"))
    if "__properties_version1.0" in names:
        raise _unsupported("a message of Outlook (.msg)", _SAVE_AS.format("an e-mail (.eml)"))
    raise _unsupported("an old Office file", _SAVE_AS.format("a newer kind of Office file or PDF"))


_OLD_PARTS = (
    "EncryptedPackage", "EncryptionInfo", "Workbook", "Book", "WordDocument", "PowerPoint Document",
    "__properties_version1.0",
)  # fmt: skip


def _read_text(content: bytes, wish: Wish, *, is_csv: bool) -> Read:
    from engine.documents.plain import read_csv_file, read_plain

    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    if not wide and b"\0" in content[:10_000]:
        raise _unsupported("no text and no document that it knows")
    if is_csv:
        return read_csv_file(content, wish)
    kind = wish.media_type.split(";")[0].strip().lower()
    if wish.ending in {"eml", "mht", "mhtml"} or kind == "message/rfc822" or _is_mail(content):
        from engine.documents.mail import read_mail

        return read_mail(content, wish)
    if (
        wish.ending in {"html", "htm", "xhtml"}
        or kind in {"text/html", "application/xhtml+xml"}
        or _HTML.match(content)
    ):
        from engine.documents.html import read_html

        return read_html(content, wish)
    return read_plain(content, wish)


def _is_mail(content: bytes) -> bool:
    head = content[:4_000].replace(b"\r\n", b"\n").split(b"\n\n")[0]
    return bool(_MAIL_HEAD.match(head)) and len({one.lower() for one in _MAIL_HEADS.findall(head)}) >= 3


def _unsupported(what: str, hint: str = "") -> Unreadable:
    if not hint:
        hint = _TO_PROMPT if "picture" in what else _UNPACK if what.endswith(" archive") else ""
    return Unreadable("unsupported", what=what, hint=hint or "Save it as one of these and use that file.")


def _told(read: Read) -> dict[str, Json]:
    """Returns the document as JSON with clean text: no control characters, no halves of surrogate pairs."""
    told = _clean(
        {
            "media_type": read.media_type,
            "title": read.title,
            "total": read.total,
            "pages": [
                {"number": page.number, "text": page.text, "markdown": page.markdown, "layout": page.layout}
                for page in read.pages
            ],
            "tables": read.tables,
            "notes": read.notes,
            "truncated": read.truncated,
        }
    )
    if not any(page["text"].strip() for page in told["pages"]):
        raise Unreadable("no_text")
    return told


_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def _clean(value: Json) -> Json:
    if isinstance(value, str):
        return _CONTROLS.sub("", value)
    if isinstance(value, list):
        return [_clean(one) for one in value]
    if isinstance(value, dict):
        return {_CONTROLS.sub("", key): _clean(one) for key, one in value.items()}
    return value


def _nothing() -> None:
    """The family needs no more than its imports."""


def _parse_pdf() -> None:
    """What pdfium loads when it first reads: a page without a table of parts, which it repairs."""
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>"
    parts = (
        b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>", page,
        b"<</Length 26>>stream\nBT /F 1 Tf (a) Tj 2 0 Td ET\nendstream",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )  # fmt: skip
    content = b"".join(b"%d 0 obj%b\nendobj\n" % numbered for numbered in enumerate(parts, 1))
    content = b"%PDF-1.4\n" + content + b"trailer<</Root 1 0 R>>"
    for how in ("markdown", "tables"):
        _read("pdf", content, Wish("", "", "", how, time.monotonic() + 1))
    _pictures("pdf", content, Wish("", "", "", "text", time.monotonic() + 1), 9)


def _parse_xml() -> None:
    """Makes mammoth and the zip module import what they else import at their first document."""
    import xml.dom.expatbuilder
    import xml.dom.minidom  # noqa: F401

    import mammoth.docx  # noqa: F401
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] - made in C

    etree.fromstring("<a/>")


def _parse_html() -> None:
    """Makes the HTML parser and the e-mail package import what they else import at their first document."""
    import email.header
    import email.headerregistry
    import email.quoprimime  # noqa: F401

    from engine.documents.html import read_html

    read_html(b"<h1>x</h1><table><tr><td>a<td>b</table>", Wish("", "", "", "tables", time.monotonic() + 1))
    sent = b"From: a <a@b.c>\nTo: =?utf-8?q?x?= <b@c.d>\nDate: Fri, 27 Nov 2026 10:00:00 +0000\nSubject: x\n\nx"
    _read("text", sent, Wish("x.eml", "", "", "text", time.monotonic() + 1))


def _parse_csv() -> None:
    _read("csv", b"a,b\n1,2", Wish("x.csv", "", "", "tables", time.monotonic() + 1))
    for content in (b"a,b\n1,2", b'[{"a": "\xff", "b": [1.5]}]', b'{"a": 1}\n{"a": 2}', b"["):
        _table("rows", {"name": "x", "names": "auto", "most_rows": 9}, content)
        _table("row texts", {"name": "x"}, content)


_WARM: Mapping[str, Callable[[], None]] = {
    "pdf": _parse_pdf,
    "zip": _parse_xml,
    "ole": _nothing,
    "csv": _parse_csv,
    "text": _parse_html,
}
