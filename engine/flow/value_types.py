"""Fields whose value is handed on as a number, or as yes or no: what is written as text becomes a value of that type.

The nodes whose fields have free names (API Output, Set Fields, Save rows) keep the types in their setting `types`, by the
name of the field, as a binding has no room for one. A name that no field has is ignored.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, Literal

from pydantic import Field, JsonValue

from engine.flow.document import Node
from engine.flow.json_values import as_number
from engine.flow.node_context import Json, JsonSchema

ValueType = Literal["number", "yes_no"]
NUMBER: Final = "number"
YES_NO: Final = "yes_no"
#: The schema of a field of each type. A text without a number gives null.
SCHEMAS: Final[Mapping[str, JsonSchema]] = {NUMBER: {"type": ["number", "null"]}, YES_NO: {"type": "boolean"}}

#: Texts that say no, in small letters.
_NO: Final = frozenset({"", "no", "false", "0"})
_LONGEST: Final = 40
#: The letters of a text among which a number is searched.
_SEARCHED: Final = 100_000
_SHOWN: Final = 40
_BLANKS: Final = " \u00a0\u202f"
_CURRENCIES: Final = "$\u20ac\u00a3\u00a5\u20b9\u20a9\u20bd\u20ba\u20b4\u20ab\u20aa\u20a6\u20b1\u0e3f"
_MINUS: Final = ("-", "\u2212", "\u2013")
#: The codes of currencies of ISO 4217. Other letters between a minus and a number may be a size, as in `-XL 12`.
_CODES: Final = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF "
    "CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD "
    "GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP "
    "LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB "
    "PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB "
    "TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XAG XAU XCD XCG XDR "
    "XOF XPD XPF XPT XSU XUA YER ZAR ZMW ZWG"
)
_ANY_CODE: Final = _CODES.replace(" ", "|")
#: The codes as a part of a pattern. In small letters they may be words, like all, pen, top and try; directly behind a minus
#: they count.
_CODE: Final = f"(?:\\b(?:{_ANY_CODE})|(?<=\\B[\u2212\u2013-])(?i:{_ANY_CODE}))"
#: A currency at the end: its letters, or its sign, which other letters may stand before, as in `US$`.
_CURRENCY: Final = re.compile(rf"(?:{_CODE}|(?:\b[A-Z]{{1,3}})?[{_CURRENCIES}])\Z")
#: Letters at the end that may be a currency that is not known, like kr and Fr.
_LETTERS: Final = re.compile(r"[^\W\d_]{1,3}[.,]?\Z")
#: What may stand before and behind the digits of a text that is only an amount.
_MONEY: Final = rf"(?:{_CODE}|[A-Z]{{0,3}}[{_CURRENCIES}]|(?i:\b(?:eur|euros?|kr\.?|zł)))?"
_BEFORE_AMOUNT: Final = re.compile(rf"[{_BLANKS}]*+[\u2212\u2013-]?+{_MONEY}[{_BLANKS}]*+[\u2212\u2013-]?+")
_BEHIND_AMOUNT: Final = re.compile(rf"[{_BLANKS}]*+{_MONEY}[{_BLANKS}]*+")
#: What stands before a point or a comma that parts a number from what is before it.
_PARTED: Final = "[\\w.,)\\]\"'\u2019\u201d%]"
#: Digits, in groups of three with blanks or apostrophes between them or not, then points and commas with digits. A number
#: may begin with its point, like `.5`, where no word, mark, closing bracket or quotation mark stands before that; with a
#: comma only at the beginning, directly after a minus, and after a currency with a blank behind it or not.
_DIGITS: Final = re.compile(
    r"(?:[0-9]{1,3}+(?:[ \u00a0\u202f'\u2019][0-9]{3}(?![0-9]))++|[0-9]++"
    rf"|(?<!{_PARTED})\.[0-9]++"
    rf"|,(?:(?<![^{_CURRENCIES}\u2212\u2013-],)|(?<=[{_CURRENCIES}][{_BLANKS}],)|(?<={_CODE},)"
    rf"|(?<={_CODE}[{_BLANKS}],))[0-9]++)"
    r"(?:[.,][0-9]++)*+(?:[eE][+-]?+[0-9]++)?+"
)
#: A comma at the end that may be that of the decimals of what follows, also behind a code in small letters.
_COMMA: Final = re.compile(rf"(?:(?<!{_PARTED})|(?<=\b(?i:{_ANY_CODE}))),\Z")
#: The letters before and behind a number that may tell that it is a negative one.
_AROUND: Final = 8
_GROUP: Final = 3
_LARGEST_WHOLE: Final = 2**63


def types_field() -> Any:  # noqa: ANN401 - the type of the setting, as of `Field`
    """Returns the setting `types` of a node whose fields have free names. The form has a menu at each field for it."""
    return Field(
        default_factory=dict[str, ValueType],
        title="Types",
        description="Fields that are handed on as a number (`number`) or as yes or no (`yes_no`), by their names.",
        json_schema_extra={"widget": "hidden"},
    )


def type_of(config: Mapping[str, Any], name: str) -> str:
    """Returns the type of a field by the settings of its node, which may be invalid; "" when it stays as it is."""
    types: JsonValue = config.get("types")
    found = types.get(name) if isinstance(types, dict) else None
    return found if isinstance(found, str) and found in SCHEMAS else ""


def typed_schemas(config: Mapping[str, Any], schemas: Mapping[str, JsonSchema]) -> dict[str, JsonSchema]:
    """Returns the schemas of the fields of a node, with those of its types."""
    return {name: SCHEMAS.get(type_of(config, name), schema) for name, schema in schemas.items()}


def typed_object(config: Mapping[str, Any], schemas: Mapping[str, JsonSchema]) -> dict[str, Any]:
    """Returns the schema of an object that has all fields of a node."""
    return {"type": "object", "properties": typed_schemas(config, schemas), "required": list(schemas)}


def with_type(node: Node, name: str, value_type: str) -> dict[str, Any]:
    """Returns the settings of a node in which a field has a type; "" leaves its value as it is."""
    types = {one: found for one in node.inputs if (found := type_of(node.config, one)) and one != name}
    return _with_types(node, {**types, name: value_type} if value_type else types)


def without_types(node: Node, names: Collection[str]) -> dict[str, Any]:
    """Returns the settings of a node whose fields of these names stay as they are."""
    if not node.config.get("types"):
        return dict(node.config)
    return _with_types(
        node, {one: kind for one in node.inputs if (kind := type_of(node.config, one)) and one not in names}
    )


def types_after(node: Node, inputs: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Returns the settings of a node that gets these inputs: a renamed field keeps its type, a removed one loses it.

    `renamed`: old name -> new name.
    """
    if not node.config.get("types"):
        return dict(node.config)
    found = {renamed.get(one, one): kind for one in node.inputs if (kind := type_of(node.config, one))}
    return _with_types(node, {one: kind for one, kind in found.items() if one in inputs})


