"""Reads Word documents (.docx): mammoth writes them as HTML, and our own writer makes text and Markdown of it."""

from __future__ import annotations

import io
import xml.parsers.expat
import zipfile

import mammoth
from mammoth.images import img_element

from engine.documents.document import Read, Unreadable, Wish
from engine.documents.html import read_html_text
from engine.documents.office_archive import Archive

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def read_word(content: bytes, archive: Archive, wish: Wish) -> Read:
    """Reads the whole document: where its pages end is known only when it is printed. Raises Unreadable."""
    archive.check()
    try:
        html = mammoth.convert_to_html(
            io.BytesIO(content), convert_image=img_element(lambda _: {"src": ""}), external_file_access=False
        ).value
    except (
        xml.parsers.expat.ExpatError,
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        AttributeError,
        IndexError,
        TypeError,
    ):
        raise Unreadable("damaged", detail="Its main part is not a Word document.") from None
    read = read_html_text(html, MEDIA_TYPE, wish, title=archive.title())
    if wish.pages.strip():
        read.notes.append("A Word document has no fixed pages, so all of it was read. Save it as PDF to choose pages.")
    return read
