"""The flow document in format 1 (docs/dev/flows.md), and the flow file, which adds title and description."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from math import isfinite, isnan
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from engine.core.errors import Problem
from engine.core.json_shape import TooManyValues, check_shape
from engine.core.lone_surrogates import has_lone_surrogates
from engine.flow.wrong_values import what_it_must_be

FORMAT = 1
MAX_NODES = 500
MAX_EDGES = 2_000
MAX_NOTES = 2_000
#: Of the compact text of a document, as it is stored.
MAX_BYTES = 1 << 20
#: Of a flow file, which may be written with spaces and line ends.
MAX_FILE_BYTES = 4 << 20
MAX_NAME = 200
MAX_DEPTH = 64
#: How far from the middle, in pixels, a part of a flow may lie, and how large it may be.
FURTHEST = 1_000_000

#: Most problems of a file's shape that are listed.
MOST_PROBLEMS = 200
#: As many as fit into a document.
MOST_VALUES = MAX_BYTES // 2
#: Characters of a name out of a file that a problem shows.
_SHOWN = 100

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


class FlowFile(Part):
    """What import reads and export writes: a document with its title and description."""

    title: str
    description: str
    document: Document

    def as_json(self) -> dict[str, Any]:
        """Returns the published file: title, description, then the document's keys."""
        return {"title": self.title, "description": self.description, **self.document.as_json()}

    def dumps(self) -> str:
        """Returns the text of the published file: in lines, unless the import would refuse it for the spaces in them."""
        value = self.as_json()
        text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
        if len(text.encode()) <= MAX_FILE_BYTES:
            return text
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


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

    Returns the file and no problem, or None and the problems of its shape, of which it lists the first few hundred.
    `engine.flow.validation` checks its meaning (cycles, references, settings of nodes).
    """
    value, problems = _json_of(data.encode(errors="surrogatepass") if isinstance(data, str) else data)
    if problems:
        return None, problems
    if not isinstance(value, dict):
        return None, [Problem("invalid_document", "A flow file is a JSON object with `format`, `nodes` and `edges`.")]
    if deeper_than(value, MAX_DEPTH):
        return None, [Problem("too_deep", f"The file nests values deeper than {MAX_DEPTH} levels.")]
    title = _text_field(value, "title", fallback_title, problems) or fallback_title
    description = _text_field(value, "description", "", problems, longest=5_000)
    body = {key: item for key, item in value.items() if key not in {"title", "description"}}
    if "format" not in body:
        problems.append(Problem("missing_key", "`format` is missing; this program reads format 1.", pointer="/format"))
    problems += too_many_parts(body)
    if problems and problems[-1].code.startswith("too_many"):
        return None, problems
    try:
        document, wrong = Document.model_validate(body), []
    except ValidationError as error:
        # half characters are told by `unfit`, in plain words
        document, wrong = None, [one for one in error.errors(include_url=False) if one["type"] != "string_unicode"]
    problems += [_shape_problem(body, dict(item)) for item in wrong[:MOST_PROBLEMS]]
    if len(wrong) > MOST_PROBLEMS:
        said = f"{len(wrong) - MOST_PROBLEMS:,} more values or keys of the file are wrong."
        problems.append(Problem("invalid_value", said))
    told = {item["loc"] for item in wrong}
    found = ((location, why) for location, why in unfit(value) if location not in told)
    problems += [
        Problem("invalid_value", why, *_place(body, location)) for location, why in islice(found, MOST_PROBLEMS)
    ]
    if document is None:
        return None, problems
    if not problems and (size := len(document.dumps().encode())) > MAX_BYTES:
        problems.append(Problem("too_large", f"The flow has {size:,} bytes; a flow may have {MAX_BYTES:,} (1 MiB)."))
    if problems:
        return None, problems
    return FlowFile(title=title, description=description, document=document), []


def _json_of(raw: bytes) -> tuple[JsonValue, list[Problem]]:
    if len(raw) > MAX_FILE_BYTES:
        said = f"The file has {len(raw):,} bytes; a flow file may have {MAX_FILE_BYTES:,} (4 MiB), and its flow 1 MiB."
        return None, [Problem("too_large", said)]
    try:
        check_shape(raw, most_values=MOST_VALUES)
        return json.loads(raw, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_int=_integer), []
    except TooManyValues:
        return None, [
            Problem("too_large", f"The file has more than {MOST_VALUES:,} values, more than fit into a flow.")
        ]
    except (ValueError, RecursionError) as error:
        return None, [Problem("invalid_json", f"This is not valid JSON: {error}.")]


def too_many_parts(body: Mapping[str, JsonValue]) -> list[Problem]:
    """Returns a problem when a flow file has more parts than a flow, or more wrong keys than can be listed: it costs too
    much to look at each of them.
    """
    keys, known = len(body), len(Document.model_fields)
    for name, words, most, model in (
        ("nodes", "nodes", MAX_NODES, Node),
        ("edges", "connections", MAX_EDGES, Edge),
        ("notes", "notes", MAX_NOTES, Note),
    ):
        parts = body.get(name)
        if not isinstance(parts, list):
            continue
        if len(parts) > most:
            return [Problem(f"too_many_{name}", f"{len(parts):,} {words}; a flow may have {most:,}.", None, f"/{name}")]
        for part in parts:
            for value in (part, *(part.get(key) for key in _GROUPS)) if isinstance(part, dict) else ():
                keys += len(value) if isinstance(value, dict) else 0
            known += len(model.model_fields) + len(_GROUPS) * len(Policy.model_fields)
    if keys > known + MOST_PROBLEMS:
        said = f"Its parts have {keys:,} keys together, most of which Flowport does not know."
        return [Problem("too_many_keys", said)]
    return []


#: The keys of parts whose values are parts as well.
_GROUPS = ("position", "size", "policy")


def unfit(value: JsonValue) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Yields the place of each number and text that no flow may hold, and a sentence about it: what cannot be stored, or
    cannot be read by most programs. Iterative.
    """
    waiting: list[tuple[tuple[int | str, ...], JsonValue]] = [((), value)]
    while waiting:
        here, one = waiting.pop()
        if isinstance(one, str):
            if has_lone_surrogates(one):
                yield here, f"{_named(here)} has {_HALF_OF_A_CHARACTER}"
        elif isinstance(one, dict):
            if any(map(has_lone_surrogates, one)):
                yield here, f"A key has {_HALF_OF_A_CHARACTER}"
            waiting += [((*here, key), inside) for key, inside in reversed(one.items())]
        elif isinstance(one, list | tuple):
            waiting += [((*here, at), inside) for at, inside in reversed([*enumerate(one)])]
        elif isinstance(one, int) and not fits_64_bits(one):
            yield here, f"{_named(here)} is a whole number of more than 64 bits. Put it in quotes, as a text."
        elif isinstance(one, float) and not isfinite(one):
            yield here, f"{_named(here)} is a number beyond all that a program can hold. Write a smaller one."


