"""Every page is opened by the accessibility tests (axe) and the tests with hostile texts, so that a new page is not
forgotten.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Addresses that redirect or return a file.
NO_PAGES = {"/", "/settings", "/playground", "/playground/new"}


def pages() -> set[str]:
    """Returns the addresses of all pages, read from their decorators."""
    texts = [path.read_text() for path in (ROOT / "ui").rglob("*.py")]
    return {page for text in texts for page in re.findall(r'@page_at\(\s*"([^"]+)"', text)} - NO_PAGES


def not_opened(files: str) -> list[str]:
    """Returns the pages that no address in these test files opens."""
    text = "\n".join(path.read_text() for path in (ROOT / "tests" / "browser").glob(files))
    return [
        page
        for page in sorted(pages())
        if not re.search('"' + re.sub(r"\\\{\w+\\\}", r"[^\\s?]+", re.escape(page)) + '["?]', text)
    ]


def test_every_page_has_what_holds_for_all_pages() -> None:
    """Pages are registered with `page_at`, which sets the language and replaces NiceGUI's time limit of 3 seconds
    (status 500).
    """
    bare = [path.name for path in (ROOT / "ui").rglob("*.py") if re.search(r"\bui\.page\(", path.read_text())]
    assert bare == ["page_session.py"]


def test_the_pages_are_found() -> None:
    assert pages() > {"/flows", "/flows/{flow_id}", "/jobs/{job_id}", "/playground/{flow_id}", "/settings/keys"}


@pytest.mark.parametrize("files", ["accessible/test_*.py", "test_hostile_text.py"])
def test_every_page_is_opened_by(files: str) -> None:
    assert not_opened(files) == []
