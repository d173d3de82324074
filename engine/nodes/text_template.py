"""Write a text with values of earlier steps.

Write text and put data in with chips. A **filter** changes how a value is written: `{{ prompt.out.title | upper }}`. Filters can
follow each other, and some take values in brackets: `{{ api_input.out.name | default("friend") }}`.

A **condition** writes a part only when something is true, and a **loop** writes a part for each item of a list:

    {% if api_input.out.language == "de" %}
    Hallo!
    {% else %}
    Hello!
    {% endif %}
    {% for link in page_scraper.out.links %}
    {{ loop.index }}. {{ link.text }}
    {% endfor %}

A line that holds only `{% %}` leaves no empty line. Inside a loop, `loop.index` counts from 1, and `loop.first` and `loop.last`
are true at its ends. `{% set name = value %}` gives a name to a value; inside a loop only until the next item, so a loop cannot
add up: `{{ api_input.out.orders | sum("price") }}` does, and **Group and count**. A template that reads such a name where
its value is lost has a warning; it can be deployed all the same. Values can be compared (`==`, `<`, `in`, `and`,
`or`, `not`), joined with `~` and asked what they are: `{% if x is empty %}`, also `defined`, `string`, `number`, `list`, `object`.

| Filter | Does |
|---|---|
| `upper`, `lower`, `title`, `capitalize`, `trim` | change the letters |
| `truncate(100)`, `replace("a", "b")` | cuts after so many characters; replaces text |
| `default("text")` | used when the value is empty |
| `length`, `wordcount` | counts characters or items; words |
| `first`, `last`, `reverse` | of a list |
| `sort`, `sort("price")`, `sort("price", true)` | puts a list in order, by a field, largest first |
| `unique`, `map("name")` | without doubles; one field of each item |
| `sum`, `min`, `max` | of numbers, or of a field: `sum("price")`; what is no number, like `1,50`, does not count |
| `join(", ")`, `split(",")` | a list as one text, a text as a list |
| `keys`, `values`, `items` | of an object |
| `round(2)`, `abs`, `int`, `float` | numbers |
| `json`, `urlencode` | the value as JSON, or for a web address |

The date and time at which the run began is **This run › date**; `{{ system.timestamp | split("T") | first }}` is the day alone.
Values that are not text are written as JSON. The result is always text. A template with `{% %}` may also calculate
(`{{ item.price * 2 }}`); it may take two seconds, use 400 MB and write 1 MiB.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from engine.core.error_codes import JobErrorCode
from engine.core.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.json_values import is_small
from engine.flow.node_context import Json, NodeContext, NodeFailed
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType, as_text
from engine.flow.references import BadReference, Missing, Reference, Scope, parse_reference
from engine.flow.template_filters import MAX_TEXT, apply_filter, filter_problem
from engine.flow.template_language import template_facts

_FILTER = re.compile(r"\s*+([a-z_]++)(?:\s*+\((.*)\))?+\s*+", re.DOTALL)
_ADDS_MUCH = re.compile(r"\|\s*(replace|join)\b")
_SHORT, _FEW = 2_000, 8
_REMEDY = "Mend the template in the node; its Help page shows what can be written."


class Config(NodeConfig):
    """No settings."""


class Inputs(NodeInputs):
    template: str = Field(
        title="Template",
        description="The text, with data from earlier steps as chips.",
        json_schema_extra={"widget": "code"},
    )


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Renders the template once: references and filters here, anything with `{% %}` in an evaluator process."""
    if is_simple(inputs.template):
        if not _is_quick(inputs.template, context.scope):
            return await context.in_thread(render_template, inputs.template, context.scope)
        return render_template(inputs.template, context.scope)
    wrong, references = template_facts(inputs.template)
    if wrong is not None:
        raise NodeFailed(f"The template cannot be used. {wrong}", code=JobErrorCode.TEMPLATE_ERROR, remedy=_REMEDY)
    data: dict[str, dict[str, Json]] = {}
    for one in references:
        if isinstance(one, BadReference):
            raise _no_reference(one)
        value = context.scope.find(Reference(one.node_id, one.root))
        data.setdefault(one.node_id, {})[one.root] = None if isinstance(value, Missing) else value
    return await context.render_template(inputs.template, data)


def _is_quick(template: str, scope: Scope) -> bool:
    """True when rendering is faster than passing it to a thread: small data, and no filter or few that add little to it."""
    if "|" in template and (len(template) > _SHORT or template.count("|") > _FEW or _ADDS_MUCH.search(template)):
        return False
    references = [split_filters(inside)[0] for inside in _insides(template)]
    return all(isinstance(one, BadReference) or is_small(scope.find(one)) for one in references)


def is_simple(template: str) -> bool:
    """True when the template contains at most references and filters, which need no evaluator process: it has
    no `{%`.
    """
    return "{%" not in template


def render_template(template: str, scope: Scope) -> str:
    """Renders a simple template. Data is inserted unchanged and never parsed as a template. Raises NodeFailed."""
    if not is_simple(template):
        raise NodeFailed("A template with `{% %}` is written when the flow runs.", code=JobErrorCode.TEMPLATE_ERROR)
    written: list[str] = []
    size = at = 0
    for start, end in _places(template):
        text = _written(template[start + 2 : end - 2], scope)
        written += [template[at:start], text]
        at = end
        size += len(text)
        if size > MAX_TEXT:
            raise NodeFailed(
                f"The text is longer than {MAX_TEXT // 1024 // 1024} MiB.",
                code=JobErrorCode.TEMPLATE_ERROR,
                why="The data put into it was too long in this run.",
                remedy="Put less data into the template, or cut it with the filter `truncate`.",
            )
    return "".join([*written, template[at:]])


