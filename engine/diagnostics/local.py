"""The checks that need no network: folder, disk, clock, database, workers and backups.

They take about a second and block: run them in a thread.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from engine.backups.backups import is_backup_name, list_backups
from engine.backups.last_backup import LastBackup, find_last_backup
from engine.backups.passphrase import find_passphrase
from engine.backups.work_folders import FOLDER
from engine.core.clock import DAY, HOUR, MINUTE
from engine.core.counted import counted
from engine.core.errors import SecretUnreadable, StorageUnavailable
from engine.core.settings import BadSetting, Settings
from engine.diagnostics.disk import folder_size, read_disk
from engine.diagnostics.findings import Line, State, megabytes
from engine.diagnostics.waiting_jobs import check_waiting_jobs
from engine.jobs.server.retention import read_rules
from engine.jobs.worker_locks import SERVE, run_folder
from engine.secrets.opening import list_unreadable
from engine.secrets.sealing import KEY_FILE, Vault, open_vault
from engine.secrets.shared_key import require_own_key, require_shared_key
from storage.backup import DATABASE, find_fault, schema_of
from storage.database import Database
from storage.database_note import unused_file
from storage.files import list_hashes
from storage.jobs import first_job_at, last_enqueued_at
from storage.migrations.schema import newest_schema
from storage.retention import read_room
from storage.secrets import SealedKind
from storage.server_figures import server_figures
from storage.workers import is_serving_on

#: Seconds that writing one page to disk may take: above the first the disk is slow, above the second jobs wait for it.
SLOW_SYNC, TOO_SLOW_SYNC = 0.02, 0.2
#: File systems without the shared memory between processes that SQLite's write-ahead log needs.
_NETWORK_DISKS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs", "fuse.s3fs"}
#: Milliseconds since 1970. An earlier clock is wrong: it is older than this program.
_NOT_BEFORE_MS = 1_760_000_000_000
#: What a sealed value belongs to, in the words of the check.
_KINDS: Mapping[SealedKind, str] = {
    "model": "keys of models",
    "tools": "keys of tools",
    "secret": "secrets",
    "webhook": "webhooks of flows",
    "hook": "incoming webhooks",
}


def check_folder_and_database(
    settings: Settings, database: Database, vault: Vault, *, running: bool | None = None
) -> Iterator[Line]:
    """Yields all checks of this machine.

    `running` states whether a server should run on the folder: False after a restore, None when it is not known.
    """
    data = settings.data
    if database.is_postgres:
        from engine.diagnostics.postgres import check_postgres

        yield check_folder(data, holds_database=False)
        yield check_disk(data)
        yield check_clock(database)
        yield from check_postgres(database, running=running)
        if said := unused_file(data):
            yield Line(
                "Old database", "note", said, "If its data were moved, keep a copy elsewhere and remove it here."
            )
    else:
        yield check_folder(data, holds_database=True)
        yield check_disk(data)
        yield _size(data, database)
        yield check_clock(database)
        yield _database(data)
        yield _files(database)
        yield _worker(data, database, running=running)
    yield _key(settings, database)
    yield from _unreadable(database, vault)
    yield from _backups(settings, database, vault)


def is_serving(data: Path) -> bool:
    """Tells whether a server runs on this folder, by testing the lock file that a server keeps locked."""
    try:
        descriptor = os.open(run_folder(data) / SERVE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def check_folder(data: Path, *, holds_database: bool) -> Line:
    """Checks the data folder; with PostgreSQL it holds backups, and files for a moment."""
    kind = _file_system(data)
    if holds_database and kind in _NETWORK_DISKS:
        return Line(
            "Data folder",
            "bad",
            f"{data.resolve()} is on a network disk ({kind}); the database cannot work safely there.",
            "Move the data folder to a disk of this machine and name it with FLOWPORT_DATA.",
        )
    try:
        took = _sync_seconds(data)
    except OSError as error:
        return not_writable(data, error)
    if not holds_database:
        return Line("Data folder", "ok", f"{data.resolve()} can be written; it holds this server's backups.")
    found = f"{data.resolve()} can be written; a sync takes {took * 1000:.1f} ms."
    if took > TOO_SLOW_SYNC:
        return Line("Data folder", "bad", found, "This disk is too slow: every request waits for it. Use a local SSD.")
    if took > SLOW_SYNC:
        return Line(
            "Data folder", "warn", found, "Every accepted request waits for one sync. A local SSD takes 1 ms or less."
        )
    return Line("Data folder", "ok", found)


def not_writable(data: Path, error: OSError) -> Line:
    """Says why a data folder cannot be written."""
    fix = f"Give it to the user Flowport runs as (number {os.getuid()}), and mount its disk for writing."
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        fix = "Free some disk space, or make the disk larger."
    return Line("Data folder", "bad", f"{data.resolve()} cannot be written: {error.strerror or error}.", fix)


def check_disk(data: Path) -> Line:
    """Checks the free space of the folder's disk."""
    disk = read_disk(data)
    found = f"{megabytes(disk.free)} of {megabytes(disk.total)} are free."
    fix = "Free some disk space, make the disk larger, or keep less under Settings, Data."
    states: dict[str, State] = {"ok": "ok", "low": "warn", "full": "bad"}
    return Line("Disk", states[disk.state], found, "" if disk.state == "ok" else fix)


