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
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from engine.core.clock import Clock, Millis, SystemClock
from engine.core.errors import StorageUnavailable
from storage.engines import READERS, is_storage_fault, make_engine, sqlite_url, storage_faults
from storage.private import make_private
from storage.statements import DRIVER

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

MAX_BATCH = 256


def now(session: Session) -> Millis:
    """The time of this transaction."""
    return session.info["now"]


def after_commit(session: Session, notice: Callable[..., None], *subject: Any) -> None:
    """Calls `notice` once this transaction is on disk, never when it was rolled back. It must be quick.

    Verbs that share a transaction share a call: `notice` gets the subjects of all of them, each once.
    """
    session.info["after_commit"].append((notice, subject))


_Notice = tuple[Callable[..., None], tuple[Any, ...]]


@dataclass(slots=True)
class _Write:
    """One function waiting for the writer. `loop` None: a thread waits."""

    work: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    done: asyncio.Future[Any] | Future[Any]
    loop: asyncio.AbstractEventLoop | None = None


@dataclass(slots=True)
class _Answer:
    write: _Write
    value: Any = None
    error: BaseException | None = None

    def give(self) -> None:
        """To whoever waits; somebody who went away does not take the write back."""
        done = self.write.done
        if done.done():
            return
        if self.error is not None:
            done.set_exception(self.error)
        else:
            done.set_result(self.value)


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
        self._looking_up = threading.local()
        self._kept: list[Connection] = []
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

    def look_up(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A query of `Statement`s that find a row by its key, in this thread: quicker than the way to another one.

        Each statement sees what is committed at its own moment. Never for more than a few rows: it may be the event loop.
        """
        if not self.url.startswith("sqlite"):
            return self.read_now(work, *args, **kwargs)
        session = getattr(self._looking_up, "session", None)
        with storage_faults():
            if session is None:
                connection = self.read_engine.connect()
                self._kept.append(connection)
                driver = connection.connection.driver_connection
                session = self._looking_up.session = Session(info={DRIVER: driver})
            session.info["now"] = self.clock.now()
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
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self._submit(_Write(work, args, kwargs, done, loop))
        return await done

    def write_now(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same from a thread without an event loop."""
        done: Future[Any] = Future()
        self._submit(_Write(work, args, kwargs, done))
        return done.result()

    @property
    def closing(self) -> bool:
        """True once nothing more is written."""
        return self._closing

    def close(self) -> None:
        """Finishes the writes that wait and closes every connection."""
        self._closing = True
        self._arrived.release()
        self._writer.join(timeout=30)
        self._readers.shutdown(wait=True)
        for connection in self._kept:
            connection.close()
        self.read_engine.dispose()
        self.write_engine.dispose()

    def _submit(self, write: _Write) -> None:
        if self._closing:
            raise StorageUnavailable("The database is closing.")
        self._waiting.append(write)
        self._arrived.release()

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
        answers: list[_Answer] = []
        notices: list[_Notice] = []
        try:
            with storage_faults(), self.write_engine.connect() as connection, connection.begin():
                sessions = _Sessions(connection, self._info_of(connection))
                answers.extend(self._write_one(sessions, write, notices) for write in batch)
        except BaseException as error:  # noqa: BLE001 - every waiting caller must hear of it
            answers = [_Answer(write, error=error) for write in batch]
            notices = []
        _give_all(answers)
        _tell(notices)

    def _info_of(self, connection: Connection) -> dict[str, Any]:
        info = dict(self.info)
        if connection.dialect.name == "sqlite":
            info[DRIVER] = connection.connection.driver_connection
        return info

    def _write_one(self, sessions: _Sessions, write: _Write, notices: list[_Notice]) -> _Answer:
        """A session costs more than a whole accept, so it begins its own savepoint only when the verb makes use of it."""
        mine: list[_Notice] = []
        session = sessions.take(self.clock.now(), mine)
        try:
            with _savepoint(sessions.connection, session.info.get(DRIVER)):
                try:
                    answer = write.work(session, *write.args, **write.kwargs)
                    if session.in_transaction():
                        session.commit()
                    elif not session.identity_map:
                        sessions.give_back(session)
                finally:
                    if session.in_transaction() or session.identity_map:
                        session.close()
        except DBAPIError as error:
            if is_storage_fault(error):
                raise
            return _Answer(write, error=error)
        except Exception as error:  # noqa: BLE001 - handed to the caller who asked for this write
            return _Answer(write, error=error)
        notices += mine
        return _Answer(write, answer)


class _Sessions:
    """The sessions of one transaction. One whose verb only ran `Statement`s was never used itself: it serves the next verb too."""

    def __init__(self, connection: Connection, info: dict[str, Any]) -> None:
        self.connection = connection
        self._info = info
        self._unused: Session | None = None

    def take(self, at: Millis, notices: list[_Notice]) -> Session:
        """A session that nobody has used."""
        info = {**self._info, "now": at, "after_commit": notices}
        session, self._unused = self._unused, None
        if session is None:
            return Session(self.connection, expire_on_commit=False, join_transaction_mode="create_savepoint", info=info)
        session.info.clear()
        session.info.update(info)
        return session

    def give_back(self, session: Session) -> None:
        """A session that its verb did not use."""
        self._unused = session


@contextlib.contextmanager
def _savepoint(connection: Connection, driver: sqlite3.Connection | None) -> Iterator[None]:
    """What is written inside is kept as a whole or not at all."""
    run = connection.exec_driver_sql if driver is None else driver.execute
    try:
        run("savepoint verb")
        try:
            yield
        except BaseException:
            run("rollback to verb")
            run("release verb")
            raise
        run("release verb")
    except sqlite3.Error as error:
        raise DBAPIError.instance("savepoint", None, error, sqlite3.Error) from error


def _give_all(answers: Iterable[_Answer]) -> None:
    """Each loop is woken once for all of its answers."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Answer]] = {}
    for answer in answers:
        if answer.write.loop is None:
            answer.give()
        else:
            by_loop.setdefault(answer.write.loop, []).append(answer)
    for loop, mine in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop has ended, nobody waits any more
            loop.call_soon_threadsafe(_give_each, mine)


def _give_each(answers: list[_Answer]) -> None:
    for answer in answers:
        answer.give()


def _tell(notices: list[_Notice]) -> None:
    by_notice: dict[Callable[..., None], dict[Any, None]] = {}
    for notice, subject in notices:
        by_notice.setdefault(notice, {}).update(dict.fromkeys(subject))
    for notice, subjects in by_notice.items():
        try:
            notice(*subjects)
        except Exception:
            log.exception("A notice after a commit failed")


def open_database(data: Path, *, clock: Clock | None = None, url: str | None = None) -> Database:
    """Opens a data folder's database; makes and migrates it first, under a lock, when that is due."""
    from storage.migrations.upgrade import upgrade

    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_private(data)
    target = url or sqlite_url(data)
    upgrade(target, data)
    make_private(data)
    return Database(target, clock or SystemClock())
