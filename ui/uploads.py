"""Takes the file of an upload element: from the page's own session only, one file, no larger than the element says.

NiceGUI's route reads whatever is posted and leaves the size to the browser. Here a file that is announced as too large is refused
unread, and one that turns out to be is read no further.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator

from nicegui import ui
from nicegui.elements.upload_files import create_file_upload
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope

from ui.page_sessions import page_of

PREFIX = "/_nicegui/client/"
#: What stands around the file: boundaries, its name, its headers.
MAX_AROUND = 16 * 1024
MAX_PART_HEAD = 8 * 1024
#: Between two pieces of a file, and for all of it.
PIECE_SECONDS, FILE_SECONDS = 30.0, 600.0
_PATH = re.compile(re.escape(PREFIX) + r"([0-9a-f-]{36})/upload/(\d{1,9})")
_NO_STORE = {"cache-control": "no-store"}


class _FileTooLarge(Exception):  # noqa: N818 - an answer, not a fault
    """More came than the element takes."""


async def take_upload(scope: Scope, receive: Receive, cookie: str) -> Response:
    """The answer to a request under `PREFIX`, from a session that was found valid."""
    element = _element(scope["path"], cookie)
    if element is None:
        return _said(404, "There is no such page, or it is closed. Open it again and choose the file there.")
    if scope["method"] != "POST":
        return _said(405, "A file is posted here.", allow="POST")
    if element.is_ignoring_events:
        return _said(403, "This page takes no file at the moment.")
    most = element.props["max-file-size"]
    request = Request(scope, receive)
    try:
        async with asyncio.timeout(FILE_SECONDS):
            file = await _read(request, most)
    except _FileTooLarge:
        return _said(413, f"The file is larger than {most} bytes, which is all this page takes. Choose a smaller one.")
    except MultiPartException as error:
        return _said(400, f"What was sent is no file of a form: {error.message}")
    except TimeoutError:
        return _said(408, "The file came too slowly. Send it again over a better connection.")
    if file is None:
        return _said(400, "No file was sent.")
    if page_of(element.client.id, cookie) is not None and not element.is_deleted:  # it may be closed by now
        await element.handle_uploads([await create_file_upload(file)])
    return JSONResponse({"upload": "success"}, headers=_NO_STORE)


def _element(path: str, cookie: str) -> ui.upload | None:
    match = _PATH.fullmatch(path)
    client = page_of(match[1], cookie) if match else None
    element = client.elements.get(int(match[2])) if client and match else None
    return element if isinstance(element, ui.upload) else None


async def _read(request: Request, most: int) -> UploadFile | None:
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most + MAX_AROUND:
        raise _FileTooLarge
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise MultiPartException("it must be multipart/form-data.")
    form = await _OneFile(request.headers, _pieces(request, most + MAX_AROUND)).parse()
    file = next((value for value in form.values() if isinstance(value, UploadFile)), None)
    if file is not None and (file.size or 0) > most:
        await file.close()
        raise _FileTooLarge
    return file


async def _pieces(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    size, stream = 0, request.stream()
    while True:
        async with asyncio.timeout(PIECE_SECONDS):
            piece = await anext(stream, None)
        if piece is None:
            return
        size += len(piece)
        if size > most:
            raise _FileTooLarge
        yield piece


class _OneFile(MultiPartParser):
    """One file, nothing beside it, and a head of a usual size: a million short headers would become a million objects."""

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes, None]) -> None:
        super().__init__(headers, stream, max_files=1, max_fields=0)
        self._head = 0

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        super().on_header_field(data, start, end)

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        super().on_header_value(data, start, end)

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > MAX_PART_HEAD:
            raise MultiPartException("its headers are too long.")


def _said(status: int, text: str, **headers: str) -> Response:
    return PlainTextResponse(text, status, headers={**_NO_STORE, **headers})
