"""Which schema a database has and which is the newest, and how Alembic takes it from one to the other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import Connection

if TYPE_CHECKING:
    from alembic.config import Config

VERSIONS = Path(__file__).parent / "versions"
#: Makes what is entered while the tables of an earlier release are migrated: it keeps servers and workers out of a data
#: folder, and raises when some are in, or when this process may not change the tables.
KeepOut: TypeAlias = Callable[[], AbstractContextManager[object]]


class NewerData(Exception):  # shown to the person who starts the program
    """The data folder was written by a newer Flowport that this one cannot read."""


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
