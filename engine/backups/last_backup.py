"""When the data were last saved completely: at night, on the page Data or with `app.py backup FILE`, and to which place."""

from __future__ import annotations

import socket
from pathlib import Path

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.backups.backups import is_ahead, list_backups
from engine.backups.work_folders import FOLDER
from engine.core.clock import SECOND
from storage.database import now
from storage.settings import BACKUP_MADE, NIGHTLY_AT, SERVER, find_setting, put_setting


class LastBackup(Struct, frozen=True):
    """The newest complete backup; `at` is its time in milliseconds since 1970.

    `size`: its bytes, when it lies in the folder `backups` of this data folder. Otherwise None, and `path` is where it was
    written on the machine `host`; both are "" when an earlier release made it, which noted no place.
    """

    at: int
    size: int | None = None
    host: str = ""
    path: str = ""


def note_made(session: Session, at: int, file: Path) -> None:
    """Stores that a backup of the time `at` is complete in `file` of this machine."""
    put_setting(session, SERVER, BACKUP_MADE, [at, socket.gethostname(), str(file.resolve())])


def find_last_backup(session: Session, data: Path, *, shared: bool) -> LastBackup | None:
    """Returns the newest complete backup, None when there is none. Of this data folder those count that are there; of other
    places the last one that was written, as whoever chose the place may have taken it away. Those of a clock that was
    ahead do not count.

    `shared`: the database is one of several servers, whose nightly backups count. Raises StorageUnavailable.
    """
    at = now(session)
    made = [LastBackup(one.at, one.size) for one in list_backups(data)]
    noted, host, path = find_setting(session, SERVER, BACKUP_MADE) or (0, "", "")
    if noted and (host, Path(path).parent) != (socket.gethostname(), (data / FOLDER).resolve()):
        made.append(LastBackup(_second(noted), host=host, path=path))
    nightly = (find_setting(session, SERVER, NIGHTLY_AT) or 0) if shared else 0
    if nightly and nightly != noted:
        made.append(LastBackup(_second(nightly)))
    # of two of the same second, the first one: it is the same, and lies here
    return max((one for one in made if not is_ahead(one.at, at)), key=lambda one: one.at, default=None)


def _second(at: int) -> int:
    """Returns the time without milliseconds, as the name of a backup has it."""
    return at // SECOND * SECOND
