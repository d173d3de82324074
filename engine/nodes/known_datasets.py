"""What the workspace's datasets add to the nodes that use them: names for ids, columns as data on offer, problems.

A flow file knows nothing of datasets, so the node files say only what holds for each of them. Who knows the datasets (the
Playground, a deployment) asks here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import Field

from engine.core.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.node_type import Catalog, JsonSchema
from engine.flow.validation import without_parked

TYPES = ("dataset_source", "dataset_sink")


@dataclass(frozen=True)
class KnownDataset:
    """A dataset by id and name. `columns`: name -> JSON type, "mixed" when it has several."""

    id: str
    name: str
    columns: Mapping[str, str]


def dataset_field(description: str) -> Any:
    """The setting that names a dataset, by id or name."""
    return Field("", max_length=200, title="Dataset", description=description, json_schema_extra={"widget": "dataset"})


def no_dataset_yet(node: Node) -> Iterator[Problem]:
    """The problem of a node without a dataset."""
    if not node.config.get("dataset"):
        yield Problem("no_dataset", "Choose a dataset.", node.id, "/config/dataset", blocks_import=False)


def find_known(known: Iterable[KnownDataset], named: Any) -> KnownDataset | None:
    """The dataset with this id, else with this name."""
    known = tuple(known)
    by_id = (one for one in known if one.id == named)
    return next(by_id, None) or next((one for one in known if one.name == named), None)


def missing_datasets(document: Document, known: Iterable[KnownDataset]) -> list[Problem]:
    """Datasets that are not there, and key columns they do not have: problems that stop a deployment only."""
    known = tuple(known)
    found = []
    for node in without_parked(document).nodes:
        named = node.config.get("dataset")
        if node.type not in TYPES or not named or not isinstance(named, str):
            continue
        dataset = find_known(known, named)
        if dataset is None:
            what = "It was deleted" if named.startswith("dataset_") else f"There is no dataset called `{named}`"
            message = f"{what}. Choose another one, or make it on the page Datasets."
            found.append(Problem("no_dataset", message, node.id, "/config/dataset", blocks_import=False))
        elif node.config.get("mode") == "update" and dataset.columns:
            key = node.config.get("key_column")
            if key and key not in dataset.columns:
                message = f"{dataset.name} has no column `{key}`, so no row would ever be found."
                found.append(Problem("no_key_column", message, node.id, "/config/key_column", blocks_import=False))
    return found


def with_datasets(catalog: Catalog, known: Iterable[KnownDataset]) -> Catalog:
    """The catalog in which the nodes of datasets know the columns and call a dataset by its name."""
    known = tuple(known)

    def named(config: Mapping[str, Any]) -> dict[str, Any]:
        dataset = find_known(known, config.get("dataset"))
        return {**config, "dataset": dataset.name} if dataset else dict(config)

    def rows(config: Mapping[str, Any], _inputs: Mapping[str, Any]) -> JsonSchema:
        dataset = find_known(known, config.get("dataset"))
        return rows_schema(dataset.columns if dataset else {})

    source, sink = catalog["dataset_source"], catalog["dataset_sink"]
    return {
        **catalog,
        source.type: replace(
            source, out_schema=rows, summary=lambda config, inputs: source.summary(named(config), inputs)
        ),
        sink.type: replace(sink, summary=lambda config, inputs: sink.summary(named(config), inputs)),
    }


def rows_schema(columns: Mapping[str, str]) -> JsonSchema:
    """A list of rows with these columns; a row may have more."""
    fields = {name: {} if kind in {"mixed", ""} else {"type": kind} for name, kind in columns.items()}
    item = {"type": "object", "additionalProperties": True, **({"properties": fields} if fields else {})}
    return {"type": "array", "title": "Rows", "items": item}
