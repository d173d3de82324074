"""Edits of the saved samples of a flow, which its API Input stores. Imports no NiceGUI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from engine.flow.contract import api_input, samples_of
from engine.flow.document import Document
from engine.flow.edits import Op, update_node
from engine.playground_batches.rows import ListedRows
from ui.kit.text import _

Sample = Mapping[str, Any]


def title_of(sample: Sample, place: int) -> str:
    """The title of a sample, or a default like `Sample 2`."""
    return str(sample.get("title") or _("Sample {place}").format(place=place + 1))


def free_title(samples: Sequence[Sample]) -> str:
    """Returns the title that a new sample is offered: the next number that no sample has."""
    taken = {title_of(sample, place) for place, sample in enumerate(samples)}
    offered = (_("Sample {place}").format(place=number) for number in count(len(samples) + 1))
    return next(title for title in offered if title not in taken)


def payload_of(sample: Sample) -> dict[str, Any]:
    """The payload that is sent for a sample."""
    payload = sample.get("payload")
    return dict(payload) if isinstance(payload, dict) else {}


def place_now(before: Sequence[Sample], place: int, samples: Sequence[Sample]) -> int | None:
    """Returns where the sample at `place` of `before` stands among the samples of now; None when it is gone.

    Somebody else may have added or deleted others. One whose title or input was changed is the same sample.
    """
    sample = before[place]
    if place < len(samples) and samples[place] == sample:
        return place
    if sample in samples:
        return samples.index(sample)
    if len(samples) == len(before):
        other = samples[place]
        if other.get("title") == sample.get("title") or payload_of(other) == payload_of(sample):
            return place
    return None


def sample_rows(samples: Sequence[Sample]) -> ListedRows:
    """The samples as the rows of a batch."""
    return ListedRows([(title_of(sample, place), payload_of(sample)) for place, sample in enumerate(samples)])


def add_sample(document: Document, title: str, payload: Mapping[str, Any]) -> list[Op]:
    """Returns the operations that add a sample at the end."""
    return _with(document, [*samples_of(document), {"title": title, "payload": dict(payload)}])


def rename_sample(document: Document, place: int, title: str) -> list[Op]:
    """Operations that change the title of a sample."""
    return _change(document, place, {"title": title})


def overwrite_sample(document: Document, place: int, payload: Mapping[str, Any]) -> list[Op]:
    """Operations that replace the payload of a sample and keep its title."""
    return _change(document, place, {"payload": dict(payload)})


def delete_sample(document: Document, place: int) -> list[Op]:
    """Operations that remove a sample."""
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
