"""What an evaluator process does with a CSV or JSON file whose rows are wanted one by one.

The texts go back behind each other, with the length of each, so that the other side need not build them at once.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from typing import Any

from engine.core.charsets import decode_body
from engine.core.errors import Refusal
from engine.core.lone_surrogates import whole_utf8
from engine.table_files.json_table import MAX_DEPTH, depth_over
from engine.table_files.reading import read_table
from engine.table_files.row_words import as_words, row_text
from engine.table_files.table import Table

Json = Any
#: What stands beside the rows in a JSON object is told with each of them up to so many characters, else once before them.
_LONGEST_AROUND = 300


def read_rows(arguments: Mapping[str, Json], content: bytes) -> tuple[dict[str, Json], bytes]:
    """Returns `{"value"}` with the columns, and the rows as JSON texts; or `{"wrong", "facts"}`."""
    try:
        table = read_table(content, arguments["name"], names=arguments["names"], most_rows=arguments["most_rows"])
    except Refusal as refusal:
        return _wrong(refusal)
    sizes, texts = _joined(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in table.rows)
    told = {"columns": list(table.columns), "form": table.form, "has_names": table.has_names}
    return {"value": {**told, "sizes": sizes}}, texts


def read_row_texts(arguments: Mapping[str, Json], content: bytes) -> tuple[dict[str, Json], bytes]:
    """Returns `{"value"}`, and the rows as texts for a search; a JSON file that is no table is one text. Or returns
    `{"wrong", "facts"}`.
    """
    name = arguments["name"]
    try:
        table = read_table(content, name)
    except Refusal as refusal:
        if name.lower().endswith((".csv", ".tsv")):
            return _wrong(refusal)
        sizes, texts = _joined([decode_body(content, is_page=False)])
        return {"value": {"sizes": sizes, "is_table": False}}, texts
    around = _text_around(table)
    if not around or len(around) > _LONGEST_AROUND:
        rows = itertools.chain([around] if around else [], map(row_text, table.rows))
    else:
        rows = (f"{around}\n{row_text(row)}" for row in table.rows)
    sizes, texts = _joined(rows)
    return {"value": {"sizes": sizes, "is_table": True, "first_row": len(table.rows) + 1 - len(sizes)}}, texts


def _text_around(table: Table) -> str:
    """Returns what stands beside the rows in a JSON object, as text; nothing when it is only numbers, or very deep."""
    if depth_over(table.around, MAX_DEPTH):
        return ""
    has_text = any(not isinstance(one, int | float) and as_words(one) for one in table.around.values())
    return row_text(table.around) if has_text else ""


def _wrong(refusal: Refusal) -> tuple[dict[str, Json], bytes]:
    return {"wrong": "table_wrong", "facts": {"detail": refusal.detail, "hint": refusal.remedy}}, b""


def _joined(texts: Iterable[str]) -> tuple[list[int], bytes]:
    sizes, joined = list[int](), bytearray()
    for text in texts:
        piece = whole_utf8(text)
        sizes.append(len(piece))
        joined += piece
    return sizes, bytes(joined)
