"""Datasets that templates bring along: `assets/templates/datasets/NAME.csv`, where NAME is the dataset name in a template's
nodes. A file that has only its header makes an empty dataset, which the flow fills.
"""

from __future__ import annotations

from pathlib import Path

from engine.core.paths import ASSETS
from engine.flow.called_flows import AGENT
from engine.flow.document import Document
from engine.table_files.reading import read_table
from engine.table_files.table import Table

FOLDER = ASSETS / "templates" / "datasets"


def sample_tables(document: Document) -> dict[str, Table]:
    """Returns the tables that a template brings along, by dataset name.

    Names are matched against existing files, so that a name cannot open a file outside the folder.
    """
    files = {path.stem: path for path in FOLDER.glob("*.csv")}
    named = {str(node.config.get("dataset") or "") for node in document.nodes}
    named |= {
        str(tool.get("dataset") or "")
        for node in document.nodes
        if node.type == AGENT
        for tool in node.config.get("tools") or ()
        if isinstance(tool, dict)
    }
    return {name: _table(files[name]) for name in sorted(named & files.keys())}


def _table(path: Path) -> Table:
    data = path.read_bytes()
    if len(lines := data.decode().splitlines()) > 1:
        return read_table(data, path.name)
    return Table(tuple(lines[0].split(",")), (), "CSV")