def _with_types(node: Node, types: Mapping[str, str]) -> dict[str, Any]:
    rest = {key: value for key, value in node.config.items() if key != "types"}
    return {**rest, "types": dict(types)} if types else rest


def typed_values(values: dict[str, Json], types: Mapping[str, str], warn: Callable[[str], object]) -> dict[str, Json]:
    """Returns the values with those that have a type as it. What is doubtful or is no number is told to `warn`."""
    return {name: typed(value, types[name], name, warn) if name in types else value for name, value in values.items()}


def typed(value: Json, value_type: str, name: str, warn: Callable[[str], object]) -> Json:
    """Returns one value as a number or as yes or no."""
    return as_yes_no(value) if value_type == YES_NO else _as_number(value, name, warn)


def as_yes_no(value: Json) -> bool:
    """Returns no for nothing, for 0 and for a text like “no”; yes for everything else."""
    return value.strip().lower() not in _NO if isinstance(value, str) else bool(value)


def _as_number(value: Json, name: str, warn: Callable[[str], object]) -> int | float | None:
    if value is None or value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        warn(f"`{name}` is no text and no number, so it is empty.")
        return None
    found, doubt = number_in(value)
    shown = " ".join(value[: 2 * _SHOWN].split())[:_SHOWN]
    if found is None:
        warn(f"No number was found in “{shown}”, so `{name}` is empty.")
    elif doubt:
        warn(f"“{shown}” was taken as the number {found} for `{name}`: {doubt}.")
    return found


def number_in(text: str) -> tuple[int | float | None, str]:
    """Returns the first number in a text that people write, and what is doubtful about it.

    `1.299,00` and `1,299.00` are both 1299. With one mark and three digits behind it, a comma parts thousands and a point
    the decimals, and that is doubtful.
    """
    searched = text[:_SEARCHED]
    match = _DIGITS.search(searched)
    if match is None or len(match.group()) > _LONGEST or (match.end() == _SEARCHED < len(text)):
        return None, ""
    number, doubt = _read(match.group())
    if number is None:
        return None, ""
    minus, unsure = _minus(searched[: match.start()], searched[match.end() :][:_AROUND])
    if minus:
        number = -number
    elif match.group().startswith(",") and searched[: match.start()][-1:].isalpha():
        unsure = "a comma stands before it"
    if not doubt and not unsure and _DIGITS.search(searched, match.end()):
        doubt = "it is the first of several"
    return number, doubt or unsure


