"""What became of a write transaction whose COMMIT got no answer.

Each process that writes has a row in `write_marks`. Every transaction of it that changes something puts its own number
there, together with COMMIT. So the row says which transaction was the last that is stored, whatever happens to the server:
the number that PostgreSQL itself gives a transaction cannot say it, since a server that crashes gives numbers again that
had not reached its log.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable
from typing import Final, Literal

from msgspec import Struct

from storage.postgres.connections import WRITE_LOCK, Began, connect_directly
from storage.postgres.pipelining import PipedDriver

#: What became of a transaction; `unknown`: the server does not tell in time.
Outcome = Literal["committed", "aborted", "unknown"]
#: How long a transaction whose connection was lost may take to end by itself, in seconds.
_PATIENCE_SECONDS: Final = 0.2
#: The seconds between two looks whether it has ended.
_PAUSE_SECONDS: Final = 0.05
#: A process that has not written for so long asks for no mark any more, in milliseconds.
_KEPT_MS: Final = 24 * 3_600_000

#: A transaction that changed nothing has no number of PostgreSQL, needs no mark and does not wait for the disk: it may be
#: run again.
_MARK: Final = """
    insert into write_marks (writer, number, at) select :writer, :number, :at
     where pg_current_xact_id_if_assigned() is not null
        on conflict (writer) do update set number = excluded.number, at = excluded.at
"""
_FORGET: Final = "delete from write_marks where at < :at"
#: Whether the process of a transaction still holds the lock of writers; it gives it back after the commit can be seen. Of a
#: process that a pooler uses for others, too, the time says whose transaction it is, if the server notes times.
_IS_OPEN: Final = f"""
    select 1 from pg_locks held left join pg_stat_activity process on process.pid = held.pid
     where held.pid = %s and held.granted and held.locktype = 'advisory'
       and (held.classid, held.objid, held.objsubid) = {(*WRITE_LOCK, 2)}
       and held.database = (select oid from pg_database where datname = current_database())
       and coalesce(extract(epoch from process.xact_start)::text, %s) = %s
"""  # noqa: S608 - no outside text
_END: Final = """
    select pg_terminate_backend(pid) from pg_stat_activity
     where pid = %s and usename = current_user and extract(epoch from xact_start)::text = %s
"""
_STORED: Final = "select number from write_marks where writer = %s"


class Mark(Struct, frozen=True):
    """A transaction that ends: its number among those of its writer, 0 if it changes nothing, and how the server knows it."""

    writer: str
    number: int
    began: Began


class Marks:
    """The marks of a writer, whose transactions follow each other."""

    def __init__(self) -> None:
        self._writer = secrets.token_hex(12)
        self._number = 0

    def put(self, piped: PipedDriver, began: Began) -> Mark:
        """Adds the mark to the last statements of a transaction, if it may change something. The first one of a process also
        removes the marks of processes that are gone.
        """
        if not piped.may_change:
            return Mark(self._writer, 0, began)
        self._number += 1
        if self._number == 1:
            piped.execute(_FORGET, {"at": began.at - _KEPT_MS})
        piped.execute(_MARK, {"writer": self._writer, "number": self._number, "at": began.at})
        return Mark(self._writer, self._number, began)


def outcome_of(url: str, mark: Mark, *, until: Callable[[], bool]) -> Outcome:
    """Finds out on a new connection what became of a transaction. `until`: True when it is asked no longer.

    The server may not have noticed that its client is gone; it is told to, since the transaction holds the lock of all
    writers. Raises psycopg.Error.
    """
    patience = time.monotonic() + _PATIENCE_SECONDS
    with contextlib.closing(connect_directly(url)) as connection:
        pid, since = mark.began.pid, mark.began.since
        while connection.execute(_IS_OPEN.encode(), (pid, since, since)).fetchone() is not None:
            if time.monotonic() >= patience:
                connection.execute(_END, (pid, since))
            if until():
                return "unknown"
            time.sleep(_PAUSE_SECONDS)
        # a statement of its own, which sees what was stored when the transaction ended
        row = connection.execute(_STORED, (mark.writer,)).fetchone()
    return "committed" if row is not None and row[0] == mark.number else "aborted"
