"""The database as a process uses it when it is PostgreSQL: the time comes from the server, an answer to COMMIT that was
lost is asked for, and rows are looked up without holding the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, cast

import psycopg
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from engine.core.clock import Clock, Millis
from engine.core.errors import DatabaseAway
from storage.database import Answer, Database, Item, Notice, PluralAction, PluralQuery, Sessions, Write
from storage.engines import as_fault
from storage.file_bytes import FileBytes
from storage.postgres.commit_marks import Mark, Marks, Outcome, outcome_of
from storage.postgres.connections import (
    BEGINS_ITSELF,
    LOCK,
    Began,
    PostgresDriver,
    adapt,
    connect_directly,
    is_postgres_fault,
)
from storage.postgres.faults import as_away, is_connection_fault
from storage.postgres.file_bytes import PostgresFileBytes
from storage.postgres.libpq_statements import wire_of
from storage.postgres.message_turns import SharedTurns
from storage.postgres.pipelining import PIPED, AheadDriver, InDoubt, PipedDriver
from storage.postgres.reachability import Pulse
from storage.prefetch import PREFETCHES, Prefetch
from storage.queue import TURNS
from storage.span_guard import SPAN_GUARD
from storage.statements import DRIVER

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

#: Threads, each with a connection, that look rows up for the event loop.
LOOKERS: Final = 3
#: How long the outcome of a commit is asked for when its answer was lost, in seconds: by a server, whose callers wait, and
#: by a worker, which has nobody waiting and must not count a step twice. A worker's queries are asked as long.
ASK_SECONDS, ASK_SECONDS_OF_WORKER = 10.0, 120.0
#: How often a batch is run when its connection was lost before anything was committed.
_TRIES: Final = 3
#: The seconds between two tries to connect, in order to ask what became of a transaction.
_AGAIN_SECONDS: Final = 1.0
#: How long the thread of an event loop waits for a query, and how often a coroutine that waits looks at the pulse, in
#: seconds.
ON_LOOP_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.5
#: Reads that are prefetched name the time at which the lock was asked for. They count when it was given within so many
#: milliseconds.
_FORESEEN_MS: Final = 250
_NO_ANSWER: Final = "It does not answer"


class DatabaseClock:
    """The time of the database between its answers: the machine's wall clock is never read, so that servers whose clocks
    differ agree on leases and beats.
    """

    def __init__(self, at: int) -> None:
        self._ahead = 0.0
        self.note(at)

    def note(self, at: int) -> None:
        """Takes the time that the database has just told, in milliseconds since 1970."""
        self._ahead = at - time.monotonic() * 1_000

    def now(self) -> Millis:
        return Millis(int(time.monotonic() * 1_000 + self._ahead))

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class _Tried:
    """What became of a batch: `committed`, `aborted` because the connection was lost, `in doubt` when it must be run
    carefully, `unknown` when nobody tells what became of it, or `failed`. `error`: what all of its writes get.
    """

    outcome: str = "committed"
    error: BaseException | None = None
    answers: list[Answer] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


class PostgresDatabase(Database):
    """An open PostgreSQL database."""

    def __init__(self, url: str, clock: Clock | None, *, folder: Path, durable: bool = True) -> None:
        self._database_clock = None if clock is not None else (clock := DatabaseClock(0))
        self._ask_seconds = ASK_SECONDS if durable else ASK_SECONDS_OF_WORKER
        self._lookers = ThreadPoolExecutor(LOOKERS, thread_name_prefix="looker")
        #: Watches a server's database; a worker waits for it. None until an event loop uses the database.
        self._pulse: Pulse | None = None
        self._is_watched = durable
        self._looker = threading.local()
        self._looker_connections: list[psycopg.Connection] = []
        #: What coroutines wait for, with how it is given up; None: it was.
        self._unanswered: dict[asyncio.Future[Any], Callable[[asyncio.Future[Any]], object] | None] = {}
        #: The event loop on which a timer runs while something is unanswered.
        self._looks_on: asyncio.AbstractEventLoop | None = None
        super().__init__(url, clock, folder=folder, durable=durable)
        self._looking_ahead = Session(self.write_engine)
        self._marks = Marks()
        self.info[TURNS] = SharedTurns()
        event.listen(self.write_engine, "before_cursor_execute", _send_first)
        if self._database_clock is not None:
            with self.reading() as session:
                at: Any = session.connection().exec_driver_sql(_TIME).scalar_one()
            self._database_clock.note(at)

    def _open_file_bytes(self, folder: Path) -> FileBytes:
        return PostgresFileBytes(folder, self.read_engine, 0.0 if self._is_watched else self._ask_seconds)

    async def find(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Does what `look_up` does in a thread, so that a server that does not answer does not stop the event loop."""
        self._require_pulse()
        loop = asyncio.get_running_loop()
        return await self._answered(loop.run_in_executor(self._lookers, lambda: self.look_up(work, *args, **kwargs)))

    async def find_joined(self, work: PluralQuery[Item, T], item: Item) -> T:
        """Does the same for one item alone: the threads do not wait for each other."""
        return (await self.find(work, [item]))[0]

    async def read(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a query in a reader thread. Raises DatabaseAway when the server is away. A worker, which has nobody waiting,
        first asks again for a while: no step fails because PostgreSQL is started anew.
        """
        loop = asyncio.get_running_loop()
        reading = super().read_now
        until = 0.0 if self._is_watched else time.monotonic() + self._ask_seconds
        while True:
            self._require_pulse()
            try:
                return await self._answered(loop.run_in_executor(self._readers, lambda: reading(work, *args, **kwargs)))
            except DatabaseAway:
                if self._closing or time.monotonic() >= until:
                    raise
            await asyncio.sleep(_LOOK_SECONDS)

    def read_now(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a query in the calling thread. The thread of an event loop waits for another thread, for a moment only."""
        reading = super().read_now
        if self._pulse is None or not _is_on_loop():
            return reading(work, *args, **kwargs)
        self._require_pulse()
        try:
            return self._readers.submit(lambda: reading(work, *args, **kwargs)).result(ON_LOOP_SECONDS)
        except TimeoutError:
            raise DatabaseAway(_NO_ANSWER) from None

    async def write(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Does what the method of Database does. Raises DatabaseAway when the server is silent: the write is not begun
        then, or nobody knows yet whether it is committed. A worker tries again for a while, as `read` does, when nothing
        was stored.
        """
        until = 0.0 if self._is_watched else time.monotonic() + self._ask_seconds
        while True:
            try:
                return await self._written(work, args, kwargs)
            except DatabaseAway as away:
                if away.may_be_stored or not away.may_pass or self._closing or time.monotonic() >= until:
                    raise
            await asyncio.sleep(_LOOK_SECONDS)

    async def write_joined(self, work: PluralAction[Item, T], item: Item) -> T:
        """Does what the method of Database does, and raises DatabaseAway as `write`."""
        return await self._written(work, (item,), {}, joined=True)

    async def _written(
        self, work: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], *, joined: bool = False
    ) -> Any:
        self._require_pulse()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        self._submit(Write(work, args, kwargs, done, loop, joined))
        return await self._answered(done, _leave)

    def _require_pulse(self) -> None:
        """Raises DatabaseAway when the server is silent. The first call on an event loop starts to watch it."""
        if self._pulse is None:
            if self._is_watched:
                self._pulse = Pulse(self.url)
                self._pulse.start()
        elif self._pulse.silent:
            raise DatabaseAway(_NO_ANSWER)

    async def _answered(
        self, done: asyncio.Future[T], give_up: Callable[[asyncio.Future[T]], object] = asyncio.Future[Any].cancel
    ) -> T:
        """Waits for an answer. Raises DatabaseAway when the server is silent; `give_up` is called first."""
        if self._pulse is None:
            return await done
        self._unanswered[done] = give_up
        if self._looks_on is not (loop := done.get_loop()):
            self._looks_on = loop
            loop.call_later(_LOOK_SECONDS, self._look, loop)
        try:
            return await done
        except asyncio.CancelledError:
            if self._unanswered[done] is None:
                raise DatabaseAway(_NO_ANSWER) from None
            raise
        finally:
            del self._unanswered[done]

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Gives up what waits for a server that is silent: one timer for all, since setting one takes as long as a call
        may take here.
        """
        if self._looks_on is not loop:
            return
        if self._pulse is not None and self._pulse.silent:
            for done, give_up in list(self._unanswered.items()):
                if give_up is not None and not done.done() and done.get_loop() is loop:
                    self._unanswered[done] = None
                    give_up(done)
        if self._unanswered:
            loop.call_later(_LOOK_SECONDS, self._look, loop)
        else:
            self._looks_on = None

    async def read_briefly(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a query in a reader thread."""
        return await self.read(work, *args, **kwargs)

    def look_up(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `Statement`s in the calling thread, each a transaction of its own."""
        try:
            return work(self._look_up_session(), *args, **kwargs)
        except DBAPIError as error:
            if not is_postgres_fault(error):
                raise
        self._forget_look_up_session()  # the server may have been started anew since the last time
        try:
            return work(self._look_up_session(), *args, **kwargs)
        except DBAPIError as error:
            if is_postgres_fault(error):
                self._forget_look_up_session()
            raise as_fault(error) from error

    def close(self) -> None:
        if self._pulse is not None:
            self._pulse.close()
        self._lookers.shutdown(wait=True)
        super().close()
        for connection in self._looker_connections:
            with contextlib.suppress(psycopg.Error):
                connection.close()

    def _look_up_session(self) -> Session:
        kept: Session | None = getattr(self._looker, "session", None)
        if kept is None:
            try:
                connection = connect_directly(self.url)
            except psycopg.Error as error:
                raise as_away(error) from error
            adapt(connection)
            self._looker_connections.append(connection)
            kept = self._looker.session = Session(self.read_engine, info={DRIVER: PostgresDriver(connection)})
            self._looker.connection = connection
        kept.info["now"] = self.clock.now()
        return kept

    def _forget_look_up_session(self) -> None:
        connection, self._looker.session = self._looker.connection, None
        with contextlib.suppress(ValueError):
            self._looker_connections.remove(connection)
        with contextlib.suppress(psycopg.Error):
            connection.close()

    def _write_together(self, batch: list[Write]) -> None:
        """Does what the method of Database does. When the connection is lost, the batch is answered if it was committed,
        and run again if it was not.
        """
        batch = [write for write in batch if not _is_answered(write)]
        if not batch:
            return
        tried = _Tried()
        carefully = False
        for _ in range(_TRIES):
            tried = self._try_together(batch, carefully=carefully)
            if tried.outcome == "in doubt":
                carefully = True
            elif tried.outcome != "aborted" or self._closing:
                break
        if tried.error is None:
            self._give(tried.answers, tried.notices)
        else:
            self._give([Answer(write, error=tried.error) for write in batch], [])

    def _try_together(self, batch: list[Write], *, carefully: bool) -> _Tried:
        """Runs a batch once."""
        tried = _Tried()
        connection: Connection | None = None
        committing: Mark | None = None
        try:
            connection = self._writing_connection()
            with connection.begin():
                piped = self._pipe(connection, carefully=carefully)
                known = None if carefully else _known_of(batch)
                began = self._begin(piped, known, batch)
                self._run_batch(connection, batch, tried.answers, tried.notices)
                if known is not None and known.writes and (error := tried.answers[0].error) is not None:
                    raise error  # its savepoint begins behind what was written ahead
                committing = self._marks.put(piped, began)
                piped.execute("COMMIT")
                piped.flush(ending=True)
        except InDoubt as error:
            self._close_writing_connection()
            return _Tried("in doubt", error)
        except DBAPIError as error:
            self._close_writing_connection()
            outcome = "failed"
            if connection is not None and is_lost(error):
                outcome = "aborted" if committing is None else self._outcome(committing)
                log.warning("The connection was lost in a transaction: it is %s", outcome)
            if outcome == "committed":
                return tried
            fault = as_fault(error)
            if isinstance(fault, DatabaseAway):
                fault.may_be_stored = outcome == "unknown"
            return _Tried(outcome, fault)
        except BaseException as error:  # noqa: BLE001 - passed on to every waiting caller
            self._close_writing_connection()
            return _Tried("failed", error)
        return tried

    def _writing_connection(self) -> Connection:
        connection = super()._writing_connection()
        connection.info[BEGINS_ITSELF] = True
        return connection

    def _pipe(self, connection: Connection, *, carefully: bool) -> PipedDriver:
        """Makes the driver of a transaction."""
        wire = wire_of(cast("Any", connection.connection.driver_connection))
        piped = connection.info[PIPED] = PipedDriver(wire, carefully=carefully)
        return piped

    def _begin(self, piped: PipedDriver, known: Prefetch | None, batch: list[Write]) -> Began:
        """Begins a transaction and takes the lock of writers; sends what is prefetched of the first action."""
        asked = self.clock.now()
        if known is None:
            rows = piped.begin(LOCK, ())
        else:
            rows = piped.begin(LOCK, self._look_ahead(known, batch), steady=known.steady)
        began = Began(*rows[0])
        if self._database_clock is not None:
            self._database_clock.note(began.at)
            self.info[SPAN_GUARD].note(began.at)
        if self.clock.now() - asked > _FORESEEN_MS:
            piped.forget_times()
        return began

    def _look_ahead(self, known: Prefetch, batch: list[Write]) -> list[tuple[str, Mapping[str, Any]]]:
        first = batch[0]
        items = [write.args[0] if first.joined else write.args for write in batch if write.work is first.work]
        ahead = AheadDriver(writes=known.writes)
        self._looking_ahead.info.update({DRIVER: ahead, "now": self.clock.now()})
        known.look_ahead(self._looking_ahead, items)
        return ahead.statements

    def _info_of(self, connection: Connection) -> dict[str, Any]:
        """The writer's own transactions send statements together (`storage.postgres.pipelining`)."""
        if threading.current_thread() is not self._writer:
            return super()._info_of(connection)
        return {**self.info, DRIVER: connection.info[PIPED]}

    def _run(self, sessions: Sessions, work: Callable[..., Any], *rest: Any) -> Any:
        def run(session: Session, *args: Any, **kwargs: Any) -> Any:
            answer = work(session, *args, **kwargs)
            piped: PipedDriver = session.info[DRIVER]
            if piped.carefully:
                piped.flush()  # within the savepoint, so that an error is that of this work
            return answer

        return super()._run(sessions, run, *rest)

    def _outcome(self, mark: Mark) -> Outcome:
        """Finds out what became of a transaction whose COMMIT got no answer."""
        end = time.monotonic() + self._ask_seconds
        while True:
            try:
                return outcome_of(self.url, mark, until=lambda: time.monotonic() >= end)
            except psycopg.Error as error:
                if time.monotonic() >= end or self._closing:
                    log.error("It stays unknown whether a transaction was committed: %s", str(error).strip())
                    return "unknown"
                time.sleep(_AGAIN_SECONDS)


def _send_first(connection: Connection, *_: Any) -> None:
    """Sends the statements that wait before one that goes through SQLAlchemy."""
    piped: PipedDriver | None = connection.info.get(PIPED)
    if piped is not None:
        piped.send_first()


def _known_of(batch: list[Write]) -> Prefetch | None:
    """Returns what is known of the first action of a batch, if it holds there."""
    first = batch[0]
    known = PREFETCHES.get(first.work)
    if known is None or first.joined == known.writes:
        return None
    if not known.steady and not known.writes:
        return known
    is_alone = all(write.work is first.work for write in batch) and (first.joined or len(batch) == 1)
    return known if is_alone else None


def _is_on_loop() -> bool:
    """True in the thread of a running event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _leave(done: asyncio.Future[Any]) -> None:
    """Marks a write for which nobody waits any more, so that it is not begun later."""
    done.set_exception(DatabaseAway(_NO_ANSWER))
    done.exception()  # which counts as told


def _is_answered(write: Write) -> bool:
    """True when nobody waits any more because the server was silent. A write whose waiting task was cancelled is done."""
    return write.done.done() and not write.done.cancelled()


_TIME: Final = "select (extract(epoch from clock_timestamp()) * 1000)::bigint"


def is_lost(error: DBAPIError) -> bool:
    """True when the connection is gone, so that nothing but a COMMIT that was under way may have been stored."""
    if error.connection_invalidated:
        return True
    return is_connection_fault(error.orig)
