"""The changes of a job's status after its acceptance, each in one transaction with its event, queue message and
notification.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Sequence
from typing import Any

from sqlalchemy.orm import Session

from engine.core.clock import seconds_in_words
from engine.core.error_codes import JobErrorCode
from engine.core.errors import BatchNotCancellable, JobNotCancellable
from engine.core.job_status import SHARED_ATTEMPTS
from engine.jobs.huey_queue import job_id_of, send, send_ahead
from engine.jobs.notifier import cancel_wanted, job_changed, job_ended
from engine.jobs.waiting_items import admit_all_waiting, admit_waiting
from storage.batches import BatchRow, get_batch, has_waiting_items, note_cancel_of_batch, open_items
from storage.flow_limits import limit_flow, next_in_flow, stale_in_flows
from storage.job_changes import (
    Claimed,
    Lease,
    claim_job,
    claim_jobs,
    held_jobs,
    list_queued,
    next_playground_job,
    owners,
    queued_with_cancel,
    request_cancel,
    requeue_job,
    requeue_stale,
)
from storage.job_ends import Ended, JobEnd, end_jobs
from storage.jobs import JobRow, KeyScope, get_job
from storage.knowledge_changes import release_sources, source_owners
from storage.prefetch import prefetch
from storage.queue import has_messages, take_messages
from storage.steps import Progress, write_progress
from storage.workers import beats, remove_worker

#: The number of attempts before a job fails as `worker_lost`. In the last one it is the only job of its worker
#: (`claim_job`).
MAX_ATTEMPTS = SHARED_ATTEMPTS + 1
#: A queued job is sent again when its queue message is older than this many milliseconds.
FORGOTTEN_MS = 5_000
#: The same while messages wait, among which its own may be: a worker takes a message in the transaction that claims the
#: job, so messages are hardly ever lost.
FORGOTTEN_IN_QUEUE_MS = 60_000
#: The largest number of jobs that are sent again at once, and whose turn they take.
FORGOTTEN_MOST, FORGOTTEN = 256, "forgotten"


def claim(session: Session, owner: str, job_id: str, *, alone: bool = False) -> Claimed | None:
    """Claims a queued job for the worker `owner`. Returns None when another worker has it, or when it has ended.

    `alone`: this worker process runs nothing else. Only such a worker gets a job under which two workers died.
    """
    claimed = claim_job(session, owner, job_id, alone=alone)
    if claimed is not None:
        job_changed(session, job_id)
    return claimed


def claim_many(session: Session, owner: str, most: int, held: Container[str]) -> tuple[list[Claimed], int]:
    """Takes up to `most` messages from the queue, and claims their jobs in the same transaction. Returns the claimed jobs
    in order, and how many messages there were.

    `held`: jobs that this process still handles. Either this is a second message, or the job was taken from this
    process while it was suspended and its run here has not noticed yet. A second claim could have the same lease owner,
    and the writes of both runs could not be told apart. A job that is still queued is sent again later.
    """
    messages = take_messages(session, most)
    job_ids = [job_id for job_id in map(job_id_of, messages) if job_id not in held]
    claimed = claim_jobs(session, owner, job_ids, held)
    if claimed:
        job_changed(session, *(job.id for job in claimed))
    return claimed, len(messages)


def _look_ahead_at_claims(session: Session, calls: Sequence[tuple[str, int, Container[str]]]) -> None:
    for _, most, _ in calls:
        take_messages(session, most)


prefetch(claim_many, _look_ahead_at_claims, writes=True)


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
    """Ends one job and stores the progress that is not stored yet. `lease` None: no worker holds the job. `result`: JSON
    text, bytes.

    Returns False when the job does not belong to the lease any more.
    """
    return finish_many(session, [JobEnd(job_id, status, lease, error, result, progress)])[0]


def finish_many(session: Session, ends: Sequence[JobEnd]) -> list[bool]:
    """Ends jobs: a plural action. Returns for each False when the job does not belong to the lease any more."""
    found = end_jobs(session, ends)
    ended = [one for one in found if one is not None]
    _tell_end(session, ended)
    for workspace_id, environment in dict.fromkeys((one.workspace_id, one.environment) for one in ended):
        if environment != "playground":
            admit_waiting(session, workspace_id, environment)
    for end, one in zip(ends, found, strict=True):
        if one is not None and one.environment == "playground" and end.lease is not None:
            _send_next_playground_job(session, one.workspace_id)
    for flow_id, count in Counter(one.flow_id for one in ended if one.flow_limited).items():
        _send_of_flow(session, *((job_id, flow_id) for job_id in next_in_flow(session, flow_id, count)))
    return [one is not None for one in found]


def _look_ahead_at_ends(session: Session, ends: Sequence[JobEnd]) -> None:
    for workspace_id, environment in {end.of for end in ends if end.of is not None}:
        if environment != "playground":
            has_waiting_items(session, workspace_id, environment)


prefetch(finish_many, _look_ahead_at_ends, steady=True)


def free_places(session: Session, workspace_id: str, environment: str, limited_flow: str | None) -> None:
    """Lets other jobs take the place of one that was set aside. `limited_flow`: its flow, when that limits its jobs."""
    if environment == "playground":
        _send_next_playground_job(session, workspace_id)
    else:
        admit_waiting(session, workspace_id, environment)
    if limited_flow is not None:
        _send_of_flow(session, *((job_id, limited_flow) for job_id in next_in_flow(session, limited_flow, 1)))


def _send_next_playground_job(session: Session, workspace_id: str) -> None:
    waiting = next_playground_job(session, workspace_id)
    if waiting is not None:
        send_ahead(session, waiting)


def change_flow_concurrency(session: Session, flow_id: str, number: int | None) -> None:
    """Changes how many jobs of a flow run at once, also for those that wait; None: as many as other limits allow."""
    waiting = limit_flow(session, flow_id, number)
    may_begin = waiting if number is None else next_in_flow(session, flow_id, number)
    _send_of_flow(session, *((job_id, flow_id) for job_id in may_begin))


def _send_of_flow(session: Session, *jobs: tuple[str, str]) -> None:
    """Sends jobs that waited for others of their flow; each is a job and its flow. They take a turn of the flow, not the
    first one: otherwise a flow with many quick jobs would keep everybody else waiting.
    """
    send(session, *((job_id, f"flow {flow_id}") for job_id, flow_id in jobs))


def write_steps(session: Session, reports: Sequence[Progress]) -> list[bool]:
    """Stores what running jobs reported: a plural action. Returns for each False when its worker lost the job."""
    stored = write_progress(session, *reports)
    job_changed(session, *(one.job_id for one, is_stored in zip(reports, stored, strict=True) if is_stored))
    return stored


def give_back(session: Session, job_id: str, lease: Lease, *, unpunished: bool = True) -> bool:
    """Puts a job back into the queue for the next free worker; cancels it instead when that was requested meanwhile.

    `unpunished`: the attempt does not count. Returns False when the job does not belong to the lease any more.
    """
    if not requeue_job(session, job_id, lease, unpunished=unpunished):
        return finish(session, job_id, "cancelled", lease=lease)
    send_ahead(session, job_id)
    job_changed(session, job_id)
    return True


def cancel_job(session: Session, workspace_id: str, job_id: str, scope: KeyScope | None = None) -> JobRow:
    """Cancels a job that is queued or waits for a person at once, and asks the worker of a running job to stop it.

    Raises NotFound, JobNotCancellable.
    """
    job = get_job(session, workspace_id, job_id, scope)
    if job.status == "queued" or job.waits_for_person:
        finish(session, job_id, "cancelled", lease=None)
    elif job.status == "processing":
        request_cancel(session, job_id)
        cancel_wanted(session, job_id)
    else:
        require_cancelled(job.status)
    return get_job(session, workspace_id, job_id)


def require_cancelled(status: str) -> None:
    """Raises JobNotCancellable for the status of a job that ended without being cancelled."""
    if status in {"completed", "failed"}:
        raise JobNotCancellable(f"It is {status}")


def cancel_batch(session: Session, workspace_id: str, batch_id: str, scope: KeyScope | None = None) -> BatchRow:
    """Cancels the items that have not ended, each as `cancel_job` does. Raises NotFound, BatchNotCancellable.

    Items that wait for a slot end before those that hold one, so that no waiting item gets a slot that becomes free.
    """
    batch = get_batch(session, workspace_id, batch_id, scope)
    if batch.ended:
        if batch.cancel_requested_at is None:
            raise BatchNotCancellable("Its items have all ended")
        return batch
    note_cancel_of_batch(session, batch_id)
    waiting: list[JobEnd] = []
    for job_id, status in open_items(session, batch_id):
        if status == "processing":
            request_cancel(session, job_id)
            cancel_wanted(session, job_id)
        else:
            waiting.append(JobEnd(job_id, "cancelled", None))
    _tell_end(session, [one for one in end_jobs(session, waiting) if one is not None])
    admit_waiting(session, workspace_id, batch.environment)
    return get_batch(session, workspace_id, batch_id)


def _tell_end(session: Session, ended: Sequence[Ended]) -> None:
    """Notifies those who wait for the jobs after the commit, and those who wait for batches that ended with them."""
    batches = [one.batch_ended for one in ended if one.batch_ended is not None]
    if ended:
        job_ended(session, *(one.id for one in ended), *batches)


def reclaim(session: Session, owner: str, suspects: Collection[str] | None = None) -> int:
    """Takes the jobs of a dead worker: each is queued again, or ends after its last attempt. Returns how many there
    were.

    `suspects`: only the attempts of these jobs count, since the others merely ran in the same process. None: all
    attempts count.
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