def _size(data: Path, database: Database) -> Line:
    disk = read_disk(data)
    rules, room = database.read_now(read_rules), database.read_now(read_room)
    size = f"The database takes {megabytes(room.file)}, backups {megabytes(folder_size(data, FOLDER))}."
    if rules.cap_bytes and room.used > rules.cap_bytes:
        return Line(
            "Size",
            "warn",
            f"{size} That is above its cap of {rules.cap_gb:g} GB.",
            "Retention works on it; raise the cap or keep values for fewer days if it stays.",
        )
    if rules.cap_bytes > disk.free + room.file:
        return Line(
            "Size",
            "warn",
            f"{size} Its cap of {rules.cap_gb:g} GB is more than the disk has room for.",
            "Lower the cap under Settings, Data, so that old values go before the disk is full.",
        )
    return Line("Size", "ok", size)


def check_clock(database: Database) -> Line:
    """Checks that the clock is neither years behind nor was set back."""
    at = database.clock.now()
    newest = database.read_now(last_enqueued_at)
    if at < _NOT_BEFORE_MS:
        return Line(
            "Clock", "bad", "This machine's clock is years behind.", "Set it, and switch time synchronisation on."
        )
    if newest and newest > at + 5 * MINUTE:
        return Line(
            "Clock",
            "bad",
            f"The newest job is {(newest - at) // MINUTE} minutes in the future: the clock was set back.",
            "Switch time synchronisation (NTP) on.",
        )
    return Line("Clock", "ok", f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(at / 1000))} UTC.")


def _database(data: Path) -> Line:
    fault = find_fault(data / DATABASE)
    if fault:
        return Line(
            "Database",
            "bad",
            f"It is damaged: {fault}.",
            "Stop the server, keep a copy, and restore a backup into a new folder.",
        )
    schema, newest = schema_of(data / DATABASE), newest_schema()
    if schema != newest:
        return Line(
            "Database",
            "bad",
            f"Its schema is {schema}, this program's is {newest}.",
            "Start the server once with this program.",
        )
    return Line("Database", "ok", f"No fault was found; schema {schema}.")


def _key(settings: Settings, database: Database) -> Line:
    """Compares the key in the folder, or in the file that the settings name, with the one that the database, and a server
    that runs, has.
    """
    path = settings.secret_key_file or settings.data / KEY_FILE
    try:
        if settings.secret_key_file is None:
            require_own_key(settings.data)
        vault = open_vault(settings.data, settings.secret_key_file)
        require_shared_key(database, vault, path, named=settings.secret_key_file is not None)
    except BadSetting as error:
        return Line("Key", "bad", str(error), "No backup is made until the key is there, and no server starts.")
    return Line(
        "Key", "ok", f"{path.absolute()} is the key of this database; its fingerprint is {vault.fingerprint()}."
    )


def _unreadable(database: Database, vault: Vault) -> Iterator[Line]:
    """Names all that has to be entered again since another key was taken."""
    found = database.read_now(list_unreadable, vault)
    named = [
        f"{title}: {', '.join(f'“{one.name}”' for one in found if one.kind == kind)}"
        for kind, title in _KINDS.items()
        if any(one.kind == kind for one in found)
    ]
    if named:
        yield Line(
            "Sealed values",
            "warn",
            f"{counted(len(found), 'value')} cannot be read any more, as another key sealed them. {'; '.join(named)}.",
            "Enter them again: keys and secrets under Settings, Models and secrets and Settings, Tools; at a flow's webhooks press New "
            "signing secret, at an incoming webhook New secret or New address.",
        )


def _files(database: Database) -> Line:
    named = database.read_now(list_hashes)
    if not named:
        return Line("Files", "ok", "No files are stored.")
    gone = [sha256 for sha256, size in named if not database.file_bytes.is_there(sha256, size)]
    if gone:
        return Line(
            "Files",
            "bad",
            f"The bytes of {len(gone):,} of {len(named):,} files are missing in {database.file_bytes.folder}.",
            "Copy the folder `files` back from a backup (`app.py restore` into a new folder); steps that read them fail.",
        )
    return Line("Files", "ok", f"{counted(len(named), 'file')}, {megabytes(sum(size for _, size in named))}.")


def _worker(data: Path, database: Database, *, running: bool | None) -> Line:
    if running is False or not is_serving(data):
        if running:
            return Line("Worker", "bad", "No server runs on this folder.", "Start it: `app.py serve`.")
        return Line(
            "Worker",
            "note",
            "No server runs on this folder now.",
            "" if running is False else "Start it when you want it: `app.py serve`.",
        )
    figures = database.read_now(server_figures)
    if not figures.workers:
        return Line(
            "Worker",
            "bad",
            "No worker has been heard of for 30 seconds, so no job runs.",
            "Read the server's log for lines that begin with `worker`, then start the server again; with `serve --no-worker` start a worker: "
            "`app.py worker`.",
        )
    return check_waiting_jobs(figures, "1 worker lives" if figures.workers == 1 else f"{figures.workers} workers live")


