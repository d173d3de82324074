"""Documents name files, rules and pages that exist, comments documents and rules, and help texts filters of templates."""

import ast
import functools
import io
import re
import tokenize
from pathlib import Path

import pytest

from engine.flow.template_filters import FILTERS
from engine.nodes import NODE_TYPES

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
TOP = ("api", "assets", "docs", "engine", "scripts", "storage", "tests", "ui")
#: Matches paths such as `engine/jobs/` or `api/app.py`, also when the name of a test follows.
_PATH = re.compile(rf"`((?:{'|'.join(TOP)})/[\w./*-]*)(?:::\w+)?`")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
_RULE = re.compile(r"\b([SL]\d{1,2})\b")
#: Matches the name or path of a document, but not the end of a URL.
_DOCUMENT = re.compile(r"(?<![\w./{}-])[\w-][\w./-]*\.md\b")
PROMISES = (ROOT / "docs" / "dev" / "promises.md").read_text(encoding="utf-8")
RULES = {code for row in re.findall(r"^\| ([\w, ]+) \|", PROMISES, re.MULTILINE) for code in _RULE.findall(row)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_that_a_document_names_exists(document):
    text = document.read_text(encoding="utf-8")
    missing = [path for path in _PATH.findall(text) if not (ROOT / path).exists()]
    missing += [link for link in _LINK.findall(text) if not (document.parent / link).exists()]
    assert missing == []


def test_the_example_of_style_is_code_of_this_house():
    """Each definition, as it stands."""
    (block,) = re.findall(r"```python\n(.*?)\n```", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.DOTALL)
    sources = [path.read_text("utf-8") for path in (ROOT / "engine").rglob("*.py")]
    parts = block.split("\n\n\n")
    assert len(parts) == 2
    assert [part for part in parts if not any(f"\n{part}\n\n\n" in source for source in sources)] == []


def test_the_scan_sees_paths_and_links():
    text = (
        "see `engine/nothing.py`, `tests/x/test_y.py::test_z` and [this](not/there.md), not [that](https://a.example)"
    )
    assert _PATH.findall(text) == ["engine/nothing.py", "tests/x/test_y.py"]
    assert _LINK.findall(text) == ["not/there.md"]


def test_every_rule_that_the_code_names_is_promised():
    named = {
        (code, path.relative_to(ROOT).as_posix())
        for folder in ("api", "engine", "storage", "ui")
        for path in (ROOT / folder).rglob("*.py")
        if _RULE.search(path.read_text(encoding="utf-8"))  # reading the comments of every file takes seconds
        for code in re.findall(r"\b(?:security\.md |rule |rules )?([SL]\d{1,2})\b(?=[\s,.;:)`-])", _comments(path))
        if code not in RULES
    }
    assert named == set()


SOURCES = sorted(
    [
        ROOT / "app.py",
        *(path for folder in ("api", "engine", "scripts", "storage", "ui") for path in (ROOT / folder).rglob("*.py")),
    ]
)


def test_every_document_that_a_comment_names_exists():
    documents = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS + sorted((ROOT / "assets").rglob("*.md"))]
    known = {*documents, *(name.rpartition("/")[2] for name in documents), "CHANGELOG.md"}
    missing = {
        (name, path.relative_to(ROOT).as_posix())
        for path in SOURCES
        if _DOCUMENT.search(path.read_text(encoding="utf-8"))
        for name in _DOCUMENT.findall(_comments(path))
        if name not in known
    }
    assert missing == set()


def test_the_scan_sees_names_of_documents_in_comments_only(tmp_path):
    source = tmp_path / "a.py"
    source.write_text(
        '"""As docs/dev/flows.md says (gone.md S1); not https://a.example/b.md."""\n'
        "class A:\n"
        "    'Described in one.md.'\n"
        '    text = """no_comment.md"""  # two.md\n'
    )
    assert _DOCUMENT.findall(_comments(source)) == ["two.md", "docs/dev/flows.md", "gone.md", "one.md"]


#: Matches what stands in braces of a template, and code within a line of Markdown.
_CODE = re.compile(r"\{\{ [^{}\n]*\}\}|\{% .*?%\}|(?<!`)`[^`\n]+`")
_FILTER = re.compile(r"(?<!\|)\| ?([a-z]\w*)")
_FILTER_IN_WORDS = re.compile(r"\bfilters? `([a-z]\w*)\b|`([a-z]\w*)[^`\n]*` filter\b")


def filters_in(text: str) -> set[str]:
    """Returns the names behind `|` in code, and those that stand beside the word."""
    found = [name for code in _CODE.findall(text) for name in _FILTER.findall(code)]
    return {*found, *(first or second for first, second in _FILTER_IN_WORDS.findall(text))}


def test_every_filter_that_a_text_names_exists():
    files = [*DOCUMENTS, *(path for path in sorted((ROOT / "assets").rglob("*")) if path.suffix in {".md", ".json"})]
    texts = {path.name: path.read_text(encoding="utf-8") for path in files}
    for kind in NODE_TYPES:
        fields = (*kind.config.model_fields.values(), *kind.inputs.model_fields.values())
        texts[kind.type] = "\n".join([kind.help, *(f"{one.title} {one.description}" for one in fields)])
    found = {(name, where) for where, text in texts.items() for name in filters_in(text)}

    assert {("upper", "text_template"), ("replace", "answer-from-documents.json")} <= found
    assert {(name, where) for name, where in found if name not in FILTERS} == set()


def test_the_scan_sees_filters_in_code_and_in_words():
    text = "| `a` | b |, `{{ x | one }}`, {% if y|two %}, `| three(2)`, the filter `four` and the `five(1)` filter; `a || b`"
    assert filters_in(text) == {"one", "two", "three", "four", "five"}


@functools.cache
def _comments(path: Path) -> str:
    """Returns the comments of a Python file, and then its docstrings."""
    source = path.read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    docstrings = [ast.get_docstring(node) for node in ast.walk(ast.parse(source)) if isinstance(node, documented)]
    return "\n".join([*(one.string for one in tokens if one.type == tokenize.COMMENT), *filter(None, docstrings)])
