"""What `app.py check` asks a PostgreSQL database about itself."""

from __future__ import annotations

import time
from typing import Final

from msgspec import Struct
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from storage.database import now
from storage.migrations.postgres import read_schema
from storage.postgres.vector_search import meaning_trouble
from storage.server_figures import LIVING_MS
from storage.tables import WorkerProcess
from storage.workers import WORKER

_SERVER: Final = text(
    """
    select current_setting('server_version') as version,
           current_setting('fsync') = 'on' as fsync,
           current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as most,
           (select count(*) from pg_stat_activity where backend_type = 'client backend') as open,
           (select count(*) from pg_stat_activity
             where datname = current_database() and application_name like 'flowport%') as own,
           pg_database_size(current_database()) as size,
           (select age(datfrozenxid) from pg_database where datname = current_database()) as age,
           has_schema_privilege(current_schema(), 'create') as may_create,
           cast(extract(epoch from clock_timestamp()) * 1000 as bigint) as at
    """
)
_HAS_VECTORS: Final = text("select exists (select 1 from knowledge_vectors)")
_NOTHING: Final = text("select 1")
_LACKING: Final = text(
    """
    select relname from pg_class
     where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p')
       and not has_table_privilege(oid, 'select, insert, update, delete')
     order by relname
    """
)
_MISSING_FILES: Final = text(
    """
    select count(distinct files.sha256) from files
     where not exists (select 1 from file_bytes where file_bytes.sha256 = files.sha256 and file_bytes.size = files.size)
    """
)


class PostgresState(Struct, frozen=True):
    """What a PostgreSQL server says about itself and this database.

    `connections` of at most `most_connections` are open, `own_connections` of them by Flowport. `age`: how many
    transactions old its oldest row is; it stops at two thousand million. `at`: its clock, in milliseconds. `lacking`:
    tables that the user may not read and change.
    """

    version: str
    schema: str
    fsync: bool
    connections: int
    own_connections: int
    most_connections: int
    size: int
    age: int
    may_create: bool
    lacking: tuple[str, ...]
    at: int
    #: How many milliseconds the server takes to answer a question that needs no table.
    answer_ms: float
    #: Why search by meaning does without the extension `vector`; "" when it has it, or nothing is searched so.
    meaning_trouble: str


class LivingProcesses(Struct, frozen=True):
    """How many servers and workers send heartbeats."""

    servers: int
    workers: int


def read_state(session: Session) -> PostgresState:
    """Asks the server."""
    row = session.execute(_SERVER).one()
    times: list[float] = []
    for _ in range(5):
        begun = time.perf_counter()
        session.scalar(_NOTHING)
        times.append(time.perf_counter() - begun)
    return PostgresState(
        answer_ms=sorted(times)[2] * 1_000,
        meaning_trouble=meaning_trouble(session.connection()) if session.scalar(_HAS_VECTORS) else "",
        version=row.version.split(" ")[0],
        schema=read_schema(session.connection()),
        fsync=row.fsync,
        connections=row.open,
        own_connections=row.own,
        most_connections=row.most,
        size=row.size,
        age=row.age,
        may_create=row.may_create,
        lacking=tuple(session.scalars(_LACKING)),
        at=row.at,
    )


def count_living(session: Session) -> LivingProcesses:
    """Counts the processes whose last heartbeat is younger than 30 s."""
    kinds = session.scalars(select(WorkerProcess.kind).where(WorkerProcess.beat_at > now(session) - LIVING_MS)).all()
    workers = kinds.count(WORKER)
    return LivingProcesses(len(kinds) - workers, workers)


def count_missing_files(session: Session) -> int:
    """Returns of how many stored files the bytes are not in the database."""
    return session.scalar(_MISSING_FILES) or 0
