"""Group the items of a list and count them.

Choose a list under **Items** and choose under **Group by** the field that tells the groups apart, like `mood` or `author.name`. Write a
single dot, `.`, to group the items themselves, like a list of words. Leave it empty to have everything in one group.

`groups` has one entry for each group, in the order in which the groups first appear, behind those that always have a row: `key` is what its items have in common, `count`
how many they are. `total` has the same numbers for the whole list, and `group_count` says how many groups there are.

A group that no item is in has no row, unless it stands under **Groups that always have a row**: write there what the field may be,
like `good` and `bad`, and each of them is told with a count of 0 when there is none.

**Also work out** adds numbers to every group: how many items have a value or a number, the sum, the average, the smallest or the largest of a
field. Each has the name you give it, or one like `sum_price`, and stands beside
`count` in every entry of `groups` and in `total`.

* Values that read the same are one group: `Good` and `good`, `3` and `"3"`. The group has the first of them as its key; one that
  always has a row keeps the text as it is written there, and is a number, or true or false, where the items are. `5.50` and `01`
  stay texts, and so does `2.5` where all items are whole numbers.
* Items without the field, with null or with an empty text are a group of their own. Its key is null.
* Numbers in text count as numbers, also as people write them: `1.234,50`, `1 234,50`, `£ 12.50`. Whether the point in `1.234` parts
  thousands or decimals is told by the other values of the field. What is no number is left out of sums and averages, and the step
  says how often; **How many are numbers** counts the others. A sum of nothing is 0; an average, a smallest or a largest of nothing
  is null.

An item stands in one group only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from engine.core.errors import Problem
from engine.core.unicode_forms import normalized
from engine.flow.document import Document, Node
from engine.flow.json_values import EXACT, added, as_number, exact_sum, plain_number, value_at
from engine.flow.node_context import Json, JsonSchema, NodeContext
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType
from engine.flow.references import as_text
from engine.flow.value_types import number_reader
from engine.nodes.list_input import ITEMS, items_of

Operation = Literal["count", "numbers", "sum", "average", "min", "max"]
OPERATIONS: Final[Mapping[str, str]] = {
    "count": "How many have a value",
    "numbers": "How many are numbers",
    "sum": "Sum",
    "average": "Average",
    "min": "Smallest",
    "max": "Largest",
}
#: Operations whose result is a whole number.
_COUNTS: Final = frozenset({"count", "numbers"})
#: Reads a value as a number; None for what is none.
_Reader = Callable[[Json], int | float | None]
#: The names that every group has.
_TAKEN: Final = frozenset({"key", "count"})
MAX_MEASURES: Final = 20
MAX_CHOICES: Final = 100
#: What the values of a type in a schema are.
_KINDS: Final[Mapping[str, type[object]]] = {"integer": int, "number": float, "boolean": bool}


class Measure(BaseModel):
    """A number that is worked out for each group."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    operation: Operation = Field(
        "sum",
        title="What",
        description="What is worked out.",
        json_schema_extra={"words": {**OPERATIONS}},
    )
    field: str = Field(
        "",
        max_length=500,
        title="Field",
        description="The field with the numbers, like `price`. Empty: the item itself.",
        json_schema_extra={"widget": "item_field", "example": "price"},
    )
    name: str = Field(
        "",
        max_length=200,
        title="Name of the result",
        description="The name under which each group has it. Empty: one is made, like `sum_price`.",
    )


class Config(NodeConfig):
    by: str = Field(
        "",
        max_length=500,
        title="Group by",
        description="The field that tells the groups apart, like `kind` or `author.name`. A dot `.` means the items "
        "themselves. Empty: all items are one group.",
        json_schema_extra={"widget": "item_field", "example": "kind"},
    )
    choices: tuple[str, ...] = Field(
        (),
        max_length=MAX_CHOICES,
        title="Groups that always have a row",
        description="Like `good` and `bad`: each has a row, with 0 when no item is in it. Other groups have one when "
        "there is an item.",
        json_schema_extra={"item": "group"},
    )
    measures: tuple[Measure, ...] = Field(
        (),
        max_length=MAX_MEASURES,
        title="Also work out",
        description="Numbers for each group beside the count.",
        json_schema_extra={"item": "number"},
    )


class Inputs(NodeInputs):
    items: Any = ITEMS


