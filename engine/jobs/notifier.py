"""Notifies workers and waiting readers of changes to jobs, after the commit of the transaction that makes them.

`database.info[NOTIFIER]` holds the notifier of a process. The server's notifier wakes the worker process and the
readers that wait; a worker's notifier tells the server. A process without one (the command line) only changes the
tables, and the others find its changes by polling.
"""

from __future__ import annotations

from typing import Protocol

from sqlalchemy.orm import Session

from storage.database import after_commit

NOTIFIER = "notifier"


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
