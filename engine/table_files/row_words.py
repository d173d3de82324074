"""Rows as text, for searching and for models."""

from __future__ import annotations

from typing import Any

from engine.table_files.table import Row


def row_text(row: Row) -> str:
    """Returns a row as text: a line for each column with a value."""
    return "\n".join(f"{name}: {words}" for name, value in row.items() if (words := as_words(value)))


def as_words(value: Any) -> str:
    """Returns a value as text, without the signs of JSON."""
    match value:
        case None:
            return ""
        case str():
            return " ".join(value.split()) if "\n" not in value else value.strip()
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(filter(None, map(as_words, value)))
        case dict():
            return ", ".join(f"{name} {words}" for name, one in value.items() if (words := as_words(one)))
    return str(value)