@dataclass
class _Group:
    """A group with its items, while they are collected."""

    key: Json
    items: list[Json] = field(default_factory=list)


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Groups in a thread, since lists may be long."""
    items = items_of(inputs.items)
    out, warnings = await context.in_thread(_grouped, items, config)
    for warning in warnings:
        context.warn(warning)
    return out


def _grouped(items: Sequence[Json], config: Config) -> tuple[dict[str, Json], list[str]]:
    """Returns the node's `out` and its warnings."""
    by = config.by.strip()
    groups: dict[str, _Group] = {
        _same(choice): _Group(choice.strip()) for choice in config.choices if by and choice.strip()
    }
    kinds: set[type[object]] = set()
    for item in items:
        key: object = value_at(item, by) if by else None
        same = _same(key)
        if same:
            kinds.add(int if isinstance(key, float) and key.is_integer() else type(key))
        if same not in groups:
            groups[same] = _Group((key.strip() if isinstance(key, str) else key) if same else None)
        elif not groups[same].items and not isinstance(key, str):
            groups[same].key = key  # a choice is written as text, whatever its items hold
        groups[same].items.append(item)
    for group in groups.values():
        if not group.items:
            group.key = _of_kind(str(group.key), kinds)
    paths = dict.fromkeys(one.field.strip() for one in config.measures if one.operation != "count")
    readers = {path: number_reader(value_at(item, path) for item in items) for path in paths}
    found = [
        {"key": group.key, "count": len(group.items), **_numbers(group.items, config.measures, readers)}
        for group in groups.values()
    ]
    total = {"count": len(items), **_numbers(items, config.measures, readers)}
    warnings = list(_left_out(items, readers))
    if by and items and all(same == "" or not group.items for same, group in groups.items()):
        warnings.insert(0, f"No item has a `{by}`, so all of them are one group.")
    return {"groups": found, "group_count": len(found), "total": total}, warnings


def _of_kind(choice: str, kinds: set[type[object]]) -> Json:
    """Returns a choice that no item has as what all the other keys are: numbers, or yes and no."""
    if kinds == {bool}:
        return {"true": True, "false": False}.get(choice.casefold(), choice)
    number = as_number(choice) if kinds and kinds <= {int, float} else None
    if number is None or _same(number) != _same(choice):  # 5.50 is another group than 5.5
        return choice
    return number if isinstance(number, int) or float in kinds else choice


def _same(key: Json) -> str:
    """Returns the text by which keys are compared: "" when there is none."""
    if isinstance(key, float) and key.is_integer():
        key = int(key)
    text = " ".join(as_text(key).split()).casefold()
    return text if text.isascii() else normalized("NFC", text)  # é is one character, or two


def _numbers(items: Sequence[Json], measures: Sequence[Measure], readers: Mapping[str, _Reader]) -> dict[str, Json]:
    return {name_of(one.operation, one.field, one.name): _worked_out(items, one, readers) for one in measures}


def _worked_out(items: Sequence[Json], measure: Measure, readers: Mapping[str, _Reader]) -> Json:
    values = [value_at(item, measure.field) for item in items]
    if measure.operation == "count":
        return sum(1 for value in values if _same(value))
    read = readers[measure.field.strip()]
    numbers = [number for value in values if (number := read(value)) is not None]
    match measure.operation:
        case "numbers":
            return len(numbers)
        case "min":
            return min(numbers, default=None)
        case "max":
            return max(numbers, default=None)
        case "sum":
            return exact_sum(numbers)
        case "average":
            return plain_number(EXACT.divide(added(numbers), Decimal(len(numbers)))) if numbers else None


def _left_out(items: Sequence[Json], readers: Mapping[str, _Reader]) -> Iterator[str]:
    """Yields a warning for each field that holds values which are no numbers."""
    for path, read in readers.items():
        values = [value for item in items if _same(value := value_at(item, path))]
        wrong = [value for value in values if read(value) is None]
        what = f"`{path}`" if path and path != "." else "the item itself"
        if items and not values:
            yield f"No item has a value in {what}."
        elif wrong:
            share = f"{len(wrong):,} of {len(items):,} items were" if len(items) > 1 else "The item was"
            yield f"{share} left out of the numbers: {what} was no number, like `{as_text(wrong[0])[:40]}`."


def name_of(operation: str, path: str, name: str) -> str:
    """Returns the name of a measure: its own, or one like `sum_price`."""
    if name.strip():
        return name.strip()
    words = "".join(letter if letter.isalnum() else " " for letter in path).split()
    return "_".join([operation, *words]) if words else f"{operation}_of_items"


