"""Restricts the data folder to the user who runs Flowport: files have mode 0600, folders 0700.

Folders of earlier releases are restricted when they are opened. Intended sharing is kept: the mode of the folder itself
stays when other files lie in it; group rights stay when the group is not the default group of the user (or the folder
is set-gid); files of other users and symbolic links stay unchanged.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

_FOLDERS = ("run", "backups", "pages", "files")
_FILES = (
    "flowport.db",
    "flowport.db-wal",
    "flowport.db-shm",
    "flowport.db-journal",
    "secret.key",
    "migrate.lock",
    "database.txt",
)
#: A folder in the root of every separate file system; it does not count as another's file.
DISK_ROOT = frozenset({"lost+found"})


def user_of(data: Path) -> int | None:
    """Returns the id of the user who runs the server of a data folder: root when its server or a worker is, or was last,
    root's, else the owner of the database, else of the folder. None when there is no folder.

    Root writes into a database of another user, whose owner then says nothing of the server.
    """
    if any(_is_of_root(path) for path in (data / "run", data / "run" / "serve", *data.glob("run/boot_*"))):
        return 0
    for path in (data / _FILES[0], data):
        with contextlib.suppress(OSError):
            return path.stat().st_uid
    return None


def _is_of_root(path: Path) -> bool:
    try:
        return path.stat().st_uid == 0
    except OSError:
        return False


def user_name(user_id: int) -> str:
    """Returns the name of a user, or `#` with the number when the system knows none."""
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return f"#{user_id}"


def make_private(data: Path) -> None:
    """Removes the rights of other users in Flowport's own files.

    What does not exist or cannot be changed is left out.
    """
    for path in _own(data):
        with contextlib.suppress(OSError):
            _tighten(path)


def _own(data: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        names = {path.name for path in data.iterdir()}
        if names <= {*_FOLDERS, *_FILES, *DISK_ROOT}:
            yield data
        yield from (data / name for name in _FILES if name in names)
        for name in _FOLDERS:
            if name in names and not (data / name).is_symlink():
                yield data / name
                yield from (data / name).iterdir()


def _tighten(path: Path) -> None:
    found = path.lstat()
    if found.st_uid != os.geteuid() or stat.S_ISLNK(found.st_mode):
        return
    mode = stat.S_IMODE(found.st_mode)
    shared_with_group = found.st_gid != os.getegid() or mode & stat.S_ISGID
    closed = mode & ~(0o007 if shared_with_group else 0o077)
    if closed != mode:
        path.chmod(closed)
