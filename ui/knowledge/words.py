"""Texts about knowledge: kinds and states of sources, and counts."""

from __future__ import annotations

from storage.knowledge import CollectionLine, SourceLine
from ui.kit.text import Reader, _, number, plural

#: Kind of a source -> its name and icon.
KINDS = {
    "text": (_("Text"), "notes"),
    "file": (_("File"), "description"),
    "site": (_("Website"), "travel_explore"),
    "dataset": (_("Dataset"), "table_rows"),
    "flow": (_("Added by flows"), "schema"),
}
AGAIN = {
    "": _("Only when I ask for it"),
    "hourly": _("Every hour"),
    "daily": _("Every day"),
    "weekly": _("Every week"),
    "monthly": _("Every 30 days"),
}


def pieces_word(count: int, reader: Reader) -> str:
    """Formats the number of pieces: `1,234 pieces`."""
    return plural(count, _("piece"), _("pieces"), reader)


def search_word(collection: CollectionLine) -> str:
    """Says how a collection is searched."""
    return _("Words and meaning") if collection.model else _("Words")


def progress_word(source: SourceLine, reader: Reader) -> str:
    """Says how far the reading of a source is."""
    if source.state == "waiting":
        return _("Waiting")
    if source.stop_requested:
        return _("Stopping")
    if source.total:
        return _("Reading {done} of {total}").format(
            done=number(source.done, reader), total=number(source.total, reader)
        )
    return source.message or _("Reading")
