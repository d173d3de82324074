"""References `{{ node.out.field }}` in bindings: parsing, rendering and rewriting (docs/dev/flows.md).

Rendering reads the designer's text once: data that is inserted is never parsed again (S7). Values are only looked up;
nothing is evaluated (S5).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import jsonpointer
from msgspec import Struct
from pydantic import JsonValue

Json = Any  # a JSON value: None, bool, int, float, str, list or dict of these
JsonSchema = dict[str, Any]

SYSTEM = "system"
SYSTEM_FIELDS = ("timestamp", "flow_id", "flow_version", "job_id")
ROOTS = ("out", "index", "total")

_BLANKS = re.compile(r"\s*")
_HEAD = re.compile(r"\s*([a-z][a-z0-9_]{0,62})\s*\.\s*([a-z_]+)")
_PART = re.compile(r"""\s*(?:\.\s*([A-Za-z_][A-Za-z0-9_]*)|\[\s*(\d{1,9})\s*\]|\[\s*"((?:[^"\\]|\\.)*)"\s*\])""")


class Reference(Struct, frozen=True):
    """`node_id.root`, then a path of keys and positions.

    For a system value, `node_id` is `system` and `root` its name.
    """

    node_id: str
    root: str
    path: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        return "{{ " + self.node_id + "." + self.root + "".join(_shown_part(part) for part in self.path) + " }}"


class BadReference(Struct, frozen=True):
    """Text inside `{{ }}` that is not a valid reference."""

    text: str


class Missing(Struct, frozen=True):
    """A reference without a value at run time."""

    reference: Reference


class Scope:
    """The values that references can see while one node runs: outputs by node id, and system values.

    Inside a list each item has its own scope: `items` holds `(index, total)` by Splitter id, and `outer` is the
    enclosing scope.
    """

    __slots__ = ("items", "outer", "outputs", "skipped", "system")

    def __init__(
        self,
        outputs: Mapping[str, Json],
        system: Mapping[str, Json],
        skipped: AbstractSet[str] = frozenset(),
        *,
        items: Mapping[str, tuple[int, int]] | None = None,
        outer: Scope | None = None,
    ) -> None:
        self.outputs = outputs
        self.system = system
        self.skipped = skipped
        self.items = items or {}
        self.outer = outer

    def find(self, reference: Reference) -> Json | Missing:
        """Returns the value of a reference, or Missing."""
        node_id, root = reference.node_id, reference.root
        if node_id == SYSTEM:
            value: JsonValue = self.system.get(root)
        elif root == "out":
            scope = self
            while node_id not in scope.outputs:
                if scope.outer is None:
                    return Missing(reference)
                scope = scope.outer
            value = scope.outputs[node_id]
        else:
            return self._place(reference)
        for part in reference.path:
            if isinstance(part, str) and isinstance(value, dict) and part in value:
                value = value[part]
            elif isinstance(part, int) and isinstance(value, list) and part < len(value):
                value = value[part]
            else:
                return Missing(reference)
        return value

    def is_skipped(self, node_id: str) -> bool:
        """True when the node was skipped in this scope or an enclosing one."""
        scope: Scope | None = self
        while scope is not None:
            if node_id in scope.skipped:
                return True
            scope = scope.outer
        return False

    def _place(self, reference: Reference) -> Json | Missing:
        scope: Scope | None = self
        while scope is not None:
            if reference.node_id in scope.items:
                return scope.items[reference.node_id][0 if reference.root == "index" else 1]
            scope = scope.outer
        return Missing(reference)


def parse_reference(text: str) -> Reference | BadReference:
    """Parses the text between the braces."""
    head = _HEAD.match(text)
    if head is None:
        return BadReference(text.strip())
    node_id, root = head.groups()
    if (root not in SYSTEM_FIELDS) if node_id == SYSTEM else (root not in ROOTS):
        return BadReference(text.strip())
    path: list[str | int] = []
    at = head.end()
    while not _BLANKS.fullmatch(text, at):
        part = _PART.match(text, at)
        if part is None:
            return BadReference(text.strip())
        name, position, key = part.groups()
        path.append(int(position) if position is not None else name if name is not None else _unescape(key))
        at = part.end()
    if path and (root in {"index", "total"} or node_id == SYSTEM):
        return BadReference(text.strip())
    return Reference(node_id, root, tuple(path))


