"""Queries for the questions that jobs ask people.

A question is open until `closed_at` is set, which one conditional statement does, so it has exactly one outcome. Its
values are removed with those of its job.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from engine.core.errors import NotFound
from storage.cursors import cursor_after, read_cursor
from storage.database import now
from storage.jobs import JobRow
from storage.statements import Statement, insert_into
from storage.table_base import belongs_to
from storage.tables import Job
from storage.tables_questions import Question

Json = Any


class QuestionRow(Struct, frozen=True):
    """A question as stored. Times in milliseconds since 1970.

    `outcome`: approved, refused or withdrawn; None while it is open. `answer`: the values that the person changed;
    `simulated`: an answer in its job came from the Simulated model.
    """

    id: str
    workspace_id: str
    job_id: str
    flow_id: str
    environment: str
    node_id: str
    index_path: str
    key: str
    title: str
    values: dict[str, Json]
    editable: tuple[str, ...]
    on_expiry: str
    asked_at: int
    expires_at: int
    closed_at: int | None
    outcome: str | None
    expired: bool
    answer: dict[str, Json]
    note: str
    answered_by: str
    simulated: bool

    @property
    def open(self) -> bool:
        """True while it can be answered, unless its time is over."""
        return self.closed_at is None

    @property
    def index(self) -> tuple[int, ...]:
        """The positions of the items, one for each list around the step."""
        return tuple(int(part) for part in self.index_path.split("/")) if self.index_path else ()

    @property
    def approved(self) -> bool:
        """True when the answer is yes."""
        return self.outcome == "approved"


class NewQuestion(Struct, frozen=True):
    """A question to store. `content`: JSON text of `{"values", "editable"}`, without secrets; `mark`: a digest of what
    is asked.
    """

    id: str
    node_id: str
    index_path: str
    key: str
    mark: str
    title: str
    content: str
    on_expiry: str
    expires_at: int


_COLUMNS: list[Any] = [
    *(
        getattr(Question, name)
        for name in (
            "id", "workspace_id", "job_id", "flow_id", "environment", "node_id", "index_path", "key", "title", "content",
            "on_expiry", "asked_at", "expires_at", "closed_at", "outcome", "expired", "answer", "note", "answered_by",
        )
    ),
    Job.simulated,
]  # fmt: skip
_ADD = insert_into("questions", [column.name for column in Question.__table__.columns])
# A worker that lost the job asks nothing any more. Changing the row of the job first also keeps a question from being
# asked or answered while another transaction sets the job aside.
_COUNT = Statement(
    """
    update jobs set last_seq = last_seq + 1, questions = questions + 1
     where id = :id and owner = :owner and attempts = :attempt and status = 'processing'
    returning last_seq, workspace_id, flow_id, environment, webhook_url, webhook_by_caller
    """
)
_TELL = Statement("update jobs set last_seq = last_seq + 1 where id = :id returning last_seq")
_CLOSE = Statement(
    """
    update questions set closed_at = :at, outcome = :outcome, expired = :expired, answer = :answer, note = :note,
           answered_by = :by
     where id = :id and closed_at is null and (:expired or expires_at > :at)
    returning job_id
    """
)
_WITHDRAW = Statement(
    "update questions set closed_at = :at, outcome = 'withdrawn' where job_id = :job_id and closed_at is null"
)
_WITHDRAW_OLD = Statement(
    """
    update questions set closed_at = :at, outcome = 'withdrawn'
     where job_id = :job_id and node_id = :node_id and index_path = :index_path and key = :key and closed_at is null
    """
)
_DUE = Statement("select id, on_expiry from questions where closed_at is null and expires_at <= :at limit :most")
_HAS_DUE = Statement("select 1 from questions where closed_at is null and expires_at <= :at limit 1")
_OPEN_OF = Statement("select count(*) from questions where workspace_id = :workspace_id and closed_at is null")


class AskedJob(Struct, frozen=True):
    """The job that has just asked. `last_seq`: the number of the event that tells of the question."""

    last_seq: int
    workspace_id: str
    flow_id: str
    environment: str
    webhook_url: str | None
    webhook_by_caller: bool


#: The order in which the questions of a job were asked.
_AS_ASKED = (Question.asked_at, Question.node_id, Question.index_path, Question.key, Question.id)
_REFUSED = (Question.job_id, Question.answered_by, Question.expired)


def find_current_question(
    session: Session, job_id: str, node_id: str, index_path: str, key: str, mark: str
) -> QuestionRow | None:
    """Returns the question that a step has asked with this key and content, or None."""
    row = session.execute(
        select(*_COLUMNS)
        .join(Job, Job.id == Question.job_id)
        .where(
            Question.job_id == job_id,
            Question.node_id == node_id,
            Question.index_path == index_path,
            Question.key == key,
            Question.mark == mark,
            or_(Question.outcome.is_(None), Question.outcome != "withdrawn"),
        )
        .order_by(Question.asked_at.desc(), Question.id)
        .limit(1)
    ).first()
    return None if row is None else _as_row(row)


def note_question(session: Session, job_id: str, owner: str, attempt: int) -> AskedJob | None:
    """Counts a question of a running job; None when the worker lost the job."""
    row = _COUNT.row(session, {"id": job_id, "owner": owner, "attempt": attempt})
    return None if row is None else AskedJob(*row[:5], webhook_by_caller=bool(row[5]))


def insert_question(session: Session, job_id: str, asked: AskedJob, new: NewQuestion) -> None:
    """Stores a question, and withdraws what the step asked before with the same key."""
    at = now(session)
    place = {"job_id": job_id, "node_id": new.node_id, "index_path": new.index_path, "key": new.key}
    _WITHDRAW_OLD.run(session, {**place, "at": at})
    row = {**asdict(new), "job_id": job_id, "workspace_id": asked.workspace_id, "flow_id": asked.flow_id}
    none = {"closed_at": None, "outcome": None, "expired": False, "answer": None, "note": "", "answered_by": ""}
    _ADD.run(session, {**row, **none, "environment": asked.environment, "asked_at": at})


def close_question(
    session: Session,
    question_id: str,
    outcome: str,
    *,
    answer: str | None = None,
    note: str = "",
    by: str = "",
    expired: bool = False,
) -> str | None:
    """Gives a question its one outcome. `expired`: by itself, because its time is over; otherwise only before that.

    Returns the job's id; None when it has an outcome, or its time is over.
    """
    values = {"id": question_id, "at": now(session), "outcome": outcome, "expired": expired}
    row = _CLOSE.row(session, {**values, "answer": answer, "note": note, "by": by})
    return None if row is None else row[0]


def tell_of_answer(session: Session, job_id: str) -> int:
    """Returns the number of the event that tells of an answer to a question of the job."""
    return _TELL.row(session, {"id": job_id})[0]


def withdraw_questions(session: Session, job_id: str) -> None:
    """Closes the open questions of a job that has ended."""
    _WITHDRAW.run(session, {"job_id": job_id, "at": now(session)})


def has_due_question(session: Session) -> bool:
    """True when the time of an open question is over. It reads an index."""
    return _HAS_DUE.row(session, {"at": now(session)}) is not None


def due_questions(session: Session, most: int) -> list[tuple[str, str]]:
    """Returns (id, on_expiry) of open questions whose time is over."""
    return [(row[0], row[1]) for row in _DUE.rows(session, {"at": now(session), "most": most})]


def count_open_questions(session: Session, workspace_id: str) -> int:
    """Returns how many questions of a workspace are open."""
    return _OPEN_OF.row(session, {"workspace_id": workspace_id})[0]


def any_answered(session: Session, question_ids: Sequence[str]) -> bool:
    """True when one of these questions is not open any more."""
    for start in range(0, len(question_ids), 500):
        some = question_ids[start : start + 500]
        if session.scalar(select(Question.id).where(Question.id.in_(some), Question.closed_at.is_not(None)).limit(1)):
            return True
    return False


def find_question(session: Session, question_id: str) -> QuestionRow | None:
    """Returns a question of any workspace, or None: for its link, which proves the right to see it."""
    row = session.execute(_readable().where(Question.id == question_id)).one_or_none()
    return None if row is None else _as_row(row)


def get_question(session: Session, workspace_id: str, question_id: str) -> QuestionRow:
    """Returns a question of this workspace. Raises NotFound, also when the data of its job was erased."""
    row = session.execute(
        _readable().where(Question.id == question_id, Question.workspace_id == workspace_id)
    ).one_or_none()
    if row is None:
        raise no_such_question(question_id)
    return _as_row(row)


def no_such_question(question_id: str) -> NotFound:
    """Returns the refusal for the id of a question that does not exist, or that belongs to something else."""
    return NotFound(f"No question has the id {question_id[:100]!r}")


def list_questions_of_job(session: Session, workspace_id: str, job_id: str) -> list[QuestionRow]:
    """Returns the questions of a job, in the order in which they were asked."""
    rows = session.execute(
        _readable()
        .where(belongs_to(Question.workspace_id, workspace_id), Question.job_id == job_id)
        .order_by(*_AS_ASKED)
    )
    return [_as_row(row) for row in rows]


def page_of_questions(
    session: Session, workspace_id: str, job_id: str, limit: int, cursor: str | None
) -> tuple[list[QuestionRow], str | None]:
    """Returns a page of the questions of a job in the order in which they were asked, and the next cursor.

    Raises ParameterInvalid for an invalid cursor.
    """
    statement = _readable().where(belongs_to(Question.workspace_id, workspace_id), Question.job_id == job_id)
    if cursor is not None:
        at, question_id = read_cursor(cursor, "ask")
        statement = statement.where(
            or_(Question.asked_at > at, and_(Question.asked_at == at, Question.id > question_id))
        )
    rows = session.execute(statement.order_by(Question.asked_at, Question.id).limit(limit + 1)).all()
    page = [_as_row(row) for row in rows[:limit]]
    return page, cursor_after(page[-1].asked_at, page[-1].id) if len(rows) > limit else None


def list_open_questions(session: Session, workspace_id: str, limit: int) -> list[QuestionRow]:
    """Returns open questions of a workspace, those that waited longest first."""
    rows = session.execute(
        _readable()
        .where(Question.workspace_id == workspace_id, Question.closed_at.is_(None))
        .order_by(Question.asked_at, Question.id)
        .limit(limit)
    )
    return [_as_row(row) for row in rows]


def find_asking_jobs(session: Session, workspace_id: str, batch_id: str) -> frozenset[str]:
    """Returns the ids of the jobs of a batch that have an open question."""
    mine = Job.batch_id == batch_id, Question.workspace_id == workspace_id
    return frozenset(session.scalars(_readable(Question.job_id).where(*mine, Question.closed_at.is_(None))))


def list_refusers_of_batch(session: Session, workspace_id: str, batch_id: str) -> dict[str, str]:
    """Returns job id -> who refused the first refused question of a job, "" when nobody answered in time, for a batch."""
    mine = Job.batch_id == batch_id, belongs_to(Question.workspace_id, workspace_id)
    return _refusers(session, _readable(*_REFUSED).where(*mine))


def list_refusers(session: Session, workspace_id: str, jobs: Iterable[JobRow]) -> dict[str, str]:
    """Returns the same for those of these jobs in which a question was refused."""
    asked = [job.id for job in jobs if job.questions and job.data_erased_at is None]
    if not asked:
        return {}
    mine = Question.job_id.in_(asked), belongs_to(Question.workspace_id, workspace_id)
    return _refusers(session, select(*_REFUSED).where(*mine))


def _refusers(session: Session, questions: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in session.execute(questions.where(Question.outcome == "refused").order_by(*_AS_ASKED)):
        found.setdefault(row.job_id, "" if row.expired else row.answered_by)
    return found


def list_answered_questions(session: Session, workspace_id: str, limit: int) -> list[QuestionRow]:
    """Returns the questions that were answered or expired last."""
    rows = session.execute(
        _readable()
        .where(
            Question.workspace_id == workspace_id,
            Question.closed_at.is_not(None),
            Question.outcome != "withdrawn",
        )
        .order_by(Question.closed_at.desc(), Question.asked_at.desc(), Question.id.desc())
        .limit(limit)
    )
    return [_as_row(row) for row in rows]


def _readable(*columns: Any) -> Any:
    return select(*columns or _COLUMNS).join(Job, Job.id == Question.job_id).where(Job.data_erased_at.is_(None))


def _as_row(row: Any) -> QuestionRow:
    said = dict(row._mapping)
    content = json.loads(said.pop("content"))
    answer = said.pop("answer")
    return QuestionRow(
        **said,
        values=content["values"],
        editable=tuple(content["editable"]),
        answer={} if answer is None else json.loads(answer),
    )
