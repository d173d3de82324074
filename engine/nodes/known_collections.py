"""Adds the workspace's collections of knowledge to the node types that use them: names in place of ids, and problems.

A flow document contains no collections. Code that knows them (the Playground, a deployment) calls these functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct
from pydantic import Field, JsonValue

from engine.core.errors import Problem
from engine.flow.called_flows import AGENT
from engine.flow.document import Document, Node
from engine.flow.node_type import Catalog
from engine.flow.validation import without_parked
from engine.nodes.known_datasets import shown_by_name

COLLECTION_NODES = ("search_knowledge", "add_to_knowledge")


class KnownCollection(Struct, frozen=True):
    """A collection, and how many pieces it has."""

    id: str
    name: str
    pieces: int


def collection_field(description: str) -> Any:
    """Returns the field of a Config for a collection's id or name."""
    return Field(
        "", max_length=200, title="Collection", description=description, json_schema_extra={"widget": "collection"}
    )


def no_collection_yet(node: Node) -> Iterator[Problem]:
    """Yields the problem of a node without a collection."""
    if not node.config.get("collection"):
        yield Problem("no_collection", "Choose a collection.", node.id, "/config/collection", blocks_import=False)


def find_known_collection(known: Iterable[KnownCollection], named: Any) -> KnownCollection | None:
    """Returns the collection with this id, or else with this name; None without one."""
    known = tuple(known)
    by_id = (one for one in known if one.id == named)
    return next(by_id, None) or next((one for one in known if one.name == named), None)


def _named_by_agents(document: Document) -> Iterator[tuple[Node, str, str]]:
    """Yields (node, pointer, collection) of each collection that an agent may search."""
    for node in without_parked(document).nodes:
        entries: JsonValue = node.config.get("tools") if node.type == AGENT else None
        for at, entry in enumerate(entries if isinstance(entries, list | tuple) else ()):
            if isinstance(entry, Mapping) and entry.get("kind") == "knowledge" and entry.get("collection"):
                yield node, f"/config/tools/{at}/collection", str(entry["collection"])


def missing_collections(document: Document, known: Iterable[KnownCollection]) -> list[Problem]:
    """Returns problems of missing collections. They stop a deployment, but not an import."""
    known = tuple(known)
    found: list[Problem] = []
    for node in without_parked(document).nodes:
        named = node.config.get("collection")
        if node.type not in COLLECTION_NODES or not named or not isinstance(named, str):
            continue
        if find_known_collection(known, named) is None:
            what = "It was deleted" if named.startswith("collection_") else f"There is no collection called `{named}`"
            message = f"{what}. Choose another one, or make it on the page Knowledge."
            found.append(Problem("no_collection", message, node.id, "/config/collection", blocks_import=False))
    for node, pointer, named in _named_by_agents(document):
        if find_known_collection(known, named) is None:
            what = "It was deleted" if named.startswith("collection_") else f"There is no collection called `{named}`"
            message = f"{node.name}: {what}. Choose another one, or make it on the page Knowledge."
            found.append(Problem("no_collection", message, node.id, pointer, blocks_import=False))
    return found


def empty_collections(document: Document, known: Iterable[KnownCollection]) -> list[Problem]:
    """Returns warnings of steps that search a collection in which nothing can be found yet."""
    known = tuple(known)
    empty = [
        (node, one)
        for node in without_parked(document).nodes
        if node.type == "search_knowledge"
        and (one := find_known_collection(known, node.config.get("collection"))) is not None
        and not one.pieces
    ]
    return [
        Problem(
            "empty_collection",
            f"Nothing is in the collection {one.name} yet, so nothing will be found. Add documents to it.",
            node.id,
            "/config/collection",
            blocks_import=False,
        )
        for node, one in empty
    ]


def with_collections(catalog: Catalog, known: Iterable[KnownCollection]) -> Catalog:
    """Returns the catalog with node types that show a collection by its name."""
    known = tuple(known)

    def named(config: Mapping[str, Any]) -> dict[str, Any]:
        collection = find_known_collection(known, config.get("collection"))
        return {**config, "collection": collection.name} if collection else dict(config)

    return {**catalog, **{name: shown_by_name(catalog[name], named) for name in COLLECTION_NODES}}
