"""Finds out which worker processes are alive, and reclaims the jobs of those that are not.

Each process holds the lock of a file `data/run/<boot id>` until it ends. A process on this machine is dead exactly when
that lock can be taken: this needs no clock, and a new host name after a restart of a container does not matter. The
file also records which jobs the process executed (`engine.jobs.at_work`). A worker whose heartbeat has not grown for 30
s, on the monotonic clock of the process that checks it, loses its jobs too: it is either on another machine (it has no
file here) or frozen without a supervisor. What such a worker writes later is refused, because it does not own the jobs
any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Generator
from pathlib import Path

from sqlalchemy.orm import Session

from engine.core.errors import InUse
from engine.core.ids import new_id
from engine.core.settings import Settings
from engine.jobs.at_work import suspects_in, suspects_of_silent
from engine.jobs.transitions import reclaim
from storage.database import Database
from storage.job_changes import owners
from storage.knowledge_changes import release_sources, source_owners
from storage.migrations.upgrade import wait_for_upgrade
from storage.workers import beats, remove_worker

SILENT_SECONDS = 30.0
SERVE = "serve"
#: What a server leaves in its lock file: nothing after a clean end.
_RUNNING, _DAMAGED = b"running\n", b"damaged\n"


class AlreadyServing(Exception):  # shown to the person who starts the program
    """Another `app.py serve` uses this data folder."""


class Lock:
    """A file whose lock this process holds until `release`, or until the process ends in any way."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    def release(self) -> None:
        """Removes the file and releases its lock."""
        self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


def run_folder(data: Path) -> Path:
    """Returns the folder of the lock files, and creates it when it is missing."""
    folder = data / "run"
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def new_boot(data: Path) -> tuple[str, Lock]:
    """Returns a boot id for this process and its lock. The file gets its final name only once it is locked."""
    boot_id = new_id("boot")
    folder = run_folder(data)
    hidden = folder / f".{boot_id}"
    descriptor = os.open(hidden, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    hidden.rename(folder / boot_id)
    return boot_id, Lock(folder / boot_id, descriptor)


def serve_lock(data: Path) -> ServeLock:
    """Takes the lock that allows only one server per data folder. Raises AlreadyServing."""
    path = run_folder(data) / SERVE
    descriptor = _taken(path, create=True)
    if descriptor is None:
        wait_for_upgrade(data)  # a worker or a command that migrates the tables has the lock meanwhile
        descriptor = _taken(path, create=True)
    if descriptor is None:
        raise AlreadyServing(
            f"Another Flowport server is running on {data}. Stop it first, or give this one another folder with --data."
        )
    return ServeLock(path, descriptor)


@contextlib.contextmanager
def servers_kept_out(data: Path, *, serves: bool = False) -> Generator[str]:
    """Holds the lock of the server of a data folder. Yields who uses the folder, a server or a worker; "" when nobody does.

    `serves`: this process holds that lock already.
    """
    folder = run_folder(data)
    with contextlib.ExitStack() as held:
        if not serves:
            if (lock := _taken(folder / SERVE, create=True)) is None:
                yield "A server"
                return
            held.callback(os.close, lock)
        for path in sorted(folder.glob("boot_*")):
            if (one := _taken(path)) is None:
                yield "A worker (`app.py worker`)"
                return
            os.close(one)
        yield ""


@contextlib.contextmanager
def no_older_version(data: Path, *, serves: bool = False) -> Generator[None]:
    """Keeps servers out while the tables of a data folder are brought up to date. `serves` as in `servers_kept_out`.

    Raises InUse when a server or a worker has the folder: it is of an older version, and could not use the new tables.
    """
    with servers_kept_out(data, serves=serves) as user:
        if user:
            raise InUse(
                f"{user} of an older version of Flowport runs on the folder {data.resolve()}, and could not use the tables of "
                "this version any more",
                remedy="Stop it first, or run this command with the program of that version. Nothing was changed.",
            )
        yield


@contextlib.contextmanager
def ready_for_upgrade(settings: Settings, *, serves: bool = False) -> Generator[None]:
    """Does what `no_older_version` does, and looks whether this process could use the folder afterwards. Raises InUse, and
    BadSetting when the key of its secrets is another one or is gone. Tables in PostgreSQL stay usable for the release
    before, whose servers may run on.
    """
    from engine.secrets.shared_key import require_key_of_file

    if settings.database_url is not None:
        yield
        return
    with no_older_version(settings.data, serves=serves):
        require_key_of_file(settings)
        yield


def _taken(path: Path, *, create: bool = False) -> int | None:
    """Takes the lock of a file and returns its descriptor; None when another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


class ServeLock(Lock):
    """The lock of the server. Its file also tells the next server how this one ended.

    The file is kept: if it were removed and created again, two processes could each lock a file of this name.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        super().__init__(path, descriptor)
        self._left = os.pread(descriptor, 100, 0)
        #: True when the last server was killed, or ended with its machine.
        self.after_crash = self._left == _RUNNING
        #: True when the last server found the database damaged, or this one did.
        self.damaged = self._left == _DAMAGED

    def note_running(self) -> None:
        """Notes that a server uses the database from now on; until `release`, every end of it counts as a crash."""
        self.damaged = False
        self._leave(_RUNNING)

    def note_damaged(self) -> None:
        """Notes that the database is damaged, so that the next server checks it before it starts."""
        self.damaged = True
        self._leave(_DAMAGED)

    def release(self) -> None:
        if not self.damaged:
            self._leave(b"")
        os.close(self.descriptor)

    def _leave(self, text: bytes) -> None:
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, text, 0)


