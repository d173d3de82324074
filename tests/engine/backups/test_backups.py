"""A backup is consistent under load, opens only with its passphrase, and is restored completely or not at all."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.backups.backups import (
    check_passphrase,
    find_backup,
    list_backups,
    new_name,
    remove_old_nightly,
    restore_backup,
    write_backup,
)
from engine.backups.sealed_file import PIECE, SCRYPT, seal
from engine.backups.work_folders import backups_folder, draft_of, filled_folder, remove_unfinished, work_folder
from engine.core.errors import (
    BackupUnreadable,
    FolderNotEmpty,
    Invalid,
    NotFound,
    PassphraseWrong,
    Refusal,
    StorageUnavailable,
)
from engine.secrets.sealing import open_vault
from storage.database import Database
from storage.migrations.schema import NewerData
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
    with pytest.raises(BackupUnreadable, match="The key is not the one of the server that wrote it"):
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
    remove_unfinished(data, at=AT)
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


@pytest.mark.parametrize("target", ["/", ".", "..", "", "FOLDER"])
def test_a_backup_is_not_written_in_the_place_of_a_folder(
    target: str, data: Path, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Invalid, match="is a folder"):
        write(data, Path(target.replace("FOLDER", str(tmp_path))))


def test_only_the_copy_of_the_database_needs_room_on_the_disk_of_the_data_folder(
    data: Path, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    disks = [Path("/dev/shm"), Path("/tmp"), Path("/var/tmp")]
    other = next((one for one in disks if one.is_dir() and one.stat().st_dev != data.stat().st_dev), None)
    if other is None:
        pytest.skip("this machine has no second disk")
    size, spare = (data / "flowport.db").stat().st_size, 16 << 20
    free = {data / "backups": size + spare, other: size + spare}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free[path]))
    target = other / f"{tmp_path.name}-{os.getpid()}.fpbackup"
    try:
        assert write(data, target)
        free[other] -= 1
        with pytest.raises(Refusal, match=f"free disk space in {other}"):
            write(data, target)
        free |= {data / "backups": size + spare - 1, other: 1 << 30}
        with pytest.raises(Refusal, match=f"free disk space in {data}"):
            write(data, target)
    finally:
        target.unlink(missing_ok=True)
    free[data / "backups"] = 2 * size + spare - 1
    with pytest.raises(Refusal, match="free disk space"):
        write(data, data / "backups" / "one.fpbackup")


def test_what_is_being_made_stays_and_what_a_killed_process_left_goes(data: Path):
    folder = backups_folder(data)
    with work_folder(data) as work:
        (work / "flowport.db").touch()
        draft = draft_of(folder / "one.fpbackup", work)
        draft.touch()
        (folder / ".making-killed").mkdir()
        (folder / ".making-killed.fpbackup").touch()
        (data / ".moving" / "files").mkdir(parents=True)
        (data / ".making-0123456789ab").touch()
        remove_unfinished(data, at=AT)
        assert set(folder.iterdir()) == {work, draft}
        assert (work / "flowport.db").exists()
    assert list(folder.iterdir()) == [draft]
    remove_unfinished(data, at=AT)
    assert list(folder.iterdir()) == []
    assert not {path.name for path in data.iterdir() if path.name.startswith(".")}


def test_what_is_younger_than_a_day_stays_where_other_machines_may_make_it(data: Path):
    young, old = (backups_folder(data) / f".making-{name}.fpbackup" for name in ("young", "old"))
    young.touch()
    old.touch()
    os.utime(old, (AT / 1000 - 86_401, AT / 1000 - 86_401))
    os.utime(young, (AT / 1000 - 86_399, AT / 1000 - 86_399))
    remove_unfinished(data, at=AT, shared=True)
    assert list(backups_folder(data).iterdir()) == [young]


def test_a_restore_takes_a_new_disk_and_removes_what_a_killed_one_left(data: Path, database: Database, tmp_path: Path):
    write(data, tmp_path / "one.fpbackup")
    new = tmp_path / "new"
    (new / "lost+found").mkdir(parents=True)
    (new / ".making-secret.key").write_text("as a restore of an earlier release leaves it")
    (new / ".moving").mkdir()
    (new / ".moving" / "flowport.db").write_text("half of it")
    (new / "secret.key").write_text("its key, which had its place already")
    assert restore_backup(tmp_path / "one.fpbackup", new, passphrase=PASSPHRASE).with_key
    assert {path.name for path in new.iterdir()} == {"lost+found", "flowport.db", "secret.key"}
    assert (new / "secret.key").read_text() == (data / "secret.key").read_text()


def test_two_restores_do_not_fill_one_folder(data: Path, database: Database, tmp_path: Path):
    write(data, tmp_path / "one.fpbackup")
    with pytest.raises(FolderNotEmpty, match="fills"), filled_folder(tmp_path / "new"):
        restore_backup(tmp_path / "one.fpbackup", tmp_path / "new", passphrase=PASSPHRASE)
    assert not (tmp_path / "new").exists()


def test_a_server_that_was_started_on_the_folder_meanwhile_keeps_its_database(tmp_path: Path):
    def fill() -> None:
        with filled_folder(tmp_path / "new") as work:
            for folder, text in ((work, "restored"), (tmp_path / "new", "of the server")):
                (folder / "flowport.db").write_text(text)
                (folder / "secret.key").write_text(text)

    with pytest.raises(FolderNotEmpty, match="holds files already"):
        fill()
    found = {path.name: path.read_text() for path in (tmp_path / "new").iterdir()}
    assert found == {"flowport.db": "of the server", "secret.key": "of the server"}


def test_the_key_is_written_where_the_settings_have_it(data: Path, database: Database, tmp_path: Path):
    file, own = tmp_path / "one.fpbackup", tmp_path / "own.key"
    write(data, file)
    own.write_bytes(b"\xff\xfe another key")
    with pytest.raises(Invalid, match="is not the one of this backup"):
        restore_backup(file, tmp_path / "new", passphrase=PASSPHRASE, own_key=own)
    assert not (tmp_path / "new").exists()
    own.unlink()
    assert restore_backup(file, tmp_path / "new", passphrase=PASSPHRASE, own_key=own).key_written
    assert own.read_text() == (data / "secret.key").read_text()
    assert own.stat().st_mode & 0o777 == 0o600
    assert not restore_backup(file, tmp_path / "again", passphrase=PASSPHRASE, own_key=own).key_written


def test_a_backup_of_a_newer_program_is_refused_before_it_is_unpacked(tmp_path: Path):
    with (tmp_path / "one.fpbackup").open("wb") as file:
        seal([b"in a form of the future"], file, passphrase=PASSPHRASE, made={"schema": "9999"})
    with pytest.raises(NewerData, match="newer Flowport"):
        restore_backup(tmp_path / "one.fpbackup", tmp_path / "new", passphrase="any")
    assert not (tmp_path / "new").exists()


def test_a_key_that_is_no_text_is_refused(data: Path, database: Database, tmp_path: Path):
    write(data, tmp_path / "one.fpbackup", passphrase="")
    (tmp_path / "other").write_bytes(b"\xff\xfe")
    with pytest.raises(BackupUnreadable, match="no file with a key"):
        restore_backup(tmp_path / "one.fpbackup", tmp_path / "new", key_file=tmp_path / "other")


def test_a_name_with_a_day_that_no_calendar_has_is_no_backup(data: Path):
    (backups_folder(data) / "manual-20261131-030000.fpbackup").touch()
    assert list_backups(data) == []


def test_a_folder_that_cannot_be_read_is_told_with_what_to_do(data: Path):
    (data / "backups").write_text("no folder")
    with pytest.raises(StorageUnavailable, match="cannot be read: Not a directory") as refused:
        list_backups(data)
    assert "sudo chown" in str(refused.value)
