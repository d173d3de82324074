"""Queries for jobs: one, a list with a cursor, and their values. `storage/job_changes.py` changes their status."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import (
    Boolean,
    ColumnElement,
    Row,
    Select,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.orm import Session

from engine.core.errors import NotFound
from engine.core.job_status import ENDED, MAX_TOLD, OPEN, SHARED_ATTEMPTS
from engine.core.redaction import without_keys
from storage.cursors import cursor_after, read_cursor
from storage.database import now
from storage.error_codes import ERROR_CODE, error_says, ways_to_write
from storage.statements import Statement, from_json
from storage.table_base import belongs_to
from storage.tables import TOLD, TRIED, Batch, Flow, Job, Value
from storage.tables_questions import Question
from storage.value_sizes import VALUE_CAP, WHOLE

Json = Any

#: The environments of the public API; an API key never sees Playground runs.
PUBLIC = ("live", "test", "dev")
#: The characters of an input that are its beginning.
_BEGINNING = 500
#: The largest result in bytes that is read on the event loop.
SMALL_RESULT = 64 * 1024


class JobRow(NamedTuple):
    """A job as stored, without its values. Times in milliseconds since 1970; `limit_ms` counts from the first start.

    A tuple, because one is created at each read, and creating a frozen dataclass of this size takes five times as long.
    """

    id: str
    workspace_id: str
    flow_id: str
    flow_version: int | None
    snapshot_id: str | None
    environment: str
    key_id: str | None
    batch_id: str | None
    #: Its index in its batch, from 0; None for a single job, and for a run of a Playground batch.
    item_index: int | None
    counted: bool
    status: str
    attempts: int
    created_at: int
    started_at: int | None
    completed_at: int | None
    cancel_requested_at: int | None
    limit_ms: int
    error: dict[str, Any] | None
    steps_total: int
    steps_done: int
    items_failed: int
    #: How many steps failed; one that runs for each item of a list counts once, however many of its items failed.
    steps_failed: int
    #: None: the price of at least one model call is unknown.
    cost_nanos: int | None
    input_tokens: int
    output_tokens: int
    model_calls: int
    simulated: bool
    #: The number of its newest event. A change without an event leaves it as it is.
    last_seq: int
    request_id: str
    traceparent: str | None
    webhook_url: str | None
    run_options: dict[str, Any] | None
    #: When its data was erased.
    data_erased_at: int | None
    #: What started it without a call: `schedule:` or `hook:` and an id.
    trigger: str | None
    #: How many questions it has asked people.
    questions: int
    #: Since when it waits for a person; also while it waits for a worker to go on after the answer.
    waiting_since: int | None
    #: How long it has waited for people before, in milliseconds.
    waited_ms: int
    has_result: bool

    @property
    def ended(self) -> bool:
        """True when the job will not change any more."""
        return self.status in ENDED

    @property
    def went_on(self) -> bool:
        """True when it completed although steps failed: they were skipped, took a default value, or lost items."""
        return self.status == "completed" and self.steps_failed > 0

    @property
    def ends_by(self) -> int | None:
        """The latest time at which it can still run; None while it waits for its first start or for a person."""
        if self.started_at is None or self.waiting_since is not None:
            return None
        return self.started_at + self.limit_ms + self.waited_ms

    @property
    def waits_for_person(self) -> bool:
        """True while it waits for a person's answer: no worker has it, and it holds no slot."""
        return self.status == "processing" and self.waiting_since is not None

    @property
    def run_ms(self) -> int | None:
        """How long it ran, in milliseconds, without the time in which it waited for people; None before its end."""
        if self.completed_at is None:
            return None
        return max(0, self.completed_at - (self.started_at or self.completed_at) - self.waited_ms)


#: The filter for jobs that a schedule or a webhook of another service started.
ANY_TRIGGER = ":"


