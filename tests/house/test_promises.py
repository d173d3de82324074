"""Every promise in `docs/dev/promises.md` names tests that exist, and at least one that `make test` runs."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

from tests.sources import nodes_of, parsed

TESTS = Path(__file__).parents[1]
TABLE = (TESTS.parent / "docs" / "dev" / "promises.md").read_text()
ROWS = re.findall(r"^\| ([\w, ]+) \| (.+) \| (`tests.+`) \|$", TABLE, re.MULTILINE)
LATE = {"slow", "chaos"}


def late_marks(nodes: list[ast.stmt] | list[ast.expr]) -> set[str]:
    return {
        node.attr
        for statement in nodes
        for node in ast.walk(statement)
        if isinstance(node, ast.Attribute) and node.attr in LATE
    }


@functools.cache
def run_by_make_test(file: Path) -> dict[str, bool]:
    """Maps the name of each test in a file to whether `make test` runs it."""
    module = parsed(file)
    marks = [
        node for node in module.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]
    for_all = late_marks(marks)
    return {
        node.name: not for_all and not late_marks(node.decorator_list)
        for node in nodes_of(file)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")
    }


def test_the_table_holds_the_rules():
    assert len(ROWS) > 30


@pytest.mark.parametrize(("rule", "promise", "shown_by"), ROWS)
def test_a_promise_is_shown_by_a_test_that_is_run(rule, promise, shown_by):
    run = []
    for named in re.findall(r"`([^`]+)`", shown_by):
        path, _, name = named.partition("::")
        file = TESTS.parent / path
        assert file.is_file(), f"{rule}: there is no {path}"
        tests = run_by_make_test(file)
        assert not name or name in tests, f"{rule}: {path} has no {name}"
        run.append(tests[name] if name else any(tests.values()))
    assert any(run), f"{rule}: only `make slow` or `make chaos` shows that: {promise}"
