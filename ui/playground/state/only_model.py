"""The model of a new node when there is just one to choose, or when the other steps of the flow have one: it is chosen
already. Steps with the Simulated model are offered it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Final

from engine.flow.document import Document
from engine.flow.edits import Op, update_node
from engine.flow.made_up_answers import SIMULATED
from engine.flow.node_type import Catalog
from storage.connections import ConnectionRow

#: The setting that holds the model of a node.
_SETTING: Final = "model"


def only_model(connections: Iterable[ConnectionRow]) -> str | None:
    """The model as `CONNECTION:model-name` when the connections offer exactly one; the Simulated model does not count."""
    models = [f"{row.name}:{model}" for row in connections for model in row.offered]
    return models[0] if len(models) == 1 else None


def model_for(document: Document, connections: Container[str], only: str | None) -> str | None:
    """The model to offer in place of the Simulated one: the one of these connections that other steps of the flow ask, or
    the `only` one there is; None when several could be meant.
    """
    models = _models_in(document)
    asked = {model for model in models if model.partition(":")[0] in connections}
    return next(iter(asked)) if len(asked) == 1 else None if asked else only


def model_of_new(document: Document, connections: Container[str], only: str | None) -> str | None:
    """The model of a new node: as `model_for`, else the Simulated one when all other steps have it."""
    return model_for(document, connections, only) or (SIMULATED if _models_in(document) == {SIMULATED} else None)


def _models_in(document: Document) -> set[str]:
    return {str(model) for node in document.nodes if (model := node.config.get(_SETTING))}


def replace_simulated_ops(document: Document, model: str) -> list[Op]:
    """Returns the operations that set this model in every step with the Simulated one."""
    return [
        update_node(node, config={**node.config, _SETTING: model})
        for node in document.nodes
        if node.config.get(_SETTING) == SIMULATED
    ]


def wants_model(ops: Sequence[Op], catalog: Catalog) -> bool:
    """True when an operation adds a node that needs a model and has none."""
    return any(_wants(op, catalog) for op in ops)


def with_model(ops: Sequence[Op], catalog: Catalog, model: str) -> list[Op]:
    """The operations, with this model in every new node that needs one and has none."""
    return [
        {**op, "node": {**op["node"], "config": {**op["node"].get("config", {}), _SETTING: model}}}
        if _wants(op, catalog)
        else op
        for op in ops
    ]


def _wants(op: Op, catalog: Catalog) -> bool:
    if op["op"] != "addNode":
        return False
    kind = catalog.get(op["node"]["type"])
    field = kind.config.model_fields.get(_SETTING) if kind else None
    extra = field.json_schema_extra if field else None
    return (
        isinstance(extra, dict) and extra.get("widget") == _SETTING and not op["node"].get("config", {}).get(_SETTING)
    )
