"""The reference of the node types, generated from their classes: help, settings, inputs, output, behaviour on failure,
and an example.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from api.docs.schema_words import field_rows, rules, type_words
from engine.flow.document import Policy
from engine.flow.lists import SPLITTER
from engine.flow.node_type import GROUPS, THE_JOBS, NodeType

#: The depth to which nested settings are listed.
_DEEPEST = 3


def node_groups(kinds: Iterable[NodeType]) -> list[tuple[str, list[NodeType]]]:
    """Returns the node types by group, in the order of the palette."""
    listed = list(kinds)
    found = [(title, [kind for kind in listed if kind.group == group]) for group, title in GROUPS.items()]
    return [(title, members) for title, members in found if members]


def node_page(kind: NodeType) -> dict[str, Any]:
    """Returns the template variables of the page of a node type."""
    config, inputs = kind.example
    node = {"id": kind.type, "type": kind.type, "type_version": kind.version, "config": config, "inputs": inputs}
    return {
        "type": kind.type,
        "title": kind.title,
        "group": GROUPS[kind.group],
        "tooltip": kind.tooltip,
        "settings": _rows(kind.config),
        "inputs": _rows(kind.inputs),
        "free_form": kind.free_form,
        "accepts_input": kind.accepts_input,
        "ports": kind.ports,
        "output": field_rows(_out_schema(kind)),
        "output_type": type_words(_out_schema(kind)),
        "output_otherwise": _otherwise(kind),
        "counts_items": kind.type == SPLITTER,
        "limit": kind.limit_for(config),
        "policy": [] if kind.type in {"api_input", "api_output"} else [_policy_row(kind, row) for row in _rows(Policy)],
        "example": json.dumps({name: part for name, part in node.items() if part}, indent=2, ensure_ascii=False),
    }


def _out_schema(kind: NodeType) -> Mapping[str, Any]:
    return kind.out_schema(*kind.example) or {}


def _otherwise(kind: NodeType) -> list[dict[str, Any]]:
    """Returns what the output holds more, and what it lacks, with other choices in the settings than those of the
    example: setting, value, rows, and the names of what is not there.
    """
    config, inputs = kind.example
    usual = {row["name"] for row in field_rows(_out_schema(kind))}
    found: list[dict[str, Any]] = []
    for name, part in kind.config.model_json_schema().get("properties", {}).items():
        for value in part.get("enum") or ():
            rows = field_rows(kind.out_schema({**config, name: value}, inputs) or {})
            more = [row for row in rows if row["name"] not in usual]
            less = sorted(usual - {row["name"] for row in rows})
            if more or less:
                found.append({"setting": name, "value": value, "rows": more, "lacks": less})
    return found


def _policy_row(kind: NodeType, row: dict[str, Any]) -> dict[str, Any]:
    if row["name"] != "timeout_seconds":
        return row
    limit = kind.limit_for(kind.example[0])
    usual = "Usually the job's own limit" if limit >= THE_JOBS else f"Usually {limit:g} seconds"
    if kind.time_limit is not None:
        usual += " with the settings of the example"
    waits = ["It does not run while the step waits for a person"] if kind.asks_person is not None else []
    return {**row, "rules": [usual, *waits]}


def _rows(model: type[BaseModel]) -> list[dict[str, Any]]:
    """Returns the fields of a model as table rows: name, title, type, whether it is required, and description."""
    schema = model.model_json_schema()
    return _fields(schema, schema.get("$defs") or {}, "", 1)


def _fields(schema: Mapping[str, Any], defs: Mapping[str, Any], before: str, depth: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    required = set(schema.get("required") or ())
    for name, part in (schema.get("properties") or {}).items():
        field = _plain(part, defs)
        items = _plain(field.get("items") or {}, defs)
        words = {str(value): word for value, word in (field.get("words") or {}).items()}
        choices = field.get("enum") or ()
        empty = [("default", "")] if "" not in choices else []
        said = rules({key: value for key, value in field.items() if key != "enum" and (key, value) not in empty})
        if field.get("default") is not None and any(one.get("type") == "null" for one in part.get("anyOf") or ()):
            said = [f"{rule}, when it is left out" if rule.startswith("Default: ") else rule for rule in said]
            said.append("Empty is `null`")
        if choices:
            said.append("One of: " + ", ".join(_choice(value, words) for value in choices))
        rows.append(
            {
                "name": before + name,
                "title": field.get("title", name),
                "type": type_words({**field, "items": items} if items else field),
                "required": name in required,
                "description": field.get("description", ""),
                "rules": said,
            }
        )
        if depth < _DEEPEST:
            rows += _fields(field, defs, f"{before}{name}.", depth + 1)
            rows += _fields(items, defs, f"{before}{name}[].", depth + 1)
    return rows


def _choice(value: Any, words: Mapping[str, str]) -> str:
    shown = f"`{value}`" if value != "" else '`""`'
    return f"{shown} ({words[str(value)]})" if str(value) in words else shown


def _plain(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a schema with its reference resolved and without the alternative null."""
    whole = dict(schema)
    if options := whole.pop("anyOf", None):
        kept = [one for one in options if one.get("type") != "null"]
        whole = {**(kept[0] if len(kept) == 1 else {}), **whole}
    if ref := whole.pop("$ref", None):
        whole = {**defs.get(str(ref).rsplit("/", 1)[-1], {}), **whole}
    if whole.get("default") is None or whole.get("default") in ({}, []):
        whole.pop("default", None)
    return whole
