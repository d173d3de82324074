"""The connection that a process keeps open beside all others, in a thread of its own: it holds the lock that says that the
process lives, may hold the lock of the leader, sends notices to the other processes and hears theirs.

Locks of a session and LISTEN need a connection that no other process uses, so it goes to the server directly and not
through a pooler of transactions. A notice is a word and some arguments, `end job_1 job_2`. Notices are hints: one that is
lost delays somebody by a few seconds. After a new connection `connected` is called, so that everything that is waited for
is read again; LISTEN comes first.

A server and its worker tell each other through pipes. While they are alone on the database nobody needs notices, and each
wakes several processes, so none is sent: every family of processes says now and then that it is here.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import os
import secrets
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import psycopg

from engine.core.settings import BadSetting
from storage.postgres.connections import connect_directly
from storage.postgres.unusable import database_in_words

log = logging.getLogger(__name__)

_CHANNEL: Final = "flowport"
#: PostgreSQL refuses 8,000 bytes.
_MAX_BYTES: Final = 7_900
#: Notices that wait for a connection; more are dropped, since whoever connects anew reads everything again.
_MAX_WAITING: Final = 50_000
#: How long the notice of `require_notices` may take, in seconds.
NOTICE_SECONDS: Final = 5.0
#: Seconds between two tries to connect, and between two tries to take a lock.
_AGAIN_SECONDS: Final = 1.0
#: How long whoever wants a lock waits for an answer.
_HOLD_SECONDS: Final = 5.0
#: The interval in which a process says that its family is here; how long a family that says nothing counts as here; and how
#: long a new connection tells whatever it has to tell, in seconds: others may not have said yet that they are here.
_HERE_SECONDS: Final = 20.0
_HEARD_SECONDS: Final = 65.0
_UNSURE_SECONDS: Final = 25.0
_HERE: Final = "here"
#: The name of the lock of the leader, which does the work that one server does for all.
LEADER: Final = "leader"


@dataclass(eq=False)
class _Request:
    """A lock that is wanted, or not wanted any more."""

    key: int
    give_back: bool = False
    held: bool = False
    #: Whoever wanted it has not waited for the answer.
    given_up: bool = False
    done: threading.Event = field(default_factory=threading.Event)


class Link:
    """Runs from `start` until `close`. `name` is the lock that says that this process lives; the id of its boot. `family`:
    the name of those who need no notices of each other.

    `heard(word, arguments)` and `connected()` are called in the thread of the link; they must be fast.
    """

    def __init__(
        self,
        url: str,
        name: str,
        heard: Callable[[str, list[str]], None],
        connected: Callable[[], None] = lambda: None,
        *,
        may_lead: bool = False,
        family: str | None = None,
    ) -> None:
        self.name = name
        self._family = family or name
        #: Other families, and when they were last heard.
        self._others: dict[str, float] = {}
        self._is_here_due = 0.0
        self._url = url
        self._heard = heard
        self._connected = connected
        self._wanted = [lock_key(name), *([lock_key(LEADER)] if may_lead else [])]
        self._held: frozenset[int] = frozenset()
        self._requests: list[_Request] = []
        self._since: float | None = None
        self._waiting: dict[tuple[str, str], None] = {}
        self._lock = threading.Lock()
        self._pipe = os.pipe()
        os.set_blocking(self._pipe[1], False)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)

    def start(self) -> None:
        """Connects in the background."""
        self._thread.start()

    def close(self) -> None:
        """Sends what waits, gives the locks back and closes the connection."""
        self._ending.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def say(self, word: str, *arguments: str) -> None:
        """Sends a notice to all other processes. Returns at once; may be called from any thread."""
        if not self.has_others:
            return
        with self._lock:
            was_empty = not self._waiting
            if len(self._waiting) < _MAX_WAITING:
                self._waiting.update(dict.fromkeys(((word, one) for one in arguments) if arguments else ((word, ""),)))
        if was_empty:
            self._wake()

    def hold(self, name: str) -> bool:
        """Takes one more lock, which this process keeps until `let_go`, also over a new connection if nobody else takes it
        meanwhile. Waits for the answer of the server; returns False when the lock is held, here or elsewhere, or when there
        is no connection.
        """
        request = _Request(lock_key(name))
        with self._lock:
            self._requests.append(request)
        self._wake()
        request.done.wait(_HOLD_SECONDS)
        with self._lock:
            request.given_up = not request.held
            if request in self._requests:
                self._requests.remove(request)
            return request.held

    def let_go(self, name: str) -> None:
        """Gives a lock back. Returns at once."""
        with self._lock:
            self._requests.append(_Request(lock_key(name), give_back=True))
        self._wake()

    def holds(self, name: str) -> bool:
        """True while this process holds the lock."""
        return lock_key(name) in self._held

    @property
    def connected_for(self) -> float:
        """For how many seconds the connection has been there; 0 while there is none."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def leads(self) -> bool:
        """True while this process is the leader."""
        return lock_key(LEADER) in self._held

    @property
    def is_held(self) -> bool:
        """True while this process holds its own lock."""
        return self._wanted[0] in self._held

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._pipe[1], b"!")

    def _run(self) -> None:
        failed = False
        while not self._ending.is_set():
            try:
                with contextlib.closing(connect_directly(self._url)) as connection:
                    if failed:
                        log.info("The connection to PostgreSQL is back")
                    failed = False
                    self._serve(connection)
            except (psycopg.Error, OSError) as error:
                if not failed:
                    log.warning("The connection to PostgreSQL is lost: %s", str(error).strip())
                failed = True
            except Exception:
                log.exception("The connection to the other processes failed")
            finally:
                self._since = None
                self._held = frozenset()
            self._ending.wait(_AGAIN_SECONDS)
        for descriptor in self._pipe:
            os.close(descriptor)

    def _serve(self, connection: psycopg.Connection) -> None:
        connection.add_notify_handler(lambda notify: self._hear(connection, notify.pid, notify.payload))
        connection.execute(f"listen {_CHANNEL}")
        self._is_here_due = 0.0
        self._take_locks(connection)
        self._since = time.monotonic()
        self._connected()
        due = time.monotonic() + _AGAIN_SECONDS
        sources = select.poll()  # `select.select` refuses descriptors above 1,023, which a busy process has
        for descriptor in (connection.fileno(), self._pipe[0]):
            sources.register(descriptor, select.POLLIN)
        while True:
            self._answer_requests(connection)
            self._say_here(connection)
            self._send(connection)
            if self._ending.is_set():
                return
            missing = len(self._held) < len(self._wanted)
            wait = max(0.0, (min(due, self._is_here_due) if missing else self._is_here_due) - time.monotonic())
            ready = {descriptor for descriptor, _ in sources.poll(math.ceil(wait * 1_000))}
            if self._pipe[0] in ready:
                os.read(self._pipe[0], 65_536)
            if connection.fileno() in ready:
                _read_notices(connection, self._hear)
            if missing and time.monotonic() >= due:
                self._take_locks(connection)
                due = time.monotonic() + _AGAIN_SECONDS

    def _take_locks(self, connection: psycopg.Connection) -> None:
        """Takes the locks that are free. After a cut the server may not have noticed yet that the last connection of this
        process is gone.
        """
        for key in self._wanted:
            if key in self._held:
                continue
            row = connection.execute("select pg_try_advisory_lock(%s::bigint)", (key,)).fetchone()
            if row is not None and row[0]:
                self._held |= {key}

    def _answer_requests(self, connection: psycopg.Connection) -> None:
        while True:
            with self._lock:
                if not self._requests:
                    return
                request = self._requests.pop(0)
            if request.give_back:
                self._wanted = [key for key in self._wanted if key != request.key]
                if request.key in self._held:
                    self._held -= {request.key}
                    connection.execute("select pg_advisory_unlock(%s::bigint)", (request.key,))
                continue
            if request.key not in self._held:  # PostgreSQL would give it a second time
                row = connection.execute("select pg_try_advisory_lock(%s::bigint)", (request.key,)).fetchone()
                is_free = row is not None and bool(row[0])
                with self._lock:
                    request.held = is_free and not request.given_up
                if is_free and not request.held:
                    connection.execute("select pg_advisory_unlock(%s::bigint)", (request.key,))
            if request.held:
                self._held |= {request.key}
                self._wanted = list(dict.fromkeys((*self._wanted, request.key)))
            request.done.set()

    def _send(self, connection: psycopg.Connection) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for payload in _payloads(waiting):
            connection.execute("select pg_notify(%s, %s)", (_CHANNEL, payload))

    def _say_here(self, connection: psycopg.Connection) -> None:
        """Says that this family is here, when it is time."""
        at = time.monotonic()
        if at >= self._is_here_due:
            self._is_here_due = at + _HERE_SECONDS
            connection.execute("select pg_notify(%s, %s)", (_CHANNEL, f"{_HERE} {self._family}"))

    def _hear_of(self, family: str) -> None:
        """Notes that a family is here. One that was not known gets an answer."""
        if family == self._family:
            return
        at = time.monotonic()
        if family not in self._others:
            self._is_here_due = at
        # a new dict, since other threads read it
        known = {name: heard for name, heard in self._others.items() if at - heard < _HEARD_SECONDS}
        self._others = {**known, family: at}

    @property
    def has_others(self) -> bool:
        """True while another family may be here."""
        at = time.monotonic()
        return self.connected_for < _UNSURE_SECONDS or any(
            at - heard < _HEARD_SECONDS for heard in self._others.values()
        )

    def _hear(self, connection: psycopg.Connection, pid: int, payload: str) -> None:
        if pid == connection.info.backend_pid:
            return
        for line in payload.split("\n"):
            word, *arguments = line.split(" ")
            if word == _HERE:
                self._hear_of(arguments[0])
                continue
            try:
                self._heard(word, arguments)
            except Exception:
                log.exception("A notice of another process was not understood")


