"""Sends a file while it is written, under a name that the server chooses, with headers that forbid caching (S30)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from starlette.responses import StreamingResponse

from engine.core.clock import Millis
from ui.access_guard import NO_STORE

CSV = "text/csv; charset=utf-8"


def sent_file(name: str, pieces: AsyncIterator[str], media_type: str = CSV) -> StreamingResponse:
    """Returns the response. `name` must be safe in a header, so it contains no text that a person typed."""
    headers = {
        **NO_STORE,
        "content-disposition": f'attachment; filename="{name}"',
        "x-content-type-options": "nosniff",
    }
    return StreamingResponse(pieces, media_type=media_type, headers=headers)


def csv_named(kind: str, now: Millis) -> str:
    """Returns a file name with the time in UTC, for example `jobs-2026-05-04-0930.csv`."""
    return f"{kind}-{datetime.fromtimestamp(now / 1000, UTC):%Y-%m-%d-%H%M}.csv"
