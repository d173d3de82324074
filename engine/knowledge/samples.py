"""Sample collections for templates: a folder of `assets/templates/knowledge` for each, called like the collection in a
template's nodes, with a Markdown file for each document.
"""

from __future__ import annotations

from engine.core.paths import ASSETS
from engine.flow.document import Document

FOLDER = ASSETS / "templates" / "knowledge"


def sample_documents(document: Document) -> dict[str, dict[str, str]]:
    """Returns the sample documents that a template uses: collection -> title -> text.

    Names are matched against existing folders, so that a name cannot open anything outside.
    """
    folders = {path.name: path for path in FOLDER.iterdir() if path.is_dir()}
    named = {str(node.config.get("collection") or "") for node in document.nodes}
    return {
        name: {path.stem: path.read_text() for path in sorted(folders[name].glob("*.md"))}
        for name in sorted(named & folders.keys())
    }


def is_sample(collection: str) -> bool:
    """True for the name of a sample collection."""
    return any(path.name == collection for path in FOLDER.iterdir() if path.is_dir())


def sample_titles(collection: str) -> set[str]:
    """Returns the titles of the documents of a sample collection; none for another name."""
    return {path.stem for path in FOLDER.glob("*/*.md") if path.parent.name == collection}
