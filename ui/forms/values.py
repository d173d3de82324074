"""The values of a form: parsing, validation, and access by JSON pointer. Pure functions without NiceGUI.

parse(spec, "12")                       (12, "") or (ABSENT, "Write a whole number, like 12")
completed_address("www.a.org")           "https://www.a.org": what people type of a web address
problem_of(spec, value)                 "" or a sentence: missing, too small, not one of the choices, ...
problems_of(specs, value)               {pointer: sentence} for a whole form
get_at(value, "/a/0")                   reads by JSON pointer
with_value(value, "/a/0", new)          changes a copy by JSON pointer
pointer_to("/fields", 0)                "/fields/0"
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence

import jsonpointer

from engine.flow.json_values import read_strictly
from engine.flow.payload_check import fits_format
from ui.forms.number_texts import comma_words
from ui.forms.specs import ABSENT, Absent, FieldSpec, Json, fields_for
from ui.kit.text import _, number, type_word


def parse(spec: FieldSpec, text: str) -> tuple[Json, str]:
    """Parses typed text to a value of the field.

    Returns it with "", or ABSENT with a sentence that says what to write instead.
    """
    kind = spec.kind
    if kind in {"text", "textarea", "code"}:
        keeps_empty = not spec.required and spec.default not in (ABSENT, None, "")
        return (text, "") if text or keeps_empty else (ABSENT, "")
    stripped = text.strip()
    if not stripped:
        return ABSENT, ""
    if kind == "integer":
        try:
            return int(stripped), ""
        except ValueError:
            return ABSENT, comma_words(stripped, whole=True) or _("Write a whole number, like 12")
    if kind == "number":
        try:
            value = float(stripped)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            return ABSENT, comma_words(stripped) or _("Write a number, like 0.5")
        return (int(stripped) if stripped.lstrip("+-").isdigit() else value), ""
    return _parse_json(spec, stripped)


def read_count(text: str) -> int | None:
    """Returns the whole number from 0 to 2**31 - 1 that was typed, or None. Not every digit is one of a number: `²`."""
    text = text.strip()
    value = int(text) if text.isdecimal() and len(text) <= 10 else None
    return value if value is not None and value < 1 << 31 else None


def completed_address(text: str) -> str:
    """Returns a web address that was typed without `https://` in full; every other text as it is."""
    address = text.strip()
    host = address.partition("/")[0]
    if "://" in address or "{{" in address or "@" in host or not all(host.partition(".")[::2]):
        return address if fits_format("uri", address) else text
    whole = f"https://{address}"
    return whole if fits_format("uri", whole) else text


def _parse_json(spec: FieldSpec, text: str) -> tuple[Json, str]:
    try:
        value = read_strictly(text)
    except ValueError:
        value = ABSENT
    if spec.only == "array" and not isinstance(value, list):
        return ABSENT, _('Write a list in square brackets, its texts in double quotes, like ["first", "second"]')
    if spec.only == "object" and not isinstance(value, dict):
        return ABSENT, _('Write a group in curly brackets, its texts in double quotes, like {"name": "value"}')
    if isinstance(value, Absent):
        return ABSENT, _('This is not JSON. Texts stand in double quotes, like {"name": "value"}')
    return value, ""


def same(one: Json, other: Json) -> bool:
    """True when two values are the same JSON: 1 and true are not."""
    if isinstance(one, Absent) or isinstance(other, Absent):
        return one is other
    return json.dumps(one, default=list) == json.dumps(other, default=list)


def lines_of(text: str) -> list[str]:
    """The lines of a pasted text that hold something, without marks of a list in front (`- ` or `• `)."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    for mark in ("- ", "* ", "• "):
        if lines and all(line.startswith(mark) for line in lines):
            return [line.removeprefix(mark).strip() for line in lines]
    return lines


def problem_of(spec: FieldSpec, value: Json) -> str:
    """What is wrong with a value of this field, as a sentence; "" when it is valid."""
    required = _("Choose a file first") if spec.kind == "file" else _("This is required")
    if isinstance(value, Absent) or (value is None and not spec.nullable and not spec.required):
        return required if spec.required and spec.default is ABSENT else ""
    if value is None:
        return "" if spec.nullable else required
    if spec.choices and value not in [choice for choice, _word in spec.choices]:
        return _("Choose one of {choices}").format(choices=", ".join((word for _value, word in spec.choices)))
    if isinstance(value, str):
        return _text_problem(spec, value)
    if isinstance(value, bool):
        return ""
    if isinstance(value, int | float):
        return _between(value, spec.minimum, spec.maximum)
    if isinstance(value, Sequence):
        return _between(len(value), spec.min_items, spec.max_items, _("item"), _("items"))
    return ""


