"""What commands say when the system, the disk or a named file refuses them: what happened, why, and what to do."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from api.commands.faults import database_error_told, is_full, system_error_told
from engine.backups.sealed_file import SCRYPT
from engine.diagnostics.local import not_writable
from storage.file_modes import user_name
from tests.commands.conftest import Command
from tests.one_command import clean_environment, run_here

GIVEN = {"FLOWPORT_BACKUP_PASSPHRASE": "correct horse"}
FULL = Path("/proc")  # a file system that never has free space


def test_a_full_disk_is_named_whatever_sqlite_says_of_it(tmp_path: Path):
    for said, data in (("database or disk is full", tmp_path), ("disk I/O error", FULL)):
        told = database_error_told(OperationalError("", None, sqlite3.OperationalError(said)), data)
        assert told is not None
        assert f"the disk of {data} is full ({said}). Free some space there" in told
    assert not is_full(tmp_path, "disk I/O error")
    assert not is_full(tmp_path / "none", "disk I/O error")


@pytest.mark.sqlite("a file beside that of SQLite")
def test_a_check_without_its_database_shows_folder_and_disk(command: Command, data: Path):
    command("keys", "list")
    (data / "flowport.db-wal").unlink(missing_ok=True)
    (data / "flowport.db-wal").mkdir()
    found = command("check", "--offline", "--json")
    assert found.code == 1
    lines = {line["name"]: line for line in found.json}
    assert [*lines] == ["Data folder", "Disk", "Database"]
    assert lines["Database"]["state"] == "bad"
    assert "cannot be used: unable to open database file" in lines["Database"]["found"]


def test_a_folder_that_cannot_be_used_is_told_with_the_setting_and_a_cure(data: Path, tmp_path: Path):
    user = user_name(os.geteuid())
    file = tmp_path / "file"
    file.write_text("")
    for folder in (file, file / "below"):
        words = ["keys", "list", "--data", str(folder)]
        refused = run_here(words, stdin=b"", environment=clean_environment(), folder=tmp_path).stderr.decode()
        assert f"The data folder {folder} cannot be used: " in refused
        assert "There is a file where a folder has to be." in refused
    denied = PermissionError(13, "Permission denied", str(data / "run"))
    assert system_error_told(denied, data) == (
        f"The data folder {data} cannot be used: {data / 'run'}: Permission denied. This runs as the user {user}: give the "
        f"folder to that user (`sudo chown -R {user} {data}`), start as its owner, or name another folder with FLOWPORT_DATA "
        "or --data."
    )
    assert system_error_told(PermissionError(13, "Permission denied", "/etc/x"), data) == "/etc/x: Permission denied."


def test_a_folder_without_free_space_needs_space_and_no_other_owner(data: Path):
    full, denied = (not_writable(data, OSError(number, os.strerror(number))) for number in (errno.ENOSPC, errno.EACCES))
    assert full.fix == "Free some disk space, or make the disk larger."
    assert denied.fix.startswith("Give it to the user")


def test_a_backup_into_a_missing_folder_names_it(command: Command, tmp_path: Path):
    command("keys", "list")
    refused = command("backup", tmp_path / "none" / "one.fpbackup")
    assert f"There is no folder {tmp_path / 'none'}, so no backup was written. Make it" in refused.err
    assert "disk space" not in refused.err


def test_a_key_that_is_passed_over_is_told(
    command: Command, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(SCRYPT, "n", 1 << 10)
    command("keys", "list")
    command("backup", tmp_path / "one.fpbackup", **GIVEN)
    restored = command("restore", tmp_path / "one.fpbackup", "--key", "any", **GIVEN)
    assert "--key is not used: a passphrase opens this backup" in restored.err, restored


@pytest.mark.parametrize("name", ["FLOWPORT_METRICS_TOKEN_FILE", "FLOWPORT_BACKUP_PASSPHRASE_FILE"])
def test_a_file_that_a_setting_names_and_that_is_missing_is_told_with_a_cure(
    command: Command, tmp_path: Path, name: str
):
    refused = command("serve", **{name: str(tmp_path / "none")})
    assert refused.err == f"There is no file {tmp_path / 'none'}, which {name} names. Name the right one, or make it.\n"


def test_a_missing_key_file_is_copied_and_not_made_anew(command: Command, tmp_path: Path):
    command("keys", "list")
    refused = command("check", FLOWPORT_SECRET_KEY_FILE=str(tmp_path / "none"))
    assert f"There is no key file {tmp_path / 'none'}. It must hold the key of the database" in refused.err
    assert "when the database has data, copy the key file of the other machines" in refused.err
