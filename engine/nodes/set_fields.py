"""Put several values together under names.

Each field has a name and a value; later steps use them as `Set Fields › name`. A value from an earlier step stays what it is (a
number stays a number); with text around it, it becomes text. **As a number** in the three-dot menu of a field makes a number of a
text: 39.9 of `39.90 EUR` and 1299 of `1.299,00`; with one mark and three digits behind it, a comma parts thousands and a point the
decimals, and the run says so. **As yes or no** gives yes when there is something, and no for nothing, 0 and the texts `no`, `false`
and `0`.

The date and time at which the run began is **This run › date**,
`{{ system.timestamp }}` in a flow file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.flow.node_context import Json, JsonSchema, NodeContext
from engine.flow.node_type import FreeInputs, NodeConfig, NodeType
from engine.flow.reference_labels import FromData
from engine.flow.value_types import ValueType, typed_object, typed_values, types_field


class Config(NodeConfig):
    """The types of fields; everything else is in the inputs."""

    types: dict[str, ValueType] = types_field()


class Inputs(FreeInputs):
    """The fields of the object."""


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Returns the object, with its fields in the designer's order."""
    return typed_values(inputs.values, config.types, context.warn) if config.types else inputs.values


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    return typed_object(config, {name: {} for name in inputs})


def _out_from(config: Mapping[str, Any], inputs: Mapping[str, Any], given: Mapping[str, JsonSchema]) -> dict[str, Any]:
    return typed_object(config, {name: given.get(name, {}) for name in inputs})


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    """Fixed texts come first, with their words: they are what people look for on the canvas."""
    texts = {name: value for name, value in inputs.items() if isinstance(value, str) and value}
    fixed = {name: value for name, value in texts.items() if not isinstance(value, FromData)}
    said = [f"{name}: {' '.join(value.split())}" for name, value in fixed.items()]
    return ", ".join([*said, *(name for name in inputs if name not in fixed)]) or "no fields yet"


NODE = NodeType(
    type="set_fields",
    title="Set Fields",
    group="transform",
    icon="edit_square",
    synonyms=(
        "set, variable, variables, field, object, rename, assign, value, constant, edit fields, record, date, "
        "today, now, time, day of the run, as a number, text to number, convert, yes or no, true or false, "
        "change the type, several values, values, named values, names and values, put values together, "
        "several fields, change a value"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    out_from=_out_from,
    is_repeatable=True,
    summary=_summary,
    example=({}, {"title": "{{ page_scraper.out.title }}"}),
)
