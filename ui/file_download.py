"""A file that is written while it is sent, under a name of our own; nothing keeps it on the way (security.md S30)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from starlette.responses import StreamingResponse

from engine.core.clock import Millis
from ui.access_guard import NO_STORE

CSV = "text/csv; charset=utf-8"


def sent_file(name: str, pieces: AsyncIterator[str], media_type: str = CSV) -> StreamingResponse:
    """The answer. `name` must be safe in a header: no word of a person stands in it as they wrote it."""
    headers = {
        **NO_STORE,
        "content-disposition": f'attachment; filename="{name}"',
        "x-content-type-options": "nosniff",
    }
    return StreamingResponse(pieces, media_type=media_type, headers=headers)


def csv_named(kind: str, now: Millis) -> str:
    """`jobs-2026-05-04-0930.csv`, in UTC."""
    return f"{kind}-{datetime.fromtimestamp(now / 1000, UTC):%Y-%m-%d-%H%M}.csv"