def number_reader(column: Iterable[Json]) -> Callable[[Json], int | float | None]:
    """Returns what reads each value of a column as a number, also amounts as people write them, like `1.234,50` and
    `£ 12.50`; it returns None for anything else.

    Other amounts of the column tell whether the mark in `1.234` or `1,234` parts thousands or decimals. Where they
    contradict each other, such an amount is None; where there are none, only `1.234` is a number.
    """
    texts = {value for value in column if isinstance(value, str)}
    if all(as_number(text) is not None or not text.strip() for text in texts):
        return as_number
    amounts = {text: amount for text in texts if (amount := _amount_in(text)) is not None}
    decimal_marks = {mark for _sign, written in amounts.values() if (mark := _decimal_mark(written))}

    def read(value: Json) -> int | float | None:
        if not isinstance(value, str) or (amount := amounts.get(value)) is None:
            return as_number(value)
        sign, written = amount
        number, doubt = _read(written)
        if number is not None and doubt:
            if not decimal_marks:
                return as_number(value)
            if len(decimal_marks) > 1:
                return None
            mark = "." if "." in written else ","
            number = float(written.replace(mark, ".")) if mark in decimal_marks else int(written.replace(mark, ""))
            number = _short(number)
        return None if number is None else sign * number

    return read


def _amount_in(text: str) -> tuple[int, str] | None:
    """Returns 1 or -1 and the digits with their marks of a text that is only a number, with its currency or without; None
    for any other text.
    """
    if len(text) > _SEARCHED or (match := _DIGITS.search(text)) is None or len(match.group()) > _LONGEST:
        return None
    before, behind = text[: match.start()], text[match.end() :]
    minus, unsure = _minus(before, behind)
    if unsure or not _BEFORE_AMOUNT.fullmatch(before) or not _BEHIND_AMOUNT.fullmatch(behind):
        return None
    return (-1 if minus else 1), match.group()


def _decimal_mark(written: str) -> str:
    """Returns which mark parts the decimals where a number is written like this; "" when the number does not tell."""
    number, doubt = _read(written)
    marks = [letter for letter in written if letter in ".,"]
    if number is None or doubt or not marks:
        return ""
    return {".": ",", ",": "."}[marks[0]] if marks.count(marks[-1]) > 1 else marks[-1]


def _minus(before: str, after: str) -> tuple[bool, str]:
    """Tells by what stands around a number whether it is a negative one, and what is doubtful about the number.

    A minus stands directly before the number, or before its currency: `-5`, `-€ 39.90`, `-eur 39.90`. Before a blank it is a
    dash. Other letters between them may be a currency or a size, which is doubtful.
    """
    near = before[-_AROUND:]
    bare = near.rstrip(_BLANKS)
    signs = _CURRENCY.sub("", bare)
    if signs.endswith(_MINUS) and (signs == near or signs != bare):
        return not signs[:-1][-1:].isalnum(), ""
    before_letters = _LETTERS.sub("", bare)
    if before_letters != bare and before_letters.endswith(_MINUS) and not before_letters[:-1][-1:].isalnum():
        return False, "a minus stands before letters"
    start = signs.strip(_BLANKS + _CURRENCIES) if len(before) <= _AROUND else ""
    if start in _MINUS:
        return False, "the minus before it stands apart"
    if _COMMA.search(near):
        return False, "a comma stands before it"
    if after.startswith(_MINUS) and not after[1:2].isalnum():
        return False, "a minus stands behind it"
    if start == "(" and ")" in after:
        return False, "it stands in brackets, as some write negative numbers"
    return False, ""


def _read(written: str) -> tuple[int | float | None, str]:
    """Reads digits with their marks; None for what is no number, like a date."""
    if "e" in written.lower():
        try:
            return _short(float(written)), ""
        except ValueError:
            return None, ""
    digits = f"0{written}" if written[0] in ".," else written
    for blank in " \u00a0\u202f'\u2019":
        digits = digits.replace(blank, "")
    marks = [letter for letter in digits if letter in ".,"]
    if not marks:
        return _short(int(digits)), ""
    last = marks[-1]
    whole, _, after = digits.rpartition(last)
    groups = whole.replace(",", ".").split(".")
    grouped = (
        (groups[0] != "0" or written[0] == "0")
        and len(groups[0]) <= _GROUP
        and all(len(one) == _GROUP for one in groups[1:])
    )
    if len(marks) > 1 and marks.count(last) == len(marks):  # 1.299.000
        return (_short(int("".join([*groups, after]))), "") if grouped and len(after) == _GROUP else (None, "")
    if marks.count(last) > 1 or (len(marks) > 1 and not grouped):
        return None, ""
    may_group = len(marks) == 1 and digits == written and len(after) == _GROUP and grouped and not whole.startswith("0")
    if may_group and last == ",":
        return _short(int(whole + after)), "the comma may also part the decimals"
    doubt = "the point may also part thousands" if may_group else ""
    return _short(float(f"{''.join(groups)}.{after}")), doubt


def _short(number: float) -> int | float | None:
    """Returns a whole number without decimals, as far as it can be kept exactly."""
    if not math.isfinite(number):
        return None
    if abs(number) >= _LARGEST_WHOLE:
        return float(number)
    return int(number) if number == int(number) else number
