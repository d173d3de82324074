"""The headers with which a stored file is sent. It may hold anything, so no browser may show it in our name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct

from storage.file_bytes import FileBytes
from storage.files import FileRow


class HeldFile(Struct, frozen=True):
    """A file on the disk that can be sent. `give_back` is called in a thread when it was sent; None: nothing to do."""

    path: Path
    give_back: Callable[[], None] | None


async def held_file(files: FileBytes, row: FileRow) -> HeldFile | None:
    """Returns the bytes of a file to send them; None when they are gone. Raises StorageUnavailable."""
    if files.in_folder:
        path = files.hold(row.sha256, row.size)
        return None if path is None else HeldFile(path, None)
    path = await asyncio.to_thread(files.hold, row.sha256, row.size)
    return None if path is None else HeldFile(path, lambda: files.give_back(path))


def download_headers(row: FileRow) -> dict[str, str]:
    """Returns the headers: saved under its name, never run, shown or cached.

    Whoever sends it adds `X-Content-Type-Options: nosniff`, as every answer of the API has it.
    """
    ascii_name = row.name.encode("ascii", "replace").decode().replace("?", "_").replace("\\", "_").replace('"', "_")
    return {
        "Content-Type": row.media_type,
        "Content-Disposition": f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(row.name, safe='')}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "private, no-store",
    }
