"""Adds the workspace's datasets to the node types that use them: names in place of ids, columns on offer, problems.

A flow document contains no datasets, so the node files only declare what holds for every dataset. Code that knows the
datasets (the Playground, a deployment) calls these functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any, Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace
from pydantic import Field, JsonValue

from engine.core.errors import Problem
from engine.flow.called_flows import AGENT
from engine.flow.document import Document, Node
from engine.flow.edits import Op, update_node
from engine.flow.node_context import JsonSchema
from engine.flow.node_type import Catalog, NodeType
from engine.flow.validation import without_parked
from engine.flow.value_types import types_after
from engine.flow.ways import LOOK_UP

TYPES = ("dataset_source", "dataset_sink", LOOK_UP)
#: How alike two names of columns are when one is likely the other, from 0 to 1.
_SIMILAR = 0.6


class KnownDataset(Struct, frozen=True):
    """A dataset. `columns`: name -> JSON type, "mixed" for a column with several types, "" for one without values."""

    id: str
    name: str
    columns: Mapping[str, str]


def dataset_field(description: str) -> Any:
    """Returns the field of a Config for a dataset's id or name."""
    return Field("", max_length=200, title="Dataset", description=description, json_schema_extra={"widget": "dataset"})


def no_dataset_yet(node: Node) -> Iterator[Problem]:
    """Yields the problem of a node without a dataset."""
    if not node.config.get("dataset"):
        yield Problem("no_dataset", "Choose a dataset.", node.id, "/config/dataset", blocks_import=False)


