"""Actions that erase the data of jobs: of one job, or of all jobs that an API key sent in a period.

The job stays, with status, times and cost. `engine.jobs.server.erasing.finish_erasing` then deletes the remaining
rows and overwrites what is left of them in the database file and its log.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.actions.principal import Principal, require_may
from engine.core.ids import WorkspaceId
from engine.core.roles import Role
from engine.jobs.server.erasing import Copies, erase, find_copies
from engine.jobs.submit.accept import Caller, read_key_again
from storage.audit import add_entry
from storage.erasing import list_key_jobs
from storage.jobs import JobRow, find_job, get_job
from storage.keys import get_key

#: Limits of one transaction: number of jobs, and total bytes of their values.
PART_JOBS, PART_BYTES = 100, 4 << 20

__all__ = ["Copies", "Part", "erase_data", "erase_job", "erase_part", "find_copies", "find_part"]


class Part(Struct, frozen=True):
    """Jobs to erase in one transaction. `after` is the position (time, id) of the next part, None for the last one."""

    job_ids: tuple[str, ...]
    after: tuple[int, str] | None
    copies: Copies


def erase_job(session: Session, caller: Caller, job_id: str, address: str = "", copies: Copies = Copies()) -> JobRow:
    """Erases the data of an ended job for an API caller. Does nothing when they are already erased.

    `copies` is the result of `find_copies`, read before the transaction. Raises Unauthorized, JobNotEnded, and NotFound
    also for a job that the key may not see.
    """
    caller = read_key_again(session, caller)
    job = get_job(session, caller.workspace_id, job_id, caller.scope)
    who = Principal(WorkspaceId(caller.workspace_id), caller.key_id or "", caller.label, Role.EDITOR, address)
    return _erase_one(session, who, job, copies)


def erase_data(session: Session, principal: Principal, job_id: str, copies: Copies = Copies()) -> JobRow:
    """Erases the data of an ended job or Playground run for a person. Raises NotFound, NotAllowed and JobNotEnded."""
    require_may(principal, "erase data")
    return _erase_one(session, principal, get_job(session, principal.workspace_id, job_id), copies)


def find_part(session: Session, workspace_id: str, key_id: str, until: int, after: tuple[int, str]) -> Part:
    """Returns the next ended jobs that a key sent before `until` and after the position `after`, the oldest first, for
    `erase_part`.

    Repeat until its `after` is None. This is a separate read, because it also scans jobs of other keys and must not
    block writers. Raises NotFound.
    """
    key = get_key(session, workspace_id, key_id)
    found = list_key_jobs(session, workspace_id, key.id, until, after, PART_JOBS)
    taken, size = 0, 0
    for job in found:
        if taken and size + job.size > PART_BYTES:
            break
        taken, size = taken + 1, size + job.size
    last = found[taken - 1] if taken else None
    more = taken < len(found) or len(found) == PART_JOBS
    ended = tuple(job.id for job in found[:taken] if job.ended)
    goes_on = (last.created_at, last.id) if last is not None and more else None
    return Part(ended, goes_on, find_copies(session, workspace_id, ended))


def erase_part(
    session: Session, principal: Principal, key_id: str, job_ids: Sequence[str], copies: Copies = Copies()
) -> int:
    """Erases those of the jobs that the key sent and that still exist.

    Returns the number of erased jobs, including runs that were repeated from them. Raises NotFound, NotAllowed, and
    JobNotEnded also when such a repeated run has not ended.
    """
    require_may(principal, "erase data")
    key = get_key(session, principal.workspace_id, key_id)
    found = [find_job(session, principal.workspace_id, job_id) for job_id in job_ids]
    count = erase(session, [job for job in found if job is not None and job.key_id == key.id], copies)
    if count:
        add_entry(session, principal, "erase data", key.id, f"{count} {'job' if count == 1 else 'jobs'}")
    return count


def _erase_one(session: Session, who: Principal, job: JobRow, copies: Copies) -> JobRow:
    if count := erase(session, [job], copies):
        runs = "" if count == 1 else f", and {count - 1} made again from it"
        add_entry(session, who, "erase data", job.id, f"1 job{runs}")
    return get_job(session, job.workspace_id, job.id)
