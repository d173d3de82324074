"""Sentences of the pages are whole: a translation can put their values where its language wants them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.sources import ROOT, nodes_of, source_files


def pieces(nodes: tuple[ast.AST, ...]) -> Iterator[tuple[int, str]]:
    """Yields (line, text) of each piece of a sentence: a text marked by `_()` that an f-string puts beside a word or a
    value, or that begins or ends with a space.
    """
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            words = any(isinstance(one, ast.Constant) and any(map(str.isalnum, str(one.value))) for one in node.values)
            values = [one for one in node.values if isinstance(one, ast.FormattedValue)]
            if words or len(values) > 1:
                yield from ((node.lineno, ast.unparse(one.value)) for one in values if marked(one.value) is not None)
        elif (text := marked(node)) is not None and text != text.strip():
            yield node.lineno, text


def marked(node: ast.AST) -> str | None:
    """Returns the text of `_("text")`, and None of anything else."""
    match node:
        case ast.Call(func=ast.Name(id="_"), args=[ast.Constant(value=str(text))]):
            return text
    return None


def test_no_sentence_is_glued_from_pieces():
    found = [
        f"{path.relative_to(ROOT)}:{line} {text}"
        for path in source_files()
        if path.is_relative_to(ROOT / "ui")
        for line, text in pieces(nodes_of(path))
    ]
    assert found == [], 'write _("Delete {name}?").format(name=...)'


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("f\"{_('Delete')} {name}?\"", 1),
        ("f\"{_('of')} 3\"", 1),
        ("f\"{number} {_('rows')}, {_('chosen')}\"", 2),
        ("_(' and more')", 1),
        ('_("Delete {name}?").format(name=name)', 0),
        ("f\"{_('Done')}: \"", 0),
        ("f\"{plural(3, _('row'), _('rows'))}, {size}\"", 0),
    ],
)
def test_pieces_are_found(source: str, count: int):
    assert len(list(pieces(tuple(ast.walk(ast.parse(source)))))) == count
