"""A folder with files and knowledge goes into PostgreSQL, into a backup and back: by the commands, as people do it."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.actions.workspaces import ensure_workspace
from engine.backups.sealed_file import SCRYPT
from engine.core.settings import Settings
from engine.files.intake import incoming_of, store_file
from engine.jobs.server.maintenance import Maintenance
from engine.moving.move import move_to_postgres
from engine.secrets.sealing import open_vault
from storage.database import Database
from storage.database_note import put_note
from storage.files import count_files, list_hashes
from storage.opening import open_database
from storage.postgres.unusable import database_in_words
from storage.secrets import list_sealed
from storage.settings import BACKUP_MADE, MOVED_TO, NIGHTLY_AT, SERVER, find_setting, put_setting
from storage.workers import beat, insert_worker
from tests.commands.conftest import Said
from tests.one_command import clean_environment, run_here
from tests.storage.postgres.test_knowledge import QUESTIONS, Filled, filled
from tests.storage.test_upgrade import RELEASES, unpack

CONTENT = bytes(range(256)) * 6_000  # more than a piece
PASSPHRASE = {"FLOWPORT_BACKUP_PASSPHRASE": "correct horse"}
KEY = base64.b64encode(bytes(32)).decode()


@pytest.fixture(autouse=True)
def _quick_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCRYPT, "n", 1 << 10)


def command(folder: Path, *arguments: object, **environment: object) -> Said:
    """Runs a command; `environment` None: not set."""
    given = {name: str(value) for name, value in environment.items() if value is not None}
    done = run_here([*map(str, arguments)], stdin=b"", environment=clean_environment(**given), folder=folder)
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


def fill(data: Path) -> Filled:
    """A folder with a file and a collection, whose database is closed."""
    database = open_database(data)
    open_vault(data)
    workspace_id = database.write_now(ensure_workspace, "free")
    incoming = incoming_of(database.file_bytes, CONTENT, "a.bin")
    database.write_now(store_file, incoming, workspace_id=workspace_id, environment="live")
    found = filled(database)
    database.close()
    return found


def seen(database: Database, of: Filled) -> dict[str, Any]:
    """What is found in a database."""
    here = Filled(database, of.collection_id, of.source_ids)
    return {
        "files": [database.file_bytes.read(*one) for one in database.read_now(list_hashes)],
        "words": [here.by_words(question) for question in QUESTIONS],
        "meaning": [
            [(one.document_id, one.number) for one in here.by_meaning(bytes([at, 3, 200, 7, 9, 1, at, 40]))]
            for at in range(5)
        ],
    }


def test_files_and_knowledge_go_along_into_postgresql_a_backup_and_back(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    url, restored_url, key = new_database(), new_database(), tmp_path / "old" / "secret.key"
    of = fill(tmp_path / "old")
    old = open_database(tmp_path / "old")
    expected = seen(old, of)
    old.close()
    assert expected["files"] == [CONTENT]
    assert expected["words"][1] != []
    prepared = open_database(tmp_path / "any", url=url)  # as `app.py migrate` leaves it, with a table of points
    prepared.close()

    moved = command(tmp_path, "move", "--data", "old", "--to", url)
    assert moved.code == 0, moved
    assert "and 1 stored files (1.5 MB)" in moved.err
    assert f"FLOWPORT_SECRET_KEY_FILE to {key}" in moved.err
    told = (tmp_path / "old" / "database.txt").read_text()
    assert told == f"Everything of this folder is in PostgreSQL: {database_in_words(url)}.\n"
    before = (tmp_path / "old" / "flowport.db").read_bytes()
    for words in (("keys", "list"), ("check",), ("migrate",), ("serve",), ("worker",), ("restore", "old/flowport.db")):
        refused = command(tmp_path, *words, "--data", "old")
        assert refused.code == 1, words
        assert f"{told.strip()} FLOWPORT_DATABASE_URL is not set here. Set it" in refused.err, refused
    again = command(tmp_path, "move", "--data", "old", "--to", restored_url)
    assert "Move from there: `--from ADDRESS`" in again.err
    assert (tmp_path / "old" / "flowport.db").read_bytes() == before
    at_postgres: dict[str, object] = {"FLOWPORT_DATABASE_URL": url, "FLOWPORT_SECRET_KEY_FILE": key, **PASSPHRASE}
    database = open_database(tmp_path / "any", url=url)
    try:
        assert seen(database, of) == expected
        assert database.read_now(count_files) == (1, len(CONTENT))
        made = command(tmp_path, "backup", "all.fpbackup", "--data", "srv", **at_postgres)  # while it is in use
        assert made.value == "all.fpbackup"
    finally:
        database.close()
    assert list((tmp_path / "srv" / "backups").iterdir()) == [], "nothing half made is left"
    lines = command(tmp_path, "check", "--offline", "--data", "old", **at_postgres).out
    assert f"Old database   {tmp_path / 'old' / 'flowport.db'} is not used" in lines

    into_folder = command(tmp_path, "restore", "all.fpbackup", "--data", "folder", **PASSPHRASE)
    assert "Restored into folder" in into_folder.err
    new_key = tmp_path / "new.key"
    there: dict[str, object] = {
        **at_postgres,
        "FLOWPORT_DATABASE_URL": restored_url,
        "FLOWPORT_SECRET_KEY_FILE": new_key,
    }
    new_key.write_text(KEY)
    other_key = command(tmp_path, "restore", "all.fpbackup", "--data", "srv", **there)
    assert "is not the one of this backup" in other_key.err
    new_key.unlink()
    wrong = command(
        tmp_path, "restore", "all.fpbackup", "--data", "srv", **there | {"FLOWPORT_BACKUP_PASSPHRASE": "another"}
    )
    assert "The passphrase is wrong" in wrong.err
    assert not new_key.exists()
    into_postgres = command(tmp_path, "restore", "all.fpbackup", "--data", "srv", **there)
    assert "read back and the same" in into_postgres.err
    assert "FLOWPORT_DATABASE_URL is not set here" in command(tmp_path, "keys", "list", "--data", "srv").err
    assert new_key.read_text().strip() == key.read_text().strip()
    assert "The database is not empty" in command(tmp_path, "restore", "all.fpbackup", "--data", "srv", **there).err

    database = open_database(tmp_path / "any", url=restored_url)
    assert seen(database, of) == expected
    database.close()
    (tmp_path / "back").mkdir()
    put_note(tmp_path / "back", restored_url)
    back = command(tmp_path, "move", "--to", "back", **there)
    assert back.code == 0, back
    assert not (tmp_path / "back" / "database.txt").exists()
    for words in (("serve",), ("worker",), ("keys", "list"), ("check", "--offline")):
        refused = command(tmp_path, *words, "--data", "srv", **there)
        assert (refused.code, refused.out) == (1, ""), words
        assert f"was moved to the folder {tmp_path / 'back'} of the machine" in refused.err
    again = command(tmp_path, "move", "--to", "again", **there)
    assert again.code == 0, again
    for data in (tmp_path / "folder", tmp_path / "back", tmp_path / "again"):
        database = open_database(data)
        assert database.read_now(find_setting, SERVER, MOVED_TO) is None
        assert seen(database, of) == expected, data
        database.close()
    assert (tmp_path / "back" / "secret.key").read_text().strip() == key.read_text().strip()


def test_a_check_tells_what_postgresql_lacks(new_database: Callable[[], str], tmp_path: Path) -> None:
    url, key = new_database(), tmp_path / "key"
    key.write_text(KEY)
    given: dict[str, object] = {"FLOWPORT_DATABASE_URL": url, "FLOWPORT_SECRET_KEY_FILE": key}
    none = command(tmp_path, "check", "--offline", "--data", "srv", **given)
    assert "There is no Flowport in the database t_" in none.err
    command(tmp_path, "keys", "list", "--data", "srv", **given)
    lines = {
        one["name"]: one for one in command(tmp_path, "check", "--offline", "--json", "--data", "srv", **given).json
    }
    assert {"Data folder", "Disk", "Clock", "Database", "Connections", "Clocks", "Size", "Files", "Worker", "Key", "Backup", "Backup passphrase", "Foreign files"} == set(lines)  # fmt: skip
    assert "fsync is off" in lines["Database"]["found"], "as the PostgreSQL of the tests has it"
    assert "FLOWPORT_SECRET_KEY_FILE" in lines["Backup passphrase"]["found"]
    assert "No server and no worker uses this database now" in lines["Worker"]["found"]
    unreachable = command(
        tmp_path, "check", "--data", "srv", **given | {"FLOWPORT_DATABASE_URL": "postgresql://127.0.0.1:1/none"}
    )
    assert (unreachable.code, unreachable.out) == (1, "")
    assert "PostgreSQL cannot be reached" in unreachable.err


def test_of_several_servers_one_makes_the_nightly_backup(new_database: Callable[[], str], tmp_path: Path) -> None:
    url, key = new_database(), tmp_path / "key"
    key.write_text(KEY)
    unpack(RELEASES[0], tmp_path / "release")  # it has jobs: otherwise no backup is due
    move_to_postgres(tmp_path / "release", url, tell=lambda _table, _rows: None)
    names = ("one", "two", "three")
    opened = [open_database(tmp_path / name, url=url) for name in names]
    servers = [
        Maintenance(
            database,
            Settings(data=tmp_path / name, database_url=url, secret_key_file=key, backup_passphrase="correct horse"),
            open_vault(tmp_path / name, key),
        )
        for database, name in zip(opened, names, strict=True)
    ]
    for server in servers:
        server.pass_over()
    assert [len(list((tmp_path / name).glob("backups/nightly-*.fpbackup"))) for name in names] == [1, 0, 0]
    for database in opened:
        database.close()


def test_another_key_is_taken_while_nobody_uses_the_database(new_database: Callable[[], str], tmp_path: Path) -> None:
    url, key = new_database(), tmp_path / "secret.key"
    key.write_text(KEY)
    given: dict[str, object] = {"FLOWPORT_DATABASE_URL": url, "FLOWPORT_SECRET_KEY_FILE": key}
    add = ("models", "add", "oa", "--provider", "openai", "--key-env", "MY_KEY", "--data", "srv")
    assert command(tmp_path, *add, **given, MY_KEY="sk-canary-0123456789abcdef").code == 0
    new_key = ("new-key", "--data", "srv")
    old = key.rename(tmp_path / "old.key")
    server = open_database(tmp_path / "any", url=url)
    server.write_now(insert_worker, "boot_1", "machine-2", 4711)
    refused = command(tmp_path, *new_key, "--yes", **given)
    assert (refused.code, refused.out) == (1, "")
    assert "a worker on machine-2 (process 4711)" in refused.err
    assert "Stop all servers and workers first: secrets are sealed with the old key until then" in refused.err
    server.close()
    asked = command(tmp_path, *new_key, **given)
    assert (asked.code, "If another machine or a backup has the old key" in asked.err) == (1, True)
    assert not key.exists()

    kept = command(tmp_path, *new_key, "--old-key", old, **given)
    assert len(kept.value) == 16
    assert f"Copy {key} to every other machine" in kept.err
    assert key.read_text() != old.read_text()
    database = open_database(tmp_path / "any", url=url)
    opened = [open_vault(tmp_path, key).open(*one) for one in database.read_now(list_sealed)]
    database.close()
    assert opened == ["sk-canary-0123456789abcdef"]

    key.write_text(KEY)
    refused = command(tmp_path, "check", "--offline", "--data", "srv", **given)
    assert "If it is lost on all of them and in every backup" in refused.err
    assert "app.py new-key" in refused.err
    lost = command(tmp_path, *new_key, "--yes", **given)
    assert lost.value != kept.value
    assert "enter secrets and keys of connections again" in lost.err
    assert f"Copy {key} to every other machine" in lost.err
    assert command(tmp_path, "backup", "one.fpbackup", "--data", "srv", **given, **PASSPHRASE).code == 0


def test_a_check_names_the_machine_with_the_last_backup_and_warns_when_it_is_gone(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    url, key = new_database(), tmp_path / "key"
    key.write_text(KEY)
    given: dict[str, object] = {"FLOWPORT_DATABASE_URL": url, "FLOWPORT_SECRET_KEY_FILE": key, **PASSPHRASE}

    def backup_line() -> dict[str, str]:
        lines = command(tmp_path, "check", "--offline", "--json", "--data", "srv", **given).json
        (line,) = (one for one in lines if one["name"] == "Backup")
        return line

    database = open_database(tmp_path / "one", url=url)
    settings = Settings(data=tmp_path / "one", database_url=url, secret_key_file=key, backup_passphrase="correct horse")
    database.write_now(ensure_workspace, "free")
    Maintenance(database, settings, open_vault(tmp_path / "one", key)).back_up()
    (made,) = (tmp_path / "one" / "backups").glob("nightly-*")
    there = backup_line()
    assert (there["state"], f"on the machine {socket.gethostname()}: {made}." in there["found"]) == ("ok", True), there
    made.unlink()
    lost = backup_line()
    assert lost["state"] == "warn"
    assert f"It is not there any more, or this user may not read it, and there is none in {tmp_path}" in lost["found"]
    assert "make a backup at once" in lost["fix"]

    at = database.read_now(find_setting, SERVER, NIGHTLY_AT)
    database.write_now(put_setting, SERVER, BACKUP_MADE, [at, "machine2", f"/var/lib/flowport/backups/{made.name}"])
    assert "No server runs on that machine now" in backup_line()["found"]
    database.write_now(beat, "server_2", "machine2", 1, kind="server")
    lives = backup_line()
    assert (lives["state"], "UTC), made on the machine machine2" in lives["found"]) == ("ok", True), lives
    database.close()
