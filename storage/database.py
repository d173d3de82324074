"""The database: one writer thread with group commit, a few readers, and the migrations that made the tables.

A read or a write is a plain function on a SQLAlchemy `Session`, given to `read` or `write`:

    flows = await database.read(list_flows, workspace_id)
    await database.write(deploy, principal, flow_id)       # one verb, one transaction; refusing rolls it back

Writes of one moment share a transaction, each in a savepoint, and are answered after the COMMIT reached the disk
(`synchronous=FULL`). `now(session)` is the time of the transaction, from the clock the database was opened with.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from engine.clock import Clock, Millis, SystemClock
from engine.errors import StorageUnavailable

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

BUSY_SECONDS = 10
MAX_BATCH = 256
READERS = 4


def now(session: Session) -> Millis:
    """The time of this transaction."""
    return session.info["now"]


def after_commit(session: Session, notice: Callable[[], None]) -> None:
    """Calls `notice` once this transaction is on disk, never when it was rolled back. It must be quick."""
    session.info["after_commit"].append(notice)


@dataclass
class _Write:
    """One function waiting for the writer."""

    work: Callable[[Session], Any]
    done: Future[Any] = field(default_factory=Future)


class Database:
    """An open data folder's database. Make one per process with `open_database` and `close` it."""

    def __init__(self, url: str, clock: Clock) -> None:
        self.url = url
        self.clock = clock
        #: Handed to every verb of this process as `session.info`: the bell that tells workers and waiting readers.
        self.info: dict[str, Any] = {}
        self.read_engine = make_engine(url, immediate=False)
        self.write_engine = make_engine(url, immediate=True)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self._waiting: deque[_Write] = deque()
        self._arrived = threading.Semaphore(0)
        self._closing = False
        self._writer = threading.Thread(target=self._write_for_ever, name="writer", daemon=True)
        self._writer.start()

    async def read(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a query in a reader thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: self.read_now(work, *args, **kwargs))

    def read_now(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a query in this thread: for the command line, and for look-ups by primary key."""
        with self.reading() as session:
            return work(session, *args, **kwargs)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session]:
        """A session on one consistent snapshot; writing through it fails."""
        with storage_faults(), Session(self.read_engine, expire_on_commit=False) as session:
            session.info["now"] = self.clock.now()
            yield session

    async def write(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a verb in the next transaction and answers after its commit. Raises what the verb raised.

        Cancelling the waiting task does not take the write back.
        """
        return await asyncio.shield(asyncio.wrap_future(self._submit(lambda session: work(session, *args, **kwargs))))

    def write_now(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same from a thread without an event loop."""
        return self._submit(lambda session: work(session, *args, **kwargs)).result()

    def close(self) -> None:
        """Finishes the writes that wait and closes every connection."""
        self._closing = True
        self._arrived.release()
        self._writer.join(timeout=30)
        self._readers.shutdown(wait=True)
        self.read_engine.dispose()
        self.write_engine.dispose()

    def _submit(self, work: Callable[[Session], Any]) -> Future[Any]:
        if self._closing:
            raise StorageUnavailable("The database is closing.")
        write = _Write(work)
        self._waiting.append(write)
        self._arrived.release()
        return write.done

    def _write_for_ever(self) -> None:
        while True:
            self._arrived.acquire()
            batch = []
            while self._waiting and len(batch) < MAX_BATCH:
                batch.append(self._waiting.popleft())
            for _ in range(len(batch) - 1):
                self._arrived.acquire(blocking=False)
            if batch:
                self._write_together(batch)
            elif self._closing:
                return

    def _write_together(self, batch: list[_Write]) -> None:
        """One transaction for the batch, a savepoint for each; nobody is answered before the commit."""
        answers: list[tuple[_Write, Any, BaseException | None]] = []
        notices: list[Callable[[], None]] = []
        try:
            with storage_faults(), self.write_engine.connect() as connection, connection.begin():
                answers.extend((write, *self._write_one(connection, write, notices)) for write in batch)
        except BaseException as error:  # noqa: BLE001 - every waiting caller must hear of it
            answers = [(write, None, error) for write in batch]
            notices = []
        for write, answer, error in answers:
            if write.done.set_running_or_notify_cancel():
                write.done.set_exception(error) if error else write.done.set_result(answer)
        for notice in notices:
            try:
                notice()
            except Exception:
                log.exception("A notice after a commit failed")

    def _write_one(
        self, connection: Connection, write: _Write, notices: list[Callable[[], None]]
    ) -> tuple[Any, BaseException | None]:
        mine: list[Callable[[], None]] = []
        info = {**self.info, "now": self.clock.now(), "after_commit": mine}
        try:
            with (
                Session(
                    connection, expire_on_commit=False, join_transaction_mode="create_savepoint", info=info
                ) as session,
                session.begin(),
            ):
                answer = write.work(session)
        except DBAPIError as error:
            if is_storage_fault(error):
                raise
            return None, error
        except Exception as error:  # noqa: BLE001 - handed to the caller who asked for this write
            return None, error
        notices += mine
        return answer, None


def make_engine(url: str, *, immediate: bool) -> Engine:
    """An engine whose transactions begin as we say: IMMEDIATE for the writer, deferred for readers."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=READERS + 1)
    engine = create_engine(
        url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False}, pool_size=READERS + 1
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "cache_size=-16000",
            *([] if immediate else ["query_only=ON"]),
        ):
            connection.execute(f"pragma {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def sqlite_url(data: Path) -> str:
    """The database of a data folder."""
    return f"sqlite:///{data / 'flowport.db'}"


def is_storage_fault(error: DBAPIError) -> bool:
    """True when the disk or the lock is at fault, not the statement."""
    said = str(error.orig).lower()
    signs = (
        "disk is full",
        "disk i/o",
        "readonly",
        "read-only",
        "unable to open",
        "locked",
        "malformed",
        "not a database",
        "no such savepoint",  # a full disk makes SQLite roll everything back, savepoints too
    )
    return isinstance(error, OperationalError) and any(sign in said for sign in signs)


@contextlib.contextmanager
def storage_faults() -> Iterator[None]:
    """Turns a fault of the disk into the refusal that says so."""
    try:
        yield
    except DBAPIError as error:
        if is_storage_fault(error):
            raise StorageUnavailable(f"The database said: {_first_fault(error).orig}") from error
        raise


def _first_fault(error: DBAPIError) -> DBAPIError:
    """What went wrong first: rolling back after a full disk fails too."""
    first = error
    earlier = error.__context__
    while earlier is not None:
        if isinstance(earlier, DBAPIError):
            first = earlier
        earlier = earlier.__context__
    return first


def open_database(data: Path, *, clock: Clock | None = None, url: str | None = None) -> Database:
    """Opens a data folder's database; makes and migrates it first, under a lock, when that is due."""
    from storage.migrations.upgrade import upgrade

    data.mkdir(parents=True, exist_ok=True)
    target = url or sqlite_url(data)
    upgrade(target, data)
    return Database(target, clock or SystemClock())
