"""Migrates a data folder's tables to the newest schema: under a file lock, after a backup, in one transaction, only
upwards.
"""

from __future__ import annotations

import fcntl
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import NullPool

from storage.backup import DATABASE, copy_database, schema_of

VERSIONS = Path(__file__).parent / "versions"


#: How many copies from before migrations are kept.
COPIES_KEPT = 3


class NewerData(Exception):  # noqa: N818 - shown to the person who starts the program
    """The data folder was written by a newer Flowport that this one cannot read."""


def upgrade(url: str, data: Path) -> bool:
    """Migrates the database when necessary; returns True when it did. Raises NewerData, and changes nothing then."""
    if url.startswith("sqlite"):
        current = schema_of(data / DATABASE)
        _refuse_newer(data, current)
        if current == newest_schema():  # loading Alembic takes longer than most commands
            return False
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with (data / "migrate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        engine = create_engine(url, poolclass=NullPool)
        if url.startswith("sqlite"):
            _own_transactions(engine)
        with engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision() or ""
            connection.rollback()
        _refuse_newer(data, current)
        if current == newest_schema():
            return False
        if current and url.startswith("sqlite"):
            _back_up(data, current)
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            if url.startswith("sqlite"):
                broken = connection.exec_driver_sql("pragma foreign_key_check").fetchall()
                if broken:
                    raise RuntimeError(f"the migration would leave rows without their parent: {broken[:5]}")
        return True


def newest_schema() -> str:
    """Returns the newest revision of this program; revisions are numbered in their order."""
    return max(_known())


def _known() -> set[str]:
    return {file.name.split("_")[0] for file in VERSIONS.glob("0*.py")}


def _refuse_newer(data: Path, current: str) -> None:
    if current and current not in _known():
        raise NewerData(
            f"The data in {data} was written by a newer Flowport (schema {current}). "
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
