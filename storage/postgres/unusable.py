"""Why a PostgreSQL database cannot be used, told to the person who starts the program: never with the password."""

from __future__ import annotations

import re
import sqlite3
from typing import Final

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from engine.core.settings import BadSetting

#: The oldest PostgreSQL that Flowport runs on.
OLDEST: Final = 14
_LACKS_RIGHTS: Final = "42501"
_MAY_WRITE: Final = text(
    """select current_user, to_regclass('jobs') is null
         or has_table_privilege(to_regclass('jobs'), 'select, insert, update, delete') is true"""
)


def database_in_words(url: str) -> str:
    """Names the database of a URL, for sentences: `the database flowport of db.example.com, port 5432`."""
    parts = make_url(url)
    host = parts.host or parts.query.get("host") or "this machine"
    port = f", port {parts.port}" if parts.port else ""
    return f"the database {parts.database or parts.username or ''} of {host}{port}"


def not_usable(error: DBAPIError, url: str) -> BadSetting | None:
    """Returns the refusal for an error while the database was opened; None when the error is the program's own."""
    state = getattr(error.orig, "sqlstate", None)
    said = " ".join(str(error.orig).split())
    if state == _LACKS_RIGHTS:
        user = make_url(url).username or "its user"
        return BadSetting(
            f"The user {user} lacks rights in {database_in_words(url)}: {said}. Where another user owns the "
            "database, run `app.py migrate` with the address of that owner in FLOWPORT_DATABASE_URL, before the first start and "
            f"at every upgrade, and start with {user} then. Where {user} is to be the only user, make the database its own "
            f"(`alter database ... owner to {user}`), or give it the right to make tables "
            f"(`grant usage, create on schema public to {user}`) and to change the tables that are there."
        )
    if state is None or state[:2] in {"08", "28", "3D", "57"}:
        return BadSetting(
            f"PostgreSQL cannot be reached: {database_in_words(url)}, as FLOWPORT_DATABASE_URL says. {said}. Check that it runs and "
            "that the host, port, user, password and database of FLOWPORT_DATABASE_URL are right. Nothing was changed."
        )
    return None


def storage_error_told(error: Exception) -> str | None:
    """Says what PostgreSQL or SQLite refused, without values; None for an error that did not come from a database."""
    found = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(found, psycopg.Error):
        place = ", ".join(name for name in (found.diag.table_name, found.diag.column_name) if name)
        said = found.diag.message_primary or " ".join(str(found).split())
        if found.sqlstate == _LACKS_RIGHTS:
            said += (
                "; the user of this address may not make tables there. Make the database its own (`alter database NAME owner to "
                "USER`), or give it the right (`grant usage, create on schema public to USER`)"
            )
        where = re.match(r"COPY \w+, line \d+(, column \w+)?", found.diag.context or "")
        return f"PostgreSQL said: {said}{f' ({where[0] if where else place})' if where or place else ''}"
    return f"The database file said: {found}" if isinstance(found, sqlite3.Error) else None


def require_usable(connection: Connection, url: str) -> None:
    """Checks version, encoding, mode and rights. Raises BadSetting."""
    dialect = connection.connection.driver_connection
    assert dialect is not None
    if said := unsuitable(
        dialect.info.server_version,
        dialect.info.parameter_status("server_encoding") or "",
        standby=dialect.info.parameter_status("in_hot_standby") == "on",
    ):
        raise BadSetting(f"Flowport cannot use {database_in_words(url)}: {said} Nothing was changed.")
    user, may_write = connection.execute(_MAY_WRITE).one()
    if not may_write:
        raise BadSetting(
            f"The user {user} may not change the tables in {database_in_words(url)}. Give it the rights "
            f"(`grant select, insert, update, delete on all tables in schema public to {user}` and "
            f"`grant usage on all sequences in schema public to {user}`), or start with the user whose tables they are."
        )


def unsuitable(version: int, encoding: str, *, standby: bool) -> str:
    """Says why a server (version as in 160004) cannot hold the tables; "" when it can."""
    if version < OLDEST * 10_000:
        return f"it is PostgreSQL {version // 10_000}, and Flowport needs {OLDEST} or newer. Upgrade it."
    if encoding != "UTF8":
        return f"its encoding is {encoding}, and texts need UTF8. Make it with `create database ... encoding 'UTF8'`."
    if standby:
        return "it is a standby that only reads. Name the primary server in FLOWPORT_DATABASE_URL."
    return ""