def _read_notices(connection: psycopg.Connection, hear: Callable[[psycopg.Connection, int, str], None]) -> None:
    connection.pgconn.consume_input()
    while (notify := connection.pgconn.notifies()) is not None:
        hear(connection, notify.be_pid, notify.extra.decode())


def _payloads(waiting: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Puts notices together, those of a word in a line, in texts that one notice of PostgreSQL may carry."""
    by_word: dict[str, list[str]] = {}
    for word, argument in waiting:
        by_word.setdefault(word, []).append(argument)
    text = ""
    for word, arguments in by_word.items():
        line = ""
        for argument in arguments:
            more = f" {argument}" if argument else ""
            if line and len(text) + len(line) + len(more) > _MAX_BYTES:
                yield text + line
                text, line = "", ""
            line = (line or word) + more
        text += f"{line}\n"
        if len(text) > _MAX_BYTES - 200:
            yield text.rstrip("\n")
            text = ""
    if text:
        yield text.rstrip("\n")


def lock_key(name: str) -> int:
    """Returns the number of the advisory lock with this name."""
    return int.from_bytes(hashlib.sha256(f"flowport {name}".encode()).digest()[:8], "big", signed=True)


def require_notices(url: str, direct_url: str | None, *, seconds: float = NOTICE_SECONDS) -> None:
    """Checks that a notice of the database at `url` arrives on the connection of a Link, which uses `direct_url` if there
    is one, within so many seconds. Raises BadSetting.

    Through a pooler of transactions no notice arrives, and the locks of a session belong to nobody. A database that does
    not answer is no reason to refuse: the Link goes on trying.
    """
    channel = f"{_CHANNEL}_{secrets.token_hex(8)}"
    try:
        with (
            contextlib.closing(connect_directly(direct_url or url)) as listening,
            contextlib.closing(connect_directly(url)) as telling,
        ):
            listening.execute(f"listen {channel}".encode())
            telling.execute("select pg_notify(%s, '')", (channel,))
            if next(listening.notifies(timeout=seconds, stop_after=1), None) is not None:
                return
    except (psycopg.Error, OSError) as error:
        if direct_url is None:
            return
        raise BadSetting(
            f"PostgreSQL cannot be reached at {database_in_words(direct_url)}, as FLOWPORT_DATABASE_DIRECT_URL says: {str(error).strip()}. "
            "Name the address of PostgreSQL itself there, or leave the setting out when FLOWPORT_DATABASE_URL is that."
        ) from error
    if direct_url is None:
        raise BadSetting(
            f"Notices do not arrive over FLOWPORT_DATABASE_URL ({database_in_words(url)}): a pooler of transactions, like pgbouncer, "
            "stands before the database. Name the address of PostgreSQL itself in FLOWPORT_DATABASE_DIRECT_URL."
        )
    raise BadSetting(
        f"A notice of {database_in_words(url)} does not arrive at {database_in_words(direct_url)}: FLOWPORT_DATABASE_DIRECT_URL names another database "
        "than FLOWPORT_DATABASE_URL, or a pooler of transactions. Name the address of PostgreSQL itself there."
    )
