"""Migrates a data folder's tables to the newest schema: under a file lock, after a backup, in one transaction, only
upwards.
"""

from __future__ import annotations

import fcntl
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import NullPool

from storage.backup import DATABASE, copy_database, schema_of

if TYPE_CHECKING:
    from alembic.config import Config

VERSIONS = Path(__file__).parent / "versions"


#: How many copies from before migrations are kept.
COPIES_KEPT = 3


class NewerData(Exception):  # noqa: N818 - shown to the person who starts the program
    """The data folder was written by a newer Flowport that this one cannot read."""


def upgrade(url: str, data: Path) -> bool:
    """Migrates the database when necessary; returns True when it did. Raises NewerData, and changes nothing then."""
    if not url.startswith("sqlite"):
        from storage.migrations.postgres import upgrade_postgres

        return upgrade_postgres(url)
    current = schema_of(data / DATABASE)
    refuse_newer(f"in {data}", current)
    if current == newest_schema():  # loading Alembic takes longer than most commands
        return False
    with (data / "migrate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        engine = create_engine(url, poolclass=NullPool)
        _own_transactions(engine)
        with engine.connect() as connection:
            current = stored_schema(connection)
            connection.rollback()
        refuse_newer(f"in {data}", current)
        if current == newest_schema():
            return False
        if current:
            _back_up(data, current)
        with engine.begin() as connection:
            run_migrations(connection)
            broken = connection.exec_driver_sql("pragma foreign_key_check").fetchall()
            if broken:
                raise RuntimeError(f"the migration would leave rows without their parent: {broken[:5]}")
        return True


def run_migrations(connection: Connection) -> None:
    """Runs every migration that the database lacks, in the transaction of this connection."""
    from alembic import command

    command.upgrade(_alembic(connection), "head")


def note_newest(connection: Connection) -> None:
    """Notes that the tables, which were made from `storage.tables`, have the newest schema."""
    from alembic import command

    command.stamp(_alembic(connection), "head")


def stored_schema(connection: Connection) -> str:
    """Returns the revision that the database was migrated to; "" of an empty database."""
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision() or ""


def _alembic(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config


def newest_schema() -> str:
    """Returns the newest revision of this program; revisions are numbered in their order."""
    return max(_known())


def _known() -> set[str]:
    return {file.name.split("_")[0] for file in VERSIONS.glob("0*.py")}


def refuse_newer(where: str, current: str) -> None:
    """Raises NewerData when this program does not know the schema. `where` says where the data is."""
    if current and current not in _known():
        raise NewerData(
            f"The data {where} was written by a newer Flowport (schema {current}). "
            f"This program knows schema {newest_schema()} and has changed nothing. "
            "Start the newer program, or restore a backup made with this one."
        )


def _own_transactions(engine) -> None:  # noqa: ANN001 - an Engine of any dialect
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
    backups = data / "backups"
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