class Named(Protocol):
    """Whatever stands for a dataset."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=Named)


def find_known(known: Iterable[N], named: Any) -> N | None:
    """Returns the dataset with this id, or else with this name; None without one."""
    known = tuple(known)
    by_id = (one for one in known if one.id == named)
    return next(by_id, None) or next((one for one in known if one.name == named), None)


def named_by_id(document: Document, known: Iterable[KnownDataset]) -> Document:
    """Returns the document with the id of each dataset that it names by its name, so that the dataset can be renamed."""
    known = tuple(known)
    nodes: list[Node] = []
    for node in document.nodes:
        config: dict[str, JsonValue] = dict(node.config)
        if node.type in TYPES:
            config.update(_by_id(config, known))
        elif node.type == AGENT and isinstance(entries := config.get("tools"), list):
            config["tools"] = [
                {**one, **_by_id(one, known)} if isinstance(one, dict) and one.get("kind") == "dataset" else one
                for one in entries
            ]
        nodes.append(node if config == node.config else node.model_copy(update={"config": config}))
    return document.model_copy(update={"nodes": tuple(nodes)})


def _by_id(config: Mapping[str, Any], known: tuple[KnownDataset, ...]) -> dict[str, str]:
    found = find_known(known, config.get("dataset"))
    return {"dataset": found.id} if found is not None else {}


def missing_datasets(document: Document, known: Iterable[KnownDataset]) -> list[Problem]:
    """Returns problems of missing datasets and missing columns to compare. They stop a deployment, but not an import."""
    known = tuple(known)
    found: list[Problem] = []
    for node in without_parked(document).nodes:
        named = node.config.get("dataset")
        if node.type not in TYPES or not named or not isinstance(named, str):
            continue
        dataset = find_known(known, named)
        if dataset is None:
            what = "It was deleted" if named.startswith("dataset_") else f"There is no dataset called `{named}`"
            message = f"{what}. Choose another one, or make it on the page Datasets."
            found.append(Problem("no_dataset", message, node.id, "/config/dataset", blocks_import=False))
        elif (name := _names_column(node)) and dataset.columns:
            key = str(node.config.get(name) or "")
            if key and key not in dataset.columns:
                message = f"{dataset.name} has no column `{key}`, so no row would ever be found."
                found.append(Problem("no_key_column", message, node.id, f"/config/{name}", blocks_import=False))
    return [*found, *_missing_of_agents(document, known)]


def _names_column(node: Node) -> str:
    """The setting that names the column by which a row that must be there is found; "" without one."""
    return "column" if node.type == LOOK_UP else "key_column" if node.config.get("mode") == "update" else ""


def _missing_of_agents(document: Document, known: tuple[KnownDataset, ...]) -> Iterator[Problem]:
    for node in without_parked(document).nodes:
        entries: JsonValue = node.config.get("tools") if node.type == AGENT else None
        for at, entry in enumerate(entries if isinstance(entries, list | tuple) else ()):
            if not isinstance(entry, Mapping) or entry.get("kind") != "dataset" or not entry.get("dataset"):
                continue
            if find_known(known, named := str(entry["dataset"])) is None:
                what = "It was deleted" if named.startswith("dataset_") else f"There is no dataset called `{named}`"
                message = f"{node.name}, tool {at + 1}: {what}. Choose another one, or make it on the page Datasets."
                pointer = f"/config/tools/{at}/dataset"
                yield Problem("no_dataset", message, node.id, pointer, blocks_import=False)


def unknown_columns(document: Document, known: Iterable[KnownDataset]) -> list[Problem]:
    """Returns a warning for each column that a Save rows names and its dataset lacks.

    Saving adds such a column, so a misspelt name makes a column of its own. A dataset without columns is still to be
    filled: it lacks none. The column that is likely meant is named.
    """
    known = tuple(known)
    found: list[Problem] = []
    for node in without_parked(document).nodes:
        dataset = find_known(known, node.config.get("dataset")) if node.type == "dataset_sink" else None
        if dataset is None or not dataset.columns:
            continue
        for name in node.inputs:
            if name.strip() and name not in dataset.columns:
                meant = meant_column(node, dataset, name)
                maybe = f" Was it renamed to “{meant}”?" if meant else ""
                message = f"{node.name}: {dataset.name} has no column “{name}”.{maybe} Saving a row would add it."
                found.append(Problem("no_column", message, node.id, f"/inputs/{name}", blocks_import=False))
    return found


def meant_column(node: Node, dataset: KnownDataset, name: str) -> str | None:
    """Returns the column that a Save rows likely means by a name that its dataset lacks: one that it does not fill yet,
    with a similar name, or in the same place when all others are the same. None when none is likely.
    """
    free = [column for column in dataset.columns if column not in node.inputs]
    alike = max(free, key=lambda column: _alike(column, name), default=None)
    if alike is not None and _alike(alike, name) >= _SIMILAR:
        return alike
    lacking = [one for one in node.inputs if one not in dataset.columns]
    in_its_place = len(free) == 1 == len(lacking) and list(node.inputs).index(name) == list(dataset.columns).index(
        free[0]
    )
    return free[0] if in_its_place else None


def _alike(one: str, other: str) -> float:
    first, second = (name.casefold().replace("_", " ") for name in (one, other))
    return SequenceMatcher(None, first, second).ratio()


def fill_other_column(node: Node, name: str, column: str) -> Op:
    """Returns the edit by which a Save rows fills another column with what it had for a name."""
    inputs = {column if key == name else key: value for key, value in node.inputs.items()}
    key = node.config.get("key_column")
    config = types_after(node, inputs, {name: column})
    return update_node(node, inputs=inputs, config={**config, **({"key_column": column} if key == name else {})})


def with_datasets(catalog: Catalog, known: Iterable[KnownDataset]) -> Catalog:
    """Returns the catalog with node types that know the datasets' columns and show a dataset by its name."""
    known = tuple(known)

    def named(config: Mapping[str, Any]) -> dict[str, Any]:
        dataset = find_known(known, config.get("dataset"))
        return {**config, "dataset": dataset.name} if dataset else dict(config)

    def row(config: Mapping[str, Any], _inputs: Mapping[str, Any]) -> JsonSchema:
        dataset = find_known(known, config.get("dataset"))
        return row_schema(dataset.columns if dataset else {})

    def rows(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> JsonSchema:
        return rows_schema(row(config, inputs))

    source, sink, look_up = (catalog[kind] for kind in TYPES)
    return {
        **catalog,
        source.type: replace(shown_by_name(source, named), out_schema=rows),
        sink.type: shown_by_name(sink, named),
        look_up.type: replace(shown_by_name(look_up, named), out_schema=row),
    }


def shown_by_name(kind: NodeType, named: Callable[[Mapping[str, Any]], dict[str, Any]]) -> NodeType:
    """Returns the node type with a summary of the settings in which `named` put names in place of ids."""

    def summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
        return kind.summary(named(config), inputs)

    return replace(kind, summary=summary)


def rows_schema(row: JsonSchema) -> JsonSchema:
    """Returns the schema of a list of rows of this schema."""
    return {"type": "array", "title": "Rows", "items": row}


def row_schema(columns: Mapping[str, str]) -> JsonSchema:
    """Returns the schema of a row with these columns; it may have more."""
    fields = {name: {} if kind in {"mixed", ""} else {"type": kind} for name, kind in columns.items()}
    return {"type": "object", "additionalProperties": True, **({"properties": fields} if fields else {})}
