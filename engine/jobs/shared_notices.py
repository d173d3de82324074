"""Tells the processes on other machines what this one has changed, and passes on what they tell (`storage.postgres_link`).

The words: `wake` (a job was queued), `cancel JOB`, `job JOB...` (new events), `end JOB...` (jobs or batches that have
ended), and those of HEARERS, like `flow FLOW:REVISION`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sqlalchemy.orm import Session

from engine.jobs.notifier import JobNotifier
from storage.database import Database, after_commit

#: The keys in `database.info` for who tells other processes, and for what is called at each word that they tell. Both are
#: missing with SQLite.
TELLER, HEARERS = "teller", "hearers"


class Teller(Protocol):
    """Sends a notice to the other processes; called from any thread, returns at once."""

    def say(self, word: str, *arguments: str) -> None: ...


class SharedNotices:
    """The JobNotifier of a process that shares its database with others: `here` is the one it would have alone."""

    def __init__(self, here: JobNotifier) -> None:
        self._here = here
        self._teller: Teller | None = None

    def tell_by(self, teller: Teller) -> None:
        """Tells the others from now on."""
        self._teller = teller

    def wake(self) -> None:
        self._here.wake()
        self._say("wake")

    def cancel(self, job_id: str) -> None:
        self._here.cancel(job_id)
        self._say("cancel", job_id)

    def changed(self, *job_ids: str) -> None:
        self._here.changed(*job_ids)
        self._say("job", *job_ids)

    def ended(self, *job_ids: str) -> None:
        self._here.ended(*job_ids)
        self._say("end", *job_ids)

    def _say(self, word: str, *arguments: str) -> None:
        if self._teller is not None:
            self._teller.say(word, *arguments)


def tell_others(session: Session, word: str, *arguments: str) -> None:
    """Tells the other processes after the commit; does nothing where there are none."""
    teller: Teller | None = session.info.get(TELLER)
    if teller is not None:
        after_commit(session, lambda: teller.say(word, *arguments))


def on_word(database: Database, word: str, hear: Callable[[Sequence[str]], Any]) -> None:
    """Calls `hear` with the arguments of each notice that begins with the word, in the thread of the link."""
    hearers = database.info.get(HEARERS)
    if hearers is not None:
        hearers[word] = hear
