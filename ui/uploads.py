"""Receives the file of an upload element: one file, from the page's own session, within the size limit.

NiceGUI's route reads any request body and leaves the size limit to the browser. This one refuses a file whose declared
size is too large without reading it, and stops reading a file that exceeds the limit.
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

from ui.page_sockets import page_of

PREFIX = "/_nicegui/client/"
#: Allowance for the multipart boundaries, the file name and the headers, in bytes.
MAX_AROUND = 16 * 1024
MAX_PART_HEAD = 8 * 1024
#: Longest wait between two pieces of a file, and longest time for the whole file.
PIECE_SECONDS, FILE_SECONDS = 30.0, 600.0
_PATH = re.compile(re.escape(PREFIX) + r"([0-9a-f-]{36})/upload/(\d{1,9})")
_NO_STORE = {"cache-control": "no-store"}


class _FileTooLarge(Exception):  # it becomes a response
    """The file is larger than the element accepts."""


async def take_upload(scope: Scope, receive: Receive, cookie: str) -> Response:
    """Answers a request under `PREFIX` from a session that is valid."""
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
    if page_of(element.client.id, cookie) is not None and not element.is_deleted:  # the page may have closed it
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
    """A multipart parser that accepts one file, no other part, and headers of usual size.

    A body of a million short headers would otherwise become a million objects.
    """

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