def error_words(errors: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """What a form says of errors of a request, by pointer. `errors`: the pointer, code and detail of each."""
    fill_in = _("Fill in “{field}”.")
    return {
        pointer: fill_in.format(field=keys_of(pointer)[-1]) if code == "required" else detail
        for pointer, code, detail in errors
    }


def problems_of(specs: Sequence[FieldSpec], value: Json, pointer: str = "") -> dict[str, str]:
    """Every invalid field of a form, by its pointer."""
    found: dict[str, str] = {}
    for spec in specs:
        page_session = pointer_to(pointer, spec.name)
        own = get_at(value, pointer_to("", spec.name))
        if sentence := problem_of(spec, own):
            found[page_session] = sentence
        elif spec.kind == "group" and isinstance(own, Mapping):
            found |= problems_of(spec.fields, own, page_session)
        elif spec.kind == "objects" and isinstance(own, list | tuple):
            for at, item in enumerate(own):
                found |= problems_of(fields_for(spec, item), item, pointer_to(page_session, at))
        elif spec.kind == "list" and spec.item is not None and isinstance(own, list | tuple):
            found |= _item_problems(spec.item, own, page_session)
    return found


def _item_problems(spec: FieldSpec, items: Sequence[Json], pointer: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for at, item in enumerate(items):
        here = pointer_to(pointer, at)
        if sentence := problem_of(spec, item):
            found[here] = sentence
        elif spec.kind == "list" and spec.item is not None and isinstance(item, list | tuple):
            found |= _item_problems(spec.item, item, here)
    return found


def _text_problem(spec: FieldSpec, value: str) -> str:
    if spec.type_word == type_word({"format": "uri"}) and not value.startswith(("http://", "https://", "{{")):
        return _("Write a web address, like https://example.com")
    if spec.type_word == type_word({"format": "email"}) and "@" not in value:
        return _("Write an e-mail address, like name@example.com")
    return _between(len(value), spec.min_length, spec.max_length, _("character"), _("characters"))


def _between(value: float, least: float | None, most: float | None, one: str = "", many: str = "") -> str:
    if least is not None and value < least:
        return _("At least {amount}").format(amount=_amount(least, one, many))
    if most is not None and value > most:
        return _("At most {amount}").format(amount=_amount(most, one, many))
    return ""


def _amount(count: float, one: str, many: str) -> str:
    return f"{number(count)} {one if count == 1 else many}".rstrip()


# --- Access by pointer -------------------------------------------------------------------------------------------


def pointer_to(pointer: str, key: str | int) -> str:
    """The pointer of a part: `/fields` and 0 -> `/fields/0`."""
    return f"{pointer}/{jsonpointer.escape(str(key))}"


def keys_of(pointer: str) -> list[str]:
    """The keys of a pointer: `/fields/0` -> `fields`, `0`."""
    return [jsonpointer.unescape(part) for part in pointer.split("/")[1:]]


def get_at(value: Json, pointer: str) -> Json:
    """The value at a pointer; ABSENT when there is none."""
    for part in keys_of(pointer):
        if isinstance(value, Mapping):
            value = value.get(part, ABSENT)
        elif isinstance(value, Sequence) and not isinstance(value, str) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return ABSENT
    return value


def with_value(value: Json, pointer: str, new: Json) -> Json:
    """A copy with `new` at the pointer. ABSENT removes the key; missing objects on the path are created."""
    parts = keys_of(pointer)
    if not parts:
        return new
    head, rest = parts[0], "".join(f"/{jsonpointer.escape(part)}" for part in parts[1:])
    if isinstance(value, list | tuple):
        items = list(value)
        if head.isdigit() and int(head) < len(items):
            items[int(head)] = with_value(items[int(head)], rest, new)
        return items
    group = dict(value) if isinstance(value, Mapping) else {}
    changed = with_value(group.get(head, {}), rest, new)
    if isinstance(changed, Absent):
        group.pop(head, None)
    else:
        group[head] = changed
    return group
