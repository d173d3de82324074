"""A backup is consistent under load, opens only with its passphrase, and is restored completely or not at all."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.backups.backups import (
    backups_folder,
    check_passphrase,
    find_backup,
    list_backups,
    new_name,
    remove_old_nightly,
    remove_unfinished,
    restore_backup,
    write_backup,
)
from engine.backups.sealed_file import PIECE, SCRYPT, seal
from engine.core.errors import BackupUnreadable, FolderNotEmpty, Invalid, NotFound, PassphraseWrong, Refusal
from engine.secrets.sealing import open_vault
from storage.database import Database
from storage.opening import open_database
from storage.settings import find_setting, put_setting

AT = 1_764_000_000_000
PASSPHRASE = "correct horse"


@pytest.fixture(autouse=True)
def _quick_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes scrypt fast. The restored file states its own cost parameters, so it still opens."""
    monkeypatch.setitem(SCRYPT, "n", 1 << 10)


@pytest.fixture
def data(new_data: Path) -> Path:
    """A data folder with its key."""
    open_vault(new_data)
    return new_data


@pytest.fixture
def database(data: Path) -> Iterator[Database]:
    opened = open_database(data)
    opened.write_now(put_setting, "test", "large", "x" * (3 * PIECE))
    yield opened
    opened.close()


def write(data: Path, target: Path, passphrase: str = PASSPHRASE) -> bytes:
    write_backup(data, target, at=AT, passphrase=passphrase)
    return target.read_bytes()


def test_a_restored_folder_holds_the_same_rows_and_opens_the_same_secrets(
    data: Path, database: Database, tmp_path: Path
):
    sealed = open_vault(data).seal("ws", "secret", "sk-canary")
    write(data, tmp_path / "one.fpbackup")
    restored = restore_backup(tmp_path / "one.fpbackup", tmp_path / "new", passphrase=PASSPHRASE)
    assert restored.with_key
    assert restored.made_at.startswith("2025-11-24T")
    with_all = open_database(tmp_path / "new")
    assert with_all.read_now(find_setting, "test", "large") == "x" * (3 * PIECE)
    with_all.close()
    assert open_vault(tmp_path / "new").open("ws", "secret", sealed) == "sk-canary"
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "new").glob("[fs]*")} >= {0o600}
    assert [path.name for path in (data / "backups").iterdir()] == [], "nothing half made is left"


def test_nothing_of_the_folder_can_be_read_in_the_file(data: Path, database: Database, tmp_path: Path):
    text = write(data, tmp_path / "one.fpbackup")
    assert (data / "secret.key").read_bytes().strip() not in text
    assert b"SQLite format" not in text
    assert b"xxxxxxxx" not in text


def test_a_copy_under_load_is_of_one_moment_and_does_not_stop_the_writer(
    data: Path, database: Database, tmp_path: Path
):
    stop = threading.Event()
    written = 0

    def both(session: object, number: int) -> None:
        put_setting(session, "test", "left", number)  # type: ignore[arg-type]
        put_setting(session, "test", "right", number)  # type: ignore[arg-type]

    def load() -> None:
        nonlocal written
        while not stop.is_set():
            database.write_now(both, written)
            written += 1

    writer = threading.Thread(target=load)
    writer.start()
    try:
        before = written
        write(data, tmp_path / "one.fpbackup")
        after = written
    finally:
        stop.set()
        writer.join()
    assert after > before, "it was written meanwhile"
    restore_backup(tmp_path / "one.fpbackup", tmp_path / "new", passphrase=PASSPHRASE)
    with sqlite3.connect(tmp_path / "new" / "flowport.db") as copy:
        pair = [
            copy.execute("select value from settings where name = ?", (name,)).fetchone() for name in ("left", "right")
        ]
        assert pair[0] == pair[1]
        assert copy.execute("pragma integrity_check").fetchone() == ("ok",)
    copy.close()


