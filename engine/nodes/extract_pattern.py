r"""Find numbers, codes or dates in a text.

Choose **What to find** above the pattern: a number, an amount after a word, an e-mail address, a date. That writes the
**Pattern** for you, which is a regular expression and can be changed. For numbers and amounts it is a long one, which knows a minus,
currencies and blanks between thousands, too. Shorter ones, and what the other choices write:

| Pattern | Finds |
|---|---|
| `\d+(?:[.,]\d+)*` | numbers: 12, 39.90, 1.299,00 |
| `(?i)price:\s*\D{0,10}?(\d+(?:[.,]\d+)*)` | the amount after "price:", capitals or not |
| `[\w.+-]+@[\w-]+(?:\.[\w-]+)+` | e-mail addresses |
| `https?://[^\s<>"']*[^\s<>"'.,;:!?)\]]` | web addresses |
| `\b(\d{1,4}[./-]\d{1,2}[./-]\d{2,4})(?:\b\|T)` | dates like 2026-01-31 and 31.1.2026 |
| `[A-Z]{2}-\d{4}` | codes like `AB-1234` |
| `(?i)in[\s\x{00a0}]+stock` | the words "in stock", capitals or not |
| `\d+` | digits |
| `(?P<day>\d{4}-\d{2}-\d{2})` | dates, as an object with `day` |

What was found is text, like `39.90`. To hand it on as a number, choose **As a number** in the three-dot menu of the field that takes
it, in API Output, Set Fields or Save rows.

What a match is depends on the brackets in the pattern:

* no brackets: the text that was found
* one pair `( )`: the text inside it
* several pairs: a list of their texts
* names, `(?P<name> )`: an object with these names

`(?: )` only holds parts together and counts as no pair.

A pair of brackets that took no part in a match gives null. `matches` holds the first 10,000 in their order, without empty ones (the
step says when there are more), `count` says how many, and `first` is the first one, or null. Switch **Find all** off
to stop at the first. `\d` is a digit from 0 to 9, `\w` one of these, a letter from A to Z, small or not, or `_`, and `\s` a space,
a tab or a line break; `\p{L}` is a letter of any script. Looking around, `(?= )`, and pointing back, `\1`, do not exist here: that
keeps every search quick.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from engine.core.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.node_context import Json, NodeContext, NodeFailed
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType, Text
from engine.flow.patterns import MAX_PATTERN, BadPattern, Pattern, groups_in, read_pattern, why_not

MAX_MATCHES = 10_000
#: The seconds that a search may take in all. It is checked at every match, because RE2 cannot be interrupted; the way from
#: one match to the next takes less than a second (`engine.flow.patterns.STEPS`).
LONGEST = 2.0


class Config(NodeConfig):
    pattern: str = Field(
        "",
        max_length=MAX_PATTERN,
        title="Pattern",
        description="“What to find” writes it. It can be written by hand, too (a regular expression): `\\d+` finds digits, `[A-Z]{2}-\\d{4}` codes like AB-1234.",
        json_schema_extra={"widget": "code", "example": "[A-Z]{2}-\\d{4}"},
    )
    all: bool = Field(True, title="Find all", description="Switch this off to stop at the first match.")


class Inputs(NodeInputs):
    text: Text = Field(title="Text", description="The text to search.", json_schema_extra={"widget": "textarea"})


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Searches in a thread; RE2 releases the interpreter lock meanwhile."""
    try:
        pattern = read_pattern(config.pattern)
    except BadPattern as bad:
        raise NodeFailed(
            f"The pattern cannot be used: {bad}.", remedy="Mend the pattern in the node's settings."
        ) from bad
    matches, cut = await context.in_thread(find, pattern, inputs.text, MAX_MATCHES if config.all else 1)
    if cut and config.all:
        context.warn(f"There are more matches: only the first {MAX_MATCHES:,} are here.")
    if len(inputs.text) > pattern.longest_text:
        context.warn(
            f"The text is very long for this pattern: only its first {pattern.longest_text:,} characters were searched."
        )
    return {"matches": matches, "count": len(matches), "first": matches[0] if matches else None}


def find(pattern: Pattern, text: str, most: int) -> tuple[list[Json], bool]:
    """Returns at most `most` matches, and whether there are more. Empty matches are left out. Raises NodeFailed."""
    until = time.monotonic() + LONGEST
    found: list[Json] = []
    for match in pattern.engine.finditer(text[: pattern.longest_text]):
        if time.monotonic() > until:
            raise NodeFailed(
                f"The search took longer than {LONGEST:g} seconds.",
                why=f"The pattern looks far ahead for each match; {len(found):,} were found by then.",
                remedy="Make the pattern simpler, for example `[^,]*` instead of `.*`, or search a shorter text.",
            )
        if match.start() == match.end():
            continue
        if len(found) == most:
            return found, True
        found.append(_shape(pattern, match))
    return found, False


def _shape(pattern: Pattern, match: Any) -> Json:
    if pattern.names:
        return {name: match.group(name) for name in pattern.names}
    if pattern.groups == 1:
        return match.group(1)
    return list(match.groups()) if pattern.groups else match.group(0)


def _check(node: Node, document: Document) -> list[Problem]:
    pattern = node.config.get("pattern", "")
    if not isinstance(pattern, str):
        return []
    if not pattern:
        return [
            Problem(
                "no_pattern",
                "The pattern is empty: choose what to find.",
                node.id,
                "/config/pattern",
                blocks_import=False,
            )
        ]
    why = why_not(pattern)
    return (
        [Problem("bad_pattern", f"The pattern cannot be used: {why}.", node.id, "/config/pattern", blocks_import=False)]
        if why
        else []
    )


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    item = _item(config.get("pattern"))
    fields = {
        "matches": {"type": "array", "title": "Matches", "items": item},
        "count": {"type": "integer", "title": "Count"},
        "first": {**item, "type": [*_types(item), "null"], "title": "First match"},
    }
    return {"type": "object", "properties": fields, "required": list(fields)}


def _item(text: Any) -> dict[str, Any]:
    names, groups = groups_in(text if isinstance(text, str) else "")
    part = {"type": ["string", "null"]}
    if names:
        return {"type": "object", "properties": dict.fromkeys(names, part), "required": list(names)}
    if groups == 1:
        return part
    return {"type": "array", "items": part} if groups else {"type": "string"}


def _types(schema: Mapping[str, Any]) -> list[str]:
    kinds = schema["type"]
    return [kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind != "null"]


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    pattern = config.get("pattern")
    return pattern[:60] if isinstance(pattern, str) and pattern else "no pattern yet"


NODE = NodeType(
    type="extract_pattern",
    title="Extract Pattern",
    group="transform",
    icon="manage_search",
    synonyms="regex, regular expression, find text, pick out, phone, phone number, e-mail, email, mail address, e-mail address, web address, link, number, numbers, price, prices, amount, amounts, date, dates, code, order number, search text, match",
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    is_repeatable=True,
    summary=_summary,
    check=_check,
    example=({"pattern": "\\d+\\.\\d\\d"}, {"text": "{{ page_scraper.out.text }}"}),
)