class KeyScope(Struct, frozen=True):
    """What a key may see of its workspace: jobs and batches of its environment and of the flows it may call; None:
    every flow.
    """

    environment: str
    flow_ids: frozenset[str] | None = None

    def covers(self, job: JobRow) -> bool:
        """Whether the key may see this job of its workspace."""
        return job.environment == self.environment and (self.flow_ids is None or job.flow_id in self.flow_ids)


class JobFilters(Struct, frozen=True):
    """Which jobs to list; None and empty mean all. `created_after` and `created_before` are milliseconds."""

    statuses: tuple[str, ...] = ()
    #: True: only jobs of which a step failed.
    steps_failed: bool = False
    #: True: only jobs in which a person refused what was asked.
    refused: bool = False
    environments: tuple[str, ...] = ()
    flow_id: str | None = None
    #: The flows that the reader may see; None: every flow, empty: none.
    flow_ids: frozenset[str] | None = None
    flow_version: int | None = None
    key_id: str | None = None
    batch_id: str | None = None
    created_after: int | None = None
    created_before: int | None = None
    error_code: str | None = None
    #: A whole trigger (`schedule:ID`, `hook:ID`), only `schedule:` or `hook:` for all of a kind, or ANY_TRIGGER.
    trigger: str | None = None
    #: A job's id, or text in its flow's title, or in the message, the reason, the node's name or the code of its error.
    text: str = ""


class JobPage(Struct, frozen=True):
    """One page of a list, newest first. `next_cursor` is None on the last page."""

    jobs: tuple[JobRow, ...]
    next_cursor: str | None


class StoredValue(Struct, frozen=True):
    """A payload, result, input or output.

    When `cut`, `value` is only the beginning of its JSON text of `size` bytes.
    """

    value: Json
    size: int
    cut: bool


_COLUMNS: list[Any] = [getattr(Job, name) for name in JobRow._fields if name != "has_result"]
_HAS_RESULT = exists().where(
    Value.job_id == Job.id, Value.node_id == "", Value.index_path == "", Value.name == "result"
)


def select_jobs() -> Select[*tuple[Any, ...]]:
    """Returns the SELECT for JobRows; the caller adds conditions and passes each row to `as_job`."""
    return select(*_COLUMNS, _HAS_RESULT.label("has_result"))


def as_job(row: Row[*tuple[Any, ...]]) -> JobRow:
    """Turns a row of `select_jobs` into a JobRow."""
    return JobRow(*row)


#: Built once, so that SQLAlchemy finds the compiled form without hashing every column at each read.
_ONE_JOB = select_jobs().where(Job.id == bindparam("id"), Job.workspace_id == bindparam("workspace_id"))
_ONE_OF_KEY = _ONE_JOB.where(
    Job.environment == bindparam("environment"),
    or_(bindparam("every_flow", type_=Boolean), Job.flow_id.in_(bindparam("flow_ids", expanding=True))),
)


def find_job(session: Session, workspace_id: str, job_id: str, scope: KeyScope | None = None) -> JobRow | None:
    """Returns a job of this workspace in any environment, or None; with `scope` only one that the key may see."""
    named = {"id": job_id, "workspace_id": workspace_id}
    if scope is None:
        row = session.execute(_ONE_JOB, named).one_or_none()
    else:
        every = scope.flow_ids is None
        seen = {"environment": scope.environment, "every_flow": every, "flow_ids": list(scope.flow_ids or ())}
        row = session.execute(_ONE_OF_KEY, named | seen).one_or_none()
    return None if row is None else as_job(row)


_JSON_COLUMNS = ("error", "run_options")
_BOOLEAN_COLUMNS = ("counted", "simulated")
_NAMES = [name for name in JobRow._fields if name != "has_result"]
_JOB_AND_RESULT = f"""
    select {", ".join(f"jobs.{name}" for name in _NAMES)}, result.size, case when result.size <= :most then result.data end
      from jobs left join job_values result
           on result.job_id = jobs.id and result.node_id = '' and result.index_path = '' and result.name = 'result'
     where jobs.id in
    """  # noqa: S608 - no outside text
