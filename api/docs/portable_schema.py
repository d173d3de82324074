"""Rewrites the schemas of a flow for validators and client generators that read OpenAPI documents.

The schemas keep their meaning; what such tools are known to fail on is expressed differently:

* A list without `items` gets `{}`.
* A pattern that only RE2 can read moves to the description, because other tools would reject the whole document.
* A web address and an e-mail address have the pattern of those that the API takes, because to tools `uri` means every
  scheme, and `email` every text with an `@`. A field with a pattern of its own has words instead.
* A default that generators cannot write in their own types moves to the description, too. The server applies it to
  missing fields, so clients need not know it. Responses have no defaults.
* Allowed values that generators cannot enumerate (fractions, booleans, texts that would get the same identifier) move
  to the description. Validators still check them in `not`, which generators ignore.
* A field with a very long name gets a short title, because generators name files after it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

from engine.flow.patterns import PatternBudget, why_not
from engine.flow.payload_check import EMAIL_RULES, WEB_ADDRESS

JsonSchema = dict[str, Any]

#: Bytes of a field name that may become part of a file name, which has at most 255: it may contain the names of five
#: levels.
_LONGEST_NAME = 40
_SUBSCHEMAS, _SUBSCHEMA_LISTS = ("items", "additionalProperties"), ("anyOf", "oneOf", "allOf")
#: Types of values that client generators can enumerate.
_ENUMERABLE = {str, int, type(None)}
#: Formats for which generators use a type of their own, so that a string is not a valid default.
_TYPED_FORMATS = {"uri", "date-time"}

#: Format -> what the API takes of it, and a sentence for a field that has a pattern of its own.
_RULES: dict[str, tuple[JsonSchema, str]] = {
    "uri": ({"pattern": WEB_ADDRESS}, "Begins with `http://` or `https://`."),
    "email": (EMAIL_RULES, "Has one `@`, and behind it a name with a dot in it."),
}

#: Matches patterns that mean the same in RE2, in ECMA 262 with the flag `u`, in Python and in Rust, provided that RE2
#: accepts them. It excludes single unescaped `{`, `}` and `]`, repetitions of a repetition or an anchor, and hyphens in
#: a class that form no range: in Python these are errors or warnings, or have another meaning.
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
    """Returns the schema for tools that read OpenAPI. `of_answer`: it describes a response, not a request.

    The patterns of the whole schema share the budget of a flow; those that come too late stay as they are.
    """
    with PatternBudget():
        return _portable(schema, of_answer=of_answer)


def _portable(schema: JsonSchema, *, of_answer: bool) -> JsonSchema:
    found = dict(schema)
    kind = found.get("type")
    if kind == "array" or (isinstance(kind, list) and "array" in kind):
        found.setdefault("items", {})
    said = [found["description"]] if found.get("description") else []
    if not of_answer:
        said += _name_rules(found)
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
            name: _portable(_with_short_title(part, name, position), of_answer=of_answer)
            for position, (name, part) in fields
        }
    for name in _SUBSCHEMAS:
        if isinstance(found.get(name), dict):
            found[name] = _portable(found[name], of_answer=of_answer)
    for name in _SUBSCHEMA_LISTS:
        if name in found:
            found[name] = [_portable(part, of_answer=of_answer) for part in found[name]]
    return found


def _name_rules(schema: JsonSchema) -> list[str]:
    """Adds to the schema of a web address or e-mail address what the API takes, or returns a sentence when it has a pattern
    of its own.
    """
    if (form := schema.get("format")) not in _RULES:
        return []
    rules, sentence = _RULES[form]
    own = dict(schema)
    schema |= rules | own
    if "maxLength" in rules:
        schema["maxLength"] = min(schema["maxLength"], rules["maxLength"])
    return [sentence] if "pattern" in own else []


def reads_everywhere(pattern: str) -> bool:
    """Tells whether all common regular expression engines read this RE2 pattern with the same meaning."""
    return _COMMON_PATTERN.fullmatch(pattern) is not None and not why_not(pattern)


def _can_be_written(schema: JsonSchema) -> bool:
    """Tells whether a client generator can write the default as a value of the field's type."""
    kind = schema.get("type", ())
    is_object = "object" in ([kind] if isinstance(kind, str) else kind)
    if is_object or schema.get("enum") or schema.get("format") in _TYPED_FORMATS:
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
    """Adds a title to the schema of a field with a long name, which differs from the titles of the other fields."""
    if len(name.encode()) <= _LONGEST_NAME:
        return schema
    short = name.encode()[:_LONGEST_NAME].decode(errors="ignore")
    titled = {"title": f"{short} {position}", **schema}
    if schema.get("items"):
        titled["items"] = {"title": f"{short} {position} item", **schema["items"]}
    return titled
