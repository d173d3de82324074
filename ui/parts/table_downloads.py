"""The links to a list as a CSV and as an Excel file."""

from __future__ import annotations

from nicegui import ui

from ui.kit.parts import link_button
from ui.kit.text import _


class TableDownloads:
    """The two links. `path`: that of the CSV file; that of the Excel file differs in its ending."""

    def __init__(self, path: str, query: str) -> None:
        self.box = ui.element("div").classes("fp-row")
        with self.box:
            self._links = {
                path: link_button(_("Download CSV"), path, icon="download"),
                excel_path(path): link_button(_("Download Excel"), excel_path(path), icon="download"),
            }
        self.narrow(query)

    def narrow(self, query: str) -> None:
        """Leads to the files with these filters."""
        for path, one in self._links.items():
            one.props("download").props["href"] = path + query


def excel_path(csv_path: str) -> str:
    """Returns where the Excel file of a table is, from where its CSV file is."""
    return csv_path.removesuffix(".csv") + ".xlsx"
