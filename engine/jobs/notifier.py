"""Who is told that a job changed: the bell of this process, rung after the commit and never before.

`database.info["bell"]` holds it. The server's bell wakes the worker process and the waiting readers, a worker's bell tells the
server; a process without one (the command line) changes the tables and others find it by looking.
"""

from __future__ import annotations

from typing import Protocol

from sqlalchemy.orm import Session

from storage.database import after_commit

BELL = "bell"


class JobNotifier(Protocol):
    """Every method returns at once and may be called from any thread. A lost ring costs a second, never a job."""

    def wake(self) -> None:
        """There is something to run."""
        ...

    def cancel(self, job_id: str) -> None:
        """A cancel was asked for."""
        ...

    def changed(self, *job_ids: str) -> None:
        """These jobs have new events."""
        ...


def wake_workers(session: Session) -> None:
    """After the commit, workers look into the queue."""
    notifier: JobNotifier | None = session.info.get(BELL)
    if notifier is not None:
        after_commit(session, notifier.wake)


def cancel_wanted(session: Session, job_id: str) -> None:
    """After the commit, the worker of this job hears that it shall stop."""
    notifier: JobNotifier | None = session.info.get(BELL)
    if notifier is not None:
        after_commit(session, lambda: notifier.cancel(job_id))


def job_changed(session: Session, job_id: str) -> None:
    """After the commit, those who wait for this job read it again."""
    notifier: JobNotifier | None = session.info.get(BELL)
    if notifier is not None:
        after_commit(session, notifier.changed, job_id)