_HALF_OF_A_CHARACTER = (
    "half of a character, which cannot be stored: a text was cut in the middle of a sign such as an emoji. Write the whole "
    "sign, or remove the half."
)


def fits_64_bits(number: int) -> bool:
    """True for a whole number that every JSON writer can write."""
    return -(1 << 63) <= number < 1 << 63


def _named(location: Sequence[int | str]) -> str:
    name = next((part for part in reversed(location) if isinstance(part, str)), "")
    return f"`{_shown(name)}`" if name else "A value"


def _shown(name: str) -> str:
    return name[:_SHOWN].encode(errors="replace").decode()


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
    if isinstance(length, float) and isnan(length):
        return 0
    return max(-FURTHEST, min(length, FURTHEST))


def _node_json(node: Node) -> dict[str, Any]:
    value = node.model_dump(exclude={"policy"})
    if node.policy != Policy():
        value["policy"] = node.policy.model_dump(exclude_defaults=True)
    return value


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f"the key {twice[:_SHOWN]!r} stands twice in one object")
    return value


def _integer(text: str) -> int:
    """Python refuses thousands of digits with words of its own; what is read here is refused for its size."""
    return int(text[:_SHOWN])


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


def _place(body: Mapping[str, JsonValue], location: Sequence[int | str]) -> tuple[str | None, str]:
    """Returns the id of the node in which a place of a file lies, and its pointer there; of any other place None, and the
    pointer in the file.
    """
    pointers = [f"/{_shown(part) if isinstance(part, str) else part}" for part in location]
    if len(location) < 2 or location[0] != "nodes" or not isinstance(location[1], int):
        return None, "".join(pointers)
    nodes: Any = body["nodes"]
    node = nodes[location[1]]
    node_id: Any = cast("dict[str, Any]", node).get("id") if isinstance(node, dict) else None
    return _shown(node_id) if isinstance(node_id, str) else None, "".join(pointers[2:] or pointers)


def _shape_problem(body: Mapping[str, JsonValue], error: Mapping[str, Any]) -> Problem:
    location = [_shown(part) if isinstance(part, str) else part for part in error["loc"]]
    node_id, pointer = _place(body, location)
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
