"""Files of `flows run`: read from paths, kept in memory while the flow runs, and written beside it when a result names
them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import quote

from engine.core.error_codes import JobErrorCode
from engine.core.errors import Invalid
from engine.core.file_names import clean_file_name
from engine.core.ids import file_ids_in, new_id
from engine.core.media_types import HEAD_BYTES, TAIL_BYTES, media_type_of
from engine.flow.file_values import MAX_FILE_BYTES, FileContent, StoredFile, file_value, sent_file_id, size_in_words
from engine.flow.node_context import Json, NodeFailed


class LocalFiles:
    """Implements `engine.flow.node_context.Files` in memory."""

    def __init__(self) -> None:
        self._kept: dict[str, FileContent] = {}

    async def read(self, value: Json) -> FileContent:
        """Returns a file that this run kept. Raises NodeFailed."""
        found = self._kept.get(sent_file_id(value) or "")
        if found is None:
            raise NodeFailed(
                "This file is not there.",
                code=JobErrorCode.FILE_NOT_FOUND,
                why="`flows run` knows only the files that its own run was given or made.",
                remedy="Give the file with --file FIELD=PATH.",
            )
        return found

    async def look_up(self, value: Json) -> StoredFile:
        """Returns the same without its bytes. Raises NodeFailed."""
        found = await self.read(value)
        return StoredFile(found.name, found.media_type, found.size)

    def room(self, size: int) -> AbstractAsyncContextManager[None]:
        """All files are in memory."""
        return nullcontext()

    async def keep(self, name: str, media_type: str, content: bytes) -> Json:
        """Keeps a file until the run ends. Raises NodeFailed."""
        if len(content) > MAX_FILE_BYTES:
            raise NodeFailed(f"A file may have {size_in_words(MAX_FILE_BYTES)}.", code=JobErrorCode.FILE_NOT_TAKEN)
        clean = clean_file_name(name)
        found = media_type_of(clean, content[:HEAD_BYTES], content[-TAIL_BYTES:])
        file_id = new_id("file")
        self._kept[file_id] = FileContent(clean, found, len(content), content)
        return file_value(file_id, clean, found, len(content))

    async def note_payload(self, payload: Mapping[str, Json]) -> None:
        """Nothing is stored."""

    def write_named(self, text: str, folder: Path) -> list[Path]:
        """Writes the files that the JSON text of a result names into a folder, under new names. Returns the paths."""
        written = []
        for file_id in sorted(file_ids_in(text)):
            if (content := self._kept.get(file_id)) is None:
                continue
            path, number = folder / content.name, 1
            while path.exists():
                number += 1
                path = folder / f"{Path(content.name).stem}-{number}{Path(content.name).suffix}"
            path.write_bytes(content.content)
            written.append(path)
        return written


def with_files(payload: dict[str, Any], named: Iterable[str]) -> dict[str, Any]:
    """Returns the payload with the files that `FIELD=PATH` name, as data URLs; a field named twice gets a list.

    Raises Invalid.
    """
    for one in named:
        field, is_pair, path = one.partition("=")
        if not is_pair or not field or not path:
            raise Invalid(f"--file {one!r} is no FIELD=PATH", remedy="Write for example --file document=invoice.pdf.")
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise Invalid(f"{path} cannot be read: {error.strerror or error}") from error
        url = f"data:application/octet-stream;name={quote(Path(path).name)};base64,{base64.b64encode(content).decode()}"
        before = payload.get(field)
        payload[field] = url if before is None else [*(before if isinstance(before, list) else [before]), url]
    return payload
