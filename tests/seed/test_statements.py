"""Every statement of the table has tests that exist and that `make test` runs."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.seed.statements import STATEMENTS, Statement
from tests.sources import parsed

TESTS = Path(__file__).parents[1]
#: `make test` does not run tests with these marks.
LEFT_OUT = ("slow", "chaos", "skip", "skipif", "xfail")


@cache
def marks_of(file: str) -> dict[str, list[str]]:
    """Returns function name -> decorators for a file; empty when there is no such file."""
    path = TESTS / file
    return {
        part.name: [ast.unparse(mark) for mark in part.decorator_list]
        for part in (parsed(path).body if path.is_file() else ())
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.id)
def test_every_statement_is_shown_by_tests_that_are_run(statement: Statement) -> None:
    assert statement.tests
    for test in statement.tests:
        file, _, name = test.partition("::")
        assert name.startswith("test_")
        marks = marks_of(file).get(name)
        assert marks is not None, f"{test} does not exist"
        assert not [mark for mark in marks if any(f"mark.{word}" in mark for word in LEFT_OUT)], test


def test_every_statement_stands_in_the_table_once() -> None:
    assert len(STATEMENTS) == 72
    assert len({statement.id for statement in STATEMENTS}) == len(STATEMENTS)
    assert len({statement.sentence for statement in STATEMENTS}) == len(STATEMENTS)