#: By the number of ids, few of which the driver finds prepared.
_JOBS_AND_RESULTS = {
    count: Statement(f"{_JOB_AND_RESULT} ({', '.join(f':id{at}' for at in range(count))})") for count in (1, 8, 32, 128)
}
_MAX_JOBS = max(_JOBS_AND_RESULTS)
_DECODE = tuple(
    (_NAMES.index(name), from_json if name in _JSON_COLUMNS else bool) for name in (*_JSON_COLUMNS, *_BOOLEAN_COLUMNS)
)


class WantedJob(NamedTuple):
    """A job that is to be read; with `scope` only when the key may see it."""

    workspace_id: str
    job_id: str
    scope: KeyScope | None = None


class JobAndResult(NamedTuple):
    """A job, and its result as JSON text: None without one, and when its size is more than SMALL_RESULT. `size`: about its
    bytes.
    """

    job: JobRow
    text: str | None
    size: int


def find_jobs_and_small_results(session: Session, asked: Sequence[WantedJob]) -> list[JobAndResult | None]:
    """Returns for each the job, if there is one that may be seen, with a small result: a plural query."""
    ids = list(dict.fromkeys(one.job_id for one in asked))
    found: dict[str, JobAndResult] = {}
    for at in range(0, len(ids), _MAX_JOBS):
        for one in _jobs_and_results(session, ids[at : at + _MAX_JOBS]):
            found[one.job.id] = one
    return [_if_seen(found.get(one.job_id), one) for one in asked]


def _if_seen(found: JobAndResult | None, asked: WantedJob) -> JobAndResult | None:
    if found is None or found.job.workspace_id != asked.workspace_id:
        return None
    return found if asked.scope is None or asked.scope.covers(found.job) else None


def _jobs_and_results(session: Session, ids: Sequence[str]) -> Iterator[JobAndResult]:
    """Yields what there is of at most _MAX_JOBS jobs."""
    count = next(count for count in _JOBS_AND_RESULTS if count >= len(ids))
    named = {f"id{at}": ids[min(at, len(ids) - 1)] for at in range(count)}
    for row in _JOBS_AND_RESULTS[count].rows(session, {**named, "most": SMALL_RESULT}):
        yield _job_and_result(row)


def _job_and_result(row: Sequence[Any]) -> JobAndResult:
    values = list(row)
    for at, decode in _DECODE:
        values[at] = decode(values[at])
    *described, size, text = values
    return JobAndResult(JobRow._make([*described, size is not None]), text, size or 0)


_STATUS = Statement("select status, waiting_since from jobs where id = :id and workspace_id = :workspace_id")


def find_status(session: Session, workspace_id: str, job_id: str) -> str | None:
    """Returns a job's status, or None. Cheap enough to poll."""
    row = _STATUS.row(session, {"id": job_id, "workspace_id": workspace_id})
    return None if row is None else row[0]


def find_status_or_waiting(session: Session, workspace_id: str, job_id: str) -> str | None:
    """Returns a job's status, `waiting` while it waits for a person, or None. Cheap enough to poll."""
    row = _STATUS.row(session, {"id": job_id, "workspace_id": workspace_id})
    return None if row is None else "waiting" if row[0] == "processing" and row[1] is not None else row[0]


_LONGEST_WAIT = Statement(
    """
    select min(enqueued_at) from jobs
     where status in ('queued', 'processing') and status = 'queued' and counted and attempts < :shared
       and flow_concurrency is null
    """
)


def longest_wait_ms(session: Session) -> int:
    """Returns how long the oldest job with a slot has waited for a worker, in milliseconds; 0 when none waits.

    Jobs that wait to run alone in a worker, or for other jobs of their flow, are left out, because their wait says
    nothing about others.
    """
    row = _LONGEST_WAIT.row(session, {"shared": SHARED_ATTEMPTS})
    return 0 if row is None or row[0] is None else max(0, now(session) - row[0])


