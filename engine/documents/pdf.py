"""Reads PDFs with pdfium: text in reading order, text with its columns side by side, tables, and pages as pictures."""

from __future__ import annotations

import ctypes
import struct
import zlib
from contextlib import closing
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from engine.core.counted import counted
from engine.documents.document import Page, Read, Unreadable, Wish
from engine.documents.page_layout import PageLayout, Piece, is_leftward, is_mark, is_right_to_left
from engine.documents.rows import table_of

MEDIA_TYPE = "application/pdf"
#: A page with more characters than this is read without its layout.
_MAX_CHARACTERS = 100_000
#: Codes that are no characters of the page: of broken words, and of fonts that do not tell.
_NO_CHARACTERS = frozenset({0xFFFE, 0xFFFF, 0xAD})
_MAX_PICTURES = 20
#: The largest picture: pixels of a side, and of the whole.
_LONGEST_SIDE, _MAX_PIXELS = 4_000, 8_000_000


def read_pdf(content: bytes, wish: Wish) -> Read:
    """Reads the chosen pages. Raises Unreadable, also for a PDF whose pages are only pictures."""
    with closing(_opened(content)) as pdf:
        total = len(pdf)
        chosen = wish.chosen(total)
        found = Read(MEDIA_TYPE, [], _title(pdf), total)
        damaged, pictures = [], []
        for done, number in enumerate(chosen):
            if found.is_full(wish, done, chosen, "page"):
                break
            try:
                with closing(pdf[number - 1]) as page:
                    read, tables = _read_page(page, number, wish.how)
                    if not read.text and _has_pictures(page):
                        pictures.append(number)
            except pypdfium2.PdfiumError:
                damaged.append(number)
                continue
            found.pages.append(read)
            found.tables += tables
    if not found.pages:
        raise Unreadable("damaged", detail="None of its pages can be opened.")
    if not any(page.text for page in found.pages):
        raise Unreadable("scanned" if pictures else "no_text")
    if damaged:
        found.notes.append(f"{_numbers(damaged)} cannot be opened, so the text is without it.")
    if pictures:
        found.notes.append(f"{_numbers(pictures)} has no text, only pictures: a Prompt node can look at it.")
    return found


def page_pictures(content: bytes, wish: Wish, width: int) -> tuple[list[dict[str, int]], list[str], bytes]:
    """Returns the chosen pages as PNG pictures: page and size in bytes of each, sentences about the pages that are
    missing, and all pictures one after another.
    """
    told: list[dict[str, int]] = []
    notes: list[str] = []
    damaged: list[int] = []
    drawn = bytearray()
    with closing(_opened(content)) as pdf:
        chosen = wish.chosen(len(pdf))
        reached = 0
        for number in chosen[:_MAX_PICTURES]:
            reached += 1
            try:
                with closing(pdf[number - 1]) as page:
                    picture = _picture(page, width)
            except pypdfium2.PdfiumError:
                damaged.append(number)
                continue
            told.append({"page": number, "size": len(picture)})
            drawn += picture
            if wish.late:
                break
        if reached < len(chosen):
            most = f"at most {_MAX_PICTURES} are drawn"
            why = most if reached == _MAX_PICTURES else "drawing them takes too long for one step"
            last = f"{chosen[reached - 1]:,}"
            notes.append(f"It has {counted(len(pdf), 'page')}, and those after page {last} are missing: {why}.")
    if not told:
        raise Unreadable("damaged", detail="None of its pages can be drawn.")
    if damaged:
        notes.append(f"{_numbers(damaged)} cannot be drawn, so it is missing.")
    return told, notes, bytes(drawn)


