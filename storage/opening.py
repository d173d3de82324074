"""Opens the database of a data folder, whichever it is."""

from __future__ import annotations

import contextlib
from pathlib import Path

from sqlalchemy.orm import configure_mappers

from engine.core.clock import Clock, SystemClock
from storage.database import Database
from storage.engines import sqlite_url
from storage.file_modes import make_private
from storage.migrations.schema import KeepOut
from storage.migrations.upgrade import upgrade


def prepare_tables() -> None:
    """Does what SQLAlchemy otherwise does for all tables at the first query."""
    configure_mappers()


def open_database(
    data: Path,
    *,
    clock: Clock | None = None,
    url: str | None = None,
    durable: bool = True,
    keep_out: KeepOut = contextlib.nullcontext,
) -> Database:
    """Opens the database of a data folder; first creates or migrates it, under a lock, when that is necessary.

    `url` names a PostgreSQL database (`Settings.database_url`); None: SQLite in the folder. `durable` as in
    `storage.engines.make_engine`: a worker does not need it. `keep_out` as in `upgrade`, for all that a server may
    use. Raises NewerData, and BadSetting when PostgreSQL or the path of the folder cannot be
    used, and when everything was moved away from that PostgreSQL.
    """
    target = url or sqlite_url(data)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    if url is None:
        make_private(data)
    upgrade(target, data, keep_out=keep_out)
    if url is not None:
        from storage.database_note import require_not_moved
        from storage.postgres.database import PostgresDatabase

        database = PostgresDatabase(target, clock, folder=data, durable=durable)
        try:
            require_not_moved(database, target)
        except BaseException:
            database.close()
            raise
        return database
    make_private(data)
    return Database(target, clock or SystemClock(), folder=data, durable=durable)
