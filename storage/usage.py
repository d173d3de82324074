"""Slots in use and jobs accepted this month, per environment of a workspace and per API key. One conditional UPDATE
takes a slot.

The count changes in the same transaction as the job's row, so a slot can neither be taken twice nor leak.
"""

from __future__ import annotations

from collections import Counter

from msgspec import Struct
from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from engine.core.clock import month_of, month_start
from engine.core.environments import ENVIRONMENTS
from engine.core.job_status import OPEN
from storage.database import now
from storage.statements import Statement
from storage.tables import Job, Usage, Workspace


class Caps(Struct, frozen=True):
    """The limits: jobs at once, and accepted jobs per month (UTC). None: no limit."""

    concurrency: int | None = None
    monthly: int | None = None


class Used(Struct, frozen=True):
    """Slots in use, and jobs accepted this month."""

    active: int
    month_count: int


_TAKE_ACTIVE = Statement(
    "update usage set active = active + 1 where subject = :subject and (:concurrency < 0 or active < :concurrency)"
    " returning active"
)
_COUNT = Statement(
    """
    update usage set month = :month,
           month_count = case when month = :month then month_count + :count else :count end
     where subject = :subject
       and (:monthly < 0 or (case when month = :month then month_count else 0 end) + :count <= :monthly)
    returning month_count
    """
)
_READ = Statement(
    "select active, case when month = :month then month_count else 0 end from usage where subject = :subject"
)
_TAKEN = Statement(
    """
    update usage set active = active + :taken, month = :month,
           month_count = case when month = :month then month_count + :taken else :taken end
     where subject = :subject
    """
)
_HAS = Statement("select 1 from usage where subject = :subject")
_RELEASE = Statement(
    "update usage set active = case when active > :count then active - :count else 0 end where subject = :subject"
)
_OPEN = Statement(
    "insert into usage (subject, active, month, month_count) values (:subject, :active, :month, :month_count)"
    " on conflict (subject) do nothing"
)
_SET_ACTIVE = Statement("update usage set active = :active where subject = :subject")
#: The condition is written as in the index of open jobs, so that the other jobs are not read.
_OPEN_JOBS = Statement(
    "select workspace_id, environment, key_id, count(*) from jobs"
    " where counted and status in ('queued', 'processing') group by workspace_id, environment, key_id"
)


def usage_subject(workspace_id: str, environment: str) -> str:
    """Returns the key of an environment's row. For Production it is the workspace id alone."""
    return workspace_id if environment == "live" else f"{workspace_id}:{environment}"


class SlotBook:
    """The counters that one write transaction reads and raises: each row is read once, and `write` stores the sums."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._month = month_of(now(session))
        self._used: dict[str, Used] = {}
        self._taken: dict[str, int] = {}

    def used(self, subject: str) -> Used:
        """Returns what a subject (a `usage_subject` or a key id) uses, with the slots taken here. One without a row gets
        it, counted from the jobs table.
        """
        used = self._used.get(subject)
        if used is None:
            if not _has_row(self._session, subject):
                _OPEN.run(self._session, _counted(self._session, subject))
            used = self._used[subject] = read_usage(self._session, subject)
        return used

    def take(self, subject: str) -> Used:
        """Takes a slot and counts a job of this month. The caller has compared `used` with the limits."""
        used = self.used(subject)
        self._taken[subject] = self._taken.get(subject, 0) + 1
        taken = self._used[subject] = Used(used.active + 1, used.month_count + 1)
        return taken

    def write(self) -> None:
        """Stores what was taken."""
        rows = [
            {"subject": subject, "taken": taken, "month": self._month} for subject, taken in sorted(self._taken.items())
        ]
        if rows:
            _TAKEN.run(self._session, *rows)
        self._taken.clear()


def take_active(session: Session, subject: str, concurrency: int | None) -> bool:
    """Takes a slot for a job that was counted before: a batch item that waited.

    Returns False when the limit is reached.
    """
    limit = -1 if concurrency is None else concurrency
    return _TAKE_ACTIVE.row(session, {"subject": subject, "concurrency": limit}) is not None


def count_requests(session: Session, subject: str, count: int, monthly: int | None) -> bool:
    """Counts `count` jobs of this month, or none and returns False when they do not all fit. Takes no slot."""
    if not _has_row(session, subject):
        _OPEN.run(session, _counted(session, subject))
    values = {
        "subject": subject,
        "month": month_of(now(session)),
        "count": count,
        "monthly": -1 if monthly is None else monthly,
    }
    return _COUNT.row(session, values) is not None


def release_slot(session: Session, *subjects: str | None) -> None:
    """Releases the slot of an ended job; a subject that is named several times releases as many."""
    counts = Counter(subject for subject in subjects if subject is not None)
    if counts:
        _RELEASE.run(session, *({"subject": subject, "count": count} for subject, count in sorted(counts.items())))


def read_usage(session: Session, subject: str) -> Used:
    """Returns what an environment or a key uses now."""
    row = _READ.row(session, {"subject": subject, "month": month_of(now(session))})
    return Used(0, 0) if row is None else Used(*row)


def look_ahead(session: Session, subject: str) -> None:
    """Makes the reads of `SlotBook.used` (`storage.prefetch`)."""
    _has_row(session, subject)
    read_usage(session, subject)


def reconcile_usage(session: Session) -> int:
    """Sets the slots in use to what the jobs table says; returns how many counters were wrong. A server calls it when it
    starts.

    The month's count of a subject that has a row stays: it grows with each accepted job, and retention removed some of
    those. A subject without a row is counted from the jobs table.
    """
    active: Counter[str] = Counter()
    for workspace_id, environment, key_id, count in _OPEN_JOBS.rows(session, {}):
        if environment in ENVIRONMENTS:
            active[usage_subject(workspace_id, environment)] += count
        if key_id is not None:
            active[key_id] += count
    known = {row.subject: row.active for row in session.execute(select(Usage.subject, Usage.active))}
    subjects = known.keys() | active.keys()
    for workspace_id in session.scalars(select(Workspace.id)):
        subjects |= {usage_subject(workspace_id, environment) for environment in ENVIRONMENTS}
    for subject in sorted(subjects - known.keys()):
        _OPEN.run(session, _counted(session, subject))
    wrong = [subject for subject in sorted(subjects) if known.get(subject, 0) != active[subject]]
    for subject in wrong:
        _SET_ACTIVE.run(session, {"subject": subject, "active": active[subject]})
    return len(wrong)


def _has_row(session: Session, subject: str) -> bool:
    return _HAS.row(session, {"subject": subject}) is not None


def _of_subject(subject: str) -> ColumnElement[bool]:
    """Returns the condition for the jobs of a key, or of an environment of a workspace, in a form for which an index
    exists.
    """
    if subject.startswith("key_"):
        return Job.key_id == subject
    workspace_id, _, environment = subject.partition(":")
    return and_(Job.workspace_id == workspace_id, Job.environment == (environment or "live"))


def _counted(session: Session, subject: str) -> dict[str, str | int]:
    at = now(session)
    mine = _of_subject(subject)
    active = session.scalar(select(func.count()).select_from(Job).where(mine, Job.counted, Job.status.in_(OPEN)))
    accepted = session.scalar(
        select(func.count())
        .select_from(Job)
        .where(mine, Job.environment != "playground", Job.created_at >= month_start(at))
    )
    return {"subject": subject, "active": active or 0, "month": month_of(at), "month_count": accepted or 0}
