"""Checks whether a page can be parsed safely: a small file with unusual tags can cost gigabytes or minutes in any HTML
parser.

Three shapes are dangerous. In a tag with many attributes, parsers compare each attribute with all before it: 479 KB in
one tag took 90 s. With thousands of nested elements, parsers search their whole stack for each tag. Unclosed formatting
elements (`<font>`, `<b>`) are opened again in every following paragraph, as the HTML standard asks: 84 KB became 2 GB.
All three are counted in one pass over the tags. The counts are never too low: text that only looks like a closing tag
is not counted as one.

A page within these limits can still take minutes (for example a list of 100,000 options). A page that is not `ordinary`
is therefore read in an evaluator process, which can be killed (`engine.nodes.page_reading`).
"""

from __future__ import annotations

import re
from collections import Counter

from msgspec import Struct

#: How many characters of a page are parsed; the rest is ignored.
LONGEST_PAGE = 3 * 1024 * 1024

_DEEPEST = 5_000
_MAX_REPEATED = 1_000_000
#: The largest number of attributes of one tag, and of tags of a page. Real pages have dozens and thousands.
MAX_ATTRIBUTES = 500
MAX_TAGS = 200_000

# Measured: the worst page within these limits takes about two seconds of one core. Most pages of the web are within
# them.
_ORDINARY_LENGTH = 512 * 1024
_ORDINARY_TAGS = 6_000
_ORDINARY_DEPTH = 256

_TAG = re.compile(
    r"<(?:!--(?P<comment>-?>|)"
    r"|(?P<end>/?)(?P<name>[a-zA-Z][^\s/>]*+)(?P<rest>"
    # attributes as in the HTML standard: a quote starts a value only after an equals sign
    r"(?:[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s>]*+))?+)*+)(?P<slash>[\s/]*+))"
)
_COMMENT_END = re.compile(r"--!?>")
_ATTRIBUTE = re.compile(r"[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s>]*+))?+")
_FORMATTING = frozenset("a b big code em font i nobr s small strike strong tt u".split())  # noqa: SIM905
#: Elements without content, or that are closed implicitly when the next one starts.
_FLAT = frozenset(
    "area base br col embed hr img input link meta source track wbr param keygen frame "  # noqa: SIM905
    "p li dt dd tr td th tbody thead tfoot colgroup caption option optgroup rb rp rt rtc html head body".split()
)
#: Tags that end an SVG or MathML element, or start HTML inside it: after them `<path/>` does not close itself any more.
_NOT_IN_DRAWING = _FORMATTING | frozenset(
    "blockquote body br center dd div dl dt embed h1 h2 h3 h4 h5 h6 head hr img li listing menu meta ol p pre "  # noqa: SIM905
    "ruby span sub sup table ul var foreignobject desc annotation-xml mi mo mn ms mtext".split()
)
_NEVER_CLOSED = "Thousands of its elements are never closed."
_RAW = frozenset("script style textarea title xmp iframe noembed noframes".split())  # noqa: SIM905


class PageUnreadable(ValueError):
    """A page was not read; the text says why, for the flow's designer."""


class ReadingStopped(PageUnreadable):
    """Reading the page took too much time or memory, or its process ended: its HTML need not be broken."""


class PageTooTangled(PageUnreadable):
    """Reading the page is not safe: its elements are nested too deep, too many are open, or a tag has too many
    attributes.

    Its text says which, for the flow's designer.
    """


class Shape(Struct, frozen=True):
    """The measurements of a page: length in characters, opening tags and deepest nesting; none is counted too low.

    `odd`: a script or style contains text that would be a tag with many attributes elsewhere.
    """

    length: int
    tags: int
    depth: int
    odd: bool

    @property
    def ordinary(self) -> bool:
        """True when every reader takes little time for such a page."""
        return (
            self.length <= _ORDINARY_LENGTH
            and self.tags <= _ORDINARY_TAGS
            and self.depth <= _ORDINARY_DEPTH
            and not self.odd
        )


def check_shape(html: str) -> Shape:  # noqa: C901, PLR0912, PLR0915 - one pass, for speed
    """Measures a page. Raises PageTooTangled. The time is linear in the length of the page."""
    opened: Counter[str] = Counter()
    formatting: list[tuple[str, str]] = []
    formatting_names: Counter[str] = Counter()
    depth = deepest = repeated = position = tags = 0
    raw, drawing, odd = "", False, False
    while match := _TAG.search(html, position):
        position = match.end()
        name = (match["name"] or "").lower()
        if not name:
            if not raw and not match["comment"]:
                end = _COMMENT_END.search(html, position)
                position = end.end() if end else len(html)
            continue
        if match["end"]:
            if raw and name != raw:
                continue
            raw = ""
            drawing = drawing and name not in {"svg", "math"}
            if opened[name]:
                opened[name] -= 1
                depth -= 1
            if formatting_names[name]:
                formatting_names[name] -= 1
                repeated += _close(formatting, name)
                if repeated > _MAX_REPEATED:
                    raise PageTooTangled(_NEVER_CLOSED)
            continue
        tags += 1
        if tags > MAX_TAGS:
            raise PageTooTangled(f"It has more than {MAX_TAGS:,} elements.")
        if _has_many_attributes(match["rest"]):
            if not raw:
                raise PageTooTangled(f"One of its tags has more than {MAX_ATTRIBUTES} attributes.")
            odd = True  # probably a comparison in a script
        repeated += len(formatting)
        if raw or name in _NOT_IN_DRAWING:
            drawing = False
        if drawing and "/" in match["slash"]:
            continue
        drawing = drawing or name in {"svg", "math"}
        if name in _FORMATTING:
            tag = (name, match["rest"][:100])
            if formatting.count(tag) < 3:  # the HTML standard keeps at most three equal ones
                formatting.append(tag)
                formatting_names[name] += 1
        elif name not in _FLAT:
            opened[name] += 1
            depth += 1
        if name in _RAW and not raw:
            raw = name
        deepest = max(deepest, depth + len(formatting))
        if depth > _DEEPEST or repeated > _MAX_REPEATED or len(formatting) > _DEEPEST:
            raise PageTooTangled(_NEVER_CLOSED)
    return Shape(len(html), tags, deepest, odd)


def _has_many_attributes(written: str) -> bool:
    """True when a tag has more than MAX_ATTRIBUTES; a text that is too short for so many is not searched."""
    if len(written) <= 2 * MAX_ATTRIBUTES:
        return False
    return sum(1 for _ in zip(_ATTRIBUTE.finditer(written), range(MAX_ATTRIBUTES + 1), strict=False)) > MAX_ATTRIBUTES


def _close(formatting: list[tuple[str, str]], name: str) -> int:
    """Removes the last element with this name from the list, which contains one.

    Returns how many elements come after it, and itself.
    """
    position = len(formatting) - 1
    while formatting[position][0] != name:
        position -= 1
    del formatting[position]
    return len(formatting) - position
