"""The saved samples of a flow as edits of its API Input. No NiceGUI here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.flow.contract import api_input, samples_of
from engine.flow.document import Document
from engine.flow.edits import Op, update_node
from ui.kit.text import _

Sample = Mapping[str, Any]


def title_of(sample: Sample, place: int) -> str:
    """Its title, or `Sample 2`."""
    return str(sample.get("title") or f"{_('Sample')} {place + 1}")


def payload_of(sample: Sample) -> dict[str, Any]:
    """What is sent with it."""
    payload = sample.get("payload")
    return dict(payload) if isinstance(payload, dict) else {}


def add_sample(document: Document, title: str, payload: Mapping[str, Any]) -> list[Op]:
    """One more, the last."""
    return _with(document, [*samples_of(document), {"title": title, "payload": dict(payload)}])


def rename_sample(document: Document, place: int, title: str) -> list[Op]:
    """Another title."""
    return _change(document, place, {"title": title})


def overwrite_sample(document: Document, place: int, payload: Mapping[str, Any]) -> list[Op]:
    """Another payload under the same title."""
    return _change(document, place, {"payload": dict(payload)})


def delete_sample(document: Document, place: int) -> list[Op]:
    """One less."""
    samples = samples_of(document)
    return _with(document, [*samples[:place], *samples[place + 1 :]]) if place < len(samples) else []


def _change(document: Document, place: int, change: Sample) -> list[Op]:
    samples = samples_of(document)
    if place >= len(samples):
        return []
    return _with(document, [*samples[:place], {**samples[place], **change}, *samples[place + 1 :]])


def _with(document: Document, samples: Sequence[Sample]) -> list[Op]:
    node = api_input(document)
    return [] if node is None else [update_node(node, config={**node.config, "samples": list(samples)})]
