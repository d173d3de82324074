"""Verbs that erase the data of jobs: of one, or of all that a key sent in a period. The job itself stays, with status, times and cost.

`engine.jobs.server.erasing.finish_erasing` then takes the last traces out of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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

#: Jobs, and bytes of their values, of one write.
PART_JOBS, PART_BYTES = 100, 4 << 20

__all__ = ["Copies", "Part", "erase_data", "erase_job", "erase_part", "find_copies", "find_part"]


@dataclass(frozen=True)
class Part:
    """Jobs that are erased in one write, and where to go on; `after` None: that is the last part."""

    job_ids: tuple[str, ...]
    after: tuple[int, str] | None
    copies: Copies


def erase_job(session: Session, caller: Caller, job_id: str, address: str = "", copies: Copies = Copies()) -> JobRow:
    """For a caller: erases the data of an ended job. Again is no error. `copies`: what `find_copies` found before.

    Raises Unauthorized, NotFound also for a job this key does not see, JobNotEnded.
    """
    caller = read_key_again(session, caller)
    job = get_job(session, caller.workspace_id, job_id, caller.scope)
    who = Principal(WorkspaceId(caller.workspace_id), caller.key_id or "", caller.label, Role.EDITOR, address)
    return _erase_one(session, who, job, copies)


def erase_data(session: Session, principal: Principal, job_id: str, copies: Copies = Copies()) -> JobRow:
    """The same for a person, also for Playground runs. Raises NotFound, NotAllowed, JobNotEnded."""
    require_may(principal, "erase data")
    return _erase_one(session, principal, get_job(session, principal.workspace_id, job_id), copies)


def find_part(session: Session, workspace_id: str, key_id: str, until: int, after: tuple[int, str]) -> Part:
    """Ended jobs that a key sent before `until`, behind (time, id) `after`, the oldest first, for `erase_part`. Raises NotFound.

    Go on until its `after` is None. A read of its own: it passes jobs of other keys, and nobody's write should wait for that.
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
    """Erases those of these jobs that a key sent and that are still there; returns how many it erased, with runs made from them.

    Raises NotFound, NotAllowed, and JobNotEnded also for a run made again from one of them.
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