def reclaim_all(session: Session) -> int:
    """Takes everything that any worker held: in a data folder that was just restored, no worker is alive. Returns how
    many jobs there were.
    """
    taken = 0
    for owner in owners(session) | source_owners(session) | set(beats(session)):
        taken += reclaim(session, owner)
        release_sources(session, owner)
        remove_worker(session, owner)
    return taken


def end_cancelled(session: Session) -> int:
    """Cancels queued jobs for which an earlier release only recorded the request. Returns how many."""
    left = queued_with_cancel(session)
    for job_id in left:
        finish(session, job_id, "cancelled", lease=None)
    return len(left)


def send_forgotten(session: Session, older_than_ms: int = FORGOTTEN_MS, most: int = FORGOTTEN_MOST) -> int:
    """Sends queued jobs again whose message seems to be lost; returns how many.

    A second message does no harm: one claim succeeds.
    """
    admit_all_waiting(session)
    if older_than_ms and has_messages(session):
        older_than_ms = max(older_than_ms, FORGOTTEN_IN_QUEUE_MS)
    jobs = requeue_stale(session, older_than_ms=older_than_ms, most=most)
    send(session, *((job_id, FORGOTTEN) for job_id in jobs))
    of_flows = stale_in_flows(session, older_than_ms=older_than_ms, most=most)
    _send_of_flow(session, *of_flows)
    return len(jobs) + len(of_flows)


