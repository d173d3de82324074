"""Backups: one encrypted file with the database, the stored files and the key of its secrets.

A backup is made while the server runs and restored into an empty folder. A backup with a passphrase can be restored on
any machine. A nightly backup without a passphrase is encrypted with the server's own key and does not contain it: it
helps after a mistake, but not after the loss of the disk. The user interface states this wherever it shows such a
backup.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from engine.backups.sealed_file import PIECE, Head, read_head, seal, unseal
from engine.backups.stored_files import FILES, bytes_in, link_files, packed, packed_size, stored_in, unpack_files
from engine.backups.work_folders import (
    FOLDER,
    SUFFIX,
    backups_folder,
    draft_of,
    filled_folder,
    list_folder,
    work_folder,
)
from engine.core.clock import HOUR, to_rfc3339
from engine.core.counted import counted
from engine.core.errors import BackupUnreadable, Invalid, NotFound, StorageUnavailable
from engine.core.logging_setup import hide_in_logs
from engine.core.version import VERSION
from engine.secrets.sealing import KEY_FILE, key_text, open_vault
from engine.secrets.shared_key import require_own_key
from storage.backup import DATABASE, copy_database, read_pieces, schema_of
from storage.file_modes import user_name
from storage.migrations.schema import refuse_newer

NIGHTLY_KEPT = 7
MIN_PASSPHRASE = 8
_NAME = re.compile(r"^(nightly|manual)-\d{8}-\d{6}\.fpbackup\Z")
#: What stays free on a disk beside what a backup needs.
_SPARE = 16 << 20

Kind = Literal["nightly", "manual"]


class BackupFile(Struct, frozen=True):
    """A backup file in the data folder: `size` in bytes, `at` is its time in milliseconds since 1970."""

    name: str
    kind: Kind
    size: int
    at: int
    has_passphrase: bool


class Restored(Struct, frozen=True):
    """The metadata of a restored backup. `with_key`: the key of the secrets was restored too; `key_written`: it was written
    into the file that the settings name for it.
    """

    made_at: str
    version: str
    schema: str
    with_key: bool
    key_written: bool = False


def check_passphrase(passphrase: str) -> str:
    """Validates a passphrase and hides it in logs from then on. Raises Invalid when it is too short."""
    hide_in_logs(passphrase)
    if len(passphrase) < MIN_PASSPHRASE:
        raise Invalid(
            f"The passphrase has {counted(len(passphrase), 'character')}",
            remedy=f"Take {MIN_PASSPHRASE} or more, best a few words, and keep it where you keep passwords.",
        )
    return passphrase


def require_folder(target: Path) -> None:
    """Raises Invalid when a backup cannot be written to this path, as it is a folder or in none."""
    if not target.name or target.is_dir():
        raise Invalid(f"{target} is a folder", remedy="Name the file to write, like /mnt/usb/flowport.fpbackup.")
    if not target.parent.is_dir():
        raise Invalid(
            f"There is no folder {target.parent.absolute()}, so no backup was written",
            remedy="Make it, or mount its disk, or name a file in another folder.",
        )


def write_backup(
    data: Path,
    target: Path,
    *,
    at: int,
    passphrase: str = "",
    key_file: Path | None = None,
    url: str | None = None,
) -> None:
    """Writes a backup of a data folder that may be in use. `url`: its tables are in this PostgreSQL database.

    An older file at `target` is replaced only when the new one is complete. Raises Invalid, StorageUnavailable and
    BadSetting.
    """
    require_folder(target)
    key = _key_of(data, key_file)
    try:
        _require_room(data, target, url)
        with work_folder(data) as work:
            copy = work / DATABASE
            if url is None:
                copy_database(data, copy)
                stored = link_files(data, copy, work / FILES)
            else:
                stored = _snapshot(url, work)
            made = {"at": to_rfc3339(at), "flowport": VERSION, "schema": schema_of(copy)}
            draft = draft_of(target, work)
            try:
                with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    pieces = _pieces(copy, key if passphrase else "", stored)
                    seal(pieces, file, passphrase=passphrase, server_key=key.encode(), made=made)
                    file.flush()
                    os.fsync(file.fileno())
                draft.replace(target)
            finally:
                draft.unlink(missing_ok=True)
    except OSError as error:
        raise StorageUnavailable(
            f"The backup {target.absolute()} could not be written: {error.strerror or error}",
            remedy=f"Give the user {user_name(os.geteuid())} the right to write there, or choose another place. The backups from before are still there."
            if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}
            else "Free some disk space or choose another place. The backups from before are still there.",
        ) from error


def restore_backup(
    file: Path,
    data: Path,
    *,
    passphrase: str = "",
    key_file: Path | None = None,
    own_key: Path | None = None,
) -> Restored:
    """Restores a backup into an empty folder, completely or not at all.

    `key_file` is the `secret.key` of the server that wrote the backup, for backups without a passphrase. `own_key` is the
    file in which the settings have the key: it must hold the backup's, which is written into it when it is not there.
    Raises FolderNotEmpty, BackupUnreadable, PassphraseWrong, Invalid, NewerData and OSError.
    """
    with file.open("rb") as source:
        head = read_head(source)
        refuse_newer(f"in {file}", str(head.made.get("schema", "")))
        key = _other_key(head, key_file)
        written = False
        try:
            with filled_folder(data) as work:
                pieces = unseal(source, head, passphrase=passphrase, server_key=key.encode())
                names = _unpack(pieces, work)
                if head.sealed_with == "server key":
                    _write(work / KEY_FILE, key)
                    names.append(KEY_FILE)
                if own_key is not None and KEY_FILE in names:
                    written = _put_key(work / KEY_FILE, own_key)
        except BaseException:
            if written and own_key is not None:
                own_key.unlink(missing_ok=True)
            raise
    made = head.made
    return Restored(
        str(made.get("at", "")), str(made.get("flowport", "")), str(made.get("schema", "")), KEY_FILE in names, written
    )


def list_backups(data: Path) -> list[BackupFile]:
    """Returns the backups in the data folder, the newest first. Raises StorageUnavailable."""
    found = []
    for path in list_folder(data / FOLDER):
        match = _NAME.match(path.name)
        if match and (made_at := _time_in(path.name)) is not None:
            with contextlib.suppress(OSError):
                found.append(_described(path, "nightly" if match[1] == "nightly" else "manual", made_at))
    return sorted(found, key=lambda one: (one.at, one.name), reverse=True)


def list_upgrade_copies(data: Path) -> list[tuple[str, int]]:
    """Returns name and bytes of the copies of the database from before upgrades, sorted by name. Raises
    StorageUnavailable.
    """
    found = []
    for path in list_folder(data / FOLDER):
        if path.name.startswith("before-migration-") and path.suffix == ".db":
            with contextlib.suppress(OSError):
                found.append((path.name, path.stat().st_size))
    return sorted(found)


def new_name(kind: Kind, at: int) -> str:
    """Returns the file name of a new backup with its time in UTC, for example `nightly-20261125-030000.fpbackup`."""
    return f"{kind}-{datetime.fromtimestamp(at / 1000, tz=UTC):%Y%m%d-%H%M%S}{SUFFIX}"


def is_backup_name(name: str) -> bool:
    """True for the file name of a backup that a server made into its own folder."""
    return _NAME.match(name) is not None


def find_backup(data: Path, name: str) -> Path:
    """Returns the path of a backup in the data folder. Raises NotFound."""
    path = data / FOLDER / name
    if not is_backup_name(name) or not path.is_file():
        raise NotFound(f"No backup is called {name!r}")
    return path


def is_ahead(made_at: int, at: int) -> bool:
    """True for the time of a backup that was made while the clock was ahead: it does not tell when the last one was."""
    return made_at > at + HOUR


def list_nightly(data: Path, at: int) -> list[BackupFile]:
    """Returns the nightly backups, the newest first, without those of a clock that was ahead."""
    return [one for one in list_backups(data) if one.kind == "nightly" and not is_ahead(one.at, at)]


def remove_old_nightly(data: Path, at: int, kept: int = NIGHTLY_KEPT) -> None:
    """Deletes all nightly backups except the `kept` newest ones. Those of a clock that was ahead stay until their time has
    come, and take nobody's place.
    """
    for one in list_nightly(data, at)[kept:]:
        (data / FOLDER / one.name).unlink(missing_ok=True)


def _time_in(name: str) -> int | None:
    """Returns the time in the name of a backup; None when no calendar has it."""
    try:
        stamp = datetime.strptime(name.split("-", 1)[1].removesuffix(SUFFIX), "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(stamp.timestamp() * 1000)


def _described(path: Path, kind: Kind, made_at: int) -> BackupFile:
    with path.open("rb") as file:
        try:
            sealed_with = read_head(file).sealed_with
        except BackupUnreadable:
            sealed_with = "server key"
    return BackupFile(path.name, kind, path.stat().st_size, made_at, sealed_with == "passphrase")


def _key_of(data: Path, key_file: Path | None) -> str:
    if key_file is None:
        require_own_key(data)  # a key made in its place would go into every backup, and open nothing in them
    open_vault(data, key_file)  # creates the key of a new folder, and reports an invalid key file
    return key_text(key_file or data / KEY_FILE)


def _other_key(head: Head, key_file: Path | None) -> str:
    if head.sealed_with == "passphrase":
        return ""
    if key_file is None:
        raise BackupUnreadable(
            "It was made without a passphrase, so it opens only with the `secret.key` of the server that wrote it",
            remedy="Name that file with --key FILE.",
        )
    try:
        return key_file.read_text().strip()
    except UnicodeDecodeError as error:
        raise BackupUnreadable(
            f"{key_file} is no file with a key",
            remedy="Name the `secret.key` of the server that wrote the backup with --key FILE.",
        ) from error


def _put_key(restored: Path, own: Path) -> bool:
    """Writes the restored key where the settings want it; returns False when it is there. Raises Invalid and OSError."""
    key = restored.read_text().strip()
    if not own.exists():
        _write(own, key)
        return True
    if own.read_text(errors="replace").strip() != key:
        raise Invalid(
            f"The key in {own} (FLOWPORT_SECRET_KEY_FILE) is not the one of this backup, so nobody could open its secrets",
            remedy="Name a file there that does not exist yet: the backup's key is written into it. Nothing was changed.",
        )
    return False


def _snapshot(url: str, work: Path) -> list[tuple[Path, int]]:
    """Writes what a PostgreSQL database holds at one moment as a SQLite file. Returns (path, size) of the stored files.

    Raises StorageUnavailable.
    """
    from storage.postgres.snapshot import write_snapshot

    write_snapshot(url, work)
    return stored_in(work)


def _require_room(data: Path, target: Path, url: str | None) -> None:
    """Raises StorageUnavailable unless there is room for a copy of the database on the disk of the data folder, and for the
    encrypted file on that of `target`, at the same time; and OSError.
    """
    if url is None:
        size, stored = (data / DATABASE).stat().st_size, bytes_in(data)
    else:
        from storage.postgres.snapshot import measure

        size, stored = measure(url)
    of_files = sum(size for _, size in stored)
    # the stored files of a data folder are there already: the copy has links to them
    copied, written = (size if url is None else size + of_files), size + of_files
    folder = backups_folder(data)
    if folder.stat().st_dev == target.parent.stat().st_dev:
        _require_free(folder, copied + written)
    else:
        _require_free(folder, copied)
        _require_free(target.parent, written)


def _require_free(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE:
        raise StorageUnavailable(
            f"A backup needs {needed >> 20} MB of free disk space in {folder} for a moment, and {free >> 20} MB are free",
            remedy="Free some disk space, keep values for a shorter time, or remove older backups.",
        )


def _pieces(copy: Path, key: str, stored: list[tuple[Path, int]]) -> Iterator[bytes]:
    """Yields the contents of a backup: a JSON list of the files, then their bytes.

    `stored`: the stored files, which follow one another as one entry (`engine.backups.stored_files`).
    """
    secret = f"{key}\n".encode() if key else b""
    files: list[dict[str, Any]] = [{"name": DATABASE, "size": copy.stat().st_size}]
    if secret:
        files.insert(0, {"name": KEY_FILE, "size": len(secret)})
    if stored:
        files.append({"name": FILES, "size": packed_size(stored)})
    yield json.dumps({"files": files}).encode()
    if secret:
        yield secret
    yield from read_pieces(copy, PIECE)
    if stored:
        yield from packed(stored)


def _unpack(pieces: Iterator[bytes], work: Path) -> list[str]:
    """Writes the files into a folder and returns their names. Raises BackupUnreadable."""
    sizes = _list_of_files(next(pieces, b""))
    names = [name for name, _ in sizes]
    if not set(names) <= {DATABASE, KEY_FILE, FILES} or DATABASE not in names:
        raise BackupUnreadable(
            "It holds files that this program does not know", remedy="Restore it with a newer Flowport."
        )
    for name, size in sizes:
        if name == FILES:
            unpack_files(pieces, size, work / name)
            continue
        left = size
        with os.fdopen(os.open(work / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
            while left > 0:
                piece = next(pieces, None)
                if piece is None:
                    raise BackupUnreadable("It holds less than its list of files says")
                left -= len(piece)
                target.write(piece)
            target.flush()
            os.fsync(target.fileno())
    if next(pieces, None) is not None:
        raise BackupUnreadable("It holds more than its list of files says")
    return names


def _list_of_files(piece: bytes) -> list[tuple[str, int]]:
    """Returns the name and the size of each file, from the first piece. Raises BackupUnreadable."""
    try:
        return [(str(file["name"]), int(file["size"])) for file in json.loads(piece)["files"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BackupUnreadable("Its list of files cannot be read") from error


def _write(path: Path, key: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{key}\n")
        file.flush()
        os.fsync(file.fileno())
