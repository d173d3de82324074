"""The files of the repository, and the product's as syntax trees, each parsed once per process, for the tests that search
all of them.
"""

from __future__ import annotations

import ast
import functools
import subprocess
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


def tracked() -> list[Path]:
    """Returns every file that git knows. It starts a process."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [path for name in listed.decode().split("\0") if name and (path := ROOT / name).is_file()]
