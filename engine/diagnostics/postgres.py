"""The checks of a PostgreSQL database: what it says about itself, its size, its files, and who uses it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from engine.core.clock import SECOND
from engine.core.counted import counted
from engine.core.errors import Refusal
from engine.diagnostics.findings import Line, megabytes
from engine.diagnostics.waiting_jobs import check_waiting_jobs
from engine.jobs.server.retention import read_rules
from storage.database import Database
from storage.files import count_files
from storage.migrations.schema import newest_schema
from storage.postgres.checks import PostgresState, count_living, count_missing_files, read_state
from storage.postgres.unusable import database_in_words
from storage.retention import read_room
from storage.server_figures import server_figures

#: Milliseconds that an answer may take: above the first every call waits for it, above the second jobs do, too.
_SLOW_MS, _TOO_SLOW_MS = 5.0, 50.0
#: The share of the connections that may be open.
_CONNECTIONS_FULL: Final = 0.8
#: How many milliseconds the clocks of PostgreSQL and of this machine may differ.
_CLOCKS_DIFFER_MS: Final = 5 * SECOND
#: PostgreSQL stops all writes at two thousand million; its own cleaning begins at two hundred million.
_OLD_TRANSACTIONS: Final = 1_000_000_000


def check_postgres(database: Database, *, running: bool | None) -> Iterator[Line]:
    """Yields the checks. `running` as in `check_folder_and_database`."""
    try:
        state = database.read_now(read_state)
    except Refusal as refusal:
        yield Line("Database", "bad", str(refusal), "Check that PostgreSQL runs and can be reached from this machine.")
        return
    yield _database(database.url, state)
    yield _connections(state)
    yield _clocks(state)
    yield _size(database, state)
    yield _files(database)
    if state.meaning_trouble:
        found, _, fix = state.meaning_trouble.partition(". ")
        yield Line("Search by meaning", "note", f"{found}.", fix)
    yield _processes(database, running=running)


def _database(url: str, state: PostgresState) -> Line:
    name, where = "Database", f"PostgreSQL {state.version}, {database_in_words(url)}"
    if state.schema != newest_schema():
        return Line(
            name,
            "bad",
            f"{where}: its schema is {state.schema}, this program's is {newest_schema()}.",
            "Start one server of this version, which brings it up to date, or the version that fits.",
        )
    if state.lacking:
        return Line(
            name,
            "bad",
            f"{where}: its user may not read and change {', '.join(state.lacking[:5])}.",
            "Give it the rights: `grant select, insert, update, delete on all tables in schema public to USER`.",
        )
    if not state.fsync:
        return Line(
            name,
            "bad",
            f"{where}: fsync is off, so a power cut may damage the database and lose jobs that were accepted.",
            "Set `fsync = on` in postgresql.conf and reload PostgreSQL.",
        )
    if state.age > _OLD_TRANSACTIONS:
        return Line(
            name,
            "warn",
            f"{where}: its oldest row is {state.age:,} transactions old, and at 2,000,000,000 PostgreSQL stops writing.",
            "Look why autovacuum does not get on (a transaction left open, a replication slot), and run `vacuum`.",
        )
    found = f"{where} answers in {state.answer_ms:.1f} ms; schema {state.schema}."
    if state.answer_ms > _TOO_SLOW_MS:
        return Line(name, "bad", found, "Every call waits for several answers. Put PostgreSQL into the same network.")
    if state.answer_ms > _SLOW_MS:
        return Line(name, "warn", found, "Every call waits for several answers; 1 ms or less is usual in one network.")
    if not state.may_create:
        return Line(
            name,
            "ok",
            f"{found} Its user may make no tables: run `app.py migrate` as one that may before each upgrade.",
        )
    return Line(name, "ok", found)


def _connections(state: PostgresState) -> Line:
    found = f"{state.connections} of {state.most_connections} are open, {state.own_connections} by Flowport."
    if state.connections > state.most_connections * _CONNECTIONS_FULL:
        return Line(
            "Connections",
            "warn",
            found,
            "Raise max_connections of PostgreSQL, run fewer servers and workers, or put pgbouncer between.",
        )
    return Line("Connections", "ok", found)


def _clocks(state: PostgresState) -> Line:
    differ = state.at - time.time() * 1_000
    if abs(differ) > _CLOCKS_DIFFER_MS:
        return Line(
            "Clocks",
            "warn",
            f"The clock of PostgreSQL is {abs(differ) / 1_000:.0f} s {'ahead of' if differ > 0 else 'behind'} this machine's.",
            "Switch time synchronisation (NTP) on, on both machines. Times of jobs are those of PostgreSQL.",
        )
    return Line("Clocks", "ok", "PostgreSQL and this machine have the same time.")


def _size(database: Database, state: PostgresState) -> Line:
    rules, room = database.read_now(read_rules), database.read_now(read_room)
    size = f"The database takes {megabytes(state.size)} on its disk; about {megabytes(room.used)} are in use, without files."
    if rules.cap_bytes and room.used > rules.cap_bytes:
        return Line(
            "Size",
            "warn",
            f"{size} That is above the cap of {rules.cap_gb:g} GB.",
            "Retention works on it; raise the cap or keep values for fewer days if it stays.",
        )
    return Line("Size", "ok", size)


def _files(database: Database) -> Line:
    count, size = database.read_now(count_files)
    if not count:
        return Line("Files", "ok", "No files are stored.")
    missing = database.read_now(count_missing_files)
    if missing:
        return Line(
            "Files",
            "bad",
            f"The bytes of {missing:,} files are missing in the database.",
            "Restore a backup into another, empty database, and copy its tables `file_bytes` and `file_pieces`; steps that "
            "read these files fail.",
        )
    return Line("Files", "ok", f"{counted(count, 'file')} in the database, {megabytes(size)}.")


def _processes(database: Database, *, running: bool | None) -> Line:
    living = database.read_now(count_living)
    if not living.workers:
        if not living.servers and not running:
            return Line(
                "Worker",
                "note",
                "No server and no worker uses this database now.",
                "" if running is False else "Start it when you want it: `app.py serve`.",
            )
        return Line(
            "Worker",
            "bad",
            "No worker has been heard of for 30 seconds, so no job runs.",
            "Start one (`app.py worker`), or read the server's log for lines that begin with `worker`.",
        )
    servers = f"{counted(living.servers, 'server')} and " if living.servers else ""
    verb = "live" if servers or living.workers > 1 else "lives"
    return check_waiting_jobs(database.read_now(server_figures), f"{servers}{counted(living.workers, 'worker')} {verb}")
