"""Moves everything from a data folder into an empty PostgreSQL database, from there into an empty folder, or from one
PostgreSQL database into another.

The source is only read. What is copied into PostgreSQL is one transaction. A folder is filled in `.moving` inside it, and
the database takes its place last. So a move that is interrupted, in whatever way, leaves the target empty; what a killed
one left in a folder is removed by the next.
"""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from engine.backups.work_folders import FOLDER, filled_folder, work_folder
from engine.core.clock import SystemClock
from engine.core.errors import DatabaseNotEmpty, MoveFailed, NotFound
from engine.core.settings import BadSetting
from engine.jobs.transitions import send_all
from engine.moving.in_use import nobody_in, require_nobody
from engine.secrets.sealing import KEY_FILE, Vault, open_vault
from storage.backup import DATABASE, copy_database, list_file_hashes, require_database, require_sound, schema_of
from storage.engines import sqlite_url
from storage.file_bytes import FILES_FOLDER
from storage.file_modes import make_private
from storage.files import list_hashes
from storage.knowledge_documents import index_all_pieces
from storage.migrations.schema import newest_schema, refuse_newer
from storage.migrations.upgrade import require_driver, upgrade
from storage.opening import open_database
from storage.settings import KEY_FINGERPRINT, MOVED_TO, SERVER, find_setting, put_setting
from storage.table_rows import (
    Copied,
    CopiedFiles,
    Files,
    FolderFiles,
    NotTheSame,
    Progress,
    Rows,
    SqliteRows,
    copy_files,
    copy_rows,
)

if TYPE_CHECKING:
    from storage.postgres.all_rows import Opened


class Moved(Struct, frozen=True):
    """What was moved. `queued`: how many jobs were queued anew."""

    copied: Copied
    files: CopiedFiles
    queued: int


def move_to_postgres(data: Path, url: str, *, tell: Progress) -> Moved:
    """Copies a data folder into an empty PostgreSQL database.

    Raises NotFound, InUse, DatabaseNotEmpty, MoveFailed, BadSetting, NewerData and DatabaseDamaged; nothing is changed
    then.
    """
    require_driver()
    from storage.postgres.all_rows import writing_all

    require_database(data, remedy="Name its folder with --data or --from.")
    refuse_newer(f"in {data}", schema_of(data / DATABASE))
    with nobody_in(data), _refusals(), writing_all(url) as target:
        _prepare(target, url)
        require_sound(data, seconds=math.inf)
        with _rows_of(data) as rows:
            return _fill(target, rows, FolderFiles(data / FILES_FOLDER), tell)


def move_to_other(url: str, target_url: str, *, tell: Progress) -> Moved:
    """Copies one PostgreSQL database into another one, which is empty. Raises as the other two."""
    require_driver()
    from storage.postgres.all_rows import PostgresFiles, PostgresRows, reading_all, writing_all

    with _refusals(), reading_all(url, alone=True) as source, writing_all(target_url) as target:
        _require_source(source, url)
        _prepare(target, target_url)
        return _fill(target, PostgresRows(source), PostgresFiles(source), tell)


def move_to_folder(url: str, data: Path, *, key_file: Path | None, tell: Progress) -> Moved:
    """Copies a PostgreSQL database into an empty data folder, with the key of its secrets (`key_file`).

    Raises InUse, FolderNotEmpty, MoveFailed and BadSetting; nothing is changed then.
    """
    require_driver()
    from storage.postgres.all_rows import PostgresFiles, PostgresRows, reading_all
    from storage.postgres.snapshot import fill_folder

    if key_file is None:
        raise BadSetting(
            "FLOWPORT_SECRET_KEY_FILE is not set. Name the key file of the servers there: without it nobody could open the "
            "secrets in the new folder. Nothing was changed."
        )
    vault = open_vault(data, key_file)
    with _refusals(), reading_all(url, alone=True) as source:
        _require_source(source, url)
        _require_key(source, vault, key_file)
        with filled_folder(data) as work:
            copied = fill_folder(work, PostgresRows(source), tell=tell)
            named = list_file_hashes(work)
            files = copy_files(named, PostgresFiles(source), FolderFiles(work / FILES_FOLDER), tell=tell)
            database = open_database(work)
            try:
                database.write_now(put_setting, SERVER, MOVED_TO, None)
                queued = database.write_now(send_all)
            finally:
                database.close()
            shutil.copyfile(key_file, work / KEY_FILE)
            make_private(work)
    return Moved(copied, files, queued)


