"""The last backup is the newest complete one, wherever it was written, and one that is gone from the folder is none."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.backups.backups import new_name
from engine.backups.last_backup import LastBackup, find_last_backup, note_made
from engine.backups.work_folders import backups_folder
from engine.core.clock import DAY, HOUR, SECOND
from storage.database import Database
from storage.opening import open_database
from storage.settings import BACKUP_MADE, NIGHTLY_AT, SERVER, put_setting


@pytest.fixture
def database(new_data: Path) -> Iterator[Database]:
    one = open_database(new_data)
    yield one
    one.close()


def found(database: Database, data: Path, *, shared: bool = False) -> LastBackup | None:
    return database.read_now(find_last_backup, data, shared=shared)


def made_here(data: Path, at: int) -> Path:
    file = backups_folder(data) / new_name("nightly", at)
    file.write_bytes(b"sealed")
    return file


def test_the_newest_counts_whether_it_is_here_or_in_another_place(database: Database, new_data: Path, tmp_path: Path):
    at = database.clock.now() // SECOND * SECOND
    assert found(database, new_data) is None

    made_here(new_data, at - 2 * DAY)
    here = LastBackup(at - 2 * DAY, size=6)
    assert found(database, new_data) == here

    away = tmp_path / "usb.fpbackup"
    database.write_now(note_made, at - 3 * DAY, away)
    assert found(database, new_data) == here
    database.write_now(note_made, at - DAY, away)
    assert found(database, new_data) == LastBackup(at - DAY, host=socket.gethostname(), path=str(away))
    database.write_now(note_made, at + 2 * HOUR, away)
    assert found(database, new_data) == here, "the clock was ahead"


def test_one_that_was_made_in_this_folder_counts_while_it_is_there(database: Database, new_data: Path):
    at = database.clock.now() // SECOND * SECOND
    file = made_here(new_data, at)
    database.write_now(note_made, at + 7, file)
    assert found(database, new_data) == LastBackup(at, size=6)

    file.unlink()
    assert found(database, new_data) is None
    database.write_now(put_setting, SERVER, BACKUP_MADE, [at, "another machine", str(file)])
    assert found(database, new_data) == LastBackup(at, host="another machine", path=str(file))


def test_of_servers_of_an_earlier_release_only_the_time_is_known(database: Database, new_data: Path, tmp_path: Path):
    at = database.clock.now() // SECOND * SECOND
    database.write_now(note_made, at - DAY, tmp_path / "one.fpbackup")
    database.write_now(put_setting, SERVER, NIGHTLY_AT, at)
    assert found(database, new_data, shared=True) == LastBackup(at)
    last = found(database, new_data)
    assert last is not None and last.at == at - DAY, "a folder has no other servers"
