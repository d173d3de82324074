"""Reads a page for a node: an ordinary page in a thread, any other one in an evaluator process, which is killed when it
takes too long.
"""

from __future__ import annotations

import json
from typing import Any, Final

from engine.core.redaction import cut
from engine.flow.node_context import Json, NodeContext
from engine.pages.parsing_limits import LONGEST_PAGE, PageTooTangled
from engine.pages.readers import READERS, WRONG, is_ordinary
from engine.sandbox.limits import LIMITS

_NOT_ORDINARY: Final = object()


async def read_with(context: NodeContext, reader: str, html: str, **choices: Json) -> Json:
    """Returns the result of a reader of `engine.pages.readers`, as JSON.

    Raises PageTooTangled, ReadingStopped for a page that takes too much time or memory, and SelectorUnreadable.
    """
    found = await context.in_thread(_if_ordinary, reader, html, choices)
    if found is not _NOT_ORDINARY:
        return found
    answer = await context.read_apart(reader, {"html": html[:LONGEST_PAGE], **choices})
    if (wrong := WRONG.get(answer.get("wrong", ""))) is not None:
        raise wrong(cut(answer["message"], 500))
    return answer["value"]


def _if_ordinary(reader: str, html: str, choices: dict[str, Json]) -> Any:
    if not is_ordinary(html, choices):
        return _NOT_ORDINARY
    value = READERS[reader](html, **choices)
    if len(json.dumps(value)) > LIMITS["pages"].output:
        raise PageTooTangled("What it says is far longer than the page.")
    return value
