"""Checks the arguments that a model gives to a tool against the tool's JSON Schema, and says what is wrong in words
that the model can act on.

The schema may come from an MCP server, so that it is foreign data: patterns are not run, references are followed inside
the schema only, and the work is limited. Arguments for which it does not suffice are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import JsonValue

from engine.flow.node_context import JsonSchema
from engine.flow.payload_check import bound_text, fits_format
from engine.flow.references import Json

MAX_COMPLAINTS = 10
_DEEPEST = 64
#: A value is counted as `_PLACE`, and each type, allowed value and required name that it is compared with as one more. So
#: many values take 0.2 seconds of the worker's event loop.
_PLACE = 20
_MAX_VALUES = 20_000
_KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}
_WORDS = {"string": "text", "number": "a number", "integer": "a whole number", "boolean": "true or false"}

_TOO_DEEP = f"they are nested too deeply to be checked: send at most {_DEEPEST} levels of objects and lists"


def wrong_arguments(schema: JsonSchema, arguments: JsonValue) -> list[str]:
    """Returns what is wrong with the arguments, a line for each place; empty when all of them were checked and fit."""
    if not isinstance(arguments, dict):
        return ["they must be one JSON object"]
    checked = _Check(schema)
    found: list[str] = []
    try:
        for complaint in checked.complaints(schema, arguments, "", 0):
            found.append(complaint)
            if len(found) == MAX_COMPLAINTS:
                break
    except _UncheckedError as error:
        found.append(str(error))
    return found


class _UncheckedError(Exception):
    """A check would take more work than it may. The text says what to do."""


class _Check:
    """One check. Raises _UncheckedError when it takes more work than it may."""

    def __init__(self, root: JsonSchema) -> None:
        self._root = root
        self._left = _MAX_VALUES * _PLACE

    def complaints(self, schema: JsonValue, value: JsonValue, at: str, depth: int) -> Iterator[str]:
        schema = self._resolved(schema)
        if not isinstance(schema, Mapping):
            return
        self._spend(_PLACE + sum(len(_list(schema.get(name))) for name in ("type", "enum", "required")))
        if depth > _DEEPEST:
            raise _UncheckedError(_TOO_DEEP)
        if (wrong := _wrong_kind(schema, value)) or (wrong := _wrong_value(schema, value)):
            yield f"{at or 'arguments'}: {wrong}"
            return
        for part in _list(schema.get("allOf")):
            yield from self.complaints(part, value, at, depth + 1)
        for name in ("anyOf", "oneOf"):
            options = _list(schema.get(name))
            if options and not any(self._fits(one, value, at, depth + 1) for one in options):
                yield f"{at or 'arguments'}: fits none of the forms that are allowed here"
        if isinstance(value, dict):
            yield from self._in_object(schema, value, at, depth)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                yield from self.complaints(schema.get("items"), item, f"{at}/{number}", depth + 1)

    def _in_object(self, schema: Mapping[str, Any], value: dict[str, Json], at: str, depth: int) -> Iterator[str]:
        properties: JsonValue = schema.get("properties")
        known: Mapping[str, Any] = properties if isinstance(properties, Mapping) else {}
        for name in _list(schema.get("required")):
            if name not in value:
                yield f"{at}/{name}: is missing"
        others = schema.get("additionalProperties", True)
        for name, inner in value.items():
            if name in known:
                yield from self.complaints(known[name], inner, f"{at}/{name}", depth + 1)
            elif others is False:
                names = ", ".join(f"`{one}`" for one in list(known)[:20]) or "none"
                yield f"{at}/{name}: there is no such parameter; there are: {names}"
            else:
                yield from self.complaints(others, inner, f"{at}/{name}", depth + 1)

    def _fits(self, schema: JsonValue, value: JsonValue, at: str, depth: int) -> bool:
        return next(self.complaints(schema, value, at, depth), None) is None

    def _resolved(self, schema: JsonValue) -> JsonValue:
        """Follows references inside the schema, like `#/$defs/Item`."""
        for _ in range(_DEEPEST):
            reference = schema.get("$ref") if isinstance(schema, Mapping) else None
            if not isinstance(reference, str):
                return schema
            if not reference.startswith("#/"):
                return None
            self._spend(len(reference) // 4)
            found: JsonValue = self._root
            for part in reference[2:].split("/"):
                found = found.get(part) if isinstance(found, Mapping) else None
            schema = found
        raise _UncheckedError(_TOO_DEEP)

    def _spend(self, work: int) -> None:
        self._left -= work
        if self._left < 0:
            raise _UncheckedError(
                f"they are too large to be checked: send at most {_MAX_VALUES:,} values at a time, or fewer if this tool has "
                "many rules for each"
            )


def _wrong_kind(schema: Mapping[str, Any], value: Json) -> str:
    kinds: JsonValue = schema.get("type")
    wanted = [str(kind) for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind in _KINDS]
    if not wanted or any(_is(kind, value) for kind in wanted):
        return ""
    words = " or ".join(_WORDS.get(kind, {"array": "a list", "object": "an object"}.get(kind, kind)) for kind in wanted)
    return f"must be {words}"


def _is(kind: str, value: Json) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _KINDS[kind])


def _wrong_value(schema: Mapping[str, Any], value: JsonValue) -> str:
    allowed = [schema["const"]] if "const" in schema else _list(schema.get("enum"))
    if allowed and not any(one == value and isinstance(one, bool) == isinstance(value, bool) for one in allowed):
        return f"must be one of {', '.join(str(one) for one in allowed[:20])}"
    if isinstance(value, str):
        if (size := _outside(schema, len(value), "minLength", "maxLength")) is not None:
            return f"must have {size} characters"
        form = schema.get("format")
        if form in {"uri", "email", "date-time"} and not fits_format(form, value):
            return f"must be in the format {form}"
    elif isinstance(value, list) and (size := _outside(schema, len(value), "minItems", "maxItems")) is not None:
        return f"must have {size} items"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        bound = _outside(schema, value, "minimum", "maximum", separator="")
        return "" if bound is None else f"must be {bound}"
    return ""


def _outside(schema: Mapping[str, Any], size: float, least: str, most: str, *, separator: str = ",") -> str | None:
    lowest, highest = schema.get(least), schema.get(most)
    if isinstance(lowest, int | float) and size < lowest:
        return f"at least {bound_text(lowest, separator)}"
    if isinstance(highest, int | float) and size > highest:
        return f"at most {bound_text(highest, separator)}"
    return None


def _list(value: JsonValue) -> list[Any]:
    return value if isinstance(value, list) else []
