"""A flow's schemas as programs that read OpenAPI take them: validators, and generators of clients.

They say the same, with what is known to stop such programs said otherwise:

* A list without `items` gets `{}`.
* A pattern that only RE2 reads goes into the description: to others the whole document would be wrong.
* A default that generators cannot write down in their own types goes into the description, too. The server gives it to whoever
  leaves the field out, so no client has to know it. Answers have no defaults.
* Allowed values that generators cannot enumerate (numbers with fractions, true and false, texts that would have the same name in a
  program) go into the description; validators still find them in `not`, which generators pass over.
* A field with a very long name gets a short title: generators name files after it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

from engine.flow.patterns import why_not

JsonSchema = dict[str, Any]

#: Bytes of a name that may become a part of a file's name, which has 255: the names of up to five levels stand in it.
_LONGEST_NAME = 40
_SUBSCHEMAS, _SUBSCHEMA_LISTS = ("items", "additionalProperties"), ("anyOf", "oneOf", "allOf")
#: Types of the values that a generated client can enumerate.
_ENUMERABLE = {str, int, type(None)}
#: Formats that generators turn into a type of their own: a text is no value of it.
_TYPED_FORMATS = {"uri", "date-time"}

#: A pattern that means the same in RE2, in ECMA 262 with its flag `u`, in Python and in Rust, provided that RE2 reads it.
#: A lone `{`, `}` or `]` is left out, and so are what repeats a repetition or an anchor, and a hyphen inside a class other
#: than of a range: they are errors or warnings in Python, or mean something else there.
_COMMON_PATTERN = re.compile(
    r"""(?x:
      \( (?:\?:|(?!\?))  |  [|^$]  |  \\[bB]                              # groups without names, alternatives, anchors
    | (?: [).]
        | \\ (?: [dDwWsS] | [tnrfv] | x[0-9A-Fa-f]{2} | u[0-9A-Fa-f]{4} | [\^$\\.*+?()\[\]{}|/] )
        | \[ \^? (?: -(?=\]) | -? (?!\]) )
            (?: \\[dDwWsS]
              | (?: [^\[\]\\&~|-] | [&~|](?![&~|])                         # Python warns of doubled &&, ~~ and ||
                  | \\ (?: [tnrfv] | x[0-9A-Fa-f]{2} | u[0-9A-Fa-f]{4} | [\^$\\.*+?()\[\]{}|/-] ) )
                (?: - (?: [^\[\]\\&~|-]
                  | \\ (?: [tnrfv] | x[0-9A-Fa-f]{2} | u[0-9A-Fa-f]{4} | [\^$\\.*+?()\[\]{}|/-] ) ) )?  # a range
            )* -? \]
        | [^\\()\[\]{}*+?|^$.]                                           # any other character
      )
      (?: [*+?] \?? | \{ \d+ (?:,\d*)? \} \?? )?                           # one repetition
    )*"""
)


def portable(schema: JsonSchema, *, of_answer: bool = False) -> JsonSchema:
    """The same schema for programs that read OpenAPI. `of_answer`: of what comes back, not of what is sent."""
    found = dict(schema)
    kind = found.get("type")
    if kind == "array" or (isinstance(kind, list) and "array" in kind):
        found.setdefault("items", {})
    said = [found["description"]] if found.get("description") else []
    if not reads_everywhere(found.get("pattern", "")):
        said.append(f"Must match the pattern `{found.pop('pattern')}` (RE2).")
    if "default" in found and (of_answer or not _can_be_written(found)):
        default = found.pop("default")
        said += [] if of_answer else [f"Default: `{_json(default)}`."]
    if not _can_be_enumerated(found.get("enum", ())):
        found["not"] = {"not": {"enum": found["enum"]}}
        said.append(f"One of: {', '.join(f'`{_json(value)}`' for value in found.pop('enum'))}.")
    if said:
        found["description"] = "\n\n".join(said)
    if "properties" in found:
        fields = enumerate(found["properties"].items(), 1)
        found["properties"] = {
            name: portable(_with_short_title(part, name, position), of_answer=of_answer)
            for position, (name, part) in fields
        }
    for name in _SUBSCHEMAS:
        if isinstance(found.get(name), dict):
            found[name] = portable(found[name], of_answer=of_answer)
    for name in _SUBSCHEMA_LISTS:
        if name in found:
            found[name] = [portable(part, of_answer=of_answer) for part in found[name]]
    return found


def reads_everywhere(pattern: str) -> bool:
    """Whether every engine for regular expressions that programs use for JSON Schema reads this RE2 pattern, and alike."""
    return _COMMON_PATTERN.fullmatch(pattern) is not None and not why_not(pattern)


def _can_be_written(schema: JsonSchema) -> bool:
    """Whether a generated client can write the default as the value of a field of its own type."""
    if schema.get("enum") or schema.get("properties") or schema.get("format") in _TYPED_FORMATS:
        return False
    items = schema.get("items")
    return not isinstance(items, dict) or _can_be_written(items)


def _can_be_enumerated(values: Collection[Any]) -> bool:
    if not {type(value) for value in values} <= _ENUMERABLE:
        return False
    names = [re.sub(r"[\W_]+", "_", value).upper() for value in values if isinstance(value, str)]
    return len(set(names)) == len(names)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _with_short_title(schema: JsonSchema, name: str, position: int) -> JsonSchema:
    """A title for a field with a long name, other than that of its neighbours."""
    if len(name.encode()) <= _LONGEST_NAME:
        return schema
    short = name.encode()[:_LONGEST_NAME].decode(errors="ignore")
    titled = {"title": f"{short} {position}", **schema}
    if schema.get("items"):
        titled["items"] = {"title": f"{short} {position} item", **schema["items"]}
    return titled
