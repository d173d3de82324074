"""Write a text from data of earlier steps, with simple filters.

Write text and put data in with chips. A filter changes how a value is written: `{{ prompt.out.title | upper }}`.
Filters can follow each other, and some take a value in brackets: `{{ api_input.out.name | default("friend") }}`.

| Filter | Does |
|---|---|
| `upper`, `lower`, `title`, `capitalize`, `trim` | change the letters |
| `length` | counts characters or items |
| `first`, `last` | the first or last item |
| `join(", ")` | a list as one text |
| `default("text")` | used when the value is empty |
| `truncate(100)` | cuts after so many characters |
| `replace("a", "b")` | replaces text |
| `round(2)` | rounds a number |
| `json` | the value as JSON |

Values that are not text are written as JSON. The result is always text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field

from engine.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.node_type import Json, NodeConfig, NodeContext, NodeFailed, NodeInputs, NodeType, as_text
from engine.flow.references import BadReference, Missing, Reference, Scope, parse_reference

_PIECE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_BLOCK = re.compile(r"\{%.*?%\}", re.DOTALL)
_FILTER = re.compile(r"\s*([a-z_]+)\s*(?:\((.*)\))?\s*$", re.DOTALL)


class Config(NodeConfig):
    """No settings."""


class Inputs(NodeInputs):
    template: str = Field(
        title="Template",
        description="The text, with data from earlier steps as chips.",
        json_schema_extra={"widget": "code"},
    )


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Renders the template once against the scope that the runner hands over in `context`."""
    return render_template(inputs.template, context.scope)


def render_template(template: str, scope: Scope) -> str:
    """The template as text. Data is put in as it is and never read as template. Raises NodeFailed."""

    def put_in(match: re.Match[str]) -> str:
        reference, filters = split_filters(match.group(1))
        if isinstance(reference, BadReference):
            raise NodeFailed(f"`{{{{ {reference.text} }}}}` is not a reference to data.", code="template_error")
        value = scope.find(reference)
        value = None if isinstance(value, Missing) else value
        for name, arguments in filters:
            value = _apply(name, value, arguments)
        return as_text(value)

    if block := _BLOCK.search(template):
        raise NodeFailed(
            f"`{block.group(0)}` is not available: this node knows data and filters.", code="template_error"
        )
    return _PIECE.sub(put_in, template)


def split_filters(inside: str) -> tuple[Reference | BadReference, list[tuple[str, list[Json]]]]:
    """What stands between the braces as a reference and its filters. A filter that cannot be read is a BadReference."""
    first, *rest = _split_pipes(inside)
    filters = []
    for text in rest:
        match = _FILTER.match(text)
        if match is None or match.group(1) not in FILTERS:
            return BadReference(inside.strip()), []
        arguments = _arguments(match.group(2) or "")
        if arguments is None:
            return BadReference(inside.strip()), []
        filters.append((match.group(1), arguments))
    return parse_reference(first), filters


def template_references(template: str) -> list[Reference | BadReference]:
    """Every reference of a template, filters taken off."""
    return [split_filters(match.group(1))[0] for match in _PIECE.finditer(template)]


def _check(node: Node, document: Document) -> list[Problem]:
    template = node.inputs.get("template")
    if not isinstance(template, str) or not (block := _BLOCK.search(template)):
        return []
    return [
        Problem(
            "template_error",
            f"`{block.group(0)}` is not available: this node knows data and filters.",
            node.id,
            "/inputs/template",
        )
    ]


def _split_pipes(inside: str) -> list[str]:
    pieces, quoted, current = [], False, ""
    for position, letter in enumerate(inside):
        if letter == '"' and inside[position - 1 : position] != "\\":
            quoted = not quoted
        if letter == "|" and not quoted:
            pieces.append(current)
            current = ""
        else:
            current += letter
    return [*pieces, current]


def _arguments(text: str) -> list[Json] | None:
    if not text.strip():
        return []
    try:
        return json.loads(f"[{text}]")
    except ValueError:
        return None


def _apply(name: str, value: Json, arguments: list[Json]) -> Json:
    try:
        return FILTERS[name](value, *arguments)
    except (TypeError, ValueError, IndexError) as error:
        shown = as_text(value)[:40]
        raise NodeFailed(
            f"The filter `{name}` cannot work on {shown!r}.", code="template_error", why=str(error)
        ) from error


def _truncate(value: Json, length: int = 255) -> str:
    text = as_text(value)
    return text if len(text) <= length else text[: max(0, int(length) - 1)] + "…"


def _length(value: Json) -> int:
    return len(value) if isinstance(value, str | list | dict) else len(as_text(value))


def _first(value: Json) -> Json:
    return value[0] if isinstance(value, list | str) and value else None


def _last(value: Json) -> Json:
    return value[-1] if isinstance(value, list | str) and value else None


def _join(value: Json, separator: str = ", ") -> str:
    return as_text(separator).join(as_text(item) for item in value) if isinstance(value, list) else as_text(value)


def _round(value: Json, digits: int = 0) -> Json:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError("not a number")
    rounded = round(float(value), int(digits))
    return int(rounded) if not digits else rounded


FILTERS: dict[str, Callable[..., Json]] = {
    "upper": lambda value: as_text(value).upper(),
    "lower": lambda value: as_text(value).lower(),
    "title": lambda value: as_text(value).title(),
    "capitalize": lambda value: as_text(value).capitalize(),
    "trim": lambda value: as_text(value).strip(),
    "length": _length,
    "first": _first,
    "last": _last,
    "join": _join,
    "default": lambda value, other="": other if value is None or value in ("", [], {}) else value,
    "truncate": _truncate,
    "replace": lambda value, old, new: as_text(value).replace(as_text(old), as_text(new)),
    "round": _round,
    "json": lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
}


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "string", "title": "Text"}


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    template = inputs.get("template")
    return " ".join(template.split())[:60] if isinstance(template, str) and template.strip() else "no text yet"


NODE = NodeType(
    type="text_template",
    title="Text Template",
    group="transform",
    icon="notes",
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    summary=_summary,
    source_inputs=frozenset({"template"}),
    source_references=template_references,
    check=_check,
    example=({}, {"template": "Title: {{ page_scraper.out.title | upper }}"}),
)