def get_job(session: Session, workspace_id: str, job_id: str, scope: KeyScope | None = None) -> JobRow:
    """Returns the same as `find_job`. Raises NotFound."""
    job = find_job(session, workspace_id, job_id, scope)
    if job is None:
        raise no_such_job(job_id)
    return job


def no_such_job(job_id: str) -> NotFound:
    """Returns the refusal for the id of a job that does not exist, or that the reader may not see."""
    return NotFound(f"No job has the id {job_id[:100]!r}")


#: How many of the newest jobs of a workspace are looked at to count those that fit filters.
_MAX_LOOKED_AT = 10_000


def list_jobs(
    session: Session, workspace_id: str, filters: JobFilters = JobFilters(), limit: int = 50, cursor: str | None = None
) -> JobPage:
    """Returns jobs, newest first; pages stay stable while jobs arrive.

    Raises ParameterInvalid for an invalid cursor.
    """
    statement = select_jobs().where(_of_workspace(workspace_id, filters), *_conditions(filters))
    if cursor is not None:
        at, job_id = read_cursor(cursor, "job")
        statement = statement.where(or_(Job.created_at < at, and_(Job.created_at == at, Job.id < job_id)))
    rows = session.execute(statement.order_by(Job.created_at.desc(), Job.id.desc()).limit(limit + 1)).all()
    jobs = tuple(as_job(row) for row in rows[:limit])
    more = len(rows) > limit
    return JobPage(jobs, cursor_after(jobs[-1].created_at, jobs[-1].id) if more and jobs else None)


def count_jobs(session: Session, workspace_id: str, filters: JobFilters, most: int) -> tuple[int, bool]:
    """Counts the jobs that `list_jobs` would return, up to `most` of them among the newest jobs of the workspace. The
    second value is False when there may be more.
    """
    newest_first = Job.created_at.desc(), Job.id.desc()
    ages = select(Job.created_at).where(Job.workspace_id == workspace_id).order_by(*newest_first)
    oldest = session.scalar(ages.offset(_MAX_LOOKED_AT).limit(1))
    conditions = [_of_workspace(workspace_id, filters), *_conditions(filters)]
    if oldest is not None:
        conditions.append(Job.created_at > oldest)
    counted = select(Job.id).where(*conditions).limit(most + 1).subquery()
    found = session.scalar(select(func.count()).select_from(counted)) or 0
    return min(found, most), found <= most and (oldest is None or (filters.created_after or 0) >= oldest)


def count_queued(session: Session, workspace_id: str, filters: JobFilters) -> int:
    """Counts the queued jobs that fit the filters, whatever status these name."""
    queued = replace(filters, statuses=("queued",))
    counted = select(func.count()).select_from(Job)
    return session.scalar(counted.where(_of_workspace(workspace_id, queued), *_conditions(queued))) or 0