def send_all(session: Session) -> int:
    """Sends every queued job to an empty queue, as after a move, which copies no messages. Returns how many."""
    if has_messages(session):
        return 0
    jobs = list_queued(session)
    send_ahead(session, *(job.id for job in jobs if job.ahead))
    send(session, *((job.id, job.subject) for job in jobs if not job.ahead))
    return len(jobs)


def job_error(
    code: str, message: str, *, why: str = "", remedy: str = "", attempts: int = 1, node: tuple[str, str] | None = None
) -> dict[str, Any]:
    """Returns the stored error of a job that did not fail by a node's own error. `node`: id and label."""
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
    """Returns the error of a job whose worker died in every attempt."""
    return job_error(
        JobErrorCode.WORKER_LOST,
        f"The worker process stopped {attempts} times while it ran this job.",
        why="Each time the process ended without a word, as it does when memory runs out or somebody kills it, or it stood still.",
        remedy="Look at the server's log and its memory, then send the request again.",
        attempts=attempts,
    )


def timed_out(limit_ms: int, attempts: int) -> dict[str, Any]:
    """Returns the error of a job that has passed its time limit (milliseconds)."""
    return job_error(
        JobErrorCode.TIMEOUT,
        f"The job did not end within its time limit of {seconds_in_words(limit_ms / 1000)}.",
        why="The limit is the flow's, or `Cancel-After` of the call where that is shorter. It counts from the first start of the job.",
        remedy="Raise that limit or make the job smaller; the flow's is in its settings.",
        attempts=attempts,
    )
