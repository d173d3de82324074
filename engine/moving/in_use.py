"""Refuses to move what is in use, and keeps servers away from a data folder meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from engine.core.errors import InUse
from engine.jobs.worker_locks import servers_kept_out

_REMEDY = "Stop {}: what is written during the move would be missing afterwards. Nothing was changed."


@contextlib.contextmanager
def nobody_in(data: Path) -> Iterator[None]:
    """Holds the lock of the server of a data folder. Raises InUse when a server or a worker uses it."""
    with servers_kept_out(data) as user:
        if user:
            raise InUse(f"{user} runs on the folder {data.resolve()}", remedy=_REMEDY.format("it first"))
        yield


def require_nobody(users: list[str], told: str) -> None:
    """Raises InUse when `users`, the processes of Flowport that have a PostgreSQL database open, are not empty."""
    if users:
        raise InUse(
            f"Flowport has {told} open: {', '.join(users[:5])}{' and others' if len(users) > 5 else ''}",
            remedy=_REMEDY.format("all servers and workers first"),
        )
