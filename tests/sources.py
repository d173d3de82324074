"""The product's source files as syntax trees, each parsed once per process: several tests look through all of them."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("api", "engine", "storage", "ui")


@functools.cache
def source_files() -> tuple[Path, ...]:
    """`app.py` and every module of the product, in order."""
    return (ROOT / "app.py", *sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")))


@functools.cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file; callers do not change it."""
    return ast.parse(path.read_text())


@functools.cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a file's syntax tree: walking it anew takes longer than parsing."""
    return tuple(ast.walk(parsed(path)))
