"""Finds out whether PostgreSQL answers at all. A server that is suspended, or behind a network that is cut, refuses
nothing: whoever asks it waits, and a slow query looks the same. So a thread asks for nothing, every second.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Final

import psycopg

from storage.postgres.connections import connect_directly

#: The interval of questions, and how long an answer may take.
ASK_SECONDS: Final = 1.0
SILENT_SECONDS: Final = 3.0


class Pulse:
    """Asks from `start` until `close`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._asked: float | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; it does not wait for an answer."""
        self._ending.set()

    @property
    def silent(self) -> bool:
        """True when a question has had no answer for too long."""
        asked = self._asked
        return asked is not None and time.monotonic() - asked > SILENT_SECONDS

    def _run(self) -> None:
        connection: psycopg.Connection | None = None
        while not self._ending.wait(ASK_SECONDS):
            if self._asked is None:
                self._asked = time.monotonic()
            begun = time.monotonic()
            try:
                connection = connection or connect_directly(self._url)
                connection.execute("select 1")
            except (psycopg.Error, OSError):  # OSError: this process is out of descriptors
                if connection is not None:
                    with contextlib.suppress(psycopg.Error, OSError):
                        connection.close()
                    connection = None
                if time.monotonic() - begun >= ASK_SECONDS:
                    continue  # it gave up waiting
            self._asked = None  # an answer, or a refusal, which others get at once too
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                connection.close()
