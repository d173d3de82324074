"""What happens to a job after its acceptance, each in one transaction with its event, its message and its bell."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy.orm import Session

from engine.core.errors import BatchNotCancellable, JobNotCancellable
from engine.jobs.huey_queue import send
from engine.jobs.notifier import cancel_wanted, job_changed
from engine.jobs.waiting_items import admit_all_waiting, admit_waiting
from storage.batches import BatchRow, get_batch, note_cancel_of_batch, open_items
from storage.job_changes import (
    SHARED_ATTEMPTS,
    Claimed,
    Ended,
    Lease,
    claim_job,
    end_job,
    held_jobs,
    next_playground_job,
    owners,
    queued_with_cancel,
    request_cancel,
    requeue_job,
    requeue_stale,
)
from storage.jobs import JobRow, KeyScope, get_job
from storage.steps import Progress, write_progress
from storage.workers import beats, remove_worker

#: How often a job is begun before it is given up as `worker_lost`; the last time alone in a worker (`claim_job`).
MAX_ATTEMPTS = SHARED_ATTEMPTS + 1
#: A queued job whose message is older than this is sent again.
FORGOTTEN_MS = 5_000
#: How many are sent again at once.
FORGOTTEN_MOST = 256


def claim(session: Session, owner: str, job_id: str, *, alone: bool = False) -> Claimed | None:
    """Takes a queued job for the worker `owner`; None when somebody else has it or it has ended.

    `alone`: nothing else runs in that process; only such a worker gets a job that two workers died under.
    """
    claimed = claim_job(session, owner, job_id, alone=alone)
    if claimed is not None:
        job_changed(session, job_id)
    return claimed


def finish(
    session: Session,
    job_id: str,
    status: str,
    *,
    lease: Lease | None,
    error: dict[str, Any] | None = None,
    result: tuple[str, int] | None = None,
    progress: Progress | None = None,
) -> bool:
    """The final write, with what was not written yet. False: the job is not the holder's any more."""
    if progress is not None and not write_progress(session, progress):
        return False
    ended = end_job(session, job_id, status, lease=lease, error=error, result=result)
    if ended is None:
        return False
    _tell_end(session, ended)
    if ended.environment != "playground":
        admit_waiting(session, ended.workspace_id, ended.environment)
    elif lease is not None:
        waiting = next_playground_job(session, ended.workspace_id)
        if waiting is not None:
            send(session, waiting)
    return True


def give_back(session: Session, job_id: str, lease: Lease, *, unpunished: bool = True) -> bool:
    """Back into the queue, at once for whoever is free; cancelled, when that was asked for meanwhile.

    `unpunished`: the attempt does not count. False: the job is not the holder's any more.
    """
    if not requeue_job(session, job_id, lease, unpunished=unpunished):
        return finish(session, job_id, "cancelled", lease=lease)
    send(session, job_id)
    job_changed(session, job_id)
    return True


def cancel_job(session: Session, workspace_id: str, job_id: str, scope: KeyScope | None = None) -> JobRow:
    """Queued: cancelled now. Processing: its worker is asked to stop. Raises NotFound, JobNotCancellable."""
    job = get_job(session, workspace_id, job_id, scope)
    if job.status == "queued":
        finish(session, job_id, "cancelled", lease=None)
    elif job.status == "processing":
        request_cancel(session, job_id)
        cancel_wanted(session, job_id)
    elif job.status != "cancelled":
        raise JobNotCancellable(f"It is {job.status}")
    return get_job(session, workspace_id, job_id)


def cancel_batch(session: Session, workspace_id: str, batch_id: str, scope: KeyScope | None = None) -> BatchRow:
    """Cancels the items that have not ended, each as `cancel_job`. Raises NotFound, BatchNotCancellable.

    Items that wait for a slot end before those that have one, so none of them is let in meanwhile.
    """
    batch = get_batch(session, workspace_id, batch_id, scope)
    if batch.ended:
        if batch.cancel_requested_at is None:
            raise BatchNotCancellable("Its items have all ended")
        return batch
    note_cancel_of_batch(session, batch_id)
    for job_id, status in open_items(session, batch_id):
        if status == "processing":
            request_cancel(session, job_id)
            cancel_wanted(session, job_id)
        elif (ended := end_job(session, job_id, "cancelled", lease=None)) is not None:
            _tell_end(session, ended)
    admit_waiting(session, workspace_id, batch.environment)
    return get_batch(session, workspace_id, batch_id)


def _tell_end(session: Session, ended: Ended) -> None:
    """After the commit, those who wait for the job hear of its end, and those who wait for its batch of the last one."""
    job_changed(session, ended.id)
    if ended.batch_ended is not None:
        job_changed(session, ended.batch_ended)


def reclaim(session: Session, owner: str, suspects: Collection[str] | None = None) -> int:
    """Takes the jobs of a dead worker: back into the queue, or ended after the last attempt. Returns how many.

    `suspects`: only their attempts count, since the others merely ran beside them; None: everybody's.
    """
    held = held_jobs(session, owner)
    for job_id, attempt, cancel_requested in held:
        lease = Lease(owner, attempt)
        counts = suspects is None or job_id in suspects
        if cancel_requested:
            finish(session, job_id, "cancelled", lease=lease)
        elif counts and attempt >= MAX_ATTEMPTS:
            finish(session, job_id, "failed", lease=lease, error=worker_lost(attempt))
        else:
            give_back(session, job_id, lease, unpunished=not counts)
    return len(held)


def bury_all(session: Session) -> int:
    """The same for every worker: in a folder that was just restored none of them lives."""
    taken = 0
    for owner in owners(session) | set(beats(session)):
        taken += reclaim(session, owner)
        remove_worker(session, owner)
    return taken


def end_cancelled(session: Session) -> int:
    """Ends queued jobs whose cancel was asked for, as they were left by an earlier version. Returns how many."""
    left = queued_with_cancel(session)
    for job_id in left:
        finish(session, job_id, "cancelled", lease=None)
    return len(left)


def send_forgotten(session: Session, older_than_ms: int = FORGOTTEN_MS, most: int = FORGOTTEN_MOST) -> int:
    """Sends queued jobs again whose message seems to be lost. Claims make a second message harmless."""
    admit_all_waiting(session)
    jobs = requeue_stale(session, older_than_ms=older_than_ms, most=most)
    send(session, *jobs)
    return len(jobs)


def job_error(
    code: str, message: str, *, why: str = "", remedy: str = "", attempts: int = 1, node: tuple[str, str] | None = None
) -> dict[str, Any]:
    """The error of a job that did not come from a node's own failure. `node`: id and label."""
    return {
        "code": code,
        "message": message,
        "why": why,
        "remedy": remedy,
        "node_id": node[0] if node else None,
        "node_label": node[1] if node else None,
        "item_index": None,
        "attempts": attempts,
    }


def worker_lost(attempts: int) -> dict[str, Any]:
    """The worker died on every attempt."""
    return job_error(
        "worker_lost",
        f"The worker process stopped {attempts} times while it ran this job.",
        why="Each time the process ended without a word, as it does when memory runs out or somebody kills it, or it stood still.",
        remedy="Look at the server's log and its memory, then send the request again.",
        attempts=attempts,
    )


def timed_out(limit_ms: int, attempts: int) -> dict[str, Any]:
    """The job's time limit has passed."""
    return job_error(
        "timeout",
        f"The job did not end within its limit of {limit_ms / 1000:g} seconds.",
        why="The limit counts from the first start of the job.",
        remedy="Raise the limit in the flow's settings or make the job smaller.",
        attempts=attempts,
    )
