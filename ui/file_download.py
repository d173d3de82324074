"""Sends a file while it is written, under a name that the server chooses, with headers that forbid caching (S30), tables as
CSV or Excel files, and files of the disk.

All look at the session and the role of their `Recipient` again while they are sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from msgspec import Struct
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from engine.backups.work_folders import work_folder
from engine.core.clock import Millis
from engine.core.errors import Unavailable
from engine.core.lone_surrogates import without_lone_surrogates
from engine.core.roles import Role
from engine.table_files.excel import EXCEL, ExcelFile
from engine.table_files.writing import MARK, csv_line
from storage.sessions import find_signed_in
from ui.access_guard import NO_STORE
from ui.kit.text import _
from ui.page_session import App, PageThreads

log = logging.getLogger(__name__)

CSV = "text/csv; charset=utf-8"
#: Pieces of a table; each is a list of rows of cells, and the first row of all holds the names of the columns.
Pieces = AsyncIterator[Sequence[Sequence[Any]]]
TableForm = Literal["csv", "xlsx"]
#: How many bytes of a file of the disk are sent, and for how long, before its recipient is looked at again.
LOOK_BYTES = 1 << 20
LOOK_SECONDS = 1.0

P = ParamSpec("P")
T = TypeVar("T")


class BrokenOff(Exception):
    """A file cannot be sent to its end; the message says why."""


class ShutOut(BrokenOff):
    """The person who was getting a file is not signed in any more, or may not have it any more."""


class Recipient(Struct, frozen=True):
    """The person who gets a file. How long that takes is up to the reader, so who it is counts again for each piece."""

    app: App
    cookie: str
    workspace_id: str
    roles: Collection[str] = frozenset(Role)

    async def read(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Returns the result of a query, which sees the same moment as the look at the session. Raises ShutOut."""

        def look(session: Session) -> T:
            person = find_signed_in(session, self.cookie)
            if person is None or person.workspace_id != self.workspace_id or person.role not in self.roles:
                raise ShutOut("its reader may not have it any more")
            return work(session, *args, **kwargs)

        return await self.app.database.read_in_turn(self.workspace_id, look)

    async def look(self) -> None:
        """Raises ShutOut when the person may not have the file any more."""
        await self.read(_nothing)


def _nothing(_session: Session) -> None:
    pass


def sent_file(name: str, pieces: AsyncIterator[str], media_type: str = CSV) -> StreamingResponse:
    """Returns the response, which breaks off when the pieces raise BrokenOff: the browser says that the download failed, and
    nobody takes what came for the whole file. `name` must be safe in a header, so it contains no text that a person typed.
    """
    return _FileResponse(_whole(pieces), media_type=media_type, headers=_headers(name))


def _headers(name: str) -> dict[str, str]:
    return {
        **NO_STORE,
        "content-disposition": f'attachment; filename="{name}"',
        "x-content-type-options": "nosniff",
    }


def form_of(request: Request) -> TableForm:
    """Returns the form of a table that the end of the address names."""
    return "xlsx" if request.url.path.endswith(".xlsx") else "csv"


def sent_table(recipient: Recipient, name: str, form: TableForm, pieces: Pieces) -> Response:
    """Returns the response with a table as a CSV or Excel file. `name`: without its ending, as in `sent_file`."""
    if form == "xlsx":
        return _ExcelResponse(recipient, f"{name}.xlsx", pieces)
    return sent_file(f"{name}.csv", _as_csv(pieces))


async def _as_csv(pieces: Pieces) -> AsyncIterator[str]:
    mark = MARK  # makes spreadsheets read the file as UTF-8
    async for rows in pieces:
        yield mark + "".join(map(csv_line, rows))
        mark = ""


class _ExcelResponse(Response):
    """Writes the file in a work folder, in threads, and sends it when it is whole."""

    def __init__(self, recipient: Recipient, name: str, pieces: Pieces) -> None:
        super().__init__()
        self._recipient, self._name, self._pieces = recipient, name, pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with work_folder(self._recipient.app.settings.data) as folder:
            path = folder / "table.xlsx"
            try:
                await self._write(path)
            except (BrokenOff, OSError) as why:
                log.info("A file was not written to its end: %s", why)
                said = _(
                    "The file was not made: its data or your access changed meanwhile, or the disk is full. Go back and "
                    "download it again."
                )
                answer: Response = PlainTextResponse(said, 409, NO_STORE)
            else:
                answer = StoredFile(self._recipient, path, headers={**_headers(self._name), "content-type": EXCEL})
            await answer(scope, receive, send)

    async def _write(self, path: Path) -> None:
        file = await self._beside(lambda: ExcelFile(path))
        try:
            async for rows in self._pieces:
                await self._beside(lambda rows=rows: file.add(rows))
        finally:
            await self._beside(file.close)

    async def _beside(self, work: Callable[[], T]) -> T:
        threads = self._recipient.app.shared(PageThreads)
        return await threads.run(self._recipient.workspace_id, self._recipient.cookie, work)


async def _whole(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    """Yields the pieces as they can be encoded: data of jobs may hold half of a character."""
    async for piece in pieces:
        yield without_lone_surrogates(piece)


class _FileResponse(StreamingResponse):
    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except BrokenOff as why:
            _broke_off(why)


class StoredFile(FileResponse):
    """Sends a file of the disk, whole or the parts that a `Range` asks for, and breaks off as `sent_file` does.

    `headers` name its type and how it is saved. `give_back` is called in a thread at the end, however that comes.
    """

    def __init__(
        self,
        recipient: Recipient,
        path: Path,
        *,
        headers: Mapping[str, str],
        give_back: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(path, headers=headers)
        self._recipient = recipient
        self._give_back = give_back

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        clock = asyncio.get_running_loop().time
        passed, looked_at = 0, clock()

        async def send_on(message: Message) -> None:
            nonlocal passed, looked_at
            if passed >= LOOK_BYTES or (passed and clock() - looked_at >= LOOK_SECONDS):
                with contextlib.suppress(Unavailable):  # a busy database ends no download: the next look tells
                    await self._recipient.look()
                passed, looked_at = 0, clock()
            passed += len(message.get("body", b""))
            await send(message)

        try:
            await super().__call__(scope, receive, send_on)
        except BrokenOff as why:
            _broke_off(why)
        finally:
            if self._give_back is not None:
                await asyncio.to_thread(self._give_back)


def _broke_off(why: BrokenOff) -> None:
    # without the last message of a response the server closes the connection in the middle of it
    log.info("A file was not sent to its end: %s", why)


def named_by_time(kind: str, now: Millis) -> str:
    """Returns a file name with the time in UTC, without an ending, for example `jobs-2026-05-04-0930`."""
    return f"{kind}-{datetime.fromtimestamp(now / 1000, UTC):%Y-%m-%d-%H%M}"
