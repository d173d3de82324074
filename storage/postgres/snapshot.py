"""Writes what a PostgreSQL database holds into a SQLite file, as a data folder has it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
from sqlalchemy.exc import DBAPIError

from engine.core.clock import SystemClock
from engine.core.errors import StorageUnavailable
from storage.backup import DATABASE, list_file_hashes
from storage.engines import sqlite_url
from storage.file_bytes import FILES_FOLDER
from storage.files import list_hashes
from storage.knowledge_documents import index_all_pieces
from storage.migrations.upgrade import upgrade
from storage.opening import open_database
from storage.postgres.all_rows import PostgresFiles, PostgresRows, reading_all, session_in
from storage.postgres.unusable import storage_error_told
from storage.table_rows import Copied, FolderFiles, NotTheSame, Progress, Rows, SqliteRows, copy_files, copy_rows


def fill_folder(folder: Path, rows: Rows, *, tell: Progress) -> Copied:
    """Creates the database of a data folder and fills it, with the index for words; the queue stays empty.

    Raises NotTheSame.
    """
    upgrade(sqlite_url(folder), folder)
    target = SqliteRows(folder / DATABASE)
    try:
        copied = copy_rows(rows, target, tell=tell)
        target.commit()
    finally:
        target.close()
    database = open_database(folder)
    try:
        database.write_now(index_all_pieces)
    finally:
        database.close()
    return copied


def write_snapshot(url: str, folder: Path) -> None:
    """Writes what the database holds at one moment into a folder, with the bytes of stored files, while it is in use.

    Raises StorageUnavailable.
    """
    try:
        with reading_all(url, alone=False) as connection:
            fill_folder(folder, PostgresRows(connection), tell=_tell_nobody)
            named = list_file_hashes(folder)
            copy_files(named, PostgresFiles(connection), FolderFiles(folder / FILES_FOLDER), tell=_tell_nobody)
    except NotTheSame as error:
        raise StorageUnavailable(f"The copy of the database is not the same: {error}") from error
    except (DBAPIError, psycopg.Error, sqlite3.Error) as error:
        raise StorageUnavailable(f"The database could not be copied. {storage_error_told(error)}") from error


def measure(url: str) -> tuple[int, list[tuple[str, int]]]:
    """Returns the bytes that the database takes, and hash and size of the stored files. Raises StorageUnavailable."""
    try:
        with reading_all(url, alone=False) as connection, session_in(connection, SystemClock().now()) as session:
            size = connection.exec_driver_sql("select pg_database_size(current_database())").scalar()
            return int(size or 0), list_hashes(session)
    except (DBAPIError, psycopg.Error) as error:
        raise StorageUnavailable(f"The database could not be measured. {storage_error_told(error)}") from error


def _tell_nobody(table: str, rows: int) -> None:
    """Takes progress that nobody reads."""