def _backups(settings: Settings, database: Database, vault: Vault) -> Iterator[Line]:
    at = database.clock.now()
    try:
        last = database.read_now(find_last_backup, settings.data, shared=database.is_postgres)
    except StorageUnavailable as refusal:
        yield Line("Backup", "bad", f"{refusal.detail}.", refusal.remedy or "")
        return
    if last is None:
        begun = database.read_now(first_job_at)
        if begun is None or at - begun < 2 * DAY:
            yield Line("Backup", "note", "There is none yet; one is made every night once jobs have run.")
        else:
            yield Line(
                "Backup",
                "bad",
                "There is none.",
                "Make one under Settings, Data, or with `app.py backup FILE`. A server makes one each night when it runs: if it ran, "
                "its log says why there is none.",
            )
    elif last.size is None:
        yield _backup_elsewhere(settings, database, last)
    else:
        place = f"; it is in {settings.data.resolve() / FOLDER}" if database.is_postgres else ""
        yield _by_age(at - last.at, f"The last one is {_old(at - last.at)} and has {megabytes(last.size)}{place}.")
    try:
        passphrase = database.read_now(find_passphrase, settings, vault)
    except BadSetting as error:
        yield Line(
            "Backup passphrase",
            "bad",
            str(error),
            "Mend this: no nightly backup is made until then, and no server starts with it.",
        )
        return
    except SecretUnreadable:
        yield Line(
            "Backup passphrase",
            "bad",
            "The stored passphrase of nightly backups was sealed with another key, so no nightly backup is made.",
            "Enter it again under Settings, Data.",
        )
        return
    if not passphrase:
        yield Line(
            "Backup passphrase",
            "warn",
            "Nightly backups open only with the key in FLOWPORT_SECRET_KEY_FILE, so they are lost with that file."
            if database.is_postgres
            else "Nightly backups open only with this folder's own key, so they are lost with the disk.",
            "Set a passphrase under Settings, Data, and copy backups to another machine.",
        )


def _backup_elsewhere(settings: Settings, database: Database, last: LastBackup) -> Line:
    """Tells of the last backup, which is not in this data folder. Its age counts; one that a server has in its own folder
    is lost with it, and that is told.
    """
    host, path = last.host, last.path
    age = database.clock.now() - last.at
    told = f"The last one is {_old(age)} ({time.strftime('%Y-%m-%d %H:%M', time.gmtime(last.at / 1000))} UTC), made"
    if not path:
        return _by_age(age, f"{told} by another server.")
    told = f"{told} on the machine {host}: {path}"
    if not is_backup_name(Path(path).name):
        return _by_age(age, f"{told}.")
    if host == socket.gethostname():
        gone = "" if os.path.exists(path) else "It is not there any more, or this user may not read it"  # noqa: PTH110 - takes a missing right for missing
    else:
        gone = "" if database.read_now(is_serving_on, host) else "No server runs on that machine now"
    if not gone:
        return _by_age(age, f"{told}.")
    here = settings.data.resolve() / FOLDER
    own = list_backups(settings.data)
    mine = f"the newest one in {here} is {_old(age + last.at - own[0].at)}" if own else f"there is none in {here}"
    return Line(
        "Backup",
        "bad" if age > 3 * DAY else "warn",
        f"{told}. {gone}, and {mine}.",
        "If that machine or its folder is lost, make a backup at once: under Settings, Data, or with `app.py backup FILE`.",
    )


def _by_age(age: int, found: str) -> Line:
    """Tells of the last backup by its age in milliseconds."""
    if age > 3 * DAY:
        return Line("Backup", "bad", found, "The nightly backup fails: the server's log says why.")
    if age > 36 * HOUR:
        return Line("Backup", "warn", found, "The server must run at night for the nightly backup.")
    return Line("Backup", "ok", found)


def _old(age: int) -> str:
    return f"{age // HOUR} hours old" if age >= 2 * HOUR else "fresh"


def _sync_seconds(data: Path) -> float:
    """Returns the median duration of five small synchronous writes, in seconds. Raises OSError."""
    path = data / f".check-{secrets.token_hex(4)}"
    times = []
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0) as file:
            for _ in range(5):
                begun = time.perf_counter()
                file.write(b"x" * 4096)
                os.fsync(file.fileno())
                times.append(time.perf_counter() - begun)
    finally:
        path.unlink(missing_ok=True)
    return sorted(times)[2]


def _file_system(data: Path) -> str:
    """Returns the type of the folder's file system; "" on systems without /proc/mounts."""
    try:
        mounts = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return ""
    here = str(data.resolve())
    found = [(line.split()[1], line.split()[2]) for line in mounts if len(line.split()) > 2]
    under = [(place, kind) for place, kind in found if here == place or here.startswith(place.rstrip("/") + "/")]
    return max(under, key=lambda one: len(one[0]))[1] if under else ""
