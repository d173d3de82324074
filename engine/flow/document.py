"""The flow document in format 1 (docs/dev/flows.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from math import isnan
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from engine.flow.storable_values import fits_64_bits

FORMAT = 1
MAX_NODES = 500
MAX_EDGES = 2_000
MAX_NOTES = 2_000
#: Of the compact text of a document, as it is stored.
MAX_BYTES = 1 << 20
MAX_NAME = 200
#: How far from the middle, in pixels, a part of a flow may lie, and how large it may be.
FURTHEST = 1_000_000

MAX_ID = 63
NODE_ID = re.compile(rf"^[a-z][a-z0-9_]{{0,{MAX_ID - 1}}}\Z")


class Part(BaseModel):
    """A frozen part of a document; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_Length = Annotated[float, Field(ge=-FURTHEST, le=FURTHEST)]


class Position(Part):
    x: _Length = 0
    y: _Length = 0

    @classmethod
    def near(cls, x: float, y: float) -> Self:
        """Returns this place, or the one at the edge where it lies further away than a part may."""
        return cls(x=_length_near(x), y=_length_near(y))


class Size(Part):
    width: _Length = 200
    height: _Length = 80


class Policy(Part):
    """What happens when a node is slow or fails; None means the default of its type."""

    timeout_seconds: float | None = Field(
        default=None,
        gt=0,
        le=86_400,
        title="Time limit",
        description="Seconds one try may take. Empty: the usual limit of this kind of node.",
    )
    retries: int = Field(
        default=0,
        ge=0,
        le=10,
        title="Tries again",
        description="How often to try again when the fault may pass: no connection, no answer in time, a busy service.",
    )
    on_error: Literal["fail", "use_default", "skip"] = Field(
        default="fail",
        title="If it fails",
        description="Stop the run, leave this step out, or go on with a value that you choose.",
        json_schema_extra={
            "words": {"fail": "Stop the job", "use_default": "Use a default value", "skip": "Skip this step"}
        },
    )
    default: Any = Field(
        default=None, title="Default value", description="What later steps get instead when this step fails."
    )


class Node(Part):
    id: str
    type: str
    type_version: int = 1
    label: str = Field(default="", max_length=MAX_NAME)
    position: Position = Position()
    config: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, Any] = Field(default_factory=dict)
    policy: Policy = Policy()

    @property
    def name(self) -> str:
        """The label, or the id when it is empty."""
        return self.label or self.id


class Edge(Part):
    id: str
    source: str
    source_port: str = "out"
    target: str


class Note(Part):
    id: str
    text: str = Field(default="", max_length=5_000)
    position: Position = Position()
    size: Size = Size()


class Document(Part):
    """A flow as drawn: nodes, edges and notes. Immutable; an edit makes a new one."""

    format: Literal[1] = FORMAT
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    notes: tuple[Note, ...] = ()

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)

    def node(self, node_id: str) -> Node | None:
        """Returns the node with this id, or None."""
        return next((node for node in self.nodes if node.id == node_id), None)

    def as_json(self) -> dict[str, Any]:
        """Returns plain JSON values in a stable order, without default values that carry no information."""
        return {
            "format": self.format,
            "nodes": [_node_json(node) for node in self.nodes],
            "edges": [edge.model_dump() for edge in self.edges],
            "notes": [note.model_dump() for note in self.notes],
        }

    def dumps(self) -> str:
        """Returns compact JSON text, as it is stored."""
        return json.dumps(self.as_json(), ensure_ascii=False, separators=(",", ":"))


def load_document(text: str) -> Document:
    """Reads a document that Flowport stored. Raises ValidationError only when somebody edited the database by hand.

    Earlier releases took places that lie further away than a part may; they are read as the nearest one.
    """
    try:
        return Document.model_validate_json(text)
    except ValidationError:
        value = json.loads(text)
        for part in [*value.get("nodes", ()), *value.get("notes", ())]:
            for lengths in (part.get("position", {}), part.get("size", {})):
                lengths.update({name: _length_near(length) for name, length in lengths.items()})
        return Document.model_validate(value)


def with_huge_integers_as_text(document: Document) -> Document:
    """Returns a document that the browser can be sent: earlier releases took whole numbers of more than 64 bits. It is the
    same when there is none.
    """
    value = document.as_json()
    if all(fits_64_bits(one) for one in _integers(value)):
        return document
    return Document.model_validate(_as_text_if_huge(value))


def _integers(value: JsonValue) -> Iterator[int]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list):
            waiting += one.values() if isinstance(one, dict) else one
        elif isinstance(one, int):
            yield one


def _as_text_if_huge(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _as_text_if_huge(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_as_text_if_huge(one) for one in value]
    return str(value) if isinstance(value, int) and not fits_64_bits(value) else value


def _length_near(length: float) -> float:
    if isinstance(length, float) and isnan(length):
        return 0
    return max(-FURTHEST, min(length, FURTHEST))


def _node_json(node: Node) -> dict[str, Any]:
    value = node.model_dump(exclude={"policy"})
    if node.policy != Policy():
        value["policy"] = node.policy.model_dump(exclude_defaults=True)
    return value
