"""A page that is added is looked at by axe and with hostile texts, too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: These only lead elsewhere, or give a file.
NO_PAGES = {"/", "/settings", "/playground", "/settings/data/backups/{name}"}


def pages() -> set[str]:
    """The address of every page, as its decorator says it."""
    texts = [path.read_text() for path in (ROOT / "ui").rglob("*.py")]
    return {page for text in texts for page in re.findall(r'@page_at\(\s*"([^"]+)"', text)} - NO_PAGES


def not_opened(files: str) -> list[str]:
    """The pages that no address in these files opens."""
    text = "\n".join(path.read_text() for path in (ROOT / "tests" / "browser").glob(files))
    return [
        page
        for page in sorted(pages())
        if not re.search('"' + re.sub(r"\\\{\w+\\\}", r"[^\\s?]+", re.escape(page)) + '["?]', text)
    ]


def test_every_page_has_what_holds_for_all_pages() -> None:
    """Its language, and more time on a busy machine than the 3 seconds after which NiceGUI answers 500."""
    bare = [path.name for path in (ROOT / "ui").rglob("*.py") if re.search(r"\bui\.page\(", path.read_text())]
    assert bare == ["page_session.py"]


def test_the_pages_are_found() -> None:
    assert pages() > {"/flows", "/flows/{flow_id}", "/jobs/{job_id}", "/playground/{flow_id}", "/settings/keys"}


@pytest.mark.parametrize("files", ["accessible/test_*.py", "test_hostile_text.py"])
def test_every_page_is_opened_by(files: str) -> None:
    assert not_opened(files) == []
