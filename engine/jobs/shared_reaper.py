"""Finds out which processes are alive when several machines share a PostgreSQL, and reclaims the jobs of those that are
not.

Each process holds a lock on a connection of its own (`storage.postgres.process_link`) and beats. It is dead when the lock is free
and no beat came for FREE_SECONDS, or when no beat came for SILENT_SECONDS. Silence is measured on the monotonic clock of
the process that looks, and counts only while its own reads succeed; a free lock counts only when its own connection is
OLD_SECONDS old, since a restart of PostgreSQL frees all locks and everybody needs a moment to take them again. A file
lock on this machine that is free is proof enough (`engine.jobs.worker_locks`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from sqlalchemy.orm import Session

from engine.jobs.worker_locks import SILENT_SECONDS, Reaper, reclaim_of
from storage.database import Database
from storage.job_changes import owners
from storage.knowledge_changes import source_owners
from storage.postgres.liveness import held_locks
from storage.workers import LastBeat, beats, last_beats

#: Seconds without a beat after which a process whose lock is free is dead.
FREE_SECONDS = 10.0
#: The age in seconds that the own connection must have before a free lock of another process counts.
OLD_SECONDS = 10.0
#: The most that one look adds to the silence of others, in seconds: this process may have stood still meanwhile. It is
#: above the time for which its own heartbeat waits for the lock of writers, which a machine that was cut off may hold.
_MAX_AT_ONCE = 12.0
#: After so many seconds without a look, others may have stood still with this process: all begin anew.
_STOOD_STILL = 15.0
#: Of a process that has no row.
_NONE = LastBeat(-1, 0)


class Connected(Protocol):
    """What a reaper must know of the connection of its own process."""

    @property
    def connected_for(self) -> float:
        """For how many seconds it has been there; 0 while there is none."""
        ...


class SharedReaper(Reaper):
    """The Reaper of a process that shares its database with other machines."""

    def __init__(
        self, database: Database, data: Path, link: Connected, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(database, data, monotonic=monotonic)
        self._link = link
        #: Process -> its beats when it was last looked at, and for how many seconds they have not grown.
        self._silence: dict[str, tuple[int, float]] = {}
        self._locked: set[str] = set()
        self._last_look: float | None = None

    def pass_over(self, me: str) -> int:
        here = {path.name for path in self._folder.iterdir() if path.name.startswith("boot_")}
        try:
            holding, known, self._locked = self._database.read_now(_look, here)
        except BaseException:
            self._silence.clear()  # what is not seen is no silence
            self._last_look = None
            raise
        suspects = (here | holding | set(known)) - {me}
        self._listen(suspects, known)
        return sum(self._check(owner, known.get(owner, _NONE).number) for owner in suspects)

    def _listen(self, suspects: set[str], known: dict[str, LastBeat]) -> None:
        """Adds the time since the last look to the silence of those that have not beaten since. Who beat in the meantime
        has been silent since that beat: this process may have waited for the lock of writers of one that was cut off.
        """
        at, now = self._monotonic(), self._database.clock.now()
        since = _STOOD_STILL if self._last_look is None else at - self._last_look
        self._last_look = at
        if since >= _STOOD_STILL:
            self._silence.clear()
        heard = {}
        for owner in suspects:
            beat, silent = self._silence.get(owner, (None, 0.0))
            last = known.get(owner, _NONE)
            more = min(since, _MAX_AT_ONCE)
            if beat is None:
                silent, more = 0.0, 0.0  # it is seen for the first time
            elif beat != last.number:
                silent, more = 0.0, min(more, max(0, now - last.at) / 1000)
            heard[owner] = (last.number, silent + more)
        self._silence = heard

    def _silent(self, owner: str, beat: int) -> bool:
        _, silent = self._silence[owner]
        if silent >= SILENT_SECONDS:
            return True
        return silent >= FREE_SECONDS and owner not in self._locked and self._link.connected_for >= OLD_SECONDS

    def _reclaim(self, owner: str, suspects: frozenset[str] | None) -> int:
        beat, _ = self._silence[owner]
        taken = self._database.write_now(_reclaim_unless_it_beats, owner, suspects, beat)
        del self._silence[owner]  # not before: a write that was refused is tried again at the next look
        return taken


def _look(session: Session, here: set[str]) -> tuple[set[str], dict[str, LastBeat], set[str]]:
    holding, known = owners(session) | source_owners(session), last_beats(session)
    return holding, known, held_locks(session, here | holding | set(known))


def _reclaim_unless_it_beats(session: Session, owner: str, suspects: frozenset[str] | None, beat: int) -> int:
    """Reclaims, unless a beat came while this write waited for its turn."""
    if beats(session).get(owner, -1) != beat:
        return 0
    return reclaim_of(session, owner, suspects)
