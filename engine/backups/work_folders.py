"""Folders in which a backup, a restore or a move is made before it takes its place, or an Excel file before it is sent.

Whoever makes something there holds the lock of the folder (`flock`), which ends with the process in any way. So a server
that starts tells what is being made from what a killed process left.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.core.clock import DAY
from engine.core.errors import FolderNotEmpty, StorageUnavailable
from engine.secrets.sealing import KEY_FILE
from storage.backup import DATABASE
from storage.database_note import NOTE
from storage.file_bytes import FILES_FOLDER
from storage.file_modes import DISK_ROOT, make_private

#: The folder of the backups in a data folder.
FOLDER: Final = "backups"
SUFFIX: Final = ".fpbackup"
#: How a work folder, and the file that is made with it, begin.
_WORK: Final = ".making-"
#: Where an empty data folder is filled.
_FILLED: Final = ".moving"
#: On a volume that several machines use, the lock may be that of one machine: younger ones may be at work on another.
_SHARED_AGE: Final = DAY


@contextlib.contextmanager
def work_folder(data: Path) -> Iterator[Path]:
    """A new folder beside the backups of a data folder, which is removed at the end."""
    work = backups_folder(data) / f"{_WORK}{secrets.token_hex(6)}"
    descriptor = _make_held(work)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        os.close(descriptor)


def draft_of(target: Path, work: Path) -> Path:
    """Returns where a file is written before it replaces `target`. The lock of the work folder is its lock."""
    return target.with_name(f"{work.name}{SUFFIX}")


def backups_folder(data: Path) -> Path:
    """Returns the folder for backups; creates it with access only for the user of this process."""
    folder = data / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def list_folder(folder: Path) -> list[Path]:
    """Returns what lies in a folder; nothing when there is none. Raises StorageUnavailable."""
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageUnavailable(
            f"The folder {folder} cannot be read: {error.strerror or error}",
            remedy=f"Give it to the user who runs Flowport, for example with `sudo chown -R USER {folder}`.",
        ) from error


def remove_unfinished(data: Path, *, at: int, shared: bool = False) -> None:
    """Removes what killed processes left in a data folder that has its database. `shared`: other machines may use the
    folder. Raises StorageUnavailable.
    """
    before = at - _SHARED_AGE if shared else None
    for path in (*list_folder(data), *list_folder(data / FOLDER)):
        if path.name.startswith(_WORK) or path.name == _FILLED:
            with contextlib.suppress(OSError):  # its user removed it just now
                _remove_unless_held(path, before)


@contextlib.contextmanager
def filled_folder(data: Path) -> Iterator[Path]:
    """A folder whose content becomes that of the empty data folder `data` when the body ends without an error. The database
    takes its place last, so a process that is killed leaves `data` without one, and the next call removes what it left.

    Raises FolderNotEmpty.
    """
    _remove_left_over(data)
    if data.exists() and any(path.name not in {*DISK_ROOT, NOTE} for path in data.iterdir()):
        raise _not_empty(data)
    was_there = data.exists()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    work = data / _FILLED
    descriptor = _make_held(work)
    try:
        yield work
        if (data / DATABASE).exists():  # a server was started on the folder meanwhile
            raise _not_empty(data)
        for name in (FILES_FOLDER, KEY_FILE):
            if (work / name).exists():
                (work / name).rename(data / name)
        _to_disk(work / DATABASE)
        (work / DATABASE).rename(data / DATABASE)  # from here on the folder is not empty any more
        (data / NOTE).unlink(missing_ok=True)
        _to_disk(data)
    except BaseException:
        _remove_filled(data)
        if not was_there:
            with contextlib.suppress(OSError):
                data.rmdir()
        raise
    finally:
        os.close(descriptor)
    shutil.rmtree(work, ignore_errors=True)
    make_private(data)


def _not_empty(data: Path) -> FolderNotEmpty:
    return FolderNotEmpty(
        f"{data} holds files already",
        remedy="Name a new folder, or move the old one away first. Nothing was changed.",
    )


def _make_held(work: Path) -> int:
    """Makes a folder and takes its lock; returns the descriptor that has it. A disk without locks gives none."""
    while True:
        work.mkdir(mode=0o700)
        try:
            descriptor = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # a server that starts has just removed it
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if work.exists():
            return descriptor
        os.close(descriptor)


def _take(work: Path) -> int | None:
    """Takes the lock of a folder and returns the descriptor that has it; None when another process holds it."""
    descriptor = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        pass  # this disk has no locks
    return descriptor


def _remove_unless_held(path: Path, before: int | None) -> None:
    """Removes a work folder, or a file that was made with one. `before`: only when it is older than this moment."""
    if before is not None and path.lstat().st_mtime * 1000 > before:
        return
    work = path.with_name(path.name.removesuffix(SUFFIX))
    descriptor = None
    if work.is_dir() and not work.is_symlink():
        descriptor = _take(work)
        if descriptor is None:
            return
    try:
        _remove(path)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _remove_left_over(data: Path) -> None:
    """Removes what a process left that was killed while it filled a folder. Raises FolderNotEmpty when one is at work."""
    if (data / DATABASE).exists() or not data.exists():
        return
    for path in data.glob(f"{_WORK}*"):  # as restores of earlier releases left it
        _remove(path)
    if not (data / _FILLED).exists():
        return
    descriptor = _take(data / _FILLED)
    if descriptor is None:
        raise FolderNotEmpty(
            f"Another command fills {data} at the moment",
            remedy="Wait for its end, or name another folder. Nothing was changed.",
        )
    try:
        _remove_filled(data)
    finally:
        os.close(descriptor)


def _remove_filled(data: Path) -> None:
    if not (data / DATABASE).exists():
        shutil.rmtree(data / FILES_FOLDER, ignore_errors=True)
        (data / KEY_FILE).unlink(missing_ok=True)
    shutil.rmtree(data / _FILLED)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
