"""Computes the preview of a field: its text with the data of the last run inserted, and its cost as a prompt.

Imports no NiceGUI.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from engine.core.clock import Millis
from engine.flow.node_context import NodeFailed
from engine.flow.references import BadReference, Reference, Scope, as_text, find_references, render
from engine.flow.rules import ALONE, OPERATOR_TITLES, compared_as_text, holds
from engine.flow.value_types import typed
from engine.models.connections import ModelConnection, split_model
from engine.models.price import Price
from engine.models.price_lookup import find_price
from engine.models.provider_catalog import PROVIDERS
from engine.nodes.text_template import render_template, template_references
from storage.connections import ConnectionRow, PriceRow
from ui.kit.text import _
from ui.kit.value_words import in_short

#: Length of a preview in characters; the field shows three lines of it.
SHOWN = 600
#: Number of characters of a referenced value that go into a preview.
_LONGEST = 200_000


class Preview(Struct, frozen=True):
    """The beginning of the text, the length of all of it, and the reason when there is no preview ("" otherwise)."""

    text: str
    length: int
    trouble: str = ""


def nodes_in(value: Any, *, source: bool) -> list[str]:
    """The nodes that a value refers to."""
    found: list[Reference | BadReference]
    if source and isinstance(value, str):
        found = list(template_references(value))
    else:
        found = [reference for _pointer, reference in find_references(value)]
    return list(dict.fromkeys(one.node_id for one in found if isinstance(one, Reference)))


def preview_of(value: Any, outputs: Mapping[str, Any], *, source: bool, value_type: str = "") -> Preview:
    """Inserts this data into a value. `source`: the value is a template with filters; `value_type`: what the field is
    handed on as.
    """
    system = {"timestamp": _("(date and time of the run)")}
    scope = Scope({node_id: _whole(output) for node_id, output in outputs.items()}, system)
    try:
        is_template = source and isinstance(value, str)
        rendered = render_template(value, scope) if is_template else render(value, scope, [])
    except NodeFailed as failure:
        return Preview("", 0, failure.message)
    if value_type:
        told: list[str] = []
        rendered = typed(rendered, value_type, _("The field"), told.append)
        if told and rendered is None:
            return Preview("", 0, told[0])
    shown = rendered if isinstance(rendered, str) else _rules(rendered) or in_short(rendered)
    return Preview(shown[:SHOWN], len(as_text(rendered)))


def _rules(value: Any) -> str:
    """The rules of a Condition with their answers: `“my refund” contains “refund”: yes`; "" for any other value."""
    if not isinstance(value, list) or not value or not all(isinstance(one, dict) and "left" in one for one in value):
        return ""
    said = []
    for rule in value:
        operator = str(rule.get("operator") or "equals")
        title = OPERATOR_TITLES.get(operator, operator)  # type: ignore[call-overload]
        right = [] if operator in ALONE else [_quoted(rule.get("right"))]
        if operator == "matches":  # a pattern may search for long
            said.append(" ".join([_quoted(rule["left"]), title, *right]))
            continue
        alike = rule.get("ignore_case") is True
        answer = _("yes") if holds(rule["left"], operator, rule.get("right"), ignore_case=alike) else _("no")
        if compared_as_text(rule["left"], operator, rule.get("right")):
            answer = _("{answer}, compared as texts").format(answer=answer)
        said.append(f"{' '.join([_quoted(rule['left']), title, *right])}: {answer}")
    return "; ".join(said)


def _quoted(value: Any) -> str:
    return f"“{in_short(value)}”" if isinstance(value, str) else in_short(value) or _("(empty)")


def tokens_in(characters: int) -> int:
    """Estimates the number of tokens in a text: four characters each, the average for English."""
    return (characters + 3) // 4


def price_of(
    model: str, connections: list[ConnectionRow], prices: list[PriceRow], *, at: Millis, tokens: int = 0
) -> Price | None:
    """The price of a Prompt's model; None when unknown.

    The first call reads the price table from disk, so call it in a thread.
    """
    name, model_name = split_model(model)
    row = next((one for one in connections if one.name == name), None)
    if row is None or row.provider not in PROVIDERS:
        return None
    own = {one.model: Price(one.input_nanos, one.output_nanos) for one in prices if one.connection == name}
    connection = ModelConnection(row.name, row.provider, row.base_url, None, row.local, own)  # type: ignore[arg-type]
    return find_price(connection, model_name, at=at, input_tokens=tokens)


def _whole(output: Any) -> Any:
    return output[:_LONGEST] if isinstance(output, str) else output