@pytest.mark.parametrize(
    ("change", "refusal", "says"),
    [
        (lambda file: file[:0], BackupUnreadable, "does not begin like"),
        (lambda file: b"PK\x03\x04" + file, BackupUnreadable, "does not begin like"),
        (lambda file: file[:9], BackupUnreadable, "cut off"),
        (lambda file: file[:60], BackupUnreadable, "cut off"),
        (lambda file: file[: file.index(b"}\n") + 2], BackupUnreadable, "cut off"),
        (lambda file: file[: file.index(b"}\n") + 4], BackupUnreadable, "cut off"),
        (lambda file: file[: len(file) // 2], BackupUnreadable, "cut off"),
        (lambda file: file[:-1], BackupUnreadable, "cut off"),
        (lambda file: file[:-40] + bytes([file[-40] ^ 1]) + file[-39:], BackupUnreadable, "damaged"),
        (lambda file: file.replace(b'"flowport": "', b'"flowport": "9', 1), BackupUnreadable, "damaged"),
        (lambda file: file + file[-200:], BackupUnreadable, "added|damaged"),
    ],
    ids=["empty", "another file", "9 bytes", "in its head", "only its head", "in a length", "half", "one byte less", "one bit", "its head changed", "more behind it"],
)  # fmt: skip
def test_a_file_that_is_not_whole_is_told_from_a_wrong_passphrase(
    change, refusal, says, data: Path, database: Database, tmp_path: Path
):
    file = tmp_path / "one.fpbackup"
    file.write_bytes(change(write(data, file)))
    with pytest.raises(refusal, match=says):
        restore_backup(file, tmp_path / "new", passphrase=PASSPHRASE)
    assert not list((tmp_path / "new").glob("*")), "nothing was restored"


def test_a_file_cut_between_two_chunks_is_cut_off(data: Path, database: Database, tmp_path: Path):
    file = tmp_path / "one.fpbackup"
    whole = write(data, file)
    at = whole.index(b"}\n", whole.index(b'"made"')) + 2
    while True:
        length = int.from_bytes(whole[at : at + 4], "big") + 4
        if at + length >= len(whole):
            break
        at += length
    file.write_bytes(whole[:at])
    with pytest.raises(BackupUnreadable, match="cut off"):
        restore_backup(file, tmp_path / "new", passphrase=PASSPHRASE)


@pytest.mark.parametrize(
    ("pieces", "says"),
    [
        ([], "list of files cannot be read"),
        ([b"{"], "list of files cannot be read"),
        ([b"[]"], "list of files cannot be read"),
        ([b'{"files": [{"name": "flowport.db"}]}'], "list of files cannot be read"),
        ([b'{"files": [{"name": "flowport.db", "size": 5}]}', b"four"], "less than its list"),
        ([b'{"files": [{"name": "flowport.db", "size": 4}]}', b"four", b"more"], "more than its list"),
        ([b'{"files": [{"name": "../x", "size": 4}]}', b"four"], "does not know"),
        ([b'{"files": [{"name": "flowport.db", "size": 2097152}]}', bytes(2 * PIECE)], "damaged"),
    ],
    ids=["nothing", "no JSON", "a list", "without a size", "a file that is too short", "a file that is too long", "another file", "a piece that is too long"],
)  # fmt: skip
def test_a_sealed_file_with_other_contents_is_refused(pieces: list[bytes], says: str, tmp_path: Path):
    file = tmp_path / "one.fpbackup"
    with file.open("wb") as target:
        seal(pieces, target, passphrase=PASSPHRASE, made={})
    with pytest.raises(BackupUnreadable, match=says):
        restore_backup(file, tmp_path / "new", passphrase=PASSPHRASE)
    assert not list((tmp_path / "new").glob("*")), "nothing was restored"


def test_a_chunk_that_is_not_compressed_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "one.fpbackup"
    monkeypatch.setattr(zlib, "compress", lambda piece, level: piece)
    with file.open("wb") as target:
        seal([b"plain"], target, passphrase=PASSPHRASE, made={})
    with pytest.raises(BackupUnreadable, match="damaged"):
        restore_backup(file, tmp_path / "new", passphrase=PASSPHRASE)


def test_a_wrong_passphrase_and_a_full_folder_are_refused(data: Path, database: Database, tmp_path: Path):
    write(data, tmp_path / "one.fpbackup")
    with pytest.raises(PassphraseWrong, match="passphrase is wrong"):
        restore_backup(tmp_path / "one.fpbackup", tmp_path / "new", passphrase="correct house")
    assert not list((tmp_path / "new").glob("*"))
    with pytest.raises(FolderNotEmpty, match="not empty"):
        restore_backup(tmp_path / "one.fpbackup", data, passphrase=PASSPHRASE)
    with pytest.raises(Invalid, match="7 characters"):
        check_passphrase("1234567")


def test_a_backup_without_a_passphrase_opens_with_the_servers_key_only(data: Path, database: Database, tmp_path: Path):
    file = tmp_path / "one.fpbackup"
    write(data, file, passphrase="")
    with pytest.raises(BackupUnreadable, match=r"secret\.key"):
        restore_backup(file, tmp_path / "new")
    open_vault(tmp_path)
    with pytest.raises(PassphraseWrong):
        restore_backup(file, tmp_path / "new", key_file=tmp_path / "secret.key")
    restore_backup(file, tmp_path / "new", key_file=data / "secret.key")
    assert (tmp_path / "new" / "secret.key").read_text() == (data / "secret.key").read_text()


def test_seven_nightly_backups_are_kept_and_those_by_hand_stay(data: Path, database: Database):
    folder = backups_folder(data)
    made = write(data, folder / new_name("manual", AT - 90 * 86_400_000))
    for day in range(9):
        (folder / new_name("nightly", AT + day * 86_400_000)).write_bytes(made)
    (folder / ".making-1.db").touch()
    (folder / "before-migration-from-0001.db").touch()
    (folder / new_name("nightly", AT + 400 * 86_400_000)).write_bytes(made)
    remove_old_nightly(data, AT + 8 * 86_400_000)
    remove_unfinished(data)
    listed = list_backups(data)
    assert [one.kind for one in listed] == ["nightly"] * 8 + ["manual"]
    assert [one.at for one in listed[:2]] == [AT + 400 * 86_400_000, AT + 8 * 86_400_000], (
        "one of a clock that was ahead"
    )
    assert listed[1].has_passphrase
    assert not (folder / ".making-1.db").exists()
    assert (folder / "before-migration-from-0001.db").exists()


@pytest.mark.parametrize("name", ["../secret.key", "nightly-20261125-030000.fpbackup", "secret.key", ""])
def test_only_backups_can_be_named(name: str, data: Path):
    backups_folder(data)
    with pytest.raises(NotFound):
        find_backup(data, name)


def test_a_disk_without_room_is_said_before_anything_is_written(
    data: Path, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 99, 1))  # type: ignore[attr-defined]
    with pytest.raises(Refusal, match="free disk space"):
        write(data, tmp_path / "one.fpbackup")
    assert not (tmp_path / "one.fpbackup").exists()
