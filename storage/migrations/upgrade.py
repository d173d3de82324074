"""Brings a data folder's tables up to date: under a file lock, after a backup, in one transaction, never downwards."""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import NullPool

VERSIONS = Path(__file__).parent / "versions"


class NewerData(Exception):  # noqa: N818 - said to the person who starts the program
    """The data folder was written by a newer Flowport; this one would not understand it."""


def upgrade(url: str, data: Path) -> bool:
    """Returns True when something was migrated. Raises NewerData and leaves the folder as it is."""
    if url.startswith("sqlite") and _is_newest(data):
        return False
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    script = ScriptDirectory.from_config(config)
    with (data / "migrate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        engine = create_engine(url, poolclass=NullPool)
        if url.startswith("sqlite"):
            _own_transactions(engine)
        with engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
            connection.rollback()
        if current is not None and current not in {revision.revision for revision in script.walk_revisions()}:
            raise NewerData(
                f"The data in {data} was written by a newer Flowport (schema {current}). "
                f"This program knows schema {script.get_current_head()} and has changed nothing. "
                "Start the newer program, or restore a backup made with this one."
            )
        if current == script.get_current_head():
            return False
        if current is not None and url.startswith("sqlite"):
            _back_up(data, current)
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            if url.startswith("sqlite"):
                broken = connection.exec_driver_sql("pragma foreign_key_check").fetchall()
                if broken:
                    raise RuntimeError(f"the migration would leave rows without their parent: {broken[:5]}")
        return True


def _is_newest(data: Path) -> bool:
    """Asks the table that Alembic writes: loading Alembic takes longer than most commands."""
    newest = max(file.name for file in VERSIONS.glob("0*.py")).split("_")[0]
    if not (data / "flowport.db").exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(data / "flowport.db", timeout=10)) as connection:
            return connection.execute("select version_num from alembic_version").fetchall() == [(newest,)]
    except sqlite3.Error:
        return False


def _own_transactions(engine) -> None:  # noqa: ANN001 - an Engine of any dialect
    """Foreign keys off while tables are rebuilt: with them on, a rebuilt parent would delete its children."""

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
    backups = data / "backups"
    backups.mkdir(exist_ok=True)
    with (
        sqlite3.connect(data / "flowport.db") as source,
        sqlite3.connect(backups / f"before-migration-from-{current}.db") as target,
    ):
        source.backup(target)
    source.close()
    target.close()
