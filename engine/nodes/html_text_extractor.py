"""Take the readable text out of a page's HTML.

Use it on HTML you already have: the `html` of a Page Scraper, the `body` of an HTTP Request, or a field of your own. A
**Selector** picks parts, like `article` or `.price`; what **Leave out** matches is removed first. Scripts and styles never
come out. **Keep links** writes a link as `[text](address)`.

`length` counts the characters of the whole text, also when **Longest text** cuts it. Of the HTML the first 3 MiB are read; HTML
with more than 200,000 elements is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, JsonValue

from engine.core.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.node_context import Json, NodeContext, NodeFailed
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType, Text
from engine.nodes.page_reading import read_with
from engine.pages.main_content import HOW_TO_SELECT, SelectorUnreadable, check_selector
from engine.pages.parsing_limits import LONGEST_PAGE, PageTooTangled, PageUnreadable


class Config(NodeConfig):
    selector: str = Field(
        "",
        max_length=500,
        title="Selector",
        description="Only this part of the page, by its name in the HTML, like `article` (a CSS selector). Empty: everything.",
    )
    drop: tuple[str, ...] = Field(
        (),
        max_length=50,
        title="Leave out",
        description="Parts to leave out, by their names in the HTML, like `nav` or `.advert` (CSS selectors).",
        json_schema_extra={"item": "selector"},
    )
    keep_links: bool = Field(False, title="Keep links", description="Write links as `[text](address)`.")
    max_chars: int | None = Field(
        None, ge=1, le=10_000_000, title="Longest text", description="Cut the text after so many characters."
    )


class Inputs(NodeInputs):
    html: Text = Field(
        title="HTML", description="The HTML to take the text from.", json_schema_extra={"widget": "textarea"}
    )


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Extracts the text off the event loop, since long pages take CPU time."""
    choices: dict[str, Json] = {
        "selector": config.selector.strip() or None,
        "drop": list(config.drop),
        "keep_links": config.keep_links,
        "max_chars": config.max_chars,
    }
    try:
        text, title, length = await read_with(context, "text", inputs.html, **choices)
    except SelectorUnreadable as error:
        raise NodeFailed(str(error), remedy=HOW_TO_SELECT) from error
    except PageUnreadable as error:
        broken = isinstance(error, PageTooTangled)
        raise NodeFailed(
            "The HTML cannot be read: it is broken in a way that is not safe to read."
            if broken
            else "The HTML could not be read to its end.",
            why=str(error),
            remedy="Use other HTML, or a smaller part of it.",
        ) from error
    if len(inputs.html) > LONGEST_PAGE:
        context.warn(f"The HTML is very long: only its first {LONGEST_PAGE // 1024 // 1024} MiB were read.")
    if config.selector and not text:
        context.warn(f"Nothing in the HTML matches `{config.selector}`.")
    return {"text": text, "title": title, "length": length}


def _check(node: Node, document: Document) -> list[Problem]:
    drop: JsonValue = node.config.get("drop")
    places = [("/config/selector", node.config.get("selector"))]
    places += [
        (f"/config/drop/{number}", one) for number, one in enumerate(drop if isinstance(drop, list | tuple) else ())
    ]
    found: list[Problem] = []
    for pointer, selector in places:
        if not isinstance(selector, str) or (not selector.strip() and pointer == "/config/selector"):
            continue
        try:
            check_selector(selector)
        except SelectorUnreadable as error:
            found.append(Problem("bad_selector", f"{error} {HOW_TO_SELECT}", node.id, pointer, blocks_import=False))
    return found


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    fields = {
        "text": {"type": "string", "title": "Text"},
        "title": {"type": "string", "title": "Title"},
        "length": {"type": "integer", "title": "Length"},
    }
    return {"type": "object", "properties": fields, "required": list(fields)}


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    return str(config.get("selector") or "all text")[:60]


NODE = NodeType(
    type="html_text_extractor",
    title="HTML Text Extractor",
    group="web",
    icon="wysiwyg",
    synonyms="html, clean, strip tags, readable",
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    is_repeatable=True,
    summary=_summary,
    check=_check,
    example=({"drop": ["nav", "footer"]}, {"html": "{{ page_scraper.out.html }}"}),
)
