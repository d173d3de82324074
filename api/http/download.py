"""Sends a stored file: whole, one part of it (`Range`), or not again when the caller has it (`If-None-Match`)."""

from __future__ import annotations

import re
from email.utils import formatdate

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from api.http.job_answers import etag_matches
from api.http.problem_json import RangeNotSatisfiable
from engine.core.errors import NotFound
from engine.files.download import HeldFile, download_headers, held_file
from storage.file_bytes import FileBytes
from storage.files import FileRow

#: One range of bytes. What several ranges or another unit ask for is not sent apart (RFC 9110, 14.2).
#: Python reads numbers of up to 4,300 digits.
_ONE_RANGE = re.compile(
    r"bytes=[ \t]*(\d{1,4000})-(\d{1,4000})?[ \t]*|bytes=[ \t]*-(\d{1,4000})[ \t]*", re.ASCII | re.IGNORECASE
)


async def file_answer(request: Request, row: FileRow, files: FileBytes) -> Response:
    """Returns the answer to a download of this file: 200, 206 or 304. The bytes of a file never change.

    A range that cannot be read, several ranges, any range of an empty file, and an `If-Range` that names another ETag get
    the whole file. Raises RangeNotSatisfiable, NotFound when the bytes are gone, and StorageUnavailable.
    """
    headers = {
        **download_headers(row),
        "ETag": f'"{row.sha256[:32]}"',
        "Last-Modified": formatdate(row.created_at / 1000, usegmt=True),
    }
    if etag_matches(headers["ETag"], request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers={name: headers[name] for name in ("ETag", "Cache-Control")})
    partial = _wants_part(request, row.size, headers["ETag"])
    held = await held_file(files, row)
    if held is None:
        raise NotFound("The bytes of this file are not there any more")
    return _File(held, headers=headers, partial=partial)


def _wants_part(request: Request, size: int, etag: str) -> bool:
    """Tells whether the request asks for one part that the file has. Raises RangeNotSatisfiable."""
    sent = request.headers.getlist("range")
    found = _ONE_RANGE.fullmatch(sent[0]) if len(sent) == 1 and request.method == "GET" else None
    if found is None or not size or request.headers.get("if-range", etag) != etag:
        return False
    first, last, from_end = found.groups()
    if first is not None and last is not None and int(last) < int(first):
        return False  # no range at all, so it does not count
    if first is None and not int(from_end):
        raise RangeNotSatisfiable(size, "the last 0 of them are no part of it")
    if first is not None and int(first) >= size:
        raise RangeNotSatisfiable(size)
    return True


class _File(FileResponse):
    """Hides a `Range` that does not count from the library, which would answer it in its own way."""

    def __init__(self, held: HeldFile, *, headers: dict[str, str], partial: bool) -> None:
        after = BackgroundTask(held.give_back) if held.give_back else None
        super().__init__(held.path, headers=headers, background=after)
        self._partial = partial

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._partial:
            scope = {**scope, "headers": [one for one in scope["headers"] if one[0] != b"range"]}
        await super().__call__(scope, receive, send)
