"""Writes a part of a page as Markdown or as plain text, for people and for models.

Headings, paragraphs, lists, tables, quotes, code and links are kept; scripts, styles and buttons of forms are left out.
Links become absolute. Only `<` is escaped in a page's text, so that no text becomes markup later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.core.web_addresses import join_url
from engine.pages.table_places import MAX_PADDING, TablePlaces, placed

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

NOT_CONTENT = frozenset(
    "script style noscript template svg math iframe object canvas head button select datalist dialog input".split()  # noqa: SIM905
)
_BLOCKS = frozenset(
    "address article aside blockquote body center dd details dir div dl dt fieldset figcaption figure footer form h1 h2 h3 "  # noqa: SIM905
    "h4 h5 h6 header hgroup hr html legend li main menu nav ol p pre search section summary table tbody td tfoot th thead "
    "tr ul caption".split()
)
_BLOCK_SELECTOR = ", ".join(sorted(_BLOCKS))
_MARKS = {"strong": "**", "b": "**", "em": "*", "i": "*", "code": "`", "kbd": "`", "samp": "`", "del": "~~", "s": "~~"}
_SPACES = re.compile(r"[ \t\r\n\f\v]+")
_DEEPEST = 150
_MAX_NESTING = 8
#: The longest address in characters. A page has one base and thousands of links that each include it: without a limit,
#: 0.5 MB of page become gigabytes of links.
_LONGEST_ADDRESS = 4_096
LONGEST_BASE = 2_048


@dataclass
class Writer:
    """Options: `markdown`, or else plain text; `links` keeps the addresses of links; `base` makes them absolute.

    `own_page`: the page is written by Flowport itself, so `<` stays as it is inside code, and the class of a `pre` is
    `language-...`. `first_row_is_head`: the first row of each table names its columns, also when it is not marked as that.
    """

    markdown: bool = True
    links: bool = True
    base: str = ""
    own_page: bool = False
    first_row_is_head: bool = False
    _nesting: int = field(default=0, init=False, repr=False)
    _containers: set[int] = field(default_factory=set, init=False, repr=False)
    _places: TablePlaces = field(default_factory=TablePlaces, init=False, repr=False)

    def write(self, node: LexborNode) -> str:
        """Returns the node and everything below it as text, with an empty line between blocks."""
        self._containers = _containers(node)
        blocks = [*self._block(node, 0)] if node.tag in _BLOCKS else [self._tidy(self._inline(node, 0))]
        return "\n\n".join(block for block in blocks if block.strip()).strip()

    def _blocks(self, parent: LexborNode, depth: int) -> Iterator[str]:
        """Yields the blocks of a container; text between block elements becomes a paragraph."""
        run: list[str] = []
        for child in parent.iter(include_text=True):
            if child.tag in NOT_CONTENT:
                continue
            if child.tag in _BLOCKS or (child.tag not in {"-text", "br"} and child.mem_id in self._containers):
                if text := self._tidy("".join(run)):
                    yield text
                run = []
                yield from self._block(child, depth + 1)
            else:
                run.append(self._inline(child, depth + 1))
        if text := self._tidy("".join(run)):
            yield text

    def _block(self, node: LexborNode, depth: int) -> Iterator[str]:
        tag = node.tag or ""
        if depth > _DEEPEST:
            yield self._tidy(node.text(deep=True))
        elif re.fullmatch(r"h[1-6]", tag):
            title = self._tidy(self._inline(node, depth)).replace("\n", " ")
            yield f"{'#' * int(tag[1])} {title}" if self.markdown and title else title
        elif tag in {"p", "summary", "figcaption", "legend", "caption"} and node.mem_id not in self._containers:
            yield self._tidy(self._inline(node, depth))
        elif tag in {"ul", "ol", "menu", "dir"}:
            yield self._list(node, depth)
        elif tag == "dl":
            yield self._terms(node, depth)
        elif tag == "pre":
            yield self._code(node)
        elif tag == "table":
            yield from self._table(node, depth)
        elif tag == "blockquote":
            with self._deeper() as marked:
                inner = "\n\n".join(self._blocks(node, depth))
            yield re.sub(r"(?m)^", "> ", inner) if self.markdown and inner and marked else inner
        elif tag == "hr":
            yield "---" if self.markdown else ""
        else:
            yield from self._blocks(node, depth)

    def _list(self, node: LexborNode, depth: int) -> str:
        lines: list[str] = []
        number = _whole(node.attributes.get("start"), 1)
        for item in node.iter():
            with self._deeper() as marked:
                inner = "\n".join(block for block in self._blocks(item, depth + 1) if block.strip())
            if not inner:
                continue
            mark = f"{number}. " if node.tag == "ol" else "- "
            number += 1
            lines.append(mark + (inner.replace("\n", "\n" + " " * len(mark)) if marked else inner))
        return "\n".join(lines)

    @contextmanager
    def _deeper(self) -> Iterator[bool]:
        """Enters a list or quote. Yields False when it is nested too deep to be shown by indentation."""
        self._nesting += 1
        yield self._nesting <= _MAX_NESTING
        self._nesting -= 1

    def _terms(self, node: LexborNode, depth: int) -> str:
        lines: list[str] = []
        groups = [[child] if child.tag in {"dt", "dd"} else [*child.iter()] for child in node.iter()]
        for child in (child for group in groups for child in group if child.tag in {"dt", "dd"}):
            text = " ".join(self._blocks(child, depth + 1)).strip()
            if child.tag == "dt":
                lines.append(f"- **{text}**" if self.markdown else text)
            elif lines and not lines[-1].endswith("\n"):
                lines[-1] += f": {text}"
        return "\n".join(lines)

    def _code(self, node: LexborNode) -> str:
        text = node.text(deep=True).strip("\n")
        if not self.markdown or not text.strip():
            return text
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
        said = (node.attributes.get("class") or "") if self.own_page else ""
        return f"{fence}{said.removeprefix('language-')}\n{text}\n{fence}"

    def _table(self, node: LexborNode, depth: int) -> Iterator[str]:
        lines = [(row, [*_cells(row)]) for row in _own_rows(node)]
        rows = [cells for _, cells in lines if cells]
        if (
            any(cell.css_first("table") is not None for row in rows for cell in row)
            or max((len(row) for row in rows), default=0) < 2
        ):
            for row in rows:  # a table that is used for layout
                for cell in row:
                    yield from self._blocks(cell, depth + 1)
            return
        for child in node.iter():
            if child.tag == "caption":
                yield self._tidy(self._inline(child, depth))
        written = [
            placed([self._cell(cell, depth) for cell in row], places, "")
            for (_, row), places in zip(lines, self._places.of(node, lines), strict=True)
            if row  # one whose cells are all merged into those above has none
        ]
        width = max(len(row) for row in written)
        if len(written) * width - sum(map(len, written)) <= MAX_PADDING:
            written = [row + [""] * (width - len(row)) for row in written]
        if not self.markdown:
            yield "\n".join(" | ".join(row) for row in written)
            return
        if not self.first_row_is_head and not all(cell.tag == "th" for cell in rows[0]):
            written.insert(0, [""] * width)
        written.insert(1, ["---"] * width)
        yield "\n".join(f"| {' | '.join(row)} |" for row in written)

    def _cell(self, cell: LexborNode, depth: int) -> str:
        text = " ".join(" ".join(self._blocks(cell, depth + 1)).split())
        return text.replace("|", "\\|") if self.markdown else text

    def _inline(self, node: LexborNode, depth: int) -> str:
        tag = node.tag or ""
        if tag == "-text":
            text = _SPACES.sub(" ", node.text_content or "")
            return text.replace("<", "\\<") if self.markdown else text
        if tag in NOT_CONTENT or tag.startswith("-"):
            return ""
        if tag == "br":
            return "\n"
        if tag == "img":
            alt = _SPACES.sub(" ", node.attributes.get("alt") or "").strip()
            return f"[{alt}]" if alt else ""
        if depth > _DEEPEST:
            return _SPACES.sub(" ", node.text(deep=True))
        inner = "".join(self._inline(child, depth + 1) for child in node.iter(include_text=True))
        if tag == "a" and self.links and (url := absolute(self.base, node.attributes.get("href"))):
            return _around(inner, "[", f"]({url})")
        if self.own_page and _MARKS.get(tag) == "`":
            inner = inner.replace("\\<", "<")
        if self.markdown and tag in _MARKS:
            return _around(inner, _MARKS[tag], _MARKS[tag])
        return inner

    @staticmethod
    def _tidy(text: str) -> str:
        lines = (re.sub(r" {2,}", " ", line).strip() for line in text.split("\n"))
        return re.sub(r"\n{2,}", "\n", "\n".join(lines)).strip()


def absolute(base: str, href: str | None) -> str | None:
    """Returns a link's absolute address; None when it is no web link (mailto, javascript, invalid) or longer than
    _LONGEST_ADDRESS.
    """
    if not href or href.strip().startswith("#"):
        return None
    try:
        url = join_url(base, href.strip())
    except ValueError:
        return None
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", url) and not re.match(r"https?://[^/?#]", url, re.IGNORECASE):
        return None
    url = re.sub(r"[\s()<>]", lambda match: f"%{ord(match[0]):02X}", url)
    return url if len(url) <= _LONGEST_ADDRESS else None


def _around(text: str, before: str, after: str) -> str:
    """Puts marks around the words and leaves surrounding spaces outside. Empty text gets no marks."""
    inner = text.strip()
    if not inner or "\n" in inner:
        return text
    start = " " if text[0].isspace() else ""
    end = " " if text[-1].isspace() else ""
    return f"{start}{before}{inner}{after}{end}"


def _own_rows(table: LexborNode) -> Iterator[LexborNode]:
    """Yields the rows of a table, without those of nested tables."""
    for child in table.iter():
        if child.tag == "tr":
            yield child
        elif child.tag in {"tbody", "thead", "tfoot"}:
            yield from (row for row in child.iter() if row.tag == "tr")


def _cells(row: LexborNode) -> Iterator[LexborNode]:
    return (cell for cell in row.iter() if cell.tag in {"td", "th"})


def _containers(top: LexborNode) -> set[int]:
    """Returns the ids of all elements below `top` that contain a block element. Each element is visited once."""
    containers: set[int] = set()
    for node in top.css(_BLOCK_SELECTOR):
        above = node.parent
        while above is not None and above.mem_id not in containers:
            containers.add(above.mem_id)
            above = above.parent
    return containers


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and re.fullmatch(r"-?\d{1,6}", text) else otherwise
