"""The functions that read a page, by name, with arguments and results as JSON, so that an evaluator process can run
them too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import asdict

from engine.pages.main_content import SelectorUnreadable, extract_text, needs_browser, read_links, read_page
from engine.pages.parsing_limits import LONGEST_PAGE, PageTooTangled, ReadingStopped, check_shape

Json = Any

READERS: dict[str, Callable[..., Json]] = {
    "page": lambda html, url, **choices: asdict(read_page(html, url, **choices)),
    "text": lambda html, **choices: list(extract_text(html, **choices)),
    "links": read_links,
    "needs_browser": needs_browser,
}
#: The errors of readers by name; an evaluator process returns the name.
WRONG: dict[str, type[ValueError]] = {one.__name__: one for one in (PageTooTangled, ReadingStopped, SelectorUnreadable)}

#: Matches a selector for one element by its name, classes, id and attributes, like `a.button[href^="/"]`.
_COMPOUND = re.compile(r"(?:\*|[\w-]++)?+(?:[.#][\w-]++|\[[\w-]++(?:[|^$*]?+=[\"']?+[\w/.-]*+[\"']?+)?+\])*+")
_LONGEST_SELECTORS = 1_000


def is_ordinary(html: str, choices: Mapping[str, Json]) -> bool:
    """True when reading the page takes little time in any case. Raises PageTooTangled.

    That includes selectors for one element by itself. A selector with a colon (`:has`) or with several parts (`a b`, `a
    ~ b`) may search the page again for every element.
    """
    selectors = (choices.get("selector") or "", *choices.get("drop", ()))
    return (
        check_shape(html[:LONGEST_PAGE]).ordinary
        and sum(map(len, selectors)) <= _LONGEST_SELECTORS
        and all(_COMPOUND.fullmatch(part.strip()) for one in selectors for part in one.split(","))
    )


def warm_up() -> None:
    """Calls every reader once, so that all imports are done and all files are open before the process is locked."""
    article = "<p>The keeper lights the lamp at dusk and writes the weather into a blue book.</p>" * 40
    html = (
        f"<html lang=en><head><title>x</title></head><body><div><h1>x</h1>{article}<a href=/>x</a></div></body></html>"
    )
    for content in ("main", "page", "selector"):
        READERS["page"](html, "https://example.com/", content=content, selector="p")
    READERS["text"](html, selector="p", drop=["a"], keep_links=True)
    READERS["links"](html, "https://example.com/")
    READERS["needs_browser"](html)
