"""Computes the preview of a field: its text with the data of the last run inserted, and its cost as a prompt.

Imports no NiceGUI.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.core.clock import Millis
from engine.flow.node_type import NodeFailed
from engine.flow.references import BadReference, Reference, Scope, as_text, find_references, render
from engine.models.connections import ModelConnection, split_model
from engine.models.price import Price
from engine.models.prices import find_price
from engine.models.provider_catalog import PROVIDERS
from engine.nodes.text_template import render_template, template_references
from storage.connections import ConnectionRow, PriceRow

#: Length of a preview in characters; the field shows three lines of it.
SHOWN = 600
#: Number of characters of a referenced value that go into a preview.
_LONGEST = 200_000


@dataclass(frozen=True)
class Preview:
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


def preview_of(value: Any, outputs: Mapping[str, Any], *, source: bool) -> Preview:
    """Inserts this data into a value. `source`: the value is a template with filters."""
    scope = Scope({node_id: _whole(output) for node_id, output in outputs.items()}, {})
    try:
        is_template = source and isinstance(value, str)
        text = render_template(value, scope) if is_template else as_text(render(value, scope, []))
    except NodeFailed as failure:
        return Preview("", 0, failure.message)
    return Preview(text[:SHOWN], len(text))


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
