"""The product's source files as syntax trees, each parsed once per process, for the tests that search all of them."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("api", "engine", "storage", "ui")


@functools.cache
def source_files() -> tuple[Path, ...]:
    """Returns `app.py` and the path of every module of the product, sorted."""
    return (ROOT / "app.py", *sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")))


@functools.cache
def parsed(path: Path) -> ast.Module:
    """Returns the syntax tree of a file. It is cached, so callers must not change it."""
    return ast.parse(path.read_text())


@functools.cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Returns every node of a file's syntax tree. It is cached, because walking a tree takes longer than parsing it."""
    return tuple(ast.walk(parsed(path)))
