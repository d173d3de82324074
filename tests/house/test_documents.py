"""The documents for developers name files, rules and pages that exist."""

import re
from pathlib import Path

import pytest

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
PROMISES = (ROOT / "docs" / "dev" / "promises.md").read_text(encoding="utf-8")
RULES = {code for row in re.findall(r"^\| ([\w, ]+) \|", PROMISES, re.MULTILINE) for code in _RULE.findall(row)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_that_a_document_names_exists(document):
    text = document.read_text(encoding="utf-8")
    missing = [path for path in _PATH.findall(text) if not (ROOT / path).exists()]
    missing += [link for link in _LINK.findall(text) if not (document.parent / link).exists()]
    assert missing == []


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
        for code in re.findall(r"\b(?:security\.md |rule |rules )?([SL]\d{1,2})\b(?=[\s,.;:)`-])", _comments(path))
        if code not in RULES
    }
    assert named == set()


def _comments(path: Path) -> str:
    """Returns the comments and docstrings of a file, approximately: string tokens with triple quotes, and comment
    tokens.
    """
    import io
    import tokenize

    source = path.read_text(encoding="utf-8")
    return "\n".join(
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and token.string.startswith('"""'))
    )
