"""Sends a file while it is written, under a name that the server chooses, with headers that forbid caching (S30).

The pieces are read through a `Recipient`, which looks at the session and the role each time.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Collection
from datetime import UTC, datetime
from typing import Concatenate, ParamSpec, TypeVar

from msgspec import Struct
from sqlalchemy.orm import Session
from starlette.responses import StreamingResponse
from starlette.types import Send

from engine.core.clock import Millis
from engine.core.roles import Role
from storage.sessions import find_signed_in
from ui.access_guard import NO_STORE
from ui.page_session import App

log = logging.getLogger(__name__)

CSV = "text/csv; charset=utf-8"

P = ParamSpec("P")
T = TypeVar("T")


class ShutOut(Exception):
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
                raise ShutOut
            return work(session, *args, **kwargs)

        return await self.app.database.read(look)


def sent_file(name: str, pieces: AsyncIterator[str], media_type: str = CSV) -> StreamingResponse:
    """Returns the response, which breaks off when the pieces raise ShutOut: the browser says that the download failed, and
    nobody takes what came for the whole file. `name` must be safe in a header, so it contains no text that a person typed.
    """
    headers = {
        **NO_STORE,
        "content-disposition": f'attachment; filename="{name}"',
        "x-content-type-options": "nosniff",
    }
    return _FileResponse(pieces, media_type=media_type, headers=headers)


class _FileResponse(StreamingResponse):
    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except ShutOut:  # without its last message the server closes the connection in the middle of the response
            log.info("A file was not sent to its end: its reader may not have it any more")


def csv_named(kind: str, now: Millis) -> str:
    """Returns a file name with the time in UTC, for example `jobs-2026-05-04-0930.csv`."""
    return f"{kind}-{datetime.fromtimestamp(now / 1000, UTC):%Y-%m-%d-%H%M}.csv"
