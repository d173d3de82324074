"""What only PostgreSQL has: how its connections are opened, how `storage.statements` run on them, and its errors.

Every write transaction first takes one advisory lock, which gives the meaning of SQLite's `begin immediate`: writes of
all servers and workers follow each other, so what an action reads stays true until it commits. psycopg and this module
are imported only when the database is PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import psycopg
from msgspec import Struct
from psycopg.adapt import Dumper, Loader, PyFormat
from psycopg.types.numeric import Int8Dumper, IntNumericDumper
from psycopg.types.string import StrDumperUnknown
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from storage.postgres.bulk_inserts import arrays_of, insert_of
from storage.postgres.libpq_statements import Asked, text_of, wire_of

#: The advisory lock of whoever writes: (class, object).
WRITE_LOCK: Final = (70_412, 1)
#: The advisory lock of whoever migrates.
MIGRATE_LOCK: Final = (70_412, 2)
#: The seconds that a write waits for the lock, and a connection for the server.
LOCK_SECONDS, CONNECT_SECONDS = 10, 5
#: When the other end of a connection is silent: seconds until it is asked, between questions, and how many it may miss.
_KEEPALIVE: Final = {"keepalives_idle": 5, "keepalives_interval": 3, "keepalives_count": 3, "tcp_user_timeout": 10_000}
#: Whatever the environment says: `storage.postgres.libpq_statements` knows no other.
_ENCODING: Final = {"client_encoding": "utf8"}
_SERVER_KEEPALIVE: Final = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
#: How many prepared statements a connection keeps: more than the hot path has.
_PREPARED: Final = 400
#: A process that stands still inside a transaction gives up the lock after this time, half of what the others wait.
_STANDS_STILL: Final = "5s"
#: Classes of SQLSTATE that say that the server, the network or the disk failed, and single states: read-only, a
#: serialization failure, a deadlock, a lock that was not given in time.
_FAULT_CLASSES: Final = frozenset({"08", "53", "57", "58"})
_FAULT_STATES: Final = frozenset({"25006", "25P03", "40001", "40P01", "55P03"})


def make_postgres_engine(url: str, *, writing: bool, durable: bool, pool_size: int) -> Engine:
    """Creates an engine. `writing`: transactions take the lock of writers; otherwise they are read-only and see one
    snapshot. `durable`: a commit waits for the disk of the server.
    """
    server: dict[str, str] = {
        **_SERVER_KEEPALIVE,
        "lock_timeout": f"{LOCK_SECONDS}s",
        "idle_in_transaction_session_timeout": _STANDS_STILL,
        "synchronous_commit": "on" if durable else "off",
    }
    engine = create_engine(
        _with_driver(url),
        pool_size=pool_size,
        pool_pre_ping=True,
        hide_parameters=True,
        use_native_hstore=False,  # else each new connection asks for that type
        isolation_level="AUTOCOMMIT" if writing else "REPEATABLE READ",  # `_begin` begins what is written
        execution_options={} if writing else {"postgresql_readonly": True},
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "flowport",
            "options": " ".join(f"-c {name}={value}" for name, value in server.items()),
            **_KEEPALIVE,
            **_ENCODING,
        },
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: psycopg.Connection, record: Any) -> None:
        adapt(connection)

    if writing:

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            if BEGINS_ITSELF not in connection.info:
                _begin_writing(connection.connection.driver_connection)

    return engine


class Began(Struct, frozen=True):
    """A write transaction: the process of the server that runs it, the time of the database in milliseconds when the lock of
    writers was given, and when it began, in seconds.
    """

    pid: int
    at: int
    since: str


#: The key in `Connection.info` that says that whoever has the connection sends BEGIN and LOCK, with other statements.
BEGINS_ITSELF: Final = "begins itself"
BEGIN: Final = "begin isolation level read committed"
#: Asks for what `Began` says. The lock first: what comes after it in the list is evaluated when the lock is given.
LOCK: Final = f"""
    select pg_backend_pid(), (extract(epoch from clock_timestamp()) * 1000)::bigint, extract(epoch from now())::text
      from (select pg_advisory_xact_lock{WRITE_LOCK} offset 0) locked
