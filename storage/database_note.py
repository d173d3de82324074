"""The note in a data folder that its data are in PostgreSQL.

The address of the database is in the environment of servers, not in the folder. A command without it would make a second
database there, or change the one that was moved away.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from engine.core.settings import BadSetting
from storage.backup import DATABASE

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


def unused_file(data: Path) -> str:
    """Says that a SQLite database lies in the folder of a process that uses PostgreSQL; "" when none does."""
    path = data.resolve() / DATABASE
    return (
        f"{path} is not used, as FLOWPORT_DATABASE_URL is set: what it holds is not seen here." if path.exists() else ""
    )
