"""Reads Word documents (.docx): mammoth writes them as HTML, and our own writer makes text and Markdown of it."""

from __future__ import annotations

import contextlib
import io
import posixpath
import re
import zipfile
from xml.parsers import expat

import mammoth
from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] - made in C
from mammoth.images import img_element

from engine.documents.document import Read, Unreadable, Wish
from engine.documents.html import read_html_text
from engine.documents.office_archive import Archive, xml

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_MATH = (
    "http://schemas.openxmlformats.org/officeDocument/2006/math",
    "http://purl.oclc.org/ooxml/officeDocument/math",
)
#: Elements around text that mammoth leaves out with their text; it reads what stands in a `w:smartTag`.
_AROUND = frozenset({"fldSimple", "dir", "bdo"})
_LEFT_OUT = re.compile(rb"[<:](?:fldSimple|dir|bdo|oMath)[\s/>]")
#: What a part of a formula begins with, so that ½ does not become 12.
_BEFORE = {"den": "/", "sup": "^", "sub": "_", "rad": "√"}
_WITH_TEXT = ("document", "footnotes", "endnotes")


def read_word(content: bytes, archive: Archive, wish: Wish) -> Read:
    """Reads the whole document: where its pages end is known only when it is printed. Raises Unreadable."""
    archive.check()
    try:
        html = mammoth.convert_to_html(
            io.BytesIO(_whole(content, archive)),
            convert_image=img_element(lambda _: {"src": ""}),
            external_file_access=False,
        ).value
    except (
        expat.ExpatError,
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


def _whole(content: bytes, archive: Archive) -> bytes:
    """Returns the file as mammoth reads all of its text: what stands in simple fields, in pieces with a direction of
    their own and in formulas, too.
    """
    parts: dict[str, bytes] = {}
    for name in archive.names:
        if name.endswith(".xml") and posixpath.basename(name).startswith(_WITH_TEXT):
            data = archive.read(name)
            if _LEFT_OUT.search(data):
                with contextlib.suppress(Unreadable):  # too deep for this parser; mammoth tells what is wrong with it
                    parts[name] = _unwrapped(xml(data))
    if not parts:
        return content
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as whole:
        for name in archive.names:  # pictures are not read
            if name.endswith((".xml", ".rels")):
                whole.writestr(name, parts[name] if name in parts else archive.read(name))
    return file.getvalue()


def _unwrapped(root: etree._Element) -> bytes:
    for node in list(root.iter(etree.Element)):
        name = etree.QName(node)
        if name.namespace in _MATH:
            _unwrap_math(node, name.localname)
        elif name.localname in _AROUND and name.namespace:
            node.tag = f"{{{name.namespace}}}smartTag"
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def _unwrap_math(node: etree._Element, name: str) -> None:
    if name.endswith("Pr"):
        return
    node.tag = f"{{{_WORD}}}{name if name in {'r', 't'} else 'smartTag'}"
    if name == "d":
        node.insert(0, _run("("))
        node.append(_run(")"))
    elif name in _BEFORE and len(node):
        node.insert(0, _run(_BEFORE[name]))


def _run(text: str) -> etree._Element:
    run = etree.Element(f"{{{_WORD}}}r")
    etree.SubElement(run, f"{{{_WORD}}}t").text = text
    return run
