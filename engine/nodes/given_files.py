"""The files that an input holds: one file value, a list of them, or none. Used by nodes that send files to a model."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import Field, JsonValue

from engine.core.redaction import cut
from engine.flow.file_values import FileContent, is_file_value, sent_file_id
from engine.flow.node_context import Json, NodeContext, NodeFailed
from engine.models.media import check_count, check_size

#: The field `files` of a node's Inputs.
FILES: Any = Field(
    default=None,
    title="Files",
    description="What the model looks at: a picture, PDF, sound or document, or a list of them. Optional.",
)


@asynccontextmanager
async def files_of(value: JsonValue, context: NodeContext) -> AsyncGenerator[tuple[FileContent, ...]]:
    """Gives the files with their bytes, for which there is room in memory until the end; a file that is named several times
    is there once. Raises NodeFailed, which says what the value is when it holds none.
    """
    if value is None or value == "":
        yield ()
        return
    values = value if isinstance(value, list) else [value]
    found = [one for one in values if one is not None]
    for one in found:
        if not is_file_value(one):
            raise NodeFailed(
                "Files takes a file, or a list of files.",
                why=f"What came in this run is {_in_words(one)}.",
                remedy="Choose data that is a file, like a field of the type File of API Input.",
                pointer="/inputs/files",
            )
    check_count(len(found))  # before any of them is read into memory
    named = {sent_file_id(one): one for one in found}
    size = sum([(await context.files.look_up(one)).size for one in named.values()])
    check_size(size)
    async with context.files.room(size):
        read = {file_id: await context.files.read(one) for file_id, one in named.items()}
        yield tuple(read[sent_file_id(one)] for one in found)


def _in_words(value: Json) -> str:
    if isinstance(value, str):
        return f"the text “{cut(value, 61, mark='…')}”"
    if isinstance(value, bool):
        return "yes or no"
    if isinstance(value, int | float):
        return "a number"
    return "a list in a list" if isinstance(value, list) else "a group of data that is no file"
