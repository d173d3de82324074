"""Who lives: a lock file per process, held until it ends, and the reaper that takes the jobs of those that are gone.

A process on this data folder is dead exactly when the lock on `data/run/<boot id>` can be taken: no clock is asked, and another
host name after a container's restart does not matter. The file tells what it executed (`engine.jobs.at_work`). A worker whose
beat has not grown for 30 s of this process's monotonic clock loses its jobs too: one elsewhere (no file here), and one here that
nobody supervises and that stands still. What it may still write is refused, since it does not own the jobs any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.orm import Session

from engine.core.ids import new_id
from engine.jobs.at_work import suspects_in, suspects_of_silent
from engine.jobs.transitions import reclaim
from storage.database import Database
from storage.job_changes import owners
from storage.workers import beats, remove_worker

SILENT_SECONDS = 30.0
SERVE = "serve"


class AlreadyServing(Exception):  # noqa: N818 - said to the person who starts the program
    """Another `app.py serve` uses this data folder."""


class Lock:
    """A file whose lock this process holds until `release` or its end, however it ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    def release(self) -> None:
        """Removes the file and lets go."""
        self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


def run_folder(data: Path) -> Path:
    """Where the locks are."""
    folder = data / "run"
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def new_boot(data: Path) -> tuple[str, Lock]:
    """A boot id for this process and its lock, which stands before anybody can find it."""
    boot_id = new_id("boot")
    folder = run_folder(data)
    hidden = folder / f".{boot_id}"
    descriptor = os.open(hidden, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    hidden.rename(folder / boot_id)
    return boot_id, Lock(folder / boot_id, descriptor)


def serve_lock(data: Path) -> Lock:
    """The lock of the one server of a data folder. Raises AlreadyServing."""
    path = run_folder(data) / SERVE
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise AlreadyServing(
            f"Another Flowport server is running on {data}. Stop it first, or give this one another folder with --data."
        ) from error
    return _ServeLock(path, descriptor)


class _ServeLock(Lock):
    """Its file stays: a file that is removed and made again could be locked twice."""

    def release(self) -> None:
        os.close(self.descriptor)


class Reaper:
    """Finds dead workers and takes their jobs. One per process; `pass_over` is called every second."""

    def __init__(self, database: Database, data: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._folder = run_folder(data)
        self._monotonic = monotonic
        self._seen: dict[str, tuple[int, float]] = {}
        self._looked = monotonic()

    def pass_over(self, me: str) -> int:
        """One look at all owners of jobs and all locks; returns how many jobs were taken."""
        looked, self._looked = self._looked, self._monotonic()
        if self._looked - looked >= SILENT_SECONDS:
            self._seen.clear()  # this process stood still, and the others perhaps with it: all have 30 s from now on
        here = {path.name for path in self._folder.iterdir() if path.name.startswith("boot_")}
        holding, known = self._database.read_now(_owners_and_beats)
        suspects = (here | holding | set(known)) - {me}
        self._seen = {owner: seen for owner, seen in self._seen.items() if owner in suspects}
        return sum(self._check(owner, known.get(owner, -1)) for owner in suspects)

    def _check(self, owner: str, beat: int) -> int:
        try:
            descriptor = os.open(self._folder / owner, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return self._bury(owner, None) if self._silent(owner, beat) else 0
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return self._bury(owner, suspects_of_silent(descriptor)) if self._silent(owner, beat) else 0
        else:
            taken = self._bury(owner, suspects_in(descriptor))
            with contextlib.suppress(FileNotFoundError):
                (self._folder / owner).unlink()
            return taken
        finally:
            os.close(descriptor)

    def _silent(self, owner: str, beat: int) -> bool:
        """True when a worker has not given a beat for long enough."""
        seen, since = self._seen.get(owner, (None, 0.0))
        if seen != beat:
            self._seen[owner] = (beat, self._monotonic())
            return False
        return self._monotonic() - since >= SILENT_SECONDS

    def _bury(self, owner: str, suspects: frozenset[str] | None) -> int:
        self._seen.pop(owner, None)
        return self._database.write_now(_bury, owner, suspects)


def _owners_and_beats(session: Session) -> tuple[set[str], dict[str, int]]:
    return owners(session), beats(session)


def _bury(session: Session, owner: str, suspects: frozenset[str] | None) -> int:
    taken = reclaim(session, owner, suspects)
    remove_worker(session, owner)
    return taken
