"""Restores a backup into an empty PostgreSQL database."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from engine.backups.backups import Restored, new_work_folder, restore_backup
from engine.core.errors import Invalid
from engine.core.settings import BadSetting, Settings
from engine.moving.move import Moved, move_to_postgres, require_empty_database
from engine.secrets.sealing import KEY_FILE


def restore_into_postgres(
    file: Path, settings: Settings, passphrase: str, key_file: Path | None
) -> tuple[Restored, Moved, bool]:
    """Unpacks a backup beside the backups of the data folder and moves it into the database of the settings.

    The backup's key must be the one that FLOWPORT_SECRET_KEY_FILE names; a file that is not there yet is written. Returns
    True as the last value when it was. Raises what `restore_backup` and `move_to_postgres` raise, and Invalid; nothing is
    changed then.
    """
    url, own_key = settings.database_url, settings.secret_key_file
    if url is None or own_key is None:
        raise BadSetting("FLOWPORT_DATABASE_URL and FLOWPORT_SECRET_KEY_FILE must be set to restore into PostgreSQL.")
    require_empty_database(url)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    work = new_work_folder(settings.data)
    written = False
    try:
        restored = restore_backup(file, work / "data", passphrase=passphrase, key_file=key_file)
        written = _put_key(work / "data" / KEY_FILE, own_key)
        moved = move_to_postgres(work / "data", url, tell=lambda _table, _rows: None)
    except BaseException:
        if written:
            own_key.unlink(missing_ok=True)
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return restored, moved, written


def _put_key(restored: Path, own: Path) -> bool:
    """Writes the restored key where the settings want it; returns False when it is there. Raises Invalid."""
    key = restored.read_text().strip()
    if not own.exists():
        with os.fdopen(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{key}\n")
            file.flush()
            os.fsync(file.fileno())
        return True
    if own.read_text().strip() != key:
        raise Invalid(
            f"The key in {own} (FLOWPORT_SECRET_KEY_FILE) is not the one of this backup, so nobody could open its secrets",
            remedy="Name a file there that does not exist yet: the backup's key is written into it. Nothing was changed.",
        )
    return False
