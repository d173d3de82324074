"""Copies the database while it is in use, checks a database file for damage, and reads its schema revision."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from engine.core.errors import NotFound, StorageUnavailable
from engine.core.settings import require_utf8

DATABASE = "flowport.db"
#: The check of a large file stops after this many seconds. It finds faults in the first pages it reads.
CHECK_SECONDS = 5.0
#: Files up to this size are checked before each start, which takes some milliseconds.
SMALL_BYTES = 4 << 20


class DatabaseDamaged(Exception):  # shown to the person who starts the program
    """The database file is damaged."""


def has_database(data: Path) -> bool:
    """True when a data folder holds a database of Flowport. Raises OSError, also when it is no folder."""
    try:
        (data / DATABASE).stat()
    except FileNotFoundError:
        return False
    return True


def require_database(data: Path, *, remedy: str = "Name its folder with --data or FLOWPORT_DATA.") -> None:
    """Raises NotFound when a data folder holds no database, BadSetting when its path is no text, and OSError."""
    require_utf8(data)
    if not has_database(data):
        raise NotFound(f"There is no Flowport in {data.resolve()}", remedy=remedy)


def copy_database(data: Path, target: Path) -> None:
    """Writes a consistent copy as of now. Reads and writes continue meanwhile (WAL mode). Raises StorageUnavailable."""
    source = sqlite3.connect(data / DATABASE, timeout=10)
    copy = sqlite3.connect(target)
    target.chmod(0o600)
    try:
        copy.execute("pragma synchronous=OFF")
        source.backup(copy, pages=-1)  # in one step: between steps, a write by others restarts the copy
        copy.execute("pragma journal_mode=DELETE")
    except sqlite3.Error as error:
        raise StorageUnavailable(f"The database could not be copied: {error}") from error
    finally:
        copy.close()
        source.close()


def require_sound(data: Path, *, seconds: float = CHECK_SECONDS) -> None:
    """Checks the database for at most `seconds` and writes nothing. Raises DatabaseDamaged."""
    fault = find_fault(data / DATABASE, seconds=seconds)
    if fault:
        raise DatabaseDamaged(damage_told(data, fault, "Flowport has not started and has changed nothing."))


def damage_told(data: Path, fault: str, outcome: str) -> str:
    """Says that the database is damaged, what Flowport did about it, and what the reader can do."""
    return (
        f"The database {data / DATABASE} is damaged ({fault}). {outcome} "
        "Keep a copy of the folder, then bring back a backup: `app.py restore FILE --data NEW_FOLDER` makes a new folder from "
        f"one; the nightly ones are in {data / 'backups'}."
    )


def is_small(data: Path) -> bool:
    """True when the database of a data folder is checked before each start."""
    path = data / DATABASE
    return path.exists() and path.stat().st_size <= SMALL_BYTES


def find_fault(path: Path, *, seconds: float = CHECK_SECONDS, stopped: Callable[[], bool] = lambda: False) -> str:
    """Returns what is wrong with a database file; "" when no fault was found within `seconds` or until `stopped`, or
    when there is no file.
    """
    if not path.exists() or path.stat().st_size == 0:
        return ""
    until = time.monotonic() + seconds
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=10)
    try:
        connection.set_progress_handler(lambda: time.monotonic() > until or stopped(), 20_000)
        found = [str(row[0]) for row in connection.execute("pragma quick_check(3)")]
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
            return ""  # out of time, or the file cannot be opened: opening the database reports it
        return str(error)
    finally:
        with contextlib.suppress(sqlite3.Error):
            connection.close()
    return "" if found == ["ok"] else "; ".join(" ".join(found).split("\n"))[:300]


def schema_of(path: Path) -> str:
    """Returns the Alembic revision of a database file, or "" when it has none."""
    if not path.exists():
        return ""
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as connection:
        try:
            row = connection.execute("select version_num from alembic_version").fetchone()
        except sqlite3.Error:
            return ""
    return row[0] if row else ""


def key_fingerprint_of(path: Path) -> str:
    """Returns the fingerprint of the key that a database file has stored (`engine.secrets.shared_key`), or ""."""
    if not path.exists():
        return ""
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as connection:
        try:
            row = connection.execute(
                "select value from settings where scope = 'server' and name = 'key_fingerprint'"
            ).fetchone()
        except sqlite3.Error:
            return ""
    return str(json.loads(row[0])["value"]) if row else ""


#: What is sealed, as `storage.secrets` lists it, in tables of any release. Each stands alone: older files lack some.
_SEALED = (
    "select workspace_id, id, sealed from secrets",
    "select workspace_id, id, sealed from webhook_secrets",
    "select workspace_id, id, sealed from hook_secrets",
    "select u.workspace_id, 'second factor of ' || f.user_id, f.sealed from second_factors f join users u on u.id = f.user_id",
    "select scope, name, json_extract(value, '$.value') from settings where scope = 'server' and name = 'backup_passphrase'",
)


def list_sealed_in(path: Path) -> list[tuple[str, str, str]]:
    """Returns (workspace id, secret id, sealed text) of everything that is sealed in a database file of any release."""
    found: list[tuple[str, str, str]] = []
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as connection:
        for query in _SEALED:
            with contextlib.suppress(sqlite3.Error):  # this release has no such table
                found += connection.execute(query)
    return found


def list_file_hashes(path: Path) -> list[tuple[str, int]]:
    """Returns hash and size of the bytes that the rows of a database file (or of a data folder) name; none when it
    cannot be read or is older than files.
    """
    database = path / DATABASE if path.is_dir() else path
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=10)) as connection:
            return list(connection.execute("select distinct sha256, size from files order by sha256"))
    except sqlite3.Error:
        return []


def read_pieces(path: Path, size: int) -> Iterator[bytes]:
    """Yields the content of a file in pieces of `size` bytes."""
    with path.open("rb") as file:
        while piece := file.read(size):
            yield piece
