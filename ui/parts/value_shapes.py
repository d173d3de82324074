"""How a value is shown to people: which texts are web addresses, pictures or Markdown, and which lists are tables.

Pure functions without NiceGUI. Every text may be hostile: it is only classified here.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engine.core.safe_markdown import MAX_FOREIGN
from engine.core.web_addresses import split_url
from engine.flow.document import Document
from engine.flow.json_values import as_number, ordered_by
from engine.table_files.writing import csv_line, csv_rows
from ui.kit.text import _

Json = Any

_LONGEST_ADDRESS = 2_000
_PICTURE_ENDS = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif")
#: The kinds of pictures that a `data:` text may hold, and how their bytes begin. SVG is left out: it may hold scripts.
_PICTURES: Mapping[str, tuple[bytes, ...]] = {
    "data:image/png;base64,": (b"\x89PNG\r\n\x1a\n",),
    "data:image/jpeg;base64,": (b"\xff\xd8\xff",),
    "data:image/gif;base64,": (b"GIF87a", b"GIF89a"),
    "data:image/webp;base64,": (b"RIFF",),
}
_LONGEST_PICTURE = 3_000_000
#: The media types of files that are shown as pictures, without SVG, and the largest such file in bytes.
_PICTURE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_LARGEST_PICTURE_FILE = 10_000_000
#: Columns of a table that are shown; the JSON has the others.
MAX_COLUMNS = 12
#: What a cell without a value holds.
_EMPTY = (None, "")
#: What the node Group and count calls its groups and how many each has.
GROUP, COUNT = "key", "count"


def web_address(text: str) -> str | None:
    """Returns the text as an address that a click may open: http or https, with a host and without a password."""
    shown = text.strip()
    if not shown.lower().startswith(("http://", "https://")) or len(shown) > _LONGEST_ADDRESS:
        return None
    if not shown.isprintable() or " " in shown or "\\" in shown:
        return None
    try:
        parts = split_url(shown)
        good = bool(parts.hostname) and parts.username is None and parts.password is None and parts.port != 0
    except ValueError:
        return None
    return shown if good else None


def is_picture_address(address: str) -> bool:
    """True when a web address ends like that of a picture."""
    return split_url(address).path.lower().endswith(_PICTURE_ENDS)


def held_picture(text: str) -> str | None:
    """Returns a `data:` text that really holds a picture; None for every other text."""
    if len(text) > _LONGEST_PICTURE or not text.startswith("data:image/"):
        return None
    kind = next((one for one in _PICTURES if text.startswith(one)), None)
    if kind is None:
        return None
    try:
        content = base64.b64decode(text[len(kind) :], validate=True)
    except (binascii.Error, ValueError):
        return None
    return text if content.startswith(_PICTURES[kind]) else None


def is_small_picture(file: Mapping[str, Json]) -> bool:
    """True when the value of a file says that it is a picture that browsers show, and not large."""
    return file["media_type"] in _PICTURE_TYPES and file["size"] <= _LARGEST_PICTURE_FILE


def is_markdown(text: str) -> bool:
    """True when a text of several lines is written in Markdown, and short enough to be rendered."""
    if len(text) > MAX_FOREIGN or "\n" not in text.strip():
        return False
    lines = [line.strip() for line in text.split("\n")]
    headings = any(line.startswith(("# ", "## ", "### ", "#### ", "```")) for line in lines)
    points = sum(line.startswith(("- ", "* ", "+ ")) or _is_numbered(line) for line in lines)
    rows = sum(line.startswith("|") and line.endswith("|") and len(line) > 2 for line in lines)
    return headings or points > 1 or rows > 1 or text.count("**") > 1 or "](http" in text


def _is_numbered(line: str) -> bool:
    number, dot, rest = line.partition(". ")
    return bool(dot and rest) and number.isdecimal() and len(number) < 4


@dataclass(frozen=True)
class ValueTable:
    """A list of groups as a table: the names of the columns in the order in which they appear, and the rows."""

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Json], ...]

    @cached_property
    def shown_columns(self) -> tuple[str, ...]:
        """The columns that are shown: those with a value in any row, or all when there is no value at all."""
        return self._filled[:MAX_COLUMNS]

    @property
    def columns_left_out(self) -> int:
        """How many columns with values are not shown, because there are too many."""
        return len(self._filled) - len(self.shown_columns)

    @cached_property
    def _filled(self) -> tuple[str, ...]:
        filled = (column for column in self.columns if any(row.get(column) not in _EMPTY for row in self.rows))
        return tuple(filled) or self.columns

    @cached_property
    def numeric_columns(self) -> frozenset[str]:
        """The shown columns in which every value is a number or missing. They are found once, not for every cell."""
        return frozenset(column for column in self.shown_columns if self._is_numeric(column))

    def _is_numeric(self, column: str) -> bool:
        values = [value for row in self.rows if (value := row.get(column)) is not None]
        return bool(values) and all(as_number(value) is not None for value in values)

    def sorted_by(self, column: str, *, descending: bool) -> ValueTable:
        """Returns the table in another order: numbers, then texts; what is missing comes last."""
        keyed = [{"by": row.get(column), "row": row} for row in self.rows]
        return ValueTable(self.columns, tuple(one["row"] for one in ordered_by(keyed, "by", descending)))

    def as_csv(self) -> str:
        """Returns the whole table as CSV, with all columns; cells that a spreadsheet would execute are marked."""
        return csv_line(self.columns) + csv_rows(self.columns, self.rows)


def table_of(value: Json) -> ValueTable | None:
    """Returns a list of groups as a table; None for other values and for groups without fields."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return None
    if not all(isinstance(item, Mapping) for item in value):
        return None
    columns = tuple(dict.fromkeys(str(name) for item in value for name in item))
    return ValueTable(columns, tuple(value)) if columns else None


def names_of_groups(document: Document) -> dict[str, str]:
    """The name that people know for the column `key` of a count: the field by which the flow groups.

    Empty when the flow counts by several fields, since a result does not say which of its tables came from which step.
    """
    fields = {str(node.config.get("by") or "").strip() for node in document.nodes if node.type == "group_count"}
    named = {field.rpartition(".")[2] for field in fields} - {""}
    return {GROUP: named.pop()} if len(named) == 1 == len(fields) else {}


def in_words(value: Json) -> str:
    """Returns a plain value as people read it: texts as they are, Yes and No, numbers as in the JSON, lists in a line."""
    match value:
        case str():
            return value
        case bool():
            return _("Yes") if value else _("No")
        case None:
            return ""
        case list() if all(not isinstance(item, list | dict) for item in value):
            return ", ".join(in_words(item) for item in value)
    return json.dumps(value, ensure_ascii=False)
