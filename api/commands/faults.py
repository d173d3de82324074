"""What a command says when the system or the database refuses it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

#: With less free space SQLite cannot even open its database: it makes a file beside it.
_FULL_BYTES = 1 << 20


def system_error_told(error: OSError, data: Path) -> str:
    """Returns a message for an error of the system. `data`: the data folder."""
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return (
            f"{where}There is no space left to write on a disk, most likely that of the data folder ({data}). Free some space "
            "there, then give the command again."
        )
    if where and Path(str(error.filename)).absolute().is_relative_to(data.absolute()):
        return f"The data folder {data} cannot be used: {where}{error.strerror}. {_what_to_do(error, data)}"
    return f"{where}{error.strerror}." if where else f"{error}."


def _what_to_do(error: OSError, data: Path) -> str:
    from storage.file_modes import user_name

    another = "name another folder with FLOWPORT_DATA or --data"
    if error.errno in {errno.EACCES, errno.EPERM}:
        user = user_name(os.geteuid())
        return f"This runs as the user {user}: give the folder to that user (`sudo chown -R {user} {data}`), start as its owner, or {another}."
    if error.errno == errno.EROFS:
        return f"Mount its disk for writing, or {another}."
    if error.errno in {errno.EEXIST, errno.ENOTDIR}:
        return f"There is a file where a folder has to be. Move it away, or {another}."
    return f"Look at its disk, or {another}."


def database_error_told(error: Exception, data: Path) -> str | None:
    """Returns a message for an error of the database, None for other errors. `data`: the data folder.

    Exceptions are compared by class name, because importing their modules is expensive.
    """
    match type(error).__name__:
        case "NewerData" | "DatabaseDamaged":
            return str(error)
        case "DatabaseError" | "OperationalError":
            cause = getattr(error, "orig", error)
            if type(cause).__module__.startswith("psycopg"):
                return (
                    f"PostgreSQL could not do this: {cause}. Run `app.py check`, which says what is "
                    "wrong with the database, or look into the log of PostgreSQL."
                )
            if is_full(data, str(cause)):
                return (
                    f"The database in the data folder cannot be used, because the disk of {data} is full ({cause}). Free some "
                    "space there, then try again. Nothing was lost."
                )
            return (
                f"The database in the data folder cannot be used: {cause}. "
                "Check the folder and its disk, or bring back a backup: `app.py restore FILE --data NEW_FOLDER` (nightly ones are in its folder `backups`)."
            )
    return None


def is_full(data: Path, said: str) -> bool:
    """Tells whether a full disk is why SQLite refused something and said `said`: it says of some files "disk I/O error"."""
    if "disk is full" in said:
        return True
    try:
        disk = os.statvfs(data)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _FULL_BYTES
