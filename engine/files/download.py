"""The headers with which a stored file is sent. It may hold anything, so no browser may show it in our name."""

from __future__ import annotations

from urllib.parse import quote

from storage.files import FileRow


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
