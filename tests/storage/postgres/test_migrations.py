"""A database of PostgreSQL that is migrated has the same tables as a new one."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, text

from engine.core.settings import Settings
from engine.jobs.worker_locks import new_boot, ready_for_upgrade
from storage.migrations import schema
from storage.migrations.postgres import postgres_schema, upgrade_postgres
from storage.opening import open_database
from storage.postgres.connections import make_migration_engine
from tests.databases import url_of
from tests.storage.postgres.test_backups import KEY, PASSPHRASE
from tests.storage.postgres.test_backups import command as run_command

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


@pytest.fixture
def older(new_data: Path) -> str:
    """The URL of a database whose tables are those of an earlier release."""
    url = url_of(new_data)
    assert url is not None
    engine = make_migration_engine(url)
    with engine.begin() as connection:
        command.downgrade(schema._alembic(connection), FIRST)
    engine.dispose()
    return url


def test_only_migrate_and_a_start_change_the_tables_of_an_earlier_release(older: str, tmp_path: Path) -> None:
    """An older server on any machine goes on with them until it ends, and would not start any more."""
    key = tmp_path / "secret.key"
    key.write_text(KEY)
    given: dict[str, object] = {"FLOWPORT_DATABASE_URL": older, "FLOWPORT_SECRET_KEY_FILE": key, **PASSPHRASE}
    for words in (("check", "--offline"), ("flows", "list"), ("backup", "one.fpbackup"), ("new-key", "--yes")):
        refused = run_command(tmp_path, *words, "--data", "srv", **given)
        assert (refused.code, refused.out, postgres_schema(older)) == (1, "", FIRST), words
        assert f"those of an older Flowport (schema {FIRST}, this one has {schema.newest_schema()})" in refused.err
        assert "may be running on any machine" in refused.err
        assert "make a backup with that program" in refused.err
        assert "`app.py migrate`" in refused.err
    _, working = new_boot(tmp_path / "srv")  # an older worker of this machine goes on, too
    migrated = run_command(tmp_path, "migrate", "--data", "srv", **given)
    assert migrated.value == postgres_schema(older) == schema.newest_schema()
    assert run_command(tmp_path, "flows", "list", "--data", "srv", **given).code == 0
    working.release()


def test_a_server_or_worker_changes_the_tables_of_an_earlier_release_when_it_starts(older: str, tmp_path: Path) -> None:
    _, working = new_boot(tmp_path)
    keep_out = functools.partial(ready_for_upgrade, Settings(data=tmp_path, database_url=older), serves=True)
    open_database(tmp_path, url=older, keep_out=keep_out).close()
    assert postgres_schema(older) == schema.newest_schema()
    working.release()
