"""Refuses to move what is in use, and keeps servers away from a data folder meanwhile."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from engine.core.errors import InUse
from engine.jobs.worker_locks import SERVE, run_folder

_REMEDY = "Stop {}: what is written during the move would be missing afterwards. Nothing was changed."


@contextlib.contextmanager
def nobody_in(data: Path) -> Iterator[None]:
    """Holds the lock of the server of a data folder. Raises InUse when a server or a worker uses it."""
    folder = run_folder(data)
    with contextlib.ExitStack() as held:
        if (serve := _taken(folder / SERVE, create=True)) is None:
            raise InUse(f"A server runs on the folder {data.resolve()}", remedy=_REMEDY.format("it first"))
        held.callback(os.close, serve)
        for path in sorted(folder.glob("boot_*")):
            if (one := _taken(path)) is None:
                raise InUse(
                    f"A worker (`app.py worker`) runs on the folder {data.resolve()}", remedy=_REMEDY.format("it first")
                )
            os.close(one)
        yield


def require_nobody(users: list[str], told: str) -> None:
    """Raises InUse when `users`, the processes of Flowport that have a PostgreSQL database open, are not empty."""
    if users:
        raise InUse(
            f"Flowport has {told} open: {', '.join(users[:5])}{' and others' if len(users) > 5 else ''}",
            remedy=_REMEDY.format("all servers and workers first"),
        )


def _taken(path: Path, *, create: bool = False) -> int | None:
    """Takes the lock of a file and returns its descriptor; None when another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
