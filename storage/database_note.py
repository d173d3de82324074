"""The note in a data folder that its data are in PostgreSQL, and in a PostgreSQL database that they were moved away.

The address of the database is in the environment of servers, not in the folder. A command without it would make a second
database there, or change the one that was moved away. A server on a database that was moved away would start schedules and
jobs a second time.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from engine.core.clock import SystemClock
from engine.core.settings import BadSetting
from storage.backup import DATABASE

if TYPE_CHECKING:
    from storage.database import Database

NOTE = "database.txt"
_SET_IT = (
    "FLOWPORT_DATABASE_URL is not set here. Set it, and FLOWPORT_SECRET_KEY_FILE, as the servers have them (in the unit of "
    "systemd or the compose file), and give the command again."
)


def put_note(data: Path, url: str) -> None:
    """Notes which database the folder belongs to, without user and password. A full disk leaves it out."""
    from storage.postgres.unusable import database_in_words

    path, text = data / NOTE, f"Everything of this folder is in PostgreSQL: {database_in_words(url)}.\n"
    with contextlib.suppress(OSError):
        if not path.exists() or path.read_text(errors="replace") != text:
            path.touch(mode=0o600)
            path.write_text(text)


def require_data_here(data: Path, *, what_to_do: str = _SET_IT) -> None:
    """Raises BadSetting when the data of a folder are in PostgreSQL, for who was given no address of one."""
    path = data.resolve() / NOTE
    if path.exists():
        raise BadSetting(
            f"{path} says: {' '.join(path.read_text(errors='replace').split())} {what_to_do} To go on with what is in the "
            f"folder itself, remove {path}. Nothing was changed."
        )


def note_moved(url: str, target: str) -> None:
    """Notes in a PostgreSQL database that everything was moved to `target`, in words. Raises errors of the database."""
    from storage.postgres.all_rows import session_in, writing_all
    from storage.settings import MOVED_TO, SERVER, put_setting

    with writing_all(url) as connection, session_in(connection, SystemClock().now()) as session:
        put_setting(session, SERVER, MOVED_TO, target)


def require_not_moved(database: Database, url: str) -> None:
    """Raises BadSetting when everything of a PostgreSQL database was moved away."""
    from storage.postgres.unusable import database_in_words
    from storage.settings import MOVED_TO, SERVER, find_setting

    target = database.read_now(find_setting, SERVER, MOVED_TO)
    if target is not None:
        lift = f"delete from settings where scope = '{SERVER}' and name = '{MOVED_TO}'"  # noqa: S608 - own names
        raise BadSetting(
            f"Everything in {database_in_words(url)} was moved to {target}. Two servers would start schedules and run jobs "
            "twice, so nothing uses it any more. Start there; to go on with this database (the move was a trial), run in it "
            f"with psql: {lift}. Nothing was changed."
        )


def unused_file(data: Path) -> str:
    """Says that a SQLite database lies in the folder of a process that uses PostgreSQL; "" when none does."""
    path = data.resolve() / DATABASE
    return (
        f"{path} is not used, as FLOWPORT_DATABASE_URL is set: what it holds is not seen here." if path.exists() else ""
    )
