"""The database: one writer thread with group commit, a few reader threads, and migrations.

A read or a write is a plain function on a SQLAlchemy `Session`, passed to `read` or `write`:

    flows = await database.read(list_flows, workspace_id)
    await database.write(deploy, principal, flow_id)       # one action, one transaction; an exception rolls it back

Writes that wait at the same time share a transaction, each in its own savepoint. Each is answered after the COMMIT,
which in a server is on disk then (`storage.log_sync`). A plural action takes a list: `write_joined` calls it once for
all of its items that wait at the same time, so that they share the reads, the statements and the savepoint.
`now(session)` is the time of the transaction, from the clock with which the database was opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from engine.core.clock import Clock, Millis
from engine.core.do_first import MAX_WORK, TOO_MUCH_FIRST, DoFirst
from engine.core.errors import StorageUnavailable, Unavailable
from engine.core.shared_places import CURRENT_WORKSPACE, SharedPlaces
from storage.engines import READERS, as_fault, driver_of, is_storage_fault, make_engine, storage_faults
from storage.file_bytes import FILE_BYTES, FILES_FOLDER, FileBytes
from storage.log_sync import LogSync
from storage.queue import TURNS, Turns
from storage.span_guard import SPAN_GUARD, SpanGuard
from storage.sqlite_file import file_of
from storage.statements import DRIVER

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")

#: A function on a session and some items. Returns, for each item in order, its answer or the error that it raises.
PluralAction = Callable[[Session, Sequence[Item]], Sequence[T | Exception]]
#: A function on a session that only reads. Returns an answer for each item, in order.
PluralQuery = Callable[[Session, Sequence[Item]], Sequence[T]]

MAX_BATCH = 256


def now(session: Session) -> Millis:
    """Returns the time of this transaction, in milliseconds since 1970."""
    return session.info["now"]


def after_commit(session: Session, notice: Callable[..., None], *subject: Any) -> None:
    """Calls `notice` once this transaction is on disk, and never when it was rolled back. `notice` must be fast.

    Writes that share a transaction share a call: `notice` gets the `subject` arguments of all of them, each once.
    """
    session.info["after_commit"].append((notice, subject))


Notice = tuple[Callable[..., None], tuple[Any, ...]]


#: The key in `session.info` of a write for the `write_now` of its database, for the work of a DoFirst.
WRITE_NOW = "write_now"


@dataclass(slots=True)
class Write:
    """One function that waits for the writer. `loop` None: a thread waits for the answer. `joined`: `work` is a plural
    action, and `args` holds one item.
    """

    work: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    done: asyncio.Future[Any] | Future[Any]
    loop: asyncio.AbstractEventLoop | None = None
    joined: bool = False


@dataclass(slots=True)
class Answer:
    write: Write
    value: Any = None
    error: BaseException | None = None

    def give(self) -> None:
        """Passes the answer to whoever waits; when nobody waits any more, the write stays committed."""
        done = self.write.done
        if done.done():
            return
        if self.error is not None:
            done.set_exception(self.error)
        else:
            done.set_result(self.value)


class Database:
    """The open database of a data folder. A process opens one with `open_database` and ends it with `close`."""

    def __init__(self, url: str, clock: Clock, *, folder: Path | None = None, durable: bool = True) -> None:
        """`folder` is the data folder; by default the one in which the SQLite file lies. `durable`: a write is answered
        when it is on disk. Otherwise it is there with the next durable write of any process, or with the next checkpoint;
        a power cut may undo the newest writes, in order, but never damages the file.
        """
        self.url = url
        #: True when the database is PostgreSQL, False for SQLite.
        self.is_postgres = not url.startswith("sqlite")
        self.clock = clock
        #: What this process hands to its writes, by name: TURNS, SPAN_GUARD, FILE_BYTES, and what others put here while they
        #: run, like NOTIFIER (`engine.jobs.notifier`) and SCHEDULER (`engine.jobs.submit.scheduled`). It is copied into
        #: `session.info` of each write; reads do not get it.
        self.info: dict[str, Any] = {TURNS: Turns(), SPAN_GUARD: SpanGuard(), WRITE_NOW: self.write_now}
        self.read_engine = make_engine(url, immediate=False)
        #: The bytes of stored files, beside the database or in it; writes find them under FILE_BYTES of `session.info`.
        self.file_bytes = self._open_file_bytes((folder or file_of(url).parent) / FILES_FOLDER)
        self.info[FILE_BYTES] = self.file_bytes
        self._log_sync = LogSync(file_of(url)) if durable and not self.is_postgres else None
        self.write_engine = make_engine(url, immediate=True, durable=durable and self.is_postgres)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self._read_places = SharedPlaces(READERS - 1, of_workspace=1)
        self._looking_up = threading.local()
        #: The items of plural queries that run at the end of this turn of an event loop, and who waits for their answers.
        self._asked: dict[tuple[Any, Any], list[tuple[Any, asyncio.Future[Any]]]] = {}
        self._kept: list[Connection] = []
        self._writing: Connection | None = None
        #: The writes that wait, and None when the writer thread shall end.
        self._waiting: SimpleQueue[Write | None] = SimpleQueue()
        self._closing = False
        self._writer = threading.Thread(target=self._run_writer, name="writer", daemon=True)
        self._writer.start()

    def _open_file_bytes(self, folder: Path) -> FileBytes:
        return FileBytes(folder)

    async def read(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a query in a reader thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: self.read_now(work, *args, **kwargs))

    async def read_in_turn(
        self, workspace_id: str, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs a query that may take seconds, like a search in a million jobs, when its workspace has its turn: such queries
        leave a reader thread to all others, and those of one workspace leave another to other workspaces.

        Its place is free when it has ended, also when nobody waits for it any more. Only one event loop may call it.
        """
        before = CURRENT_WORKSPACE.set(workspace_id)
        try:
            await self._read_places.take()
        finally:
            CURRENT_WORKSPACE.reset(before)

        def give_back(read: asyncio.Task[T]) -> None:
            self._read_places.give_back(workspace_id)
            if not read.cancelled():
                read.exception()  # whoever still waits gets it; when nobody does, it is no fault

        reading = asyncio.create_task(self.read(work, *args, **kwargs))
        reading.add_done_callback(give_back)
        return await asyncio.shield(reading)

    def read_now(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a query in the calling thread: for the command line, and for queries by primary key."""
        with self.reading() as session:
            return work(session, *args, **kwargs)

    async def read_briefly(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a query by primary key from the event loop: in its thread, which is faster than a reader thread and takes a
        fraction of a millisecond; with PostgreSQL, which may be silent, in a reader thread.
        """
        return self.read_now(work, *args, **kwargs)

    def look_up(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `Statement`s that find a row by its key in the calling thread, which is faster than switching to another
        thread.

        Each statement sees what is committed when it runs. Use it for a few rows at most, since it may run on the event
        loop.
        """
        try:
            session = self._looking_up.session
        except AttributeError:
            session = self._looking_up.session = self._new_look_up_session()
        session.info["now"] = self.clock.now()
        try:
            return work(session, *args, **kwargs)
        except DBAPIError as error:
            if is_storage_fault(error):
                raise as_fault(error) from error
            raise

    async def find(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Does what `look_up` does, without holding the event loop when the database is not on this machine."""
        return self.look_up(work, *args, **kwargs)

    async def find_joined(self, work: PluralQuery[Item, T], item: Item) -> T:
        """Runs a plural query on `item` as `find` would, together with the other items that are asked for in this turn of
        the event loop.

        After a commit of another process each query reads its pages anew, so asking together costs much less.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        asked = self._asked.get((loop, work))
        if asked is None:
            asked = self._asked[loop, work] = []
            loop.call_soon(self._find_together, loop, work)
        asked.append((item, done))
        return await done

    def _find_together(self, loop: asyncio.AbstractEventLoop, work: PluralQuery[Any, Any]) -> None:
        """Answers those who asked in this turn of the event loop and still wait."""
        asked = [(item, done) for item, done in self._asked.pop((loop, work)) if not done.done()]
        if not asked:
            return
        try:
            found = self.look_up(work, [item for item, _ in asked])
        except Exception as error:  # noqa: BLE001 - raised in each of the callers, who would wait for ever
            for _, done in asked:
                done.set_exception(error)
        else:
            for (_, done), one in zip(asked, found, strict=True):
                done.set_result(one)

    def _new_look_up_session(self) -> Session:
        with storage_faults():
            connection = self.read_engine.connect()
        self._kept.append(connection)
        return Session(info={DRIVER: connection.connection.driver_connection})

    @contextlib.contextmanager
    def reading(self) -> Generator[Session]:
        """A session on one consistent snapshot; writes through it fail."""
        with storage_faults(), Session(self.read_engine, expire_on_commit=False) as session:
            session.info["now"] = self.clock.now()
            yield session

    async def write(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work` in the next transaction and answers after its commit. Raises what `work` raises.

        Cancelling the waiting task does not undo the write.
        """
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self._submit(Write(work, args, kwargs, done, loop))
        return await done

    def write_now(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Does the same from a thread without an event loop, in which the work of a DoFirst is done."""
        for _ in range(MAX_WORK):
            done: Future[Any] = Future()
            self._submit(Write(work, args, kwargs, done))
            try:
                return done.result()
            except DoFirst as first:
                first.work()
        raise Unavailable(TOO_MUCH_FIRST)

    def write_and_hand_on(
        self,
        hand_on: Callable[[T], object],
        work: Callable[Concatenate[Session, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Runs `work` as `write_now` does; it raises no DoFirst. The writer thread calls `hand_on` with the answer, before
        this thread returns: what it starts does not wait until this thread runs again. It must be fast.
        """
        done: Future[T] = Future()
        handed_on = threading.Event()

        def call(done: Future[T]) -> None:
            try:
                if done.exception() is None:
                    hand_on(done.result())
            finally:
                handed_on.set()

        done.add_done_callback(call)
        self._submit(Write(work, args, kwargs, done))
        handed_on.wait()
        return done.result()

    async def write_joined(self, work: PluralAction[Item, T], item: Item) -> T:
        """Runs a plural action on `item`, together with the other items that wait for it, and answers after the commit.

        Raises the error that the action returns for the item.
        """
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self._submit(Write(work, (item,), {}, done, loop, joined=True))
        return await done

    def write_alone(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a function of the storage layer in this thread, in a transaction that is not shared with other writes.
        It may run only `Statement`s, no actions.
        """
        with storage_faults(), self.write_engine.connect() as connection, connection.begin():
            info = {**self._info_of(connection), "now": self.clock.now()}
            with Session(connection, info=info) as session:
                done = work(session, *args, **kwargs)
        if self._log_sync is not None and (fault := self._log_sync.sync()) is not None:
            raise _not_on_disk(fault)
        return done

    @property
    def closing(self) -> bool:
        """True once no more writes are accepted."""
        return self._closing

    def close(self) -> None:
        """Finishes the writes that wait, and closes every connection."""
        self._closing = True
        self._waiting.put(None)
        self._writer.join(timeout=30)
        if self._log_sync is not None:
            self._log_sync.close()
        self._readers.shutdown(wait=True)
        for connection in self._kept:
            connection.close()
        self._close_writing_connection()
        self.file_bytes.close()
        self.read_engine.dispose()
        self.write_engine.dispose()

    def _submit(self, write: Write) -> None:
        if self._closing:
            raise StorageUnavailable("The database is closing.")
        self._waiting.put(write)

    def _run_writer(self) -> None:
        is_closing = False
        while not is_closing or not self._waiting.empty():
            batch: list[Write] = []
            while not batch or (len(batch) < MAX_BATCH and not self._waiting.empty()):
                write = self._waiting.get()
                if write is None:
                    is_closing = True
                    break
                batch.append(write)
            if batch:
                self._write_together(batch)

    def _write_together(self, batch: list[Write]) -> None:
        """Runs a batch of writes in one transaction, each in a savepoint; no caller is answered before the commit."""
        answers: list[Answer] = []
        notices: list[Notice] = []
        try:
            with storage_faults():
                connection = self._writing_connection()
                with connection.begin():
                    self._run_batch(connection, batch, answers, notices)
        except BaseException as error:  # noqa: BLE001 - passed on to every waiting caller
            self._close_writing_connection()
            self._give([Answer(write, error=error) for write in batch], [])
            return
        if self._log_sync is None:
            self._give(answers, notices)
        elif self._waiting.empty() and self._log_sync.is_idle:
            self._give_synced(answers, notices, self._log_sync.sync())  # no other write has to wait for it
        else:
            self._log_sync.after_sync(functools.partial(self._give_synced, answers, notices))

    def _give_synced(self, answers: list[Answer], notices: list[Notice], fault: OSError | None) -> None:
        """Answers writes that are on disk. When the disk refused, their callers get that error, although the writes are
        done: what a caller does not know to be kept, it may send again.
        """
        if fault is not None:
            answers = [Answer(answer.write, error=answer.error or _not_on_disk(fault)) for answer in answers]
        self._give(answers, notices)

    def _give(self, answers: list[Answer], notices: list[Notice]) -> None:
        give_all(answers, notices)

    def _run_batch(
        self, connection: Connection, batch: list[Write], answers: list[Answer], notices: list[Notice]
    ) -> None:
        """Runs writes in the open transaction of a connection; adds their answers and notices to the lists."""
        sessions = Sessions(connection, self._info_of(connection))
        for group in _groups(batch):
            answers += self._write_group(sessions, group, notices)

    def _writing_connection(self) -> Connection:
        """Returns the connection of the writer thread. It stays open, since opening one takes as long as a small write."""
        if self._writing is None:
            self._writing = self.write_engine.connect()
        return self._writing

    def _close_writing_connection(self) -> None:
        """Closes it after a fault, so that the next batch begins with a new one."""
        connection, self._writing = self._writing, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()

    def _info_of(self, connection: Connection) -> dict[str, Any]:
        return {**self.info, DRIVER: driver_of(connection)}

    def _write_group(self, sessions: Sessions, group: list[Write], notices: list[Notice]) -> list[Answer]:
        """Runs one write, or the plural action of several, in a savepoint.

        When a plural action fails as a whole, each of its items gets a savepoint of its own, so that one item cannot fail
        the others.
        """
        first = group[0]
        try:
            if not first.joined:
                return [Answer(first, self._run(sessions, first.work, first.args, first.kwargs, notices))]
            found = self._run(sessions, first.work, ([write.args[0] for write in group],), {}, notices)
        except DBAPIError as error:
            if is_storage_fault(error):
                raise
            return self._write_singly(sessions, group, notices, error)
        except Exception as error:  # noqa: BLE001 - handed to the caller who asked for this write
            return self._write_singly(sessions, group, notices, error)
        return [
            Answer(write, error=one) if isinstance(one, Exception) else Answer(write, one)
            for write, one in zip(group, found, strict=True)
        ]

    def _write_singly(
        self, sessions: Sessions, group: list[Write], notices: list[Notice], error: Exception
    ) -> list[Answer]:
        if len(group) == 1:
            return [Answer(group[0], error=error)]
        return [answer for write in group for answer in self._write_group(sessions, [write], notices)]

    def _run(
        self,
        sessions: Sessions,
        work: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        notices: list[Notice],
        /,
    ) -> Any:
        """Runs a function in its savepoint and returns its answer.

        Creating a session costs more than accepting a job, so an unused session is used again.
        """
        mine: list[Notice] = []
        session = sessions.take(self.clock.now(), mine)
        with _savepoint(sessions.connection, session.info.get(DRIVER)):
            try:
                answer = work(session, *args, **kwargs)
                if session.in_transaction():
                    session.commit()
                elif not session.identity_map:
                    sessions.give_back(session)
            finally:
                if session.in_transaction() or session.identity_map:
                    session.close()
        notices += mine
        return answer


class Sessions:
    """The sessions of one transaction.

    A session whose work only ran `Statement`s has no ORM state, so the next work uses it too.
    """

    def __init__(self, connection: Connection, info: dict[str, Any]) -> None:
        self.connection = connection
        self._info = info
        self._unused: Session | None = None

    def take(self, at: Millis, notices: list[Notice]) -> Session:
        """Returns a session without ORM state."""
        info = {**self._info, "now": at, "after_commit": notices}
        session, self._unused = self._unused, None
        if session is None:
            return Session(self.connection, expire_on_commit=False, join_transaction_mode="create_savepoint", info=info)
        session.info.clear()
        session.info.update(info)
        return session

    def give_back(self, session: Session) -> None:
        """Takes a session back that its work did not use through the ORM."""
        self._unused = session


def _not_on_disk(fault: OSError) -> StorageUnavailable:
    error = StorageUnavailable(
        f"The disk did not take a write: {fault.strerror or fault}.",
        remedy=(
            "It may have been done all the same: look before you repeat it, or repeat it with the same Idempotency-Key. "
            "If it stays, see to the disk of the server."
        ),
    )
    error.__cause__ = fault
    return error


def _groups(batch: list[Write]) -> Iterable[list[Write]]:
    """Puts the items of each plural action together, at the place of its first; every other write stays alone."""
    groups: dict[object, list[Write]] = {}
    for write in batch:
        groups.setdefault(write.work if write.joined else id(write), []).append(write)
    return groups.values()


@contextlib.contextmanager
def _savepoint(connection: Connection, driver: sqlite3.Connection | None) -> Generator[None]:
    """Runs its body in a savepoint: everything written inside is kept, or nothing."""
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


def give_all(answers: Iterable[Answer], notices: list[Notice]) -> None:
    """Passes answers on, with one wake-up of each event loop for all of its answers, and then calls the notices."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Answer]] = {}
    for answer in answers:
        if answer.write.loop is None:
            answer.give()
        else:
            by_loop.setdefault(answer.write.loop, []).append(answer)
    for loop, mine in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits any more
            loop.call_soon_threadsafe(_give_each, mine)
    _call_notices(notices)


def _give_each(answers: list[Answer]) -> None:
    for answer in answers:
        answer.give()


def _call_notices(notices: list[Notice]) -> None:
    by_notice: dict[Callable[..., None], dict[Any, None]] = {}
    for notice, subject in notices:
        by_notice.setdefault(notice, {}).update(dict.fromkeys(subject))
    for notice, subjects in by_notice.items():
        try:
            notice(*subjects)
        except Exception:
            log.exception("A notice after a commit failed")
