"""Slots in use and jobs accepted this month, per environment of a workspace and per API key. One conditional UPDATE
takes a slot.

The count changes in the same transaction as the job's row, so a slot can neither be taken twice nor leak.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from engine.core.clock import month_of, month_start
from engine.core.environments import ENVIRONMENTS
from storage.database import now
from storage.statements import Statement
from storage.tables import OPEN, Job, Usage, Workspace


@dataclass(frozen=True)
class Caps:
    """The limits: jobs at once, and accepted jobs per month (UTC). None: no limit."""

    concurrency: int | None = None
    monthly: int | None = None


@dataclass(frozen=True)
class Used:
    """Slots in use, and jobs accepted this month."""

    active: int
    month_count: int


_TAKE = Statement(
    """
    update usage set active = active + 1, month = :month,
           month_count = case when month = :month then month_count + 1 else 1 end
     where subject = :subject
       and (:concurrency < 0 or active < :concurrency)
       and (:monthly < 0 or (case when month = :month then month_count else 0 end) < :monthly)
    returning active, month_count
    """
)
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
_HAS = Statement("select 1 from usage where subject = :subject")
_RELEASE = Statement("update usage set active = active - 1 where subject = :subject and active > 0")
_OPEN = Statement(
    "insert into usage (subject, active, month, month_count) values (:subject, :active, :month, :month_count)"
    " on conflict (subject) do nothing"
)
_SET = Statement(
    "insert into usage (subject, active, month, month_count) values (:subject, :active, :month, :month_count)"
    " on conflict (subject) do update set active = :active, month = :month,"
    " month_count = case when usage.month = :month and usage.month_count > :month_count"
    " then usage.month_count else :month_count end"
)


def usage_subject(workspace_id: str, environment: str) -> str:
    """Returns the key of an environment's row. For Production it is the workspace id alone."""
    return workspace_id if environment == "live" else f"{workspace_id}:{environment}"


def take_slot(session: Session, subject: str, caps: Caps) -> Used | None:
    """Takes a slot and counts a job of this month; returns None when either limit is reached.

    `subject` is a `usage_subject` or a key id. A subject without a row gets one, counted from the jobs table.
    """
    values = {
        "subject": subject,
        "month": month_of(now(session)),
        "concurrency": -1 if caps.concurrency is None else caps.concurrency,
        "monthly": -1 if caps.monthly is None else caps.monthly,
    }
    row = _TAKE.row(session, values)
    if row is None and not _has_row(session, subject):
        _OPEN.run(session, _counted(session, subject))
        row = _TAKE.row(session, values)
    return None if row is None else Used(*row)


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
    """Releases the slot of an ended job."""
    for subject in subjects:
        if subject is not None:
            _RELEASE.run(session, {"subject": subject})


def read_usage(session: Session, subject: str) -> Used:
    """Returns what an environment or a key uses now."""
    row = _READ.row(session, {"subject": subject, "month": month_of(now(session))})
    return Used(0, 0) if row is None else Used(*row)


def reconcile_usage(session: Session) -> int:
    """Sets every counter to what the jobs table says; returns how many were wrong. A server calls it when it starts.

    The month's count is only raised: jobs that retention removed were accepted too.
    """
    known = set(session.scalars(select(Usage.subject)))
    for workspace_id in session.scalars(select(Workspace.id)):
        known |= {usage_subject(workspace_id, environment) for environment in ENVIRONMENTS}
    keys = select(Job.key_id).where(Job.status.in_(OPEN), Job.counted, Job.key_id.is_not(None)).distinct()
    known |= {str(key_id) for key_id in session.scalars(keys)}
    wrong = 0
    for subject in sorted(known):
        counted = _counted(session, subject)
        wrong += read_usage(session, subject).active != counted["active"]
        _SET.run(session, counted)
    return wrong


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
