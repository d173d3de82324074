"""Which files a Prompt may get that its model does not take, as far as the flow tells before it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.core.errors import Problem
from engine.flow.contract import api_input, input_fields
from engine.flow.document import Document, Node
from engine.flow.file_values import KIND_WORDS, kinds_in_words
from engine.flow.references import Reference, find_references
from engine.flow.validation import without_parked
from engine.models.media import kinds_not_taken

#: Types of fields that hold no file.
_NO_FILES = {"string": "text", "number": "a number", "integer": "a number", "boolean": "yes or no"}


def file_problems(document: Document, providers: Mapping[str, str]) -> list[Problem]:
    """Returns a problem for each Prompt whose model takes no file of the kinds that its field takes.

    `providers`: the name of each connection and its provider. It prevents a deployment only.
    """
    return [problem for problem, some in _found(document, providers) if not some]


def file_warnings(document: Document, providers: Mapping[str, str]) -> list[Problem]:
    """Returns a problem for each Prompt whose field takes other kinds of files beside those that its model takes."""
    return [problem for problem, some in _found(document, providers) if some]


def _found(document: Document, providers: Mapping[str, str]) -> Iterator[tuple[Problem, bool]]:
    """Yields each problem, and whether some of the kinds are taken."""
    for node in without_parked(document).nodes:
        for name, field in _fields_of(document, node):
            if (told := _NO_FILES.get(str(field.get("type") or "string"))) is not None:
                message = (
                    f"{node.name} looks at files, but the field `{name}` is {told}. Give it the type File in API Input."
                )
                yield _problem("files_wanted", message, node), False
            else:
                yield from _not_taken(node, name, field, providers)


def _not_taken(
    node: Node, name: str, field: Mapping[str, Any], providers: Mapping[str, str]
) -> Iterator[tuple[Problem, bool]]:
    connection, colon, model = str(node.config.get("model") or "").partition(":")
    named = field.get("file_kinds")
    kinds = [kind for kind in named if kind in KIND_WORDS] if isinstance(named, list | tuple) else []
    if not colon or connection not in providers or not kinds:
        return
    refused = kinds_not_taken(providers[connection], kinds)
    if refused:
        message = (
            f"{model} of “{connection}” does not take files of this kind: {kinds_in_words(refused)}. The field `{name}` "
            "takes them: choose another model, or other kinds of files in API Input."
        )
        yield _problem("files_not_taken", message, node), len(refused) < len(kinds)


def _problem(code: str, message: str, node: Node) -> Problem:
    return Problem(code, message, node.id, "/inputs/files", blocks_import=False)


def _fields_of(document: Document, node: Node) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields the fields of API Input that lead into the files of a Prompt or an Agent, each with its name."""
    source = api_input(document)
    if source is None or node.type not in {"prompt", "agent"}:
        return
    for _pointer, reference in find_references(node.inputs.get("files"), "/inputs/files"):
        if isinstance(reference, Reference) and reference.node_id == source.id and reference.path:
            field = _field_at(input_fields(document), reference.path)
            if field is not None:
                yield ".".join(str(part) for part in reference.path), field


def _field_at(fields: list[dict[str, Any]], path: tuple[str | int, ...]) -> Mapping[str, Any] | None:
    """Returns the field that a path names, and of a list of files the field of its items; None for other data."""
    found: Mapping[str, Any] | None = {"type": "object", "fields": fields}
    for part in path:
        if found is None:
            return None
        if isinstance(part, int) or found.get("type") == "array":
            found = found.get("items")
        else:
            inner = found.get("fields") or ()
            found = next((field for field in inner if isinstance(field, Mapping) and field.get("name") == part), None)
        if not isinstance(found, Mapping):
            return None
    if found is not None and found.get("type") == "array":
        items = found.get("items")
        return items if isinstance(items, Mapping) else None
    return found
