"""The committed canvas bundle belongs to its sources. No Node needed: a hash says it."""

from __future__ import annotations

import re

from scripts.build_canvas import CANVAS, marked_hash, sources_hash


def test_the_bundle_was_built_from_these_sources():
    assert marked_hash() == sources_hash(), "The canvas sources have changed: run `make canvas` and commit the result."


def test_the_lock_file_names_no_registry_host():
    lock = (CANVAS / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    assert '"integrity"' in lock


def test_the_bundle_shares_the_vue_of_the_page():
    bundle = (CANVAS / "dist" / "flow_canvas.js").read_text(encoding="utf-8")
    assert re.findall(r'import\s*\{[^}]*\}\s*from\s*"([^"]+)"', bundle) == ["vue"]


def test_no_source_writes_text_as_html():
    sources = [file.read_text(encoding="utf-8") for file in (CANVAS / "src").rglob("*") if file.is_file()]
    assert not any("v-html" in text or "innerHTML" in text for text in sources)