"""  # noqa: S608 - no outside text


def _begin_writing(connection: Any) -> None:
    """Begins a transaction and takes the lock of writers, in one round trip."""
    wire = wire_of(connection)
    try:
        wire.send([wire.ask(BEGIN), wire.ask(LOCK)])
    except psycopg.Error as error:
        raise DBAPIError.instance(LOCK, None, error, psycopg.Error) from error


def make_migration_engine(url: str) -> Engine:
    """Creates an engine whose transactions may take as long as a migration does."""
    return create_engine(
        _with_driver(url), poolclass=NullPool, hide_parameters=True, connect_args={"connect_timeout": CONNECT_SECONDS}
    )


def adapt(connection: psycopg.Connection) -> None:
    """Makes a connection read and write values as sqlite3 does."""
    connection.prepared_max = _PREPARED
    connection.adapters.register_loader("numeric", _NumberLoader)
    connection.adapters.register_dumper(str, _TextDumper)
    connection.adapters.register_dumper(int, _IntDumper)


def connect_directly(url: str) -> psycopg.Connection:
    """Opens a connection of its own, outside of every pool, on which each statement is a transaction.

    Raises psycopg.OperationalError.
    """
    options = " ".join(f"-c {name}={value}" for name, value in _SERVER_KEEPALIVE.items())
    plain = _with_driver(url).replace("postgresql+psycopg://", "postgresql://", 1)
    settings: dict[str, Any] = {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "flowport",
        **_KEEPALIVE,
        **_ENCODING,
    }
    return psycopg.connect(plain, autocommit=True, options=options, **settings)


def _with_driver(url: str) -> str:
    parts = make_url(url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url)
    return parts.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


class _NumberLoader(Loader):
    """Reads `numeric`, the type of a sum of whole numbers, as SQLite does: an int, or a float when it has a fraction."""

    def load(self, data: Any) -> int | float:
        said = bytes(data).decode()
        try:
            return int(said)
        except ValueError:
            return float(said)


class _TextDumper(StrDumperUnknown):
    """Writes text."""

    def dump(self, obj: str) -> Any:
        return text_of(obj)


class _IntDumper(Int8Dumper):
    """Writes every whole number as `bigint`. By the size of the value, the same parameter would have several types."""

    def get_key(self, obj: int, format: PyFormat) -> type:  # noqa: A002 - psycopg's name
        return _IntDumper if -(2**63) <= obj < 2**63 else IntNumericDumper

    def upgrade(self, obj: int, format: PyFormat) -> Dumper:  # noqa: A002 - psycopg's name
        return self if -(2**63) <= obj < 2**63 else IntNumericDumper(int)


class PostgresDriver:
    """A connection of psycopg with the interface of sqlite3 that `storage.statements` uses.

    Raises the errors of SQLAlchemy, without the values, which may be somebody's payload.
    """

    __slots__ = ("_wire",)

    def __init__(self, connection: psycopg.Connection) -> None:
        self._wire = wire_of(connection)

    def execute(self, sql: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> Asked:
        """Runs a statement with `:name` or `?` parameters."""
        asked = self._wire.ask(sql, values)
        self._send([asked])
        return asked

    def executemany(self, sql: str, rows: Iterable[Mapping[str, Any] | Sequence[Any]]) -> None:
        """Runs a statement once for each row of values, in one round trip."""
        self._send([self._wire.ask(sql, row) for row in rows])

    def insert(self, table: str, columns: tuple[str, ...], end: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds rows to a table by one statement. `end`: what follows the rows in it."""
        self.execute(insert_of(table, columns, end), arrays_of(columns, rows))

    def _send(self, asked: Sequence[Asked]) -> None:
        try:
            self._wire.send(asked)
        except psycopg.Error as error:
            raise DBAPIError.instance(asked[-1].sql, None, error, psycopg.Error, hide_parameters=True) from error


def is_postgres_fault(error: DBAPIError) -> bool:
    """True when the server, the network, the disk or a lock caused the error, not the statement."""
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return isinstance(error.orig, psycopg.OperationalError | psycopg.InterfaceError)
    return state[:2] in _FAULT_CLASSES or state in _FAULT_STATES