def _opened(content: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if error.err_code in {pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY}:
            raise Unreadable("with_password") from None
        raise Unreadable("damaged", detail="Its list of parts cannot be read.") from None


def _title(pdf: pypdfium2.PdfDocument) -> str:
    try:
        title = " ".join(pdf.get_metadata_value("Title").split())
    except pypdfium2.PdfiumError:
        return ""
    # what converters write when nobody gave a title
    return "" if title.lower().startswith(("microsoft word - ", "untitled")) else title


def _read_page(page: pypdfium2.PdfPage, number: int, how: str) -> tuple[Page, list[dict[str, Any]]]:
    with closing(page.get_textpage()) as text_page:
        text = _tidy(text_page.get_text_bounded())
        read = Page(number, text)
        if not text or not 0 < text_page.count_chars() <= _MAX_CHARACTERS:
            read.markdown = read.layout = text
            return read, []
        layout = PageLayout(_pieces(text_page))
    read.layout = text if is_right_to_left(text) else layout.as_printed()
    if how == "markdown":
        read.markdown = layout.as_markdown(text)
    tables = layout.tables() if how == "tables" else []
    return read, [
        table_of(rows, f"Page {number}" + (f", table {place}" if len(tables) > 1 else ""), number)
        for place, rows in enumerate(tables, 1)
    ]


def _pieces(page: pypdfium2.PdfTextPage) -> list[Piece]:
    """Returns the words of the page: characters that stand side by side, with the height of their font."""
    pieces: list[Piece] = []
    word: list[str] = []
    is_leftwards = False
    left = right = bottom = top = 0.0
    box = pdfium.FS_RECTF()
    there = ctypes.byref(box)
    for place in range(page.count_chars()):
        code = pdfium.FPDFText_GetUnicode(page, place)
        space = code <= 32 or code == 0xA0
        if code in _NO_CHARACTERS or not (space or pdfium.FPDFText_GetLooseCharBox(page, place, there)):
            continue
        height = top - bottom
        letter = chr(code)
        if is_leftward(letter):
            is_leftwards = True
        # vowel signs stand above or below their letter, wherever their boxes are
        if word and (
            space
            or not (
                is_mark(letter)
                or (
                    -height < (left - box.right if is_leftwards else box.left - right) < 0.17 * height
                    and abs(box.top + box.bottom - top - bottom) <= height / 2
                )
            )
        ):
            pieces.append(Piece(left, right, bottom, max(top, bottom + 1), "".join(word), len(pieces)))
            word = []
            is_leftwards = is_leftward(letter)
        if space:
            continue
        if not word:
            left, right, bottom, top = box.left, box.right, box.bottom, box.top
        word.append(letter)
        left, right = min(left, box.left), max(right, box.right)
    if word:
        pieces.append(Piece(left, right, bottom, max(top, bottom + 1), "".join(word), len(pieces)))
    return pieces


def _has_pictures(page: pypdfium2.PdfPage) -> bool:
    return next(iter(page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3)), None) is not None


def _picture(page: pypdfium2.PdfPage, width: int) -> bytes:
    wide, high = page.get_size()
    scale = min(width / max(wide, 1), _LONGEST_SIDE / max(high, 1), (_MAX_PIXELS / max(wide * high, 1)) ** 0.5)
    bitmap = page.render(scale=scale, rev_byteorder=True, prefer_bgrx=False)
    with closing(bitmap):
        return png(bitmap.buffer, bitmap.width, bitmap.height, bitmap.stride, bitmap.n_channels)


def png(pixels: Any, width: int, height: int, stride: int, channels: int) -> bytes:
    """Returns a PNG of pixels with 1 (grey), 3 (RGB) or 4 (RGBA) bytes each; `stride`: the bytes of a row."""
    view = memoryview(pixels).cast("B")
    rows = b"".join(b"\0" + view[row * stride : row * stride + width * channels] for row in range(height))
    colours = {1: 0, 3: 2, 4: 6}[channels]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)),
            (b"IDAT", zlib.compress(rows, 6)),
            (b"IEND", b""),
        )
    )


def _tidy(text: str) -> str:
    """Plain line ends, and words that a line end broke with pdfium's mark for it joined."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\ufffe\n", "").replace("\ufffe", "")
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()


def _numbers(pages: list[int]) -> str:
    if len(pages) == 1:
        return f"Page {pages[0]:,}"
    more = f" and {len(pages) - 8:,} more" if len(pages) > 8 else ""
    return f"Each of the pages {', '.join(map(str, pages[:8]))}{more}"
