"""Turn text in JSON form into fields you can use.

Some services and models answer with a text in which names and values stand in brackets, called JSON. Put that text under
**Text**: the answer of a model, the `body` of an HTTP Request, a field of your own. Later steps can then use each value by
its name.

JSON is also found between three backquotes, as models like to answer:

````
Here you are:
```json
{"title": "Bread"}
```
````

and with a line of words around it. When the text cannot be read, the error says in which line and column, and shows the
place. Data that needs no reading passes through as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from engine.core.body_limits import MAX_VALUES
from engine.core.json_shape import TooManyValues
from engine.core.redaction import CURRENT_REDACTION
from engine.flow.json_values import STRICT, check_count, is_small
from engine.flow.node_context import Json, NodeContext, NodeFailed
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType
from engine.flow.storable_values import MAX_DEPTH, deeper_than

#: How many fenced code blocks are searched, from the first.
_MAX_FENCES = 20
#: A text of JSON, which may lack its end, or as group 1 what may be a number that cannot be read: one that JSON does not
#: have, one with an exponent, or one with so many digits that it may be too large.
_TEXT_OR_DOUBTFUL = re.compile(
    r'"(?:[^"\\]|\\.)*+"?+'
    r"|(-?(?:NaN|Infinity|(?<![0-9])(?:[0-9]++(?:\.[0-9]++)?[eE][+-]?[0-9]++|[0-9]{300,}+(?:\.[0-9]++)?)))"
)
_OPENING = re.compile(r"^[ \t]{0,3}(`{3,}+|~{3,}+)[ \t]*+[A-Za-z0-9_+-]*+[ \t]*+\r?$", re.MULTILINE)


class Config(NodeConfig):
    """No settings."""


class Inputs(NodeInputs):
    text: Any = Field(title="Text", description="The text that holds JSON.", json_schema_extra={"widget": "textarea"})


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Parses a long text in a thread, since megabytes of JSON take time."""
    if not isinstance(inputs.text, str):
        return inputs.text
    return read_json(inputs.text) if is_small(inputs.text) else await context.in_thread(read_json, inputs.text)


def read_json(text: str) -> Json:
    """Returns the JSON value in the text. Raises NodeFailed with the position of the first error."""
    whole = text.strip("\ufeff \t\r\n")
    if not whole:
        raise NodeFailed(
            "The text is empty, so there is no JSON in it.",
            code="invalid_json",
            why="The text chosen for it was empty in this run.",
            remedy="Choose data that is there for “Text”.",
        )
    try:
        value = _decoded(whole)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        value = _found_inside(whole, error)
    if deeper_than(value, MAX_DEPTH):
        raise _too_deep()
    return value


def _decoded(text: str) -> Json:
    _check_count(text)
    return STRICT.decode(text)


def _check_count(text: str) -> None:
    try:
        check_count(text)
    except TooManyValues:
        raise NodeFailed(
            f"The JSON has more than {MAX_VALUES:,} values, counting each list and object.",
            code="invalid_json",
            why="They would take too much memory.",
            remedy="Ask whatever gives the text for less at once, or use a part of it.",
        ) from None


def _found_inside(text: str, error: ValueError) -> Json:
    """Returns the JSON in a fenced code block or between words; raises the error of the most likely part."""
    fault = _Fault.of(text, error, 0)
    for start, end in _fences(text):
        try:
            return _decoded(text[start:end].strip())
        except RecursionError:
            raise _too_deep() from None
        except ValueError as inner:
            if text[start:end].lstrip()[:1] in {"{", "["}:
                indent = len(text[start:end]) - len(text[start:end].lstrip())
                fault = _Fault.of(text, inner, start + indent)
                break
    opening = re.search(r"[{\[]", text)
    if opening:
        try:
            rest = text[opening.start() :]
            _check_count(rest)
            value, end = STRICT.raw_decode(rest)
        except RecursionError:
            raise _too_deep() from None
        except ValueError as inner:
            if text[: opening.start()].strip() and not re.search(r"^[ \t]{0,3}(```|~~~)", text, re.MULTILINE):
                fault = _Fault.of(text, inner, opening.start())
        else:
            # Words may surround the value, but another value may not: it would be unclear which one is meant.
            if not re.search(r"[{}\[\]]", rest[end:]):
                return value
    raise fault.as_failure(text)


