"""What callers notice when one version of a flow replaces another: the fields that they send, and the result that they
get, also inside groups and the items of lists. Every page that compares the contracts of two versions asks this.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace
from pydantic import JsonValue

from engine.flow.contract import input_fields, result_schema
from engine.flow.document import Document
from engine.flow.file_values import largest_bytes, size_in_words
from engine.flow.node_type import Catalog
from engine.flow.payload_check import TYPE_WORDS, bound_text

Weight = Literal["breaking", "careful", "harmless"]
_WEIGHTS: Final[dict[Weight, int]] = {"breaking": 0, "careful": 1, "harmless": 2}
#: The words for types that differ from those of refusals, which programs read too.
_TYPES: Final = {**TYPE_WORDS, "boolean": "yes or no", "object": "a group", "null": "empty"}


class CallerChange(Struct, frozen=True):
    """One change that callers notice.

    `breaking`: calls that worked are refused, or a value of the result is gone or has another type. `field`: the
    top-level field of the request, None for the result. `sent_now_refused`: calls that send `field` are affected;
    `missing_now_refused`: calls that do not send it.
    """

    weight: Weight
    sentence: str
    field: str | None = None
    sent_now_refused: bool = False
    missing_now_refused: bool = False


class _Place(Struct, frozen=True):
    """A field, a part of a group, or the items of a list, with the words for it."""

    top: str
    words: str
    inner: bool = False

    def part(self, name: str) -> _Place:
        """The part of this name of a group; of the items of a list, when this is their place."""
        return _Place(self.top, f"`{name}` in {self.words}", inner=True)

    @property
    def items(self) -> _Place:
        """Each item of this list."""
        return _Place(self.top, f"each item of {self.words}", inner=True)

    @property
    def begin(self) -> str:
        """The words at the beginning of a sentence."""
        return self.words[0].upper() + self.words[1:]


def caller_changes(before: Document, after: Document, catalog: Catalog) -> tuple[CallerChange, ...]:
    """Returns what callers notice when `after` replaces `before` as the live version; breaking changes come first."""
    found = [*_request_changes(_by_name(input_fields(before)), _by_name(input_fields(after)), None)]
    found += _group_changes(result_schema(before, catalog), result_schema(after, catalog), None)
    return tuple(sorted(found, key=lambda change: _WEIGHTS[change.weight]))


# What callers send.


def _by_name(fields: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {str(field.get("name")): field for field in fields}


def _request_changes(
    old: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]], group: _Place | None
) -> Iterator[CallerChange]:
    """The changes of the fields, or of the parts of a group."""
    for name, field in new.items():
        place = _named(name, group)
        if name in old:
            yield from _field_changes(place, old[name], field)
        else:
            yield _new_field(place, field)
    for name in old:
        if name not in new:
            place = _named(name, group)
            said = f"The field {place.words} is gone. Calls that send it are refused."
            yield CallerChange("breaking", said, place.top, sent_now_refused=True)


def _named(name: str, group: _Place | None) -> _Place:
    return _Place(name, f"`{name}`") if group is None else group.part(name)


def _new_field(place: _Place, new: Mapping[str, Any]) -> CallerChange:
    if new.get("required"):
        return _missing(place, f"New required field {place.words}. Calls without it are refused.")
    return CallerChange("harmless", f"New field {place.words}, which may be left out.", place.top)


def _missing(place: _Place, said: str) -> CallerChange:
    """A value that calls must send now. One inside a group is missed only by calls that send the group."""
    change = CallerChange("breaking", said, place.top)
    return replace(change, sent_now_refused=True) if place.inner else replace(change, missing_now_refused=True)


def _field_changes(place: _Place, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[CallerChange]:
    was, is_now = str(old.get("type") or "string"), str(new.get("type") or "string")
    if was != is_now and not (was == "integer" and is_now == "number"):
        said = f"{place.begin} must now be {_type_words([is_now])}; it was {_type_words([was])}."
        yield CallerChange("breaking", said, place.top, sent_now_refused=True)
    if new.get("required") and not old.get("required"):
        yield _missing(place, f"{place.begin} is now required. Calls without it are refused.")
    if not new.get("required") and old.get("required"):
        yield CallerChange("harmless", f"{place.begin} may now be left out.", place.top)
    if was == is_now:
        if narrower := _narrower(old, new):
            said = f"{place.begin} takes fewer values ({', '.join(narrower)})."
            yield CallerChange("breaking", said, place.top, sent_now_refused=True)
        yield from _inside_field(place, old, new)
    if old.get("default") != new.get("default") and not new.get("required"):
        said = f"When {place.words} is left out, it is now {_default_words(new)}."
        yield CallerChange("careful", said, place.top)


def _inside_field(place: _Place, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[CallerChange]:
    """The changes of the parts of a group and of the items of a list. Without a description they take anything."""
    was, is_now = old.get("fields"), new.get("fields")
    if was and is_now:
        yield from _request_changes(_by_name(was), _by_name(is_now), place)
    elif is_now:
        names = ", ".join(f"`{name}`" for name in _by_name(is_now))
        said = f"{place.begin} took any parts; it now takes these only: {names}."
        yield CallerChange("breaking", said, place.top, sent_now_refused=True)
    elif was:
        yield CallerChange("harmless", f"{place.begin} now takes any parts.", place.top)
    item, new_item = old.get("items"), new.get("items")
    if item and new_item:
        yield from _field_changes(place.items, {**item, "required": True}, {**new_item, "required": True})
    elif new_item:
        said = (
            f"{place.items.begin} must now be {_type_words([new_item.get('type') or 'string'])}; it could be anything."
        )
        yield CallerChange("breaking", said, place.top, sent_now_refused=True)
    elif item:
        yield CallerChange("harmless", f"{place.items.begin} may now be anything.", place.top)


def _default_words(field: Mapping[str, Any]) -> str:
    default = field.get("default")
    return "empty" if default is None else f"`{json.dumps(default, ensure_ascii=False)}`"


def _narrower(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for rule, word in (("minimum", "smallest"), ("min_length", "shortest"), ("min_items", "fewest items")):
        if new.get(rule) is not None and (old.get(rule) is None or new[rule] > old[rule]):
            found.append(f"{word} {bound_text(new[rule])}")
    for rule, word in (("maximum", "largest"), ("max_length", "longest"), ("max_items", "most items")):
        if new.get(rule) is not None and (old.get(rule) is None or new[rule] < old[rule]):
            found.append(f"{word} {bound_text(new[rule])}")
    for rule, word in (("pattern", "a pattern"), ("format", "a format")):
        if new.get(rule) and new.get(rule) != old.get(rule):
            found.append(word)
    if new.get("enum") and not _all_in(old.get("enum"), new["enum"]):
        found.append("a list of allowed values")
    if new.get("file_kinds") and not _all_in(old.get("file_kinds"), new["file_kinds"]):
        found.append("fewer kinds of files")
    if str(new.get("type")) == "file" and largest_bytes(new) < largest_bytes(old):
        found.append(f"at most {size_in_words(largest_bytes(new))}")
    return found


def _all_in(old: Sequence[Any] | None, new: Sequence[Any]) -> bool:
    return old is not None and all(value in new for value in old)


# What callers get.


def _group_changes(old: Mapping[str, Any], new: Mapping[str, Any], group: _Place | None) -> Iterator[CallerChange]:
    """The changes of the parts of a group of the result; of the whole result without a group."""
    was: Mapping[str, Any] = old.get("properties") or {}
    is_now: Mapping[str, Any] = new.get("properties") or {}
    for name in was:
        if name not in is_now:
            yield CallerChange("breaking", f"The result no longer has {_named(name, group).words}.")
    for name, schema in is_now.items():
        place = _named(name, group)
        if name in was:
            yield from _value_changes(was[name] or {}, schema or {}, place)
        else:
            yield CallerChange("harmless", f"The result also has {place.words}.")


def _value_changes(old: Mapping[str, Any], new: Mapping[str, Any], place: _Place) -> Iterator[CallerChange]:
    """The changes of one value of the result and of what is inside it. Nothing is said of values that can be anything."""
    was, is_now = _kinds(old), _kinds(new)
    known = [kind for kind in was if kind != "null"]
    if not known:
        return
    if not is_now:
        yield CallerChange("careful", f"In the result, {place.words} may now be anything; it was {_type_words(known)}.")
        return
    others = [kind for kind in is_now if kind not in was and not (kind == "integer" and "number" in was)]
    if others == ["null"]:
        yield CallerChange("careful", f"In the result, {place.words} may now be empty.")
    elif others:
        said = f"In the result, {place.words} is now {_type_words(is_now)}; it was {_type_words(was)}."
        yield CallerChange("breaking", said)
        return
    if "object" in known and "object" in is_now and old.get("properties"):
        if new.get("properties"):
            yield from _group_changes(old, new, place)
        else:
            yield CallerChange("careful", f"In the result, {place.words} may now have any parts.")
    if "array" in known and "array" in is_now:
        yield from _value_changes(old.get("items") or {}, new.get("items") or {}, place.items)


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    """The types of a value of the result; a file is a type of its own. Empty: it can be anything."""
    kind: JsonValue = schema.get("type")
    kinds = [str(one) for one in kind] if isinstance(kind, list) else [str(kind)] if kind else []
    return ["file" if one == "object" and schema.get("format") == "file" else one for one in kinds]


def _type_words(kinds: Sequence[str]) -> str:
    return " or ".join(_TYPES.get(str(one), str(one)) for one in kinds)
