"""Rules for the source code that no linter checks: top-level folders, who reads the environment, forbidden names and
calls.
"""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from tests.sources import ROOT, nodes_of, parsed, source_files
from tests.tiers import MISPLACED

SOURCE = source_files()
FOLDERS = {"ui", "engine", "storage", "api", "assets", "tests", "scripts", ".ci", "docs", "deploy"}
FORBIDDEN_NAMES = {"utils", "helpers", "common", "base", "util", "helper", "misc"}


def tracked():
    answer = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(line) for line in answer.stdout.splitlines()]


@pytest.mark.process
def test_the_top_level_holds_what_it_promised():
    assert {path.parts[0] for path in tracked() if len(path.parts) > 1} <= FOLDERS


def test_every_test_stands_where_its_tier_finds_it(request):
    """A browser test stands in tests/browser, and none that starts a process in a folder of NO_PROCESS (tests/tiers.py)."""
    assert request.config.stash[MISPLACED] == []


def test_no_module_is_called_after_nothing():
    assert [path for path in SOURCE if path.stem in FORBIDDEN_NAMES] == []


def test_the_environment_is_read_in_app_only():
    guilty = [
        path.relative_to(ROOT).as_posix()
        for path in SOURCE
        for node in nodes_of(path)
        if path.name != "app.py" and isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    ]
    assert guilty == []


def test_every_dialog_stands_in_the_layout_of_its_page():
    """NiceGUI deletes a dialog with the element that it was opened in, and pages draw their parts again while one is open:
    it would vanish with what is typed in it. The frame of a page is drawn once.
    """
    guilty = [
        f"{path.relative_to(ROOT).as_posix()}:{node.lineno}"
        for path in SOURCE
        if path.relative_to(ROOT).as_posix() not in {"ui/kit/frame.py", "ui/kit/search.py"}
        for node in nodes_of(path)
        if isinstance(node, ast.With)
        and any("ui.dialog()" in ast.unparse(item.context_expr) for item in node.items)
        and not any(ast.unparse(item.context_expr).endswith(".layout") for item in node.items)
    ]
    assert guilty == []


def test_every_module_says_what_it_is_for():
    silent = [path.relative_to(ROOT).as_posix() for path in SOURCE if not ast.get_docstring(parsed(path))]
    assert silent == []


def test_imports_are_absolute():
    guilty = [
        path.relative_to(ROOT).as_posix()
        for path in SOURCE
        for node in nodes_of(path)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert guilty == []


def test_only_the_markdown_file_hands_html_to_the_browser():
    guilty = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "ui").rglob("*.py")
        if path.name != "markdown.py" and re.search(r"\bui\.(html|markdown)\(", path.read_text())
    ]
    assert guilty == []


def test_values_are_structs():
    """A frozen dataclass takes ten times as long as a Struct to be made and filled, so it has to need what a Struct lacks:
    `cached_property`, a field that is left out of repr or of comparisons, or a base that is no Struct.
    """
    guilty = [
        f"{path.relative_to(ROOT).as_posix()}: {node.name}"
        for path in SOURCE
        for node in nodes_of(path)
        if isinstance(node, ast.ClassDef)
        and any("frozen=True" in ast.unparse(one) for one in node.decorator_list)
        and not re.search(r"cached_property|\b(repr|compare|hash|init)=", ast.unparse(node))
        and not node.bases
    ]
    assert guilty == []
