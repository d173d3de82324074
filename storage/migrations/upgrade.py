"""Migrates a data folder's tables to the newest schema: under a file lock, after a backup, in one transaction, only
upwards.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import shlex
import shutil
import sqlite3
import sys
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from storage.backup import DATABASE, copy_database, schema_of
from storage.migrations.schema import KeepOut, newest_schema, refuse_newer, run_migrations, stored_schema

log = logging.getLogger(__name__)

FOLDER_OF_COPIES = "backups"
#: How many copies from before migrations are kept.
COPIES_KEPT = 3
_LOCK = "migrate.lock"
_ROOT = Path(__file__).resolve().parents[2]


def upgrade(url: str, data: Path, *, keep_out: KeepOut = contextlib.nullcontext) -> bool:
    """Migrates the database when necessary; returns True when it did. Raises NewerData and what `keep_out` raises, and
    changes nothing then.
    """
    if not url.startswith("sqlite"):
        require_driver()
        from storage.migrations.postgres import upgrade_postgres

        return upgrade_postgres(url, keep_out=keep_out)
    current = schema_of(data / DATABASE)
    refuse_newer(f"in {data}", current)
    if current == newest_schema():  # loading Alembic takes longer than most commands
        return False
    with (data / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        engine = create_engine(url, poolclass=NullPool)
        _own_transactions(engine)
        with engine.connect() as connection:
            current = stored_schema(connection)
            connection.rollback()
        refuse_newer(f"in {data}", current)
        if current == newest_schema():
            return False
        with keep_out() if current else contextlib.nullcontext():
            if current:
                _back_up(data, current)
            with engine.begin() as connection:
                run_migrations(connection)
                broken = connection.exec_driver_sql("pragma foreign_key_check").fetchall()
                if broken:
                    raise RuntimeError(f"the migration would leave rows without their parent: {broken[:5]}")
        if current:
            copy = (data / FOLDER_OF_COPIES / f"{_COPY}{current}.db").resolve()
            told = "The tables in %s were brought up to date, from schema %s to %s. A copy from before is %s."
            log.warning(told, data.resolve(), current, newest_schema(), copy)
        return True


def wait_for_upgrade(data: Path) -> None:
    """Waits until no process migrates the folder's database."""
    with contextlib.suppress(FileNotFoundError), (data / _LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)


def require_driver() -> None:
    """Raises BadSetting when the driver of PostgreSQL is not installed. It says what installs it here."""
    from importlib.util import find_spec

    from engine.core.settings import BadSetting

    if find_spec("psycopg") is None:
        uv = shutil.which("uv") or shutil.which(str(_ROOT / ".uv" / "bin" / "uv"))
        lock = ("--require-hashes", "-r", str(_ROOT / "requirements-postgres.lock"))
        remedy = (
            f"Install it as the user whose folder {_ROOT} is: `{shlex.join([uv, 'pip', 'install', '--python', sys.executable, *lock])}`."
            if uv
            else "In a container, build the image with `--build-arg WITH=postgres`; elsewhere give `make setup` in "
            f"{_ROOT} and then `.uv/bin/uv pip install --python .venv/bin/python --require-hashes -r requirements-postgres.lock`."
        )
        raise BadSetting(
            f"PostgreSQL needs a driver, which is not installed here. {remedy} Without FLOWPORT_DATABASE_URL everything is "
            "kept in SQLite, in the data folder."
        )


def _own_transactions(engine: Engine) -> None:
    """Switches foreign keys off while tables are rebuilt: with them on, dropping the old parent table deletes its child
    rows.
    """

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, record: object) -> None:
        connection.isolation_level = None
        connection.execute("pragma busy_timeout=10000")
        connection.execute("pragma auto_vacuum=INCREMENTAL")
        connection.execute("pragma journal_mode=WAL")
        connection.execute("pragma foreign_keys=OFF")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _back_up(data: Path, current: str) -> None:
    """Writes a copy of the database, readable by its owner only. To go back, put it in the place of `flowport.db`."""
    backups = data / FOLDER_OF_COPIES
    backups.mkdir(mode=0o700, exist_ok=True)
    target = backups / f"{_COPY}{current}.db"
    draft = target.with_suffix(".part")
    draft.unlink(missing_ok=True)
    copy_database(data, draft)
    draft.replace(target)
    copies = sorted(backups.glob(f"{_COPY}*.db"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in copies[COPIES_KEPT:]:
        old.unlink(missing_ok=True)


_COPY = "before-migration-from-"