def split_text(text: str) -> Iterator[str | Reference | BadReference]:
    """Yields the literal pieces and references of a text in order. Its time is linear in the text, for any braces."""
    at = 0
    while (start := text.find("{{", at)) >= 0 and (end := text.find("}}", start + 2)) >= 0:
        if start > at:
            yield text[at:start]
        yield parse_reference(text[start + 2 : end])
        at = end + 2
    if at < len(text):
        yield text[at:]


def only_reference(binding: JsonValue) -> Reference | None:
    """Returns the reference of a binding that is nothing else; None for any other binding."""
    pieces = list(split_text(binding)) if isinstance(binding, str) else []
    return pieces[0] if len(pieces) == 1 and isinstance(pieces[0], Reference) else None


def references_in_texts(binding: JsonValue) -> Iterator[Reference]:
    """Yields every reference of a binding whose value becomes a part of a text."""
    waiting: list[JsonValue] = [binding]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            pieces = list(split_text(value)) if "{{" in value else []
            if len(pieces) > 1:
                yield from (piece for piece in pieces if isinstance(piece, Reference))
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def find_references(binding: JsonValue, pointer: str = "") -> Iterator[tuple[str, Reference | BadReference]]:
    """Yields every reference in a binding, with the JSON pointer of its text. Keys are not searched. Iterative."""
    waiting: list[tuple[str, JsonValue]] = [(pointer, binding)]
    while waiting:
        here, value = waiting.pop()
        if isinstance(value, str):
            yield from ((here, piece) for piece in split_text(value) if not isinstance(piece, str))
        elif isinstance(value, dict):
            waiting += [(f"{here}/{jsonpointer.escape(key)}", item) for key, item in reversed(value.items())]
        elif isinstance(value, list):
            waiting += [(f"{here}/{number}", item) for number, item in reversed(list(enumerate(value)))]


def render(binding: Json, scope: Scope, missing: list[Missing]) -> Json:
    """Returns the value of a binding. A lone reference keeps its JSON type; with text around it, the value is converted
    to text.

    A reference without a value gives null (alone) or nothing (within text) and is added to `missing`. The depth is
    bounded by the document's limit of 64.
    """
    return prepare_binding(binding)(scope, missing)


#: A parsed binding: returns its value in a scope, and adds references without a value to the list.
Rendering = Callable[["Scope", list[Missing]], Json]


def prepare_binding(binding: JsonValue) -> Rendering:
    """Parses a binding once, so that it can be rendered often. Keys are not parsed."""
    if isinstance(binding, str):
        return _prepare_text(binding)
    if isinstance(binding, dict):
        fields = [(key, prepare_binding(item)) for key, item in binding.items()]
        return lambda scope, missing: {key: rendering(scope, missing) for key, rendering in fields}
    if isinstance(binding, list):
        items = [prepare_binding(item) for item in binding]
        return lambda scope, missing: [rendering(scope, missing) for rendering in items]
    return lambda _scope, _missing: binding


def _prepare_text(text: str) -> Rendering:
    pieces = [
        piece if not isinstance(piece, BadReference) else "{{ " + piece.text + " }}" for piece in split_text(text)
    ]
    if len(pieces) == 1 and isinstance(reference := pieces[0], Reference):
        return lambda scope, missing: _look_up(reference, scope, missing)
    if not any(isinstance(piece, Reference) for piece in pieces):
        whole = "".join(piece for piece in pieces if isinstance(piece, str))
        return lambda _scope, _missing: whole
    return lambda scope, missing: "".join(
        piece if isinstance(piece, str) else as_text(_look_up(piece, scope, missing)) for piece in pieces
    )


def as_text(value: Json) -> str:
    """Returns a JSON value as text: strings unchanged, null as empty text, anything else as compact JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _look_up(reference: Reference, scope: Scope, missing: list[Missing]) -> Json:
    found = scope.find(reference)
    if isinstance(found, Missing):
        missing.append(found)
        return None
    return found


def _shown_part(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", part):
        return f".{part}"
    return '["' + part.replace("\\", "\\\\").replace('"', '\\"') + '"]'


def _unescape(key: str) -> str:
    return re.sub(r"\\(.)", r"\1", key)
