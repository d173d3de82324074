"""Reads PowerPoint presentations (.pptx): the text of shapes and tables of each slide, and its notes."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] - made in C

from engine.documents.document import Page, Read, Unreadable, Wish
from engine.documents.office_archive import Archive
from engine.documents.rows import Row, as_markdown, as_text, table_of

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
#: Also those of the stricter form of the standard (ISO/IEC 29500 Strict).
_DRAWING = ("http://schemas.openxmlformats.org/drawingml/2006/main", "http://purl.oclc.org/ooxml/drawingml/main")
_LINKS = (
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    "http://purl.oclc.org/ooxml/officeDocument/relationships",
)
_COMPATIBILITY = "http://schemas.openxmlformats.org/markup-compatibility/2006"
_TITLES = frozenset({"title", "ctrTitle"})
_NOT_CONTENT = frozenset({"sldNum", "dt", "ftr", "hdr", "sldImg"})


def read_slides(archive: Archive, wish: Wish) -> Read:
    """Reads the chosen slides in the order of the presentation. Raises Unreadable."""
    archive.check()
    slides = _slides(archive)
    read = Read(MEDIA_TYPE, [], archive.title(), len(slides))
    chosen = wish.chosen(len(slides), "slide")
    for done, number in enumerate(chosen):
        if read.is_full(wish, done, chosen, "slide"):
            break
        page, tables = _read_slide(archive, slides[number - 1], number)
        read.pages.append(page)
        if wish.how == "tables":
            read.tables += tables
    if not any(page.text for page in read.pages):
        raise Unreadable("no_text")
    return read


def _slides(archive: Archive) -> list[str]:
    main = "ppt/presentation.xml"
    parts = _related(archive, main)
    ids = (node for node in archive.tree(main).iter("{*}sldId"))
    names = (next((node.get(f"{{{link}}}id") for link in _LINKS if node.get(f"{{{link}}}id")), "") for node in ids)
    return [parts[name] for name in names if name in parts]


def _related(archive: Archive, name: str) -> dict[str, str]:
    """Returns the parts that a part names, by the ids that it uses for them."""
    folder, file = posixpath.split(name)
    links = f"{folder}/_rels/{file}.rels"
    if links not in archive.names:
        return {}
    return {
        link.get("Id", ""): posixpath.normpath(posixpath.join(folder, link.get("Target", ""))).lstrip("/")
        for link in archive.tree(links)
        if isinstance(link.tag, str) and link.get("TargetMode") != "External"
    }


def _read_slide(archive: Archive, name: str, number: int) -> tuple[Page, list[dict[str, Any]]]:
    texts, marked, tables = [], [], []
    for what, content in _parts(archive.tree(name)):
        if isinstance(content, list):
            texts.append(as_text(content))
            marked.append(as_markdown(content))
            tables.append(table_of(content, f"Slide {number}", number))
        elif content:
            texts.append(content)
            marked.append(f"## {' '.join(content.split())}" if what in _TITLES else content)
    for part in _related(archive, name).values():
        if "/notesSlide" in part and part in archive.names:
            notes = "\n".join(text for _, text in _parts(archive.tree(part)) if isinstance(text, str) and text)
            texts += [f"Notes: {notes}"] if notes else []
            marked += [f"> Notes: {notes}".replace("\n", "\n> ")] if notes else []
    return Page(number, "\n\n".join(texts), "\n\n".join(marked)), tables


def _parts(slide: etree._Element) -> Iterator[tuple[str, str | list[Row]]]:
    """Yields the kind of placeholder and the text of each shape, and the rows of each table."""
    for alternatives in list(slide.iter(f"{{{_COMPATIBILITY}}}AlternateContent")):
        _keep_one(alternatives)
    for node in slide.iter("{*}sp", *(f"{{{one}}}tbl" for one in _DRAWING)):
        if etree.QName(node).localname == "tbl":
            yield "", [[_text(cell) for cell in row.iterchildren("{*}tc")] for row in node.iterchildren("{*}tr")]
            continue
        place = node.find("{*}nvSpPr/{*}nvPr/{*}ph")
        kind = place.get("type", "") if place is not None else ""
        if kind not in _NOT_CONTENT:
            yield kind, _text(node)


def _keep_one(alternatives: etree._Element) -> None:
    """Leaves the first of the alternatives that has text: the others show the same to older programs."""
    kept = next((one for one in alternatives if _text(one)), None)
    for one in list(alternatives):
        if kept is not None and one is not kept:
            alternatives.remove(one)


def _text(node: etree._Element) -> str:
    lines = []
    for paragraph in node.iter(*(f"{{{one}}}p" for one in _DRAWING)):
        pieces = (
            part.text or "" if etree.QName(part).localname == "t" else "\n"
            for part in paragraph.iter(*(f"{{{one}}}{tag}" for one in _DRAWING for tag in ("t", "br")))
        )
        lines.append("".join(pieces))
    return "\n".join(lines).strip()
