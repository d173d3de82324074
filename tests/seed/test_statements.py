"""The table itself: every statement has one test that exists, and every test of this folder one statement."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from tests.seed.statements import STATEMENTS

HERE = Path(__file__)


def names_of_tests() -> list[str]:
    """The names of the tests in the files beside this one."""
    return [
        part.name
        for file in sorted(HERE.parent.glob("test_*.py"))
        if file != HERE
        for part in ast.parse(file.read_text()).body
        if isinstance(part, ast.FunctionDef) and part.name.startswith("test_")
    ]


def test_every_statement_has_exactly_one_existing_test() -> None:
    assert len(STATEMENTS) >= 34
    assert Counter(statement.test for statement in STATEMENTS) == Counter(names_of_tests())


def test_every_statement_stands_in_the_table_once() -> None:
    assert len({statement.id for statement in STATEMENTS}) == len(STATEMENTS)
    assert len({statement.sentence for statement in STATEMENTS}) == len(STATEMENTS)


def test_no_test_of_a_statement_is_skipped_or_expected_to_fail() -> None:
    for file in HERE.parent.glob("test_*.py"):
        if file != HERE:
            text = file.read_text()
            assert not any(word in text for word in ("mark.skip", "pytest.skip", "xfail", "importorskip")), file.name
