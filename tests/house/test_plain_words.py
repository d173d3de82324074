"""Texts on screen avoid words that only programmers know, and former names of nodes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from engine.nodes import NODE_TYPES

ROOT = Path(__file__).parents[2]
#: Words that people who do not program stopped at.
AVOIDED = (
    "Array Splitter", "Array Flatten", "Dataset Source", "Dataset Sink", "Parse JSON", "p95", "p50",
    "429", "get 400", "gets 400", "get 404", "in flight", "keep their shape", "has no value yet", "by yes",
)  # fmt: skip


def texts() -> Iterator[tuple[str, str]]:
    """Yields (place, text) for each text of a page, and for titles, lines, settings and help of the nodes."""
    for path in sorted((ROOT / "ui").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                yield from ((path.name, part.value) for part in node.args if isinstance(part, ast.Constant))
    for kind in NODE_TYPES:
        fields = (*kind.config.model_fields.values(), *kind.inputs.model_fields.values())
        said = [kind.title, kind.tooltip, *(f"{one.title} {one.description}" for one in fields)]
        yield from ((kind.type, text) for text in said)


def test_no_text_on_screen_has_a_word_that_people_stopped_at() -> None:
    found = list(texts())

    assert len(found) > 1000, "the texts are found"
    assert ("array_splitter", "For each item") in found
    assert [(place, text) for place, text in found if any(word in text for word in AVOIDED)] == []