def _fill(target: Opened, rows: Rows, files: Files, tell: Progress) -> Moved:
    """Fills the tables of a PostgreSQL database, and makes what is not copied: the index for words, and the messages of
    the queue.
    """
    from storage.postgres.all_rows import PostgresFiles, PostgresRows, session_in

    copied = copy_rows(rows, PostgresRows(target), tell=tell)
    with session_in(target, SystemClock().now()) as session:
        copied_files = copy_files(list_hashes(session), files, PostgresFiles(target), tell=tell)
        put_setting(session, SERVER, MOVED_TO, None)
        index_all_pieces(session)
        return Moved(copied, copied_files, send_all(session))


def require_empty_database(url: str) -> None:
    """Raises BadSetting, DatabaseNotEmpty and MoveFailed unless a PostgreSQL database can take what is moved."""
    require_driver()
    from storage.postgres.all_rows import reading_all

    with _refusals(), reading_all(url, alone=False) as connection:
        _require_empty(connection, url)


@contextlib.contextmanager
def _rows_of(data: Path) -> Iterator[SqliteRows]:
    """The rows of a data folder. Those of an older schema are read from a copy that is migrated."""
    with contextlib.ExitStack() as opened:
        rows = SqliteRows(data / DATABASE)
        opened.callback(rows.close)
        if schema_of(data / DATABASE) != newest_schema():
            if not (data / FOLDER).exists():
                opened.callback(_remove_empty, data / FOLDER)
            work = opened.enter_context(work_folder(data))
            copy_database(data, work / DATABASE)
            upgrade(sqlite_url(work), work)
            rows = SqliteRows(work / DATABASE)
            opened.callback(rows.close)
        yield rows


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _prepare(connection: Opened, url: str) -> None:
    """Creates the tables in an empty database. Raises BadSetting and DatabaseNotEmpty."""
    from storage.migrations.postgres import create_tables, list_tables
    from storage.postgres.all_rows import forget_points

    _require_empty(connection, url)
    if list_tables(connection):
        forget_points(connection)
    else:
        create_tables(connection)


def _require_empty(connection: Opened, url: str) -> None:
    from storage.postgres.all_rows import what_it_holds
    from storage.postgres.unusable import database_in_words, require_usable

    require_usable(connection, url)
    if held := what_it_holds(connection):
        raise DatabaseNotEmpty(
            f"{database_in_words(url)[:1].upper()}{database_in_words(url)[1:]} holds {held}",
            remedy="Name an empty one (`createdb NAME` makes it). Nothing was changed.",
        )


def _require_source(connection: Opened, url: str) -> None:
    """Raises NotFound, NewerData and InUse."""
    from storage.migrations.postgres import read_schema
    from storage.postgres.all_rows import list_users
    from storage.postgres.unusable import database_in_words

    current = read_schema(connection)
    if not current:
        raise NotFound(f"There is no Flowport in {database_in_words(url)}", remedy="Name its address with --from.")
    refuse_newer(f"in {database_in_words(url)}", current)
    if current != newest_schema():
        raise MoveFailed(
            f"The tables in {database_in_words(url)} are those of an older Flowport (schema {current}, this one has {newest_schema()})",
            remedy="Start a server of this version on it once, which brings them up to date, stop it, and move then.",
        )
    require_nobody(list_users(connection), database_in_words(url))


def _require_key(connection: Opened, vault: Vault, key_file: Path) -> None:
    """Raises BadSetting when the servers of a database have another key."""
    from storage.postgres.all_rows import session_in

    with session_in(connection, SystemClock().now()) as session:
        known = find_setting(session, SERVER, KEY_FINGERPRINT)
    if known not in {None, vault.fingerprint()}:
        raise BadSetting(
            f"The key in {key_file} (FLOWPORT_SECRET_KEY_FILE) is not the key of this database: its fingerprint is "
            f"{vault.fingerprint()}, and that of the database's key is {known}. Name the key file of the servers. Nothing was "
            "changed."
        )


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Turns what went wrong underneath into a refusal that says that nothing was moved."""
    from storage.postgres.unusable import storage_error_told

    try:
        yield
    except NotTheSame as error:
        raise MoveFailed(f"{error}", remedy="Try again, and report it when it happens again.") from error
    except OSError as error:
        raise MoveFailed(
            f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}",
            remedy="Free some disk space or choose another place, and try again.",
        ) from error
    except Exception as error:
        if (said := storage_error_told(error)) is None:
            raise
        raise MoveFailed(said, remedy="Mend that and try again.") from error