def _check(node: Node, document: Document) -> list[Problem]:
    measures: JsonValue = node.config.get("measures")
    if not isinstance(measures, list | tuple):
        return []
    problems: list[Problem] = []
    seen = set(_TAKEN)
    for position, measure in enumerate(measures):
        if (name := _stored_name(measure)) is None:
            continue
        if name in seen:
            why = f"Every group has a `{name}` already." if name in _TAKEN else f"Two results are named `{name}`."
            at = f"/config/measures/{position}/name"
            problems.append(Problem("invalid_value", f"{why} Choose another name.", node.id, at, blocks_import=False))
        seen.add(name)
    return problems


def _stored_name(measure: JsonValue) -> str | None:
    """Returns the name of a measure as stored; None when its settings are invalid."""
    if not isinstance(measure, Mapping):
        return None
    parts: list[Any] = [measure.get("operation", "sum"), measure.get("field", ""), measure.get("name", "")]
    return name_of(*parts) if all(isinstance(part, str) for part in parts) else None


def _schema(config: Mapping[str, Any], key: JsonSchema) -> JsonSchema:
    measures = config.get("measures")
    found = {name: one for one in (measures or ()) if (name := _stored_name(one))}
    whole = {"type": "integer", "title": "Count"}
    number = {"type": ["number", "null"]}  # of nothing there is no average, smallest or largest
    numbers = {"count": whole} | {
        name: {"type": "integer"} if one.get("operation") in _COUNTS else number for name, one in found.items()
    }
    key = _or_null(_or_choices(key, config.get("choices")))
    group = {"type": "object", "properties": {"key": key, **numbers}, "required": ["key", *numbers]}
    fields = {
        "groups": {"type": "array", "title": "Groups", "items": group},
        "group_count": {"type": "integer", "title": "How many groups"},
        "total": {"type": "object", "title": "Of the whole list", "properties": numbers, "required": list(numbers)},
    }
    return {"type": "object", "properties": fields, "required": list(fields)}


def _or_choices(key: JsonSchema, choices: JsonValue) -> JsonSchema:
    """Returns the schema of a key that may be one of the choices, too, which are texts as long as no item is there."""
    texts = [one.strip() for one in choices if isinstance(one, str)] if isinstance(choices, list | tuple) else []
    kinds = key.get("type")
    if kinds is None or not any(texts):
        return key
    listed = [kinds] if isinstance(kinds, str) else list(kinds)
    more: JsonSchema = {}
    if "enum" in key:
        forms = [_of_kind(text, {_KINDS[kind]}) for text in texts if text for kind in listed if kind in _KINDS]
        every = [*key["enum"], *filter(None, texts), *forms]
        more = {"enum": list({(isinstance(one, bool), one): one for one in every}.values())}  # True is 1 for a dict
    return {**key, **more, "type": listed if "string" in listed else [*listed, "string"]}


def _or_null(key: JsonSchema) -> JsonSchema:
    """Returns the schema of a key: items without the field are a group whose key is null."""
    kinds = key.get("type")
    if kinds is None:
        return key
    more = {"enum": [*key["enum"], None]} if "enum" in key and None not in key["enum"] else {}
    return {**key, **more, "type": list(dict.fromkeys([*([kinds] if isinstance(kinds, str) else kinds), "null"]))}


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> JsonSchema:
    return _schema(config, {})


def _out_from(config: Mapping[str, Any], inputs: Mapping[str, Any], given: Mapping[str, JsonSchema]) -> JsonSchema:
    item: JsonSchema = given.get("items", {}).get("items") or {}
    by = str(config.get("by") or "").strip()
    key: JsonSchema = item if by == "." else cast("JsonSchema", item.get("properties") or {}).get(by) or {}
    return _schema(config, key)


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    by = str(config.get("by") or "").strip()
    groups = "counts all items" if not by else f"by {'item' if by == '.' else by}"
    measures: JsonValue = config.get("measures")
    names = [name for one in (measures if isinstance(measures, list | tuple) else ()) if (name := _stored_name(one))]
    return ", ".join([groups, *names])[:60]


NODE = NodeType(
    type="group_count",
    title="Group and count",
    group="lists",
    icon="stacks",
    synonyms=(
        "count, sum, total, average, mean, group, group by, statistics, how many, add up, tally, pivot, aggregate, "
        "minimum, maximum, totals, calculate, per customer, per month, add together"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    out_from=_out_from,
    is_repeatable=True,
    summary=_summary,
    check=_check,
    example=({"by": "text", "measures": []}, {"items": "{{ page_scraper.out.links }}"}),
)
