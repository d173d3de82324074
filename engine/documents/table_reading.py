"""Reads the rows of a file in an evaluator process, whatever the file would cost to read.

read = await read_rows_apart(content, "prices.csv", most_rows=100_000, apart=sandbox.read_file)   # as JSON texts
tables = await read_sheets_apart(FileContent(...), apart=sandbox.read_file)                   # of an Excel file
parts = await read_row_texts_apart(content, "prices.csv", apart=sandbox.read_file)                # as plain texts
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

from msgspec import Struct

from engine.core.errors import Invalid
from engine.documents.reading import Apart, Content, failure_of, family_of, read_document
from engine.flow.node_context import NodeFailed
from engine.table_files.table import Names, Table

Json = Any

_FAMILY: Final = "csv"
#: The limits of the process (`engine.sandbox.limits`) as sentences name them.
_LIMITS: Final = {"seconds": "30", "most_memory": "1 GB"}


class RowTexts(Struct, frozen=True):
    """The rows of a file as JSON texts, with their columns in order. `form`, `has_names`: as in `Table`."""

    columns: tuple[str, ...]
    texts: tuple[str, ...]
    form: str
    has_names: bool


async def read_rows_apart(
    content: bytes, name: str, *, names: Names = "auto", most_rows: int, apart: Apart
) -> RowTexts:
    """Returns the rows of a file. Raises Invalid with what is wrong, with the number of the line."""
    arguments = {"name": name[-300:], "names": names, "most_rows": most_rows}
    answer, texts = await apart(_FAMILY, "rows", arguments, content)
    if answer.get("wrong") == "table_wrong":
        raise Invalid(str(answer["facts"]["detail"]), remedy=str(answer["facts"]["hint"]))
    try:
        value = _value_of(answer, name)
        columns = _checked(value.get("columns"), str, name)
        rows = tuple(_split(value, texts, name))
    except NodeFailed as failed:
        raise Invalid(_without_remedy(failed), remedy="Split the file, or leave out what is not needed.") from None
    return RowTexts(tuple(columns), rows, str(value.get("form"))[:200], bool(value.get("has_names")))


def is_office_file(content: Content) -> bool:
    """True for what `read_sheets_apart` reads, and for other files of office programs, by the first bytes."""
    return family_of(content) in {"zip", "ole"}


async def read_sheets_apart(content: Content, *, apart: Apart) -> list[Table]:
    """Returns the sheets with content of an Excel or OpenDocument file, at least one. Raises Invalid, also when the file
    has more than is read of a document.
    """
    save_as = "Open it in your spreadsheet, save the sheet as CSV, and use that."
    try:
        read = await read_document(content, as_="tables", apart=apart)
    except NodeFailed as failed:
        raise Invalid(_without_remedy(failed), remedy=save_as) from None
    if "sheet" not in read["media_type"] and "excel" not in read["media_type"]:
        raise Invalid(f"“{content.name[:80]}” is no table of Excel or OpenDocument", remedy=save_as)
    if read["truncated"]:
        raise Invalid(f"“{content.name[:80]}” is too large to be read. {read['notes'][-1]}".rstrip("."), remedy=save_as)
    return [Table(tuple(one["columns"]), tuple(one["rows"]), f"sheet “{one['title'][:60]}”") for one in read["tables"]]


async def read_row_texts_apart(content: bytes, name: str, *, apart: Apart) -> tuple[tuple[str, str], ...]:
    """Returns (place, text) of each row of a file; a JSON file that is no table is one text. Raises NodeFailed."""
    answer, texts = await apart(_FAMILY, "row texts", {"name": name[-300:]}, content)
    value = _value_of(answer, name)
    if not value.get("is_table"):
        return tuple(("", text) for text in _split(value, texts, name))
    first = 0 if value.get("first_row") == 0 else 1  # a JSON object may have a text before its rows
    return tuple((f"row {at}" if at else "", text) for at, text in enumerate(_split(value, texts, name), first))


def _without_remedy(failed: NodeFailed) -> str:
    return " ".join(filter(None, (failed.message, failed.why))).rstrip(".")


def _value_of(answer: dict[str, Json], name: str) -> dict[str, Json]:
    if "wrong" not in answer:
        return answer["value"]
    facts = {**_LIMITS, **answer["facts"]}
    if "detail" in facts:
        facts["detail"] = f"{facts['detail']}."
    raise failure_of(answer["wrong"], name, facts)


def _split(value: dict[str, Json], texts: bytes, name: str) -> Iterator[str]:
    sizes = _checked(value.get("sizes"), int, name)
    if any(size < 0 for size in sizes) or sum(sizes) != len(texts):
        raise failure_of("ended", name, _LIMITS)
    for begin, end in pairwise(accumulate(sizes, initial=0)):
        yield texts[begin:end].decode("utf-8", "replace")


def _checked(value: Json, kind: type, name: str) -> Sequence[Any]:
    """Returns the answer of the process, which is not trusted, when it is a list of such values."""
    if isinstance(value, list) and all(type(one) is kind for one in value):
        return value
    raise failure_of("ended", name, _LIMITS)
