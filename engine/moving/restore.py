"""Restores a backup into an empty PostgreSQL database."""

from __future__ import annotations

from pathlib import Path

from engine.backups.backups import Restored, restore_backup
from engine.backups.work_folders import work_folder
from engine.core.settings import BadSetting, Settings
from engine.moving.move import Moved, move_to_postgres, require_empty_database


def restore_into_postgres(
    file: Path, settings: Settings, passphrase: str, key_file: Path | None
) -> tuple[Restored, Moved]:
    """Unpacks a backup beside the backups of the data folder and moves it into the database of the settings.

    The backup's key must be the one that FLOWPORT_SECRET_KEY_FILE names; a file that is not there yet is written.
    Raises what `restore_backup` and `move_to_postgres` raise, and Invalid; nothing is changed then.
    """
    url, own_key = settings.database_url, settings.secret_key_file
    if url is None or own_key is None:
        raise BadSetting("FLOWPORT_DATABASE_URL and FLOWPORT_SECRET_KEY_FILE must be set to restore into PostgreSQL.")
    require_empty_database(url)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with work_folder(settings.data) as work:
        data = work / "data"
        restored = restore_backup(file, data, passphrase=passphrase, key_file=key_file, own_key=own_key)
        try:
            moved = move_to_postgres(data, url, tell=lambda _table, _rows: None)
        except BaseException:
            if restored.key_written:
                own_key.unlink(missing_ok=True)
            raise
    return restored, moved
