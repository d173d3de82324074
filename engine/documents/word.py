"""Reads Word documents (.docx): mammoth writes them as HTML, and our own writer makes text and Markdown of it."""

from __future__ import annotations

import contextlib
import io
import posixpath
import re
import zipfile
from collections.abc import Mapping
from typing import NamedTuple
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
_IN_MATH = tuple(f"{{{one}}}*" for one in _MATH)
#: Tracked changes that put text in, and those that take it out.
_PUT_IN, _TAKEN_OUT = frozenset({"ins", "moveTo"}), ("}del", "}moveFrom")
#: Elements around text that mammoth leaves out with their text; it reads what stands in a `w:smartTag`.
_AROUND = frozenset({"fldSimple", "dir", "bdo"})
_LEFT_OUT = re.compile(rb"[<:](?:fldSimple|dir|bdo|oMath)[\s/>]")
#: What is written before a part of a formula, so that ½ does not become 12.
_BEFORE = {"den": "/", "sup": "^", "sub": "_", "lim": "_"}
#: What is written between parts of the same name, by the whole and the part.
_BETWEEN = {("mr", "e"): ", ", ("m", "mr"): "; ", ("eqArr", "e"): "; "}
#: The property that names the sign between the parts of a whole, and the usual one.
_NAMED_SIGNS = {"d": ("sepChr", "|"), "f": ("type", "bar")}
#: Parts of a formula that a letter or digit behind them would become one with.
_WHOLES = frozenset({"bar", "f", "func", "groupChr", "limLow", "limUpp", "nary", "rad", "sSub", "sSubSup", "sSup"})
#: Characters of a part of a formula that are remembered: longer parts are no single sign.
_KNOWN = 40
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
    formulas: dict[etree._Element, _Part] = {}
    for node in reversed(list(root.iter(etree.Element))):  # the parts of a formula before the whole
        name = etree.QName(node)
        if name.namespace in _MATH or (
            name.localname in _PUT_IN and next(node.iterancestors(*_IN_MATH), None) is not None
        ):
            formulas[node] = _unwrap_math(node, name.localname, formulas)
        elif name.localname in _AROUND and name.namespace:
            node.tag = f"{{{name.namespace}}}smartTag"
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


class _Part(NamedTuple):
    """A part of a formula, with the beginning of its text and the last character. `closed`: brackets stand around it.
    `kind`: the name of what it consists of alone, or its own.
    """

    name: str
    text: str = ""
    last: str = ""
    closed: bool = False
    kind: str = ""

    @property
    def is_number(self) -> bool:
        return self.text.replace(".", "").replace(",", "").isdecimal()


def _unwrap_math(node: etree._Element, name: str, formulas: Mapping[etree._Element, _Part]) -> _Part:
    """Makes a part of a formula one that mammoth reads, and writes its parts on one line: `(a+b)/(c+d)`, `√(x+1)`."""
    parent = node.getparent()
    if name.endswith("Pr") or (parent is not None and parent.tag.endswith("Pr")):
        return _Part(name)  # how the part looks
    node.tag = f"{{{_WORD}}}{name if name in {'r', 't'} else 'smartTag'}"
    if name in {"r", "t"}:
        text = "".join(node.itertext())
        return _Part(name, text[:_KNOWN], text[-1:])
    parts = [(one, part) for one in node if (part := _part_of(one, formulas)).text]
    text, last = "", ""
    begins, ends = _ends_of(node, name, with_degree=any(part.name == "deg" for _, part in parts))
    sign = _sign_of(node, *_NAMED_SIGNS[name]) if name in _NAMED_SIGNS else ""
    earlier = _Part("")
    for one, part in parts:
        front = _front(name, part, earlier, sign)
        bare = part.closed or not _wants_brackets(name, part, root=begins == "√")
        if not front and part.text[0].isalnum() and last.isalnum() and (earlier.kind in _WHOLES or part.kind == "f"):
            front = " "
        before, after = front + ("" if bare else "("), ("" if bare else ")") + ("; " if part.name == "deg" else "")
        if before:
            one.addprevious(_run(before))
        if after:
            one.addnext(_run(after))
        text = f"{text}{before}{part.text}{after}"[:_KNOWN]
        last, earlier = after[-1:] or part.last, part
    if begins:
        node.insert(0, _run(begins))
    if ends:
        node.append(_run(ends))
    alone = parts[0][1] if len(parts) == 1 else _Part("")
    kind = name if name in _WHOLES else alone.kind or name
    return _Part(name, f"{begins}{text}{ends}"[:_KNOWN], ends or last, bool(begins and ends) or alone.closed, kind)


def _part_of(node: etree._Element, formulas: Mapping[etree._Element, _Part]) -> _Part:
    """Returns a part of a formula; a part that is none, like a link, by its text. What a tracked change takes out has none."""
    if node in formulas or not isinstance(node.tag, str) or node.tag.endswith(_TAKEN_OUT):
        return formulas.get(node, _Part(""))
    text = "".join(node.itertext()).strip()
    return _Part("", text[:_KNOWN], text[-1:])


def _ends_of(node: etree._Element, name: str, *, with_degree: bool) -> tuple[str, str]:
    """Returns what a part begins and ends with."""
    if name == "d":
        return _sign_of(node, "begChr", "("), _sign_of(node, "endChr", ")")
    if name == "nary":
        return _sign_of(node, "chr", "∫"), ""
    if name == "rad":
        return ("root(", ")") if with_degree else ("√", "")
    return "", ""


def _front(whole: str, part: _Part, earlier: _Part, sign: str) -> str:
    """Returns what stands before a part of `whole`, whose part `earlier` stands before it. `sign`: see `_NAMED_SIGNS`."""
    if part.name == "den" and sign == "noBar":
        return " choose "
    if whole == "limUpp" and part.name == "lim":
        return "^"
    if whole in {"func", "nary"} and part.name == "e" and not part.closed:
        return " "
    if earlier.name != part.name:
        return _BEFORE.get(part.name, "")
    return sign if (whole, part.name) == ("d", "e") else _BETWEEN.get((whole, part.name), "")


def _wants_brackets(whole: str, part: _Part, *, root: bool) -> bool:
    """True when a part of `whole` would become another formula without brackets."""
    if len(part.text) == 1 or part.is_number:
        return False
    if part.name in {"num", "den", "sup"} or (part.name == "e" and root):
        return True
    return (part.name in {"sub", "lim"} or (whole in {"sSub", "sSubSup", "sSup"} and part.name == "e")) and (
        not part.text.isalnum()
    )


def _sign_of(node: etree._Element, name: str, usual: str) -> str:
    """Returns a sign that the properties of a part name, or the usual one."""
    for properties in node:
        if isinstance(properties.tag, str) and properties.tag.endswith("Pr"):
            for one in properties:
                if isinstance(one.tag, str) and etree.QName(one).localname == name:
                    return next((value for key, value in one.attrib.items() if key.endswith("}val")), usual)
    return usual


def _run(text: str) -> etree._Element:
    run = etree.Element(f"{{{_WORD}}}r")
    etree.SubElement(run, f"{{{_WORD}}}t").text = text
    return run