class _Fault:
    """What is wrong, and at which position of the whole text."""

    def __init__(self, what: str, at: int) -> None:
        self.what = what
        self.at = at

    @classmethod
    def of(cls, text: str, error: ValueError, start: int) -> _Fault:
        if isinstance(error, json.JSONDecodeError):
            return cls(_WORDS.get(error.msg, error.msg), min(start + error.pos, len(text)))
        return cls(str(error), _place_of_number(text, start))

    def as_failure(self, text: str) -> NodeFailed:
        line = text.count("\n", 0, self.at) + 1
        begin = text.rfind("\n", 0, self.at) + 1
        column = self.at - begin + 1
        near = CURRENT_REDACTION.get().part(text, max(begin, self.at - 30), self.at + 30, keys=True)
        shown = near.partition("\n")[0].strip()
        place = f" near `{shown}`" if shown else ""
        return NodeFailed(
            f"The text is no valid JSON: line {line}, column {column}{place}.",
            code="invalid_json",
            why=f"{self.what[:1].upper()}{self.what[1:]}.",
            remedy="Look at this step's input. A Prompt with output fields gives an object and needs no “Read JSON text”.",
        )


_WORDS = {
    "Expecting value": "a value is expected here: an object, a list, a text in double quotes, a number, true, false or null",
    "Expecting property name enclosed in double quotes": "a name in double quotes is expected here; JSON has no comma after the last entry",
    "Illegal trailing comma before end of object": "there is a comma after the last entry",
    "Illegal trailing comma before end of array": "there is a comma after the last item",
    "Expecting ':' delimiter": "a `:` is missing between a name and its value",
    "Expecting ',' delimiter": "a `,` is missing between two entries, or a closing bracket",
    "Unterminated string starting at": "this text in double quotes never ends",
    "Invalid control character at": "a line break or another control character stands inside a text; it is written `\\n`",
    "Invalid \\escape": "there is a `\\` that begins nothing known; a backslash itself is written `\\\\`",
    "Extra data": "the JSON ends before this, but the text goes on",
}


def _place_of_number(text: str, start: int) -> int:
    """Returns where the first number stands that cannot be read, in JSON that begins at `start` and is right before it."""
    for found in _TEXT_OR_DOUBTFUL.finditer(text, start):
        if not found[1]:
            continue
        try:
            STRICT.decode(found[1])
        except ValueError:
            return found.start()
    return start


def _fences(text: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    at = 0
    while len(found) < _MAX_FENCES and (opening := _OPENING.search(text, at)):
        end = text.find(f"\n{opening[1]}", opening.end())
        end = len(text) if end < 0 else end
        found.append((opening.end(), end))
        at = end + 1 + len(opening[1])
        if end == len(text):
            break
    return found


def _too_deep() -> NodeFailed:
    return NodeFailed(
        f"The JSON is nested deeper than {MAX_DEPTH} levels.",
        code="invalid_json",
        why="Values in a flow may be nested so deep and no deeper.",
        remedy="Use a part of it.",
    )


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> None:
    return None


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    text = inputs.get("text")
    return " ".join(text.split())[:60] if isinstance(text, str) and text.strip() else "no text yet"


NODE = NodeType(
    type="parse_json",
    title="Read JSON text",
    group="transform",
    icon="data_object",
    synonyms=("parse json, json, parse, decode, text to data"),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    is_repeatable=True,
    summary=_summary,
    example=({}, {"text": "{{ page_scraper.out.text }}"}),
)
