"""Small datasets that templates bring along: `assets/templates/datasets/NAME.csv`, named as a template's nodes name them."""

from __future__ import annotations

from engine.core.paths import ASSETS
from engine.flow.document import Document
from engine.table_files.reading import read_table
from engine.table_files.table import Table

FOLDER = ASSETS / "templates" / "datasets"


def sample_tables(document: Document) -> dict[str, Table]:
    """The samples that a template names, by the dataset's name. Only files that are there are ever opened."""
    files = {path.stem: path for path in FOLDER.glob("*.csv")}
    named = {str(node.config.get("dataset") or "") for node in document.nodes}
    return {name: read_table(files[name].read_bytes(), files[name].name) for name in sorted(named & files.keys())}