def find_value(session: Session, job_id: str, name: str, node_id: str = "", index_path: str = "") -> StoredValue | None:
    """Returns a stored value to be shown, without what looks like a key in a step's output; None also when the job's data
    was erased. The caller has checked the job's workspace.
    """
    row = session.execute(
        select(Value.data, Value.size)
        .join(Job, Job.id == Value.job_id)
        .where(
            Value.job_id == job_id,
            Value.node_id == node_id,
            Value.index_path == index_path,
            Value.name == name,
            Job.data_erased_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        return None
    # A job goes on with its outputs after a pause, so they are stored with everything in them that is no known secret.
    return as_value(name, without_keys(row.data) if name == "output" else row.data, row.size)


def list_beginnings(session: Session, jobs: Iterable[JobRow], largest: int | None = None) -> dict[str, str]:
    """Returns the first characters of the inputs of these jobs as JSON text, by the ids of the jobs; nothing of inputs that
    are not kept, and of those of more than `largest` bytes, since the database reads all of a value for its beginning.
    """
    inputs = select(Value.job_id, func.substr(Value.data, 1, _BEGINNING)).where(
        Value.job_id.in_([job.id for job in jobs]),
        Value.node_id == "",
        Value.index_path == "",
        Value.name == "payload",
    )
    if largest is not None:
        inputs = inputs.where(Value.size <= largest)
    return {row[0]: row[1] for row in session.execute(inputs)}


def when_values_went(session: Session, job_id: str) -> int | None:
    """Returns when the values of a job were removed because their time was over or for want of room; None while they are
    kept. The caller has checked the job's workspace.
    """
    return session.scalar(select(Job.values_gone_at).where(Job.id == job_id, Job.data_erased_at.is_(None)))


def read_value(session: Session, job_id: str, name: str, node_id: str = "", index_path: str = "") -> Json:
    """Returns the JSON of a stored value, or None.

    A step's value above VALUE_CAP is returned as `{"cut": true, "size": bytes, "beginning": text}`.
    """
    stored = find_value(session, job_id, name, node_id, index_path)
    if stored is None:
        return None
    return {"cut": True, "size": stored.size, "beginning": stored.value} if stored.cut else stored.value


_TOLD = Statement(
    f"""
    select id from jobs
     where workspace_id = :workspace_id and {TOLD}
       and completed_at > (select coalesce(jobs_seen_at, created_at) from users where id = :user_id)
     order by completed_at desc
     limit {MAX_TOLD + 1}
    """  # noqa: S608 - no outside text
)


def list_failed_runs(session: Session, workspace_id: str, user_id: str) -> list[str]:
    """Returns the ids of the runs of Production, of schedules and of incoming webhooks that failed since the newest that a
    person has seen in Jobs, or since they got the account, the last first; MAX_TOLD + 1 when there are more.
    """
    return [row[0] for row in _TOLD.rows(session, {"workspace_id": workspace_id, "user_id": user_id})]


def count_failed_runs(session: Session, workspace_id: str, user_id: str) -> int:
    """Returns how many `list_failed_runs` returns."""
    return len(list_failed_runs(session, workspace_id, user_id))


def find_last_run_payload(
    session: Session, workspace_id: str, flow_id: str, key_ids: Collection[str] = (), *, completed: bool
) -> Json:
    """Returns the payload of the last run of a flow by a person: in the Playground, rows of a batch left out, or with one
    of these Development keys. None without one. `completed`: only runs that completed count.
    """
    job_id = session.scalar(
        select(Job.id)
        .where(
            Job.flow_id == flow_id,
            Job.workspace_id == workspace_id,
            text(TRIED),
            or_(Job.environment == "playground", Job.key_id.in_(key_ids)),
            Job.status == "completed" if completed else true(),
        )
        .order_by(Job.created_at.desc(), Job.id.desc())
        .limit(1)
    )
    return None if job_id is None else read_value(session, job_id, "payload")


def has_jobs(session: Session) -> bool:
    """True when there is a job."""
    return session.scalar(select(Job.id).limit(1)) is not None


def first_job_at(session: Session) -> int | None:
    """Returns when the oldest stored job was accepted, in milliseconds; None without jobs."""
    return session.scalar(select(func.min(Job.created_at)))


def last_enqueued_at(session: Session) -> int | None:
    """Returns when a job was last put into the queue, in milliseconds; None without jobs."""
    return session.scalar(select(func.max(Job.enqueued_at)))


def last_run_times(session: Session, flow_id: str, most: int) -> list[int]:
    """Returns the run times of the flow's last completed jobs in milliseconds, newest first."""
    rows = session.execute(
        select(Job.started_at, Job.completed_at, Job.waited_ms)
        .where(Job.flow_id == flow_id, Job.status == "completed")
        .order_by(Job.created_at.desc(), Job.id.desc())
        .limit(most)
    )
    return [ended - started - waited for started, ended, waited in rows if started is not None and ended is not None]


def change_numbers(session: Session, ids: Sequence[str]) -> dict[str, int | None]:
    """Returns id -> a number that every change alters: of a job from its newest event number and whether it is set aside,
    which has no event of its own; of a batch when it ended.
    """
    found: dict[str, int | None] = {}
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        jobs = session.execute(select(Job.id, Job.last_seq, Job.waiting_since).where(Job.id.in_(some)))
        found |= {row.id: 2 * row.last_seq + (row.waiting_since is not None) for row in jobs}
        if rest := [one for one in some if one not in found]:
            rows = session.execute(select(Batch.id, Batch.completed_at).where(Batch.id.in_(rest)))
            found |= {row.id: row.completed_at for row in rows}
    return found


def as_value(name: str, data: str, size: int) -> StoredValue:
    """Returns the JSON text of a row as a value; a `size` above VALUE_CAP means that the text is only its beginning."""
    cut = size > VALUE_CAP and name not in WHOLE
    return StoredValue(json.loads(data), size, cut)


def _of_workspace(workspace_id: str, filters: JobFilters) -> ColumnElement[bool]:
    """Returns the condition for a workspace. When only open jobs are wanted, or those of a flow, a batch or a trigger, it is
    written so that SQLite uses the index on these instead of reading the whole workspace for the last of them.
    """
    if filters.statuses and set(filters.statuses) <= set(OPEN):
        return and_(text("jobs.status in ('queued', 'processing')"), belongs_to(Job.workspace_id, workspace_id))
    of_one_trigger = filters.trigger is not None and not filters.trigger.endswith(":")
    if filters.flow_id is not None or filters.batch_id is not None or of_one_trigger:
        return belongs_to(Job.workspace_id, workspace_id)
    return Job.workspace_id == workspace_id


def _conditions(filters: JobFilters) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.statuses:
        found.append(Job.status.in_(filters.statuses))
    found += _went_otherwise(filters)
    if filters.environments:
        found.append(Job.environment.in_(filters.environments))
    if filters.flow_ids is not None:
        found.append(Job.flow_id.in_(filters.flow_ids))
    for column, value in (
        (Job.flow_id, filters.flow_id),
        (Job.flow_version, filters.flow_version),
        (Job.key_id, filters.key_id),
        (Job.batch_id, filters.batch_id),
    ):
        if value is not None:
            found.append(column == value)
    if filters.created_after is not None:
        found.append(Job.created_at > filters.created_after)
    if filters.created_before is not None:
        found.append(Job.created_at < filters.created_before)
    if filters.error_code is not None:
        found.append(ERROR_CODE.__eq__(filters.error_code))
    if filters.trigger is not None:
        found.append(_has_trigger(filters.trigger))
    if filters.text:
        found.append(or_(Job.id == filters.text, error_says(filters.text), _titled(filters.text)))
    return found


def _titled(words: str) -> ColumnElement[bool]:
    """Returns the condition for jobs of the flows, also deleted ones, that have these words in their title."""
    ways = [Flow.title.icontains(way, autoescape=True) for way in ways_to_write(words)]
    return Job.flow_id.in_(select(Flow.id).where(or_(*ways)))


def _went_otherwise(filters: JobFilters) -> list[ColumnElement[bool]]:
    """Returns the conditions for jobs that went on without a step, or after a person refused."""
    found: list[ColumnElement[bool]] = []
    if filters.steps_failed:
        found.append(Job.steps_failed > 0)
    if filters.refused:
        by_person = and_(Question.job_id == Job.id, Question.outcome == "refused", Question.answered_by != "")
        found += [Job.questions > 0, Job.data_erased_at.is_(None), exists().where(by_person)]
    return found


def _has_trigger(trigger: str) -> ColumnElement[bool]:
    """Returns the condition for what started a job: any trigger, those of a kind (`schedule:`), or one of them."""
    if trigger == ANY_TRIGGER:
        return Job.trigger.is_not(None)
    if trigger.endswith(":"):
        return Job.trigger.startswith(trigger, autoescape=True)
    return Job.trigger == trigger
