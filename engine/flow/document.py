"""The flow document in format 1 (docs/dev/flows.md), and the flow file, which adds title and description."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from engine.core.errors import Problem
from engine.flow.wrong_values import what_it_must_be

FORMAT = 1
MAX_NODES = 500
MAX_EDGES = 2_000
MAX_BYTES = 1 << 20
MAX_NAME = 200
MAX_DEPTH = 64
#: How far from the middle, in pixels, a part of a flow may lie, and how large it may be.
FURTHEST = 1_000_000

NODE_ID = re.compile(r"^[a-z][a-z0-9_]{0,62}\Z")


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
    on_error: Literal["fail", "skip", "use_default"] = Field(
        default="fail",
        title="If it fails",
        description="Stop the run, leave this step out, or go on with a value that you choose.",
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


class FlowFile(Part):
    """What import reads and export writes: a document with its title and description."""

    title: str
    description: str
    document: Document

    def as_json(self) -> dict[str, Any]:
        """Returns the published file: title, description, then the document's keys."""
        return {"title": self.title, "description": self.description, **self.document.as_json()}


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


def parse_flow_file(
    data: bytes | str, *, fallback_title: str = "Untitled flow"
) -> tuple[FlowFile | None, list[Problem]]:
    """Reads a flow file without running, importing or fetching anything that it names (S1).

    Returns the file and no problem, or None and every problem of its shape. `engine.flow.validation` checks its meaning
    (cycles, references, settings of nodes).
    """
    raw = data.encode() if isinstance(data, str) else data
    if len(raw) > MAX_BYTES:
        return None, [Problem("too_large", f"The file has {len(raw):,} bytes; a flow may have {MAX_BYTES:,} (1 MiB).")]
    try:
        value: JsonValue = json.loads(raw, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return None, [Problem("invalid_json", f"This is not valid JSON: {error}.")]
    if not isinstance(value, dict):
        return None, [Problem("invalid_document", "A flow file is a JSON object with `format`, `nodes` and `edges`.")]
    if deeper_than(value, MAX_DEPTH):
        return None, [Problem("too_deep", f"The file nests values deeper than {MAX_DEPTH} levels.")]
    problems: list[Problem] = []
    title = _text_field(value, "title", fallback_title, problems) or fallback_title
    description = _text_field(value, "description", "", problems, longest=5_000)
    body = {key: item for key, item in value.items() if key not in {"title", "description"}}
    if "format" not in body:
        problems.append(Problem("missing_key", "`format` is missing; this program reads format 1.", pointer="/format"))
    try:
        document = Document.model_validate(body)
    except ValidationError as error:
        problems += [_shape_problem(body, dict(item)) for item in error.errors()]
        return None, problems
    problems += _limits(document)
    if problems:
        return None, problems
    return FlowFile(title=title, description=description, document=document), []


def deeper_than(value: JsonValue, limit: int) -> bool:
    """True when lists and objects are nested more than `limit` levels deep.

    Iterative, so that no input overflows the stack.
    """
    level = [value]
    for _ in range(limit):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return any(isinstance(item, dict | list) for item in level)


def _length_near(length: float) -> float:
    return max(-FURTHEST, min(length, FURTHEST)) if length == length else 0  # noqa: PLR0124 - not a number


def _node_json(node: Node) -> dict[str, Any]:
    value = node.model_dump(exclude={"policy"})
    if node.policy != Policy():
        value["policy"] = node.policy.model_dump(exclude_defaults=True)
    return value


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _text_field(value: dict[str, Any], key: str, default: str, problems: list[Problem], longest: int = MAX_NAME) -> str:
    text = value.get(key, default)
    if not isinstance(text, str):
        problems.append(Problem("invalid_value", f"`{key}` must be text.", pointer=f"/{key}"))
        return default
    if len(text) > longest:
        problems.append(Problem("too_long", f"`{key}` may have {longest} characters.", pointer=f"/{key}"))
    return text.strip()


def _shape_problem(body: dict[str, Any], error: dict[str, Any]) -> Problem:
    location = list(error["loc"])
    pointer = "".join(f"/{part}" for part in location)
    node_id = None
    if len(location) >= 2 and location[0] == "nodes" and isinstance(location[1], int):
        node: JsonValue = body["nodes"][location[1]]
        node_id = known if isinstance(node, dict) and isinstance(known := node.get("id"), str) else None
        pointer = "".join(f"/{part}" for part in location[2:]) or pointer
    match error["type"]:
        case "extra_forbidden":
            return Problem("unknown_key", f"`{location[-1]}` is not a key Flowport knows here.", node_id, pointer)
        case "missing":
            return Problem("missing_key", f"`{location[-1]}` is missing.", node_id, pointer)
        case "literal_error" if location[:1] == ["format"]:
            return Problem(
                "unknown_format", "Only `format` 1 is known; this file may come from a newer Flowport.", None, pointer
            )
        case _:
            return Problem(
                "invalid_value",
                f"`{location[-1] if location else 'document'}` {what_it_must_be(error)}.",
                node_id,
                pointer,
            )


def _limits(document: Document) -> list[Problem]:
    found: list[Problem] = []
    if len(document.nodes) > MAX_NODES:
        found.append(Problem("too_many_nodes", f"{len(document.nodes)} nodes; a flow may have {MAX_NODES}."))
    if len(document.edges) > MAX_EDGES:
        found.append(Problem("too_many_edges", f"{len(document.edges)} connections; a flow may have {MAX_EDGES}."))
    return found
