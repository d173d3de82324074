"""Refuses to move what is in use, or to take another key for it, and keeps servers away from a data folder meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from engine.core.errors import InUse
from engine.jobs.worker_locks import servers_kept_out

#: Why a move needs that nobody writes.
_OF_MOVE = "what is written during the move would be missing afterwards"


@contextlib.contextmanager
def nobody_in(data: Path, why: str = _OF_MOVE) -> Iterator[None]:
    """Holds the lock of the server of a data folder. Raises InUse when a server or a worker uses it. `why` nobody may, for
    the refusal.
    """
    with servers_kept_out(data) as user:
        if user:
            raise InUse(
                f"{user} runs on the folder {data.resolve()}", remedy=f"Stop it first: {why}. Nothing was changed."
            )
        yield


def require_nobody(users: list[str], told: str, why: str = _OF_MOVE) -> None:
    """Raises InUse when `users`, the processes of Flowport that have a PostgreSQL database open, are not empty. `why` as in
    `nobody_in`.
    """
    if users:
        raise InUse(
            f"Flowport has {told} open: {', '.join(users[:5])}{' and others' if len(users) > 5 else ''}",
            remedy=f"Stop all servers and workers first: {why}. Nothing was changed.",
        )
