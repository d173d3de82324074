"""Notifies workers and waiting readers of changes to jobs, after the commit of the transaction that makes them.

`database.info[NOTIFIER]` holds the notifier of a process. The server's notifier wakes the worker process and the
readers that wait; a worker's notifier tells the server. A process without one (the command line) only changes the
tables, and the others find its changes by polling.

Processes that share a PostgreSQL tell each other (`engine.jobs.shared_notices`), other things too: `tell_others` and
`on_word` do nothing with SQLite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sqlalchemy.orm import Session

from storage.database import Database, after_commit

NOTIFIER = "notifier"
#: The key in `database.info` for what returns for how many seconds the worker that this server keeps has been away; it is
#: missing in a process that keeps none.
WORKER_AWAY = "worker_away"
#: The key in `database.info` of a server that was started paused (`serve --paused`).
PAUSED = "paused"
#: The keys in `database.info` for what tells the other processes, and for what is called at each word that they tell; both
#: are missing with SQLite.
TELLER, HEARERS = "teller", "hearers"
#: The word that tells of a draft's new revision, with `FLOW:REVISION`, and the word whose hearers are called without
#: arguments at each new connection: whatever was told before may have been missed.
DRAFT_CHANGED, CONNECTED = "flow", ""


class JobNotifier(Protocol):
    """Each method returns at once and may be called from any thread.

    A lost notification delays a job by a second, but loses none.
    """

    def wake(self) -> None:
        """A job was queued."""
        ...

    def cancel(self, job_id: str) -> None:
        """The cancellation of this running job was requested."""
        ...

    def changed(self, *job_ids: str) -> None:
        """These jobs have new events."""
        ...

    def ended(self, *job_ids: str) -> None:
        """These jobs, or batches, have ended."""
        ...


def wake_workers(session: Session) -> None:
    """Wakes the workers after the commit, so that they read the queue."""
    notifier: JobNotifier | None = session.info.get(NOTIFIER)
    if notifier is not None:
        after_commit(session, notifier.wake)


def cancel_wanted(session: Session, job_id: str) -> None:
    """Tells the worker of this job, after the commit, to stop the job."""
    notifier: JobNotifier | None = session.info.get(NOTIFIER)
    if notifier is not None:
        after_commit(session, lambda: notifier.cancel(job_id))


def job_changed(session: Session, *job_ids: str) -> None:
    """Tells those who wait for these jobs, after the commit, to read them again."""
    notifier: JobNotifier | None = session.info.get(NOTIFIER)
    if notifier is not None:
        after_commit(session, notifier.changed, *job_ids)


def job_ended(session: Session, *job_ids: str) -> None:
    """Does the same for jobs, or batches, that have ended: also those wake up who wait for the end alone."""
    notifier: JobNotifier | None = session.info.get(NOTIFIER)
    if notifier is not None:
        after_commit(session, notifier.ended, *job_ids)


def tell_others(session: Session, word: str, *arguments: str) -> None:
    """Sends a word and arguments, neither with spaces in it, to all other processes after the commit."""
    say: Callable[..., None] | None = session.info.get(TELLER)
    if say is not None:
        after_commit(session, lambda: say(word, *arguments))


def on_word(database: Database, word: str, hear: Callable[..., None]) -> None:
    """Has `hear` called with the arguments of each notice that begins with the word, in a thread of its own."""
    hearers: dict[str, list[Callable[..., None]]] | None = database.info.get(HEARERS)
    if hearers is not None:
        hearers.setdefault(word, []).append(hear)