class NoLock:
    """What stands in the place of a ServeLock when the database is PostgreSQL, which several servers share."""

    after_crash = damaged = False

    def note_running(self) -> None:
        """Does nothing."""

    def note_damaged(self) -> None:
        """Does nothing."""

    def release(self) -> None:
        """Does nothing."""


class Reaper:
    """Finds dead workers and reclaims their jobs. Each process has one, and calls its `pass_over` every second."""

    def __init__(self, database: Database, data: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._folder = run_folder(data)
        self._monotonic = monotonic
        self._seen: dict[str, tuple[int, float]] = {}
        self._looked = monotonic()

    def pass_over(self, me: str) -> int:
        """Checks all owners of jobs and sources, and all lock files once; `me` is this process's boot id.

        Returns how many jobs were reclaimed.
        """
        looked, self._looked = self._looked, self._monotonic()
        if self._looked - looked >= SILENT_SECONDS:
            self._seen.clear()  # this process was suspended, others perhaps too: all have 30 s from now on
        here = {path.name for path in self._folder.iterdir() if path.name.startswith("boot_")}
        holding, known = self._database.read_now(_owners_and_beats)
        suspects = (here | holding | set(known)) - {me}
        self._seen = {owner: seen for owner, seen in self._seen.items() if owner in suspects}
        return sum(self._check(owner, known.get(owner, -1)) for owner in suspects)

    def _check(self, owner: str, beat: int) -> int:
        try:
            descriptor = os.open(self._folder / owner, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return self._reclaim(owner, None) if self._silent(owner, beat) else 0
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return self._reclaim(owner, suspects_of_silent(descriptor)) if self._silent(owner, beat) else 0
        else:
            taken = self._reclaim(owner, suspects_in(descriptor))
            with contextlib.suppress(FileNotFoundError):
                (self._folder / owner).unlink()
            return taken
        finally:
            os.close(descriptor)

    def _silent(self, owner: str, beat: int) -> bool:
        """True when the heartbeat of a worker has not grown for SILENT_SECONDS."""
        seen, since = self._seen.get(owner, (None, 0.0))
        if seen != beat:
            self._seen[owner] = (beat, self._monotonic())
            return False
        return self._monotonic() - since >= SILENT_SECONDS

    def _reclaim(self, owner: str, suspects: frozenset[str] | None) -> int:
        self._seen.pop(owner, None)
        return self._database.write_now(reclaim_of, owner, suspects)


def _owners_and_beats(session: Session) -> tuple[set[str], dict[str, int]]:
    return owners(session) | source_owners(session), beats(session)


def reclaim_of(session: Session, owner: str, suspects: frozenset[str] | None) -> int:
    """Takes everything that a dead worker held, and removes its row. Returns how many jobs there were."""
    taken = reclaim(session, owner, suspects)
    release_sources(session, owner)
    remove_worker(session, owner)
    return taken