def split_filters(inside: str) -> tuple[Reference | BadReference, list[tuple[str, list[Json]]]]:
    """Parses the text between the braces as a reference and its filters. An invalid filter gives a BadReference.

    The caller must not change the answer: that of a short text is kept for the next run.
    """
    return _kept_filters(inside) if len(inside) <= _KEPT_LENGTH else _read_filters(inside)


def _read_filters(inside: str) -> tuple[Reference | BadReference, list[tuple[str, list[Json]]]]:
    first, *rest = _split_pipes(inside)
    filters: list[tuple[str, list[Json]]] = []
    for text in rest:
        match = _FILTER.fullmatch(text)
        arguments = _arguments(match.group(2) or "") if match else None
        if match is None or arguments is None or filter_problem(match.group(1), len(arguments)):
            return BadReference(inside.strip()), []
        filters.append((match.group(1), arguments))
    return parse_reference(first), filters


_KEPT_LENGTH = 300
_kept_filters = functools.lru_cache(2_048)(_read_filters)


def template_references(template: str) -> list[Reference | BadReference]:
    """Returns every reference of a template, without filters; none when it cannot be parsed, which `check` reports."""
    if is_simple(template):
        return [parse_reference(_split_pipes(inside)[0]) for inside in _insides(template)]
    return list(template_facts(template)[1])


def _written(inside: str, scope: Scope) -> str:
    reference, filters = split_filters(inside)
    if isinstance(reference, BadReference):
        raise _no_reference(reference)
    value = scope.find(reference)
    value = None if isinstance(value, Missing) else value
    for name, arguments in filters:
        try:
            value = apply_filter(name, value, arguments)
        except ValueError as error:
            raise NodeFailed(str(error), code=JobErrorCode.TEMPLATE_ERROR, remedy=_REMEDY) from error
    return as_text(value)


def _no_reference(reference: BadReference) -> NodeFailed:
    return NodeFailed(
        f"`{{{{ {reference.text} }}}}` is not a reference to data.", code=JobErrorCode.TEMPLATE_ERROR, remedy=_REMEDY
    )


def _check(node: Node, document: Document) -> list[Problem]:
    template = node.inputs.get("template")
    if not isinstance(template, str):
        return []
    wrong = _wrong_filter(template) if is_simple(template) else template_facts(template)[0]
    return [Problem(JobErrorCode.TEMPLATE_ERROR, str(wrong), node.id, "/inputs/template")] if wrong else []


def _wrong_filter(template: str) -> str:
    """Returns what is wrong with the first invalid filter on a valid reference, as a sentence; "" without one."""
    for start, end in _places(template):
        first, *rest = _split_pipes(template[start + 2 : end - 2])
        if isinstance(parse_reference(first), BadReference):
            continue  # reported as an invalid reference
        for text in rest:
            match = _FILTER.fullmatch(text)
            arguments = _arguments(match.group(2) or "") if match else None
            if match is None or arguments is None:
                why = "A filter is written like `upper`, or `truncate(100)` with values in its brackets."
                wrong = f"`{text.strip()}` is no filter. {why}"
            else:
                wrong = filter_problem(match.group(1), len(arguments))
            if wrong:
                return f"Line {template.count(chr(10), 0, start) + 1}: {wrong}"
    return ""


def _places(template: str) -> list[tuple[int, int]]:
    """Returns where each `{{ }}` starts and ends."""
    found: list[tuple[int, int]] = []
    at = 0
    while (start := template.find("{{", at)) >= 0 and (end := template.find("}}", start + 2)) >= 0:
        found.append((start, end + 2))
        at = end + 2
    return found


def _insides(template: str) -> list[str]:
    return [template[start + 2 : end - 2] for start, end in _places(template)]


def _split_pipes(inside: str) -> list[str]:
    pieces: list[str] = []
    quoted = escaped = False
    begin = 0
    for position, letter in enumerate(inside):
        if letter == '"' and not escaped:
            quoted = not quoted
        escaped = quoted and letter == "\\" and not escaped
        if letter == "|" and not quoted:
            pieces.append(inside[begin:position])
            begin = position + 1
    return [*pieces, inside[begin:]]


def _arguments(text: str) -> list[Json] | None:
    if not text.strip():
        return []
    try:
        return json.loads(f"[{text}]")
    except (ValueError, RecursionError):
        return None


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "string", "title": "Text"}


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    template = inputs.get("template")
    return " ".join(template[:1_000].split())[:60] if isinstance(template, str) and template.strip() else "no text yet"


NODE = NodeType(
    type="text_template",
    title="Text Template",
    group="transform",
    icon="notes",
    synonyms=(
        "text, template, letter, compose, join words, fill in, sentence, report, message, combine texts, date, "
        "today, now, day of the run, standard letter, form letter, salutation, mail text, text with values, "
        "boilerplate"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    is_repeatable=True,
    summary=_summary,
    source_inputs=frozenset({"template"}),
    source_references=template_references,
    check=_check,
    example=(
        {},
        {
            "template": "# {{ page_scraper.out.title | upper }}\n{% for link in page_scraper.out.links %}\n- {{ link.text }}\n{% endfor %}\n"
        },
    ),
)
