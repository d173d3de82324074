"""The flow file that import reads and export writes: a document in format 1 (docs/dev/flows.md) with title and description."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, cast

from pydantic import JsonValue, ValidationError

from engine.core.errors import Problem
from engine.core.json_shape import TooManyValues, check_shape
from engine.flow.document import (
    MAX_BYTES,
    MAX_EDGES,
    MAX_NAME,
    MAX_NODES,
    MAX_NOTES,
    Document,
    Edge,
    Node,
    Note,
    Part,
    Policy,
)
from engine.flow.storable_values import MAX_DEPTH, SHOWN, deeper_than, shown_name, unfit
from engine.flow.wrong_values import what_it_must_be

#: Of a flow file, which may be written with spaces and line ends.
MAX_FILE_BYTES = 4 << 20

#: Most problems of a file's shape that are listed.
MAX_PROBLEMS = 200
#: As many as fit into a document.
MAX_VALUES = MAX_BYTES // 2


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
    problems += [_shape_problem(body, dict(item)) for item in wrong[:MAX_PROBLEMS]]
    if len(wrong) > MAX_PROBLEMS:
        said = f"{len(wrong) - MAX_PROBLEMS:,} more values or keys of the file are wrong."
        problems.append(Problem("invalid_value", said))
    told = {item["loc"] for item in wrong}
    found = ((location, why) for location, why in unfit(value) if location not in told)
    problems += [
        Problem("invalid_value", why, *_place(body, location)) for location, why in islice(found, MAX_PROBLEMS)
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
        check_shape(raw, most_values=MAX_VALUES)
        return json.loads(raw, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_int=_integer), []
    except TooManyValues:
        return None, [Problem("too_large", f"The file has more than {MAX_VALUES:,} values, more than fit into a flow.")]
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
    if keys > known + MAX_PROBLEMS:
        said = f"Its parts have {keys:,} keys together, most of which Flowport does not know."
        return [Problem("too_many_keys", said)]
    return []


#: The keys of parts whose values are parts as well.
_GROUPS = ("position", "size", "policy")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f"the key {twice[:SHOWN]!r} stands twice in one object")
    return value


def _integer(text: str) -> int:
    """Python refuses thousands of digits with words of its own; what is read here is refused for its size."""
    return int(text[:SHOWN])


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
    pointers = [f"/{shown_name(part) if isinstance(part, str) else part}" for part in location]
    if len(location) < 2 or location[0] != "nodes" or not isinstance(location[1], int):
        return None, "".join(pointers)
    nodes: Any = body["nodes"]
    node = nodes[location[1]]
    node_id: Any = cast("dict[str, Any]", node).get("id") if isinstance(node, dict) else None
    return shown_name(node_id) if isinstance(node_id, str) else None, "".join(pointers[2:] or pointers)


def _shape_problem(body: Mapping[str, JsonValue], error: Mapping[str, Any]) -> Problem:
    location = [shown_name(part) if isinstance(part, str) else part for part in error["loc"]]
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
