"""A database of PostgreSQL that is migrated has the same tables as a new one."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from sqlalchemy import Connection, text

from storage.migrations import schema
from storage.migrations.postgres import upgrade_postgres
from storage.postgres.connections import make_migration_engine
from tests.databases import url_of

#: The schema of the first servers with PostgreSQL. Every migration behind it takes back in `downgrade()` what it does.
FIRST = "0030"


def shape(connection: Connection) -> set[str]:
    """Returns every column and every index of the database."""
    columns = connection.execute(
        text(
            """
            select c.table_name, c.column_name, c.data_type, c.is_nullable, c.column_default,
                   a.attstorage, a.attstattarget, r.reloptions
              from information_schema.columns c
              join pg_class r on r.relname = c.table_name and r.relnamespace = 'public'::regnamespace
              join pg_attribute a on a.attrelid = r.oid and a.attname = c.column_name
             where c.table_schema = 'public' order by c.table_name, c.column_name
            """
        )
    ).all()
    indexes = connection.execute(
        text("select tablename, indexdef from pg_indexes where schemaname = 'public' order by 2")
    )
    return {" | ".join(map(str, row)) for row in (*columns, *indexes.all())}


def test_the_oldest_database_gets_what_a_new_one_has(new_data: Path) -> None:
    url = url_of(new_data)
    assert url is not None
    engine = make_migration_engine(url)
    with engine.begin() as connection:
        new = shape(connection)
        command.downgrade(schema._alembic(connection), FIRST)
        assert shape(connection) != new, "`downgrade()` of the migrations takes nothing back"
    assert upgrade_postgres(url) is True
    with engine.connect() as connection:
        migrated = shape(connection)
    assert (sorted(new - migrated), sorted(migrated - new)) == ([], []), (
        "`storage/tables.py` (or `storage/migrations/postgres_only.py`), which makes the first, and the migrations, which "
        "make the second, differ."
    )
    engine.dispose()
    assert upgrade_postgres(url) is False
