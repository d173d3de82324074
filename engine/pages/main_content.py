"""Reads a web page: its title, language, links, and its main content as text and Markdown. Pure functions, no I/O.

They take some milliseconds of CPU time for a usual page, so nodes call them in a thread. The main content is the page's
`main` or `article` element; without one, trafilatura searches for it; when that finds nothing, it is the page without
menus and footers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal
from urllib.parse import urldefrag

from msgspec import Struct, field

from engine.core.charsets import decode_body
from engine.core.web_addresses import join_url
from engine.pages.markdown_writer import LONGEST_BASE, Writer, absolute
from engine.pages.parsing_limits import LONGEST_PAGE, check_shape

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

__all__ = [
    "Content",
    "Page",
    "SelectorUnreadable",
    "check_selector",
    "decode_body",
    "extract_text",
    "needs_browser",
    "read_links",
    "read_page",
]

Content = Literal["main", "page", "selector"]

_AROUND_CONTENT = (
    "nav, aside, footer, header, form, dialog, [role=navigation], [role=banner], [role=contentinfo], [role=search], "
    "[role=complementary], [role=dialog], [aria-hidden=true], [hidden], #onetrust-consent-sdk, #CybotCookiebotDialog, "
    "[id*=cookie-banner], [class*=cookie-banner], [id*=cookie-consent], [class*=cookie-consent], [id*=cookie-notice], "
    "[class*=cookie-notice], [id*=cookiebanner], [class*=cookiebanner]"
)
_MAX_LINKS = 2_000
#: trafilatura is used up to this many characters; it takes seconds for more.
_LONGEST_FOR_TRAFILATURA = 1024 * 1024
_SHORT_PAGE = 8_000
_TINY_PAGE = 500
_SCRIPT_ROOTS = (
    "#root, #app, #__next, #__nuxt, #___gatsby, #svelte, #main-app, app-root, [ng-app], [ng-version], [data-reactroot], "
    "[data-v-app], [q\\:container]"
)
_LITTLE_TEXT = 200


HOW_TO_SELECT = "Write it as in a style sheet, like `.price` or `article h2`."


class SelectorUnreadable(ValueError):
    """The text is not a CSS selector."""


class Page(Struct, frozen=True):
    """The content of a page. `html` is the part from which `text` and `markdown` were made; `links` are those of the
    whole page.
    """

    title: str = ""
    description: str = ""
    language: str = ""
    text: str = ""
    markdown: str = ""
    html: str = ""
    links: list[dict[str, str]] = field(default_factory=list)
    matches: list[str] = field(default_factory=list)


def read_page(html: str, url: str, *, content: Content = "main", selector: str | None = None) -> Page:
    """Reads a page from the address `url`. With `content="selector"`, `matches` has the text of every match in page
    order.

    Raises PageTooTangled for a page that is not safe to parse, and SelectorUnreadable for an invalid selector. Only the
    first LONGEST_PAGE characters are read.
    """
    html = html[:LONGEST_PAGE]
    check_shape(html)
    tree = _parse(html)
    base = _base(tree, url)
    head = {
        "title": _title(tree),
        "description": _meta(tree, "description") or _meta(tree, "og:description"),
        "language": _language(tree),
        "links": _links(tree, url, base),
    }
    if content == "selector":
        chosen = _select(tree, selector or "")
        matches = [_plain(node) for node in chosen]
        found = _outermost(chosen)
        markdown = "\n\n".join(filter(None, (Writer(base=base).write(node) for node in found)))
        text = "\n\n".join(filter(None, (_plain(node) for node in found)))
        return Page(
            **head, text=text, markdown=markdown, html="\n".join(node.html or "" for node in found), matches=matches
        )
    part = tree.body if content == "page" else _main_part(tree, html)
    if part is None:
        return Page(**head)
    return Page(
        **head,
        text=_plain(part),
        markdown=Writer(base=base).write(part),
        html=html if content == "page" else part.html or "",
    )


def extract_text(
    html: str,
    selector: str | None = None,
    *,
    drop: Iterable[str] = (),
    keep_links: bool = False,
    max_chars: int | None = None,
) -> tuple[str, str, int]:
    """Returns the text, the title, and the length of the text before it was cut to `max_chars`.

    `selector` selects parts; `drop`: selectors of parts to leave out; `keep_links` writes links as `[text](address)`.
    Raises PageTooTangled and SelectorUnreadable.
    """
    html = html[:LONGEST_PAGE]
    check_shape(html)
    tree = _parse(html)
    title = _title(tree)
    for unwanted in drop:
        _remove(tree.root, _select(tree, unwanted))
    parts = _outermost(_select(tree, selector)) if selector else [tree.body] if tree.body else []
    writer = Writer(markdown=False, links=keep_links)
    text = "\n\n".join(filter(None, (writer.write(part) for part in parts)))
    return (text if max_chars is None else text[:max_chars]), title, len(text)


def check_selector(selector: str) -> None:
    """Raises SelectorUnreadable for a text that is not a CSS selector."""
    _select(_parse("<p>"), selector)


def read_links(html: str, url: str) -> list[str]:
    """Returns every address that a page links to, once, in page order; none when its robots meta tag says nofollow.

    Raises PageTooTangled.
    """
    html = html[:LONGEST_PAGE]
    check_shape(html)
    tree = _parse(html)
    directives = {word.strip().lower() for word in _meta(tree, "robots").split(",")}
    if directives & {"nofollow", "none"}:
        return []
    return [link["url"] for link in _links(tree, url, _base(tree, url))]


def needs_browser(html: str) -> bool:
    """True for a page with almost no text of its own, because a script loads and shows it."""
    html = html[:LONGEST_PAGE]
    check_shape(html)
    tree = _parse(html)
    if tree.body is None or not tree.css("script"):
        return False
    asks_for_script = any("javascript" in (node.text() or "").lower() for node in tree.css("noscript"))
    has_root = bool(tree.css(_SCRIPT_ROOTS))
    return (has_root or asks_for_script) and len(_plain(tree.body)) < _LITTLE_TEXT


def _parse(html: str) -> LexborHTMLParser:
    # most workers never read a page, and the parser takes a megabyte
    from selectolax.lexbor import LexborHTMLParser

    return LexborHTMLParser(html)


def _main_part(tree: LexborHTMLParser, html: str) -> LexborNode | None:
    """Returns the part of a page that is its main content. It removes surrounding elements from `tree`."""
    marked = _outermost(tree.css("main, [role=main]")) or _outermost(tree.css("article"))
    if len(marked) == 1:
        _remove(marked[0], marked[0].css(_AROUND_CONTENT))
        if marked[0].text(deep=True).strip():
            return marked[0]
    whole = _parse(html).body
    if whole is None:
        return None
    rest = _parse(html).body
    assert rest is not None
    around = rest.css(_AROUND_CONTENT)
    _remove(rest, around)
    length = len(_plain(rest))
    # trafilatura is made for articles; of a short page with a marked menu and footer it drops headings and lists.
    marked_or_tiny = bool(around) or length < _TINY_PAGE
    if 0 < length <= _SHORT_PAGE and marked_or_tiny and _share_in_links(rest, length) < 0.5:
        return rest
    return _by_trafilatura(html) or (rest if length else whole)


def _share_in_links(part: LexborNode, length: int) -> float:
    return sum(len(" ".join(link.text(deep=True).split())) for link in part.css("a")) / length


def _by_trafilatura(html: str) -> LexborNode | None:
    if len(html) > _LONGEST_FOR_TRAFILATURA:
        return None
    import trafilatura  # takes 0.2 s to import; only pages without a marked main part need it

    try:
        found = trafilatura.extract(
            html, output_format="html", include_links=True, include_formatting=True, include_tables=True
        )
    except Exception:  # noqa: BLE001 - any error on an unusual page; another way follows
        return None
    part = _parse(found).body if found else None
    return part if part is not None and part.text(deep=True).strip() else None


def _base(tree: LexborHTMLParser, url: str) -> str:
    node = tree.css_first("base[href]")
    if node is None:
        return url
    try:
        base = join_url(url, (node.attributes.get("href") or "").strip())
    except ValueError:
        return url
    return base if len(base) <= LONGEST_BASE else url


def _title(tree: LexborHTMLParser) -> str:
    for selector in ("head > title", "h1"):
        node = tree.css_first(selector)
        if node is not None and (text := " ".join(node.text(deep=True).split())):
            return text
    return _meta(tree, "og:title")


def _meta(tree: LexborHTMLParser, name: str) -> str:
    for node in tree.css("meta[content]"):
        if name in {(node.attributes.get("name") or "").lower(), (node.attributes.get("property") or "").lower()}:
            return " ".join((node.attributes.get("content") or "").split())
    return ""


def _language(tree: LexborHTMLParser) -> str:
    node = tree.css_first("html[lang]")
    return (node.attributes.get("lang") or "").strip()[:35] if node is not None else ""


def _links(tree: LexborHTMLParser, url: str, base: str) -> list[dict[str, str]]:
    """Returns every address the page links to, once, in page order, with the first link text that is not empty."""
    texts: dict[str, str] = {}
    for node in tree.css("a[href]"):
        full = absolute(base, node.attributes.get("href"))
        if full is None or not full.lower().startswith(("http://", "https://")):
            continue
        address = urldefrag(full).url
        if address == urldefrag(url).url and "#" in full:
            continue
        text = " ".join(node.text(deep=True).split())
        if not texts.get(address) and (address in texts or len(texts) < _MAX_LINKS):
            texts[address] = text
    return [{"url": address, "text": text} for address, text in texts.items()]


def _select(tree: LexborHTMLParser, selector: str) -> list[LexborNode]:
    from selectolax.lexbor import SelectolaxError

    try:
        return tree.css(selector.strip())
    except (SelectolaxError, ValueError) as error:
        raise SelectorUnreadable(f"`{selector}` is not a CSS selector.") from error


def _outermost(nodes: list[LexborNode]) -> list[LexborNode]:
    """Returns the nodes that are not inside another node of the list, so that no text appears twice."""
    found = {node.mem_id for node in nodes}
    kept = []
    for node in nodes:
        above = node.parent
        while above is not None and above.mem_id not in found:
            above = above.parent
        if above is None:
            kept.append(node)
    return kept


def _remove(top: LexborNode | None, nodes: list[LexborNode]) -> None:
    """Removes nodes from the tree; `top` itself is kept."""
    for node in _outermost([node for node in nodes if top is None or node.mem_id != top.mem_id]):
        node.decompose()


def _plain(node: LexborNode) -> str:
    return Writer(markdown=False, links=False).write(node)
