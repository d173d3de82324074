"""Checks payloads against the fields of an API Input: types, limits and patterns, and applies defaults.

The check never converts: `"5"` is not a number, and `5.0` is not a whole number. Patterns run in an engine with linear
time (S8).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import datetime
from typing import Any, Literal

import jsonpointer
from pydantic import JsonValue

from engine.core.counted import counted
from engine.core.errors import MAX_ERRORS, FieldError, WrongFields
from engine.core.json_text import json_bytes
from engine.core.json_types import json_type
from engine.core.rfc3339 import NoSuchTime, NotRfc3339, read_time
from engine.core.web_addresses import IPV6, LENIENT_PORT, has_good_port, split_url
from engine.flow.file_values import check_sent_file, looks_like_file, size_in_words
from engine.flow.patterns import BadPattern, Pattern, PatternBudget, current_budget
from engine.flow.references import Json

#: The steps that one search for a pattern may need at worst, and that all in one payload may take together
#: (`engine.flow.patterns`), and those that all items of a batch may take: a fifth of a second, and a second, beside the few
#: microseconds that each search takes at least (1.6 s for the 200,000 texts that a body may have). The search with which
#: they are used up comes to its end. To compile the patterns may take a fifth of a second more.
PATTERN_STEPS = 30_000_000
STEPS_OF_BATCH = 5 * PATTERN_STEPS
#: What the defaults of left out fields may take as JSON, in one payload and in all of a batch. `{}` in a list may stand
#: for a hundred fields, so without a limit the largest body becomes gigabytes.
MAX_DEFAULTS = 10 * 1024 * 1024
MAX_DEFAULTS_OF_BATCH = 64 * 1024 * 1024

TOO_COSTLY = (
    "cannot be checked against its pattern, as the patterns of the flow take too long together; whoever builds the flow "
    "has to shorten them"
)

FieldDict = Mapping[str, Any]

#: The name of each type in error messages.
TYPE_WORDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "file": "a file",
}
#: The web addresses that a field takes: http or https, a host, a port that exists or none, and no blanks or control
#: characters. Published with the field, so it means the same to all common engines; what lies behind an address is
#: checked by the step that opens it.
WEB_ADDRESS = (
    r"^[Hh][Tt][Tt][Pp][Ss]?://([^\s\x00-\x20\x7f-\xa0/?#\[\]]*@)?"
    rf"({IPV6}|[^\s\x00-\x20\x7f-\xa0/?#@:\[\]]+){LENIENT_PORT}"
    r"([/?#][^\s\x00-\x20\x7f-\xa0]*)?$"
)
_WEB_ADDRESS = re.compile(WEB_ADDRESS)
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_LONGEST_EMAIL = 254
#: The blanks for a class of a pattern. Engines do not agree on `\s`, nor on an escape above \xff, so these stand as they are.
#: U+2028 and U+2029 are not among them: a regular expression in the source of JavaScript, as generators of clients write it,
#: must not hold them.
_BLANKS = r"\x09-\x0d\x1c-\x20\x85\xa0" + "\u1680\u2000-\u200a\u202f\u205f\u3000"
#: What a field says of the e-mail addresses that it takes. The pattern means the same to all common engines.
EMAIL_RULES = {
    "pattern": rf"^[^@{_BLANKS}]{{1,64}}@[^@.{_BLANKS}]+(\.[^@.{_BLANKS}]+)+$",
    "maxLength": _LONGEST_EMAIL,
}


def check_payload(
    fields: Sequence[FieldDict], payload: Mapping[str, Any], *, kept: bool = False
) -> tuple[dict[str, Any], WrongFields]:
    """Returns the payload with defaults applied, and every error at once, each with its JSON pointer (RFC 6901). With
    errors the payload is not whole. `kept`: see `PayloadCheck`.
    """
    check = PayloadCheck(kept=kept)
    return check.payload(fields, payload), check.errors


class PayloadCheck:
    """Checks payloads against the fields of an API Input, and collects what is wrong with them in `errors`.

    What is known of the fields is worked out once, and an error that `errors` does not keep is not put into words: each
    entry of a list may be a group that lacks a hundred fields, so one body may have ten million errors.
    """

    def __init__(
        self,
        *,
        steps: int = STEPS_OF_BATCH,
        patterns: PatternBudget | None = None,
        kept: bool = False,
        by_size: bool = False,
    ) -> None:
        """`steps`: those that the searches in all payloads may take together. `patterns`: what compiling may take; without
        it that of the budget in whose context the check is made, or as much as the patterns of a flow may take. `kept`:
        whether the values are those of something stored, a schedule or a version, whose times may have been taken in more
        forms of ISO 8601. `by_size`: whether a search counts what it may take at worst and not what it took, so that the
        result is always the same; texts of callers would be refused without need.
        """
        self.errors = WrongFields()
        #: Whether a text that takes too many steps to be checked against its pattern counts as one that matches it, and
        #: whether there was one.
        self.unchecked_fits = False
        self.unchecked = False
        #: Whether the steps of all payloads are used up: no more patterns are run, and `errors` has had that error.
        self.ended_early = False
        #: Whether the defaults of all payloads take more than they may; `errors` has had that error.
        self.defaults_ended = False
        self._steps_left = PATTERN_STEPS
        self._all_steps_left = self._steps = steps
        self._by_size = by_size
        #: The steps that the searches took, however they count.
        self.taken = 0
        self._patterns = patterns or current_budget()
        #: The bytes of defaults so far, in this payload and in all.
        self._fits = _fits_format_of_kept if kept else fits_format
        self._defaults = 0
        self._all_defaults = 0
        #: Where the payload is in the body.
        self._top: str | None = None
        self._groups: dict[int, _Group] = {}
        self._of_defaults: PayloadCheck | None = None
        self._allowed: dict[int, frozenset[Hashable]] = {}

    @property
    def steps_left(self) -> int:
        """The steps that may still be taken; less than 0 when the last search took more than were left."""
        return self._all_steps_left

    @property
    def patterns(self) -> PatternBudget:
        """What compiling may still take, and the patterns that were compiled."""
        if self._patterns is None:
            self._patterns = PatternBudget()
        return self._patterns

    def payload(self, fields: Sequence[FieldDict], payload: Mapping[str, Any], at: str = "") -> dict[str, Any]:
        """Returns the payload with defaults applied; it is not whole when there are errors. `at`: where the payload is
        in the body, as a JSON pointer.
        """
        self._steps_left, self._defaults, self._top = PATTERN_STEPS, 0, at
        try:
            return self._object(fields, payload, at)
        except _TooManyDefaults as too_many:
            self.errors.append(FieldError(at, "max_length", str(too_many)))
            self.errors.at_least = True
            return {}

    def value(self, field: FieldDict, value: Json) -> Json:
        """Does the same for the value of one field."""
        try:
            return self._value(field, value, "")
        except _TooManyDefaults as too_many:
            self.errors.append(FieldError("", "max_length", str(too_many)))
            return value

    def _value(self, field: FieldDict, value: Json, at: str) -> Json:
        kind = str(field.get("type") or "string")
        if kind == "file":
            if (wrong := check_sent_file(field, value)) is not None:
                self._add(at, wrong[0], lambda: wrong[1])
            return value
        if not _is_type(kind, value):
            self._add(at, "type_error", lambda: f"expected {TYPE_WORDS.get(kind, kind)}, got {_got(kind, value)}")
            return value
        enum = field.get("enum")
        if enum and not self._is_allowed(enum, value):
            self._add(at, "enum", lambda: f"must be one of: {', '.join(str(one) for one in list(enum)[:20])}")
            return value
        if kind == "string":
            self._check_text(field, value, at)
        elif kind in {"number", "integer"}:
            self._check_number(field, value, at)
        elif kind == "array":
            self._check_size(field, "items", len(value), at)
            if items := field.get("items"):
                return [self._value(items, item, f"{at}/{position}") for position, item in enumerate(value)]
        elif field.get("fields"):
            return self._object(field["fields"], value, at)
        return value

    def _add(self, at: str, code: str, words: Callable[[], str]) -> None:
        if self.errors.full:
            self.errors.total += 1
        else:
            self.errors.append(FieldError(at, code, words()))

    def _object(self, fields: Sequence[FieldDict], value: Mapping[str, Any], at: str) -> dict[str, Any]:
        group = self._groups.get(id(fields))
        if group is None:
            if self._of_defaults is None:
                steps = min(self._steps, PATTERN_STEPS)
                self._of_defaults = PayloadCheck(steps=steps, patterns=self.patterns, kept=True, by_size=True)
                self._of_defaults.unchecked_fits = True
            before = self._of_defaults.taken
            group = self._groups[id(fields)] = _Group.of(fields, self._of_defaults)
            self._all_steps_left -= self._of_defaults.taken - before
        known = [name for name in value if name in group.fields]
        self._count_defaults(group, known, value)
        if self.errors.full:
            self.errors.total += len(group.required) - sum(name in group.required for name in known)
            self.errors.total += len(value) - len(known)
            for name in (*known, *group.odd_defaults.difference(known)):
                self._field(group, name, value, at)
            return {}
        clean = group.left_out.copy()
        for name in sorted(group.always.union(known), key=group.places.__getitem__):
            if name in group.required and name not in value:
                self._add(f"{at}/{jsonpointer.escape(name)}", "required", lambda: "missing")
                del clean[name]
            else:
                clean[name] = self._field(group, name, value, at)
        if len(known) < len(value):
            self._add_unknown(group, value, at)
        return clean

    def _count_defaults(self, group: _Group, known: Sequence[str], value: Mapping[str, Any]) -> None:
        """Counts the defaults of an object, unless it is the first of its group. Raises _TooManyDefaults."""
        if not group.used:
            group.used = True
            return
        if not group.sizes:
            group.sizes = {name: len(name) + 4 + len(json_bytes(default)) for name, default in group.left_out.items()}
            group.sizes |= dict.fromkeys(group.required, 0)
            group.size = sum(group.sizes.values())
        size = group.size - sum(group.sizes[name] for name in known if value[name] is not None)
        self._defaults += size
        self._all_defaults += size
        if self._defaults > MAX_DEFAULTS:
            raise _TooManyDefaults(
                "leaves so much out in the entries of its lists that the defaults take more than "
                f"{size_in_words(MAX_DEFAULTS)}; send shorter lists"
            )
        if self._all_defaults > MAX_DEFAULTS_OF_BATCH:
            self.defaults_ended = True
            raise _TooManyDefaults(
                "leaves so much out, with the items before it, that the defaults take more than "
                f"{size_in_words(MAX_DEFAULTS_OF_BATCH)}; send fewer items in one batch"
            )

    def _field(self, group: _Group, name: str, value: Mapping[str, Any], at: str) -> Json:
        """Returns the value of one field of a group, or its default."""
        field, sent = group.fields[name], value.get(name)
        if sent is not None or name in group.required:
            return self._value(field, sent, f"{at}/{jsonpointer.escape(name)}")
        if name in group.odd_defaults:
            return self._value(field, field["default"], f"{at}/{jsonpointer.escape(name)}")
        return group.left_out[name]

    def _add_unknown(self, group: _Group, value: Mapping[str, Any], at: str) -> None:
        unknown = [name for name in value if name not in group.fields]
        why = _unknown(group.fields, "flow" if at == self._top else "object")
        kept = unknown[: max(0, MAX_ERRORS - len(self.errors))]
        for name in kept:
            pointer = f"{at}/{jsonpointer.escape(name)}"
            self.errors.append(FieldError(pointer, "unknown_field", why, field_type(value[name])))
        self.errors.total += len(unknown) - len(kept)

    def _is_allowed(self, enum: Sequence[Json], value: Json) -> bool:
        allowed = self._allowed.get(id(enum))
        if allowed is None:
            allowed = self._allowed[id(enum)] = frozenset(_comparable(one) for one in enum)
        return _comparable(value) in allowed

    def _check_text(self, field: FieldDict, value: str, at: str) -> None:
        self._check_size(field, "length", len(value), at)
        form = field.get("format")
        if form and not self._fits(str(form), value):
            self._add(at, "format", lambda: _format_fault(str(form), value))
        if wanted := field.get("pattern"):
            self._check_pattern(str(wanted), value, at)

    def _check_pattern(self, wanted: str, value: str, at: str) -> None:
        if self.errors.full or self.ended_early:
            self.unchecked = self.errors.at_least = True
            return  # the body is refused as it is
        try:
            pattern = self.patterns.compiled(wanted)
        except BadPattern:
            return  # a problem of the flow, which its designer sees
        if pattern is None:
            self.unchecked = True
            if not self.unchecked_fits:
                self._add(at, "pattern", lambda: TOO_COSTLY)
            return
        most = len(value) * pattern.size
        if most > PATTERN_STEPS or self._lacks(self._steps_left, most) or self._lacks(self._all_steps_left, most):
            self._leave_unchecked(at, most, pattern)
            return
        if not self.patterns.may_search(most):
            self.unchecked = True
            return
        found, taken = pattern.counted_search(value)
        self.taken += taken
        counted = most if self._by_size else taken
        self._steps_left -= counted
        self._all_steps_left -= counted
        if not found:
            self._add(at, "pattern", lambda: f"must match the pattern {wanted}")

    def _lacks(self, left: int, most: int) -> bool:
        """Tells whether a search that takes `most` steps at worst may not begin any more."""
        return most > left if self._by_size else left <= 0

    def _leave_unchecked(self, at: str, most: int, pattern: Pattern) -> None:
        self.unchecked = True
        if self.unchecked_fits:
            return
        if most > PATTERN_STEPS:
            longest = PATTERN_STEPS // pattern.size
            why = "is too long to be checked against its pattern"
            self._add(at, "pattern", lambda: f"{why}; it may have {longest:,} characters")
            return
        why = "cannot be checked against its pattern any more, as the texts"
        if self._lacks(self._all_steps_left, most):
            self.ended_early = True
            self._add(
                at, "pattern", lambda: f"{why} of the items before it took too long; send fewer items in one batch"
            )
        else:
            self._add(at, "pattern", lambda: f"{why} before it took too long; send fewer or shorter texts")

    def _check_number(self, field: FieldDict, value: float, at: str) -> None:
        lowest, highest = field.get("minimum"), field.get("maximum")
        if lowest is not None and value < lowest:
            self._add(at, "minimum", lambda: f"must be at least {bound_text(lowest)}")
        elif highest is not None and value > highest:
            self._add(at, "maximum", lambda: f"must be at most {bound_text(highest)}")

    def _check_size(self, field: FieldDict, what: Literal["items", "length"], size: int, at: str) -> None:
        fewest, most = field.get(f"min_{what}"), field.get(f"max_{what}")
        word = "item" if what == "items" else "character"
        if fewest is not None and size < fewest:
            self._add(at, f"min_{what}", lambda: f"must have at least {counted(fewest, word)}, has {size:,}")
        elif most is not None and size > most:
            self._add(at, f"max_{what}", lambda: f"must have at most {counted(most, word)}, has {size:,}")


def bound_text(bound: float, separator: str = "") -> str:
    """Writes a bound out: a whole number with all digits, others with 15 as far as they need them."""
    return format(bound, separator if isinstance(bound, int) else f"{separator}.15g")


class _TooManyDefaults(Exception):
    """The defaults of a payload take more than they may. The text is the detail of the error."""


@dataclass(slots=True)
class _Group:
    """The named fields of an object, prepared for the check of many objects."""

    fields: dict[str, FieldDict]
    required: set[str]
    #: The place of each field among the others.
    places: dict[str, int]
    #: The object in which no field was sent: each has its default.
    left_out: dict[str, Json]
    #: Fields with a default that does not fit, which is told for each object.
    odd_defaults: set[str]
    #: The fields that are looked at in each object, sent or not.
    always: set[str]
    #: Whether an object was seen; then what each default takes as JSON with its name, and all together.
    used: bool = False
    sizes: dict[str, int] = dataclass_field(default_factory=dict[str, int])
    size: int = 0

    @classmethod
    def of(cls, fields: Sequence[FieldDict], check: PayloadCheck) -> _Group:
        """`check`: for the defaults, whose patterns share its steps."""
        named = {str(field.get("name")): field for field in fields}
        required = {name for name, field in named.items() if field.get("required")}
        left_out: dict[str, Json] = dict.fromkeys(named)
        odd: set[str] = set()
        for name, field in named.items():
            if (default := field.get("default")) is not None and name not in required:
                check.errors = WrongFields()
                left_out[name] = check.value(field, default)
                if check.errors:
                    odd.add(name)
        places = dict(zip(named, range(len(named)), strict=True))
        return cls(named, required, places, left_out, odd, required | odd)


def has_patterns(fields: Iterable[FieldDict]) -> bool:
    """Tells whether a field has a pattern, at any level."""
    waiting = [*fields]
    while waiting:
        field = waiting.pop()
        if field.get("pattern"):
            return True
        inner = [*(field.get("fields") or ()), field.get("items")]
        waiting += [one for one in inner if isinstance(one, Mapping)]
    return False


def _unknown(known: Mapping[str, FieldDict], owner: str) -> str:
    names = ", ".join(f"`{other}`" for other in list(known)[:10])
    return f"the {owner} has no field of this name; it has {names}" if names else f"the {owner} takes no fields"


def _comparable(value: JsonValue) -> tuple[bool, Hashable]:
    """Returns a key for a set: the same for equal JSON values, and another for True than for 1."""
    return isinstance(value, bool), _hashable(value)


def _hashable(value: JsonValue) -> Hashable:
    if isinstance(value, dict):
        return frozenset((name, _hashable(inner)) for name, inner in value.items())
    return tuple(_hashable(inner) for inner in value) if isinstance(value, list) else value


def _is_type(kind: str, value: Json) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case _:
            return False


def field_type(value: Json) -> str:
    """Returns the type that an API Input field needs for this value; empty for null, which fits any type."""
    if looks_like_file(value):
        return "file"
    return "" if value is None else json_type(value)


def _got(kind: str, value: Json) -> str:
    """Returns what was sent for another type, in words."""
    if kind == "integer" and isinstance(value, float):  # also `5.0`, which JSON Schema takes for a whole number
        return "a number with a point or an exponent"
    return _type_word(value)


def _type_word(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"


def _format_fault(form: str, value: str) -> str:
    if form == "uri":
        with contextlib.suppress(ValueError):  # something else is wrong with it
            if not has_good_port(split_url(value)):
                return "has a port that does not exist; ports are numbers from 1 to 65535"
        return "must be a web address like https://example.com"
    if form == "email":
        return "must be an e-mail address"
    try:
        read_time(value)
    except NoSuchTime as error:
        return str(error)
    except NotRfc3339:
        pass
    return "must be a date and time with its time zone, like 2026-01-31T12:00:00Z or 2026-01-31T13:00:00+01:00"


def fits_format(form: str, value: str) -> bool:
    """True when the text is a web address (`uri`), an `email`, or a `date-time` (RFC 3339)."""
    if form == "uri":
        # JavaScript's engines count this character among the blanks that the pattern refuses, Python's does not
        return "\ufeff" not in value and _WEB_ADDRESS.fullmatch(value) is not None
    if form == "email":
        return len(value) <= _LONGEST_EMAIL and _EMAIL.fullmatch(value) is not None
    try:
        read_time(value)
    except NotRfc3339:
        return False
    return True


def _fits_format_of_kept(form: str, value: str) -> bool:
    """Takes a `date-time` also in another form of ISO 8601 with a time zone."""
    if fits_format(form, value):
        return True
    if form != "date-time":
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is not None and "T" in value.upper()
    except ValueError:
        return False
