"""The data folder is for the person who runs Flowport only: files 0600, folders 0700.

Folders of earlier releases are tightened when they are opened. What somebody shares on purpose stays shared: the folder itself keeps
its mode when files of others lie in it, a group stays when it is not the usual one of whoever runs Flowport (or the folder is
set-gid), and what belongs to another user or is a link is left alone.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_FOLDERS = ("run", "backups", "pages")
_FILES = ("flowport.db", "flowport.db-wal", "flowport.db-shm", "flowport.db-journal", "secret.key", "migrate.lock")
#: Every file system of its own has it.
_NOBODYS = {"lost+found"}


def make_private(data: Path) -> None:
    """Takes rights from others, where the folder is Flowport's. What is not there or cannot be changed stays."""
    for path in _own(data):
        with contextlib.suppress(OSError):
            _tighten(path)


def _own(data: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        names = {path.name for path in data.iterdir()}
        if names <= {*_FOLDERS, *_FILES, *_NOBODYS}:
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
