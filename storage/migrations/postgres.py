"""Creates and migrates the tables in PostgreSQL, under an advisory lock, so that servers may start side by side.

The first release with PostgreSQL is younger than the first migrations, so an empty database gets the newest tables at
once. From then on it is migrated like SQLite. There is no copy from before a migration: `docs` tells how to make one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from engine.core.errors import DatabaseNotEmpty
from storage.migrations.postgres_only import TABLES
from storage.migrations.schema import KeepOut, newest_schema, note_newest, refuse_newer, run_migrations
from storage.postgres.connections import MIGRATE_LOCK, make_migration_engine
from storage.postgres.unusable import database_in_words, not_usable, require_usable
from storage.postgres.vector_search import prepare_meaning
from storage.tables import Base

#: Tables of the schema that are no part of an extension.
_TABLES: Final = """
    select c.relname from pg_class c
     where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p')
       and not exists (select 1 from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
     order by c.relname
"""
#: A key may have 4,000 bytes, an address more, and an entry of an ordered index has at most 2,704.
_INDEXES = (
    "drop index ix_dataset_rows_key",
    "create index ix_dataset_rows_key on dataset_rows using hash (key)",
    "drop index ix_knowledge_documents_key",
    "create unique index ix_knowledge_documents_key on knowledge_documents (source_id, md5(key))",
    "create index ix_knowledge_documents_hash on knowledge_documents using hash (key)",
)


def upgrade_postgres(url: str, *, keep_out: KeepOut = contextlib.nullcontext) -> bool:
    """Creates or migrates the tables when necessary; returns True when it did. `keep_out` is entered before tables of an
    earlier release are changed.

    Raises NewerData, what `keep_out` raises, and BadSetting when the server cannot be reached or used.
    """
    with _opened(url) as engine:
        with engine.connect() as connection:
            require_usable(connection, url)
            is_newest = _is_newest(connection, url)
        changed = not is_newest and _upgrade(engine, url, keep_out)
        prepare_meaning(engine)
        return changed


def postgres_schema(url: str) -> str:
    """Returns the schema revision of a database; "" when it has no tables of Flowport. Raises BadSetting."""
    with _opened(url) as engine, engine.connect() as connection:
        require_usable(connection, url)
        return read_schema(connection)


def read_schema(connection: Connection) -> str:
    """Does the same on an open connection. It does not load Alembic, which takes longer than most commands run."""
    if connection.scalar(text("select to_regclass('alembic_version')")) is None:
        return ""
    return connection.scalar(text("select version_num from alembic_version")) or ""


def list_tables(connection: Connection) -> list[str]:
    """Returns the tables in the schema that Flowport would use."""
    return [row[0] for row in connection.exec_driver_sql(_TABLES)]


def others_told(names: list[str]) -> str:
    """Names tables that are not Flowport's, for a refusal."""
    return f"tables of something else ({', '.join(names[:5])}{' ...' if len(names) > 5 else ''})"


@contextlib.contextmanager
def _opened(url: str) -> Generator[Engine]:
    """An engine for the tables. Raises BadSetting when the server cannot be reached or used."""
    engine = make_migration_engine(url)
    try:
        yield engine
    except DBAPIError as error:
        refusal = not_usable(error, url)
        if refusal is None:
            raise
        raise refusal from error
    finally:
        engine.dispose()


def _upgrade(engine: Engine, url: str, keep_out: KeepOut) -> bool:
    with engine.begin() as connection:
        connection.execute(text(f"select pg_advisory_xact_lock{MIGRATE_LOCK}"))
        if _is_newest(connection, url):
            return False
        if read_schema(connection):
            with keep_out():
                run_migrations(connection)
                _compare_bytes(connection)
        else:
            _require_no_others(connection, url)
            create_tables(connection)
        return True


def _require_no_others(connection: Connection, url: str) -> None:
    """Raises DatabaseNotEmpty when a database without tables of Flowport has those of something else."""
    if found := list_tables(connection):
        where = database_in_words(url)
        raise DatabaseNotEmpty(
            f"{where[:1].upper()}{where[1:]} holds {others_told(found)}",
            remedy="Name a database of its own in FLOWPORT_DATABASE_URL (`createdb NAME` makes an empty one). Nothing was changed.",
        )


def create_tables(connection: Connection) -> None:
    """Creates the newest tables in an empty database, in the transaction of this connection."""
    Base.metadata.create_all(connection)
    for statement in (*TABLES, *_INDEXES):
        connection.execute(text(statement))
    _compare_bytes(connection)
    note_newest(connection)


_BY_LANGUAGE = text(
    """
    select format('alter table %I %s', table_name,
                  string_agg(format('alter column %I type %s collate "C"', column_name, data_type), ', '))
      from information_schema.columns
     where table_schema = current_schema() and data_type in ('text', 'character varying') and collation_name is null
     group by table_name
    """
)


def _compare_bytes(connection: Connection) -> None:
    """Makes every text column compare its bytes, as in SQLite, however the database was made: ids and cursors are
    compared and ordered, and an order by language changes with the operating system.
    """
    for statement in connection.scalars(_BY_LANGUAGE).all():
        connection.exec_driver_sql(statement)


def _is_newest(connection: Connection, url: str) -> bool:
    """Compares the stored schema with the newest. Raises NewerData."""
    current = read_schema(connection)
    refuse_newer(f"in {database_in_words(url)}", current)
    return current == newest_schema()
