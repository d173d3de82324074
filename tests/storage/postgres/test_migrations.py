"""A database of PostgreSQL that is migrated has the same tables as a new one."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, text

from storage.migrations.postgres import upgrade_postgres
from storage.postgres.connections import make_migration_engine
from tests.databases import url_of

#: What 0031 and 0032 add.
_BACK = (
    "drop table file_pieces, file_bytes, knowledge_words, write_marks",
    "update alembic_version set version_num = '0030'",
)


def shape(connection: Connection) -> list[tuple[object, ...]]:
    """Returns every column and every index of the database."""
    columns = connection.execute(
        text(
            """
            select c.table_name, c.column_name, c.data_type, c.is_nullable, a.attstorage, a.attstattarget, r.reloptions
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
    return [tuple(row) for row in (*columns, *indexes.all())]


def test_a_database_of_0030_gets_what_a_new_one_has(new_data: Path) -> None:
    url = url_of(new_data)
    assert url is not None
    engine = make_migration_engine(url)
    with engine.begin() as connection:
        new = shape(connection)
        for statement in _BACK:
            connection.execute(text(statement))
    assert upgrade_postgres(url) is True
    with engine.connect() as connection:
        assert shape(connection) == new
    engine.dispose()
    assert upgrade_postgres(url) is False
