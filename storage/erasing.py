"""Queries that erase the data of jobs and its remains in the database file, called by `engine/jobs/server/erasing.py`.

A job is marked in the transaction that deletes its input, result and messages. Until its last remains are overwritten,
it has `data_erased_at` but no `values_gone_at`, so that interrupted work is found again.

Deleted rows are overwritten (`secure_delete`), but pages may still contain data: when rows move to another page, SQLite
does not clear the unused middle of the page they left. `unclean_pages` finds such pages and `clean_pages` clears them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.core.job_status import ENDED
from storage.database import now
from storage.jobs import JobRow
from storage.retention import clear_job
from storage.statements import Statement, from_json, to_json


class KeyJob(Struct, frozen=True):
    """A job that an API key submitted. `size`: bytes of its input and result."""

    id: str
    created_at: int
    ended: bool
    size: int


class KeyJobs(Struct, frozen=True):
    """The jobs of a key in a period: `kept` still have their data, `open` have not ended, `erased` were erased
    before.
    """

    kept: int
    open: int
    erased: int


_OWN_VALUES = Statement("delete from job_values where job_id = :id and node_id = '' and index_path = ''")
_MARK = Statement(
    """
    update jobs set data_erased_at = coalesce(data_erased_at, :at), values_gone_at = null, error = :error,
           run_options = :run_options, traceparent = null
     where id = :id
    """
)
# The answer to the request is stored in the transaction that stores its jobs, so both have the same time.
_FORGET_REQUEST = Statement(
    "update idempotency set fingerprint = '' where created_at = :created_at and body like '%' || :id || '%'"
)

_ERASED_ITEM = Statement(
    "select id from jobs where batch_id = :batch_id and data_erased_at is not null order by id limit 1"
)


def find_erased_item(session: Session, batch_id: str) -> str | None:
    """Returns the id of a job of the batch whose data was erased, or None."""
    row = _ERASED_ITEM.row(session, {"batch_id": batch_id})
    return row[0] if row is not None else None


def mark_erased(session: Session, job: JobRow, error: Mapping[str, Any] | None) -> None:
    """Deletes input and result of an ended job and replaces its error with `error`. Its steps are deleted later."""
    options = {name: value for name, value in (job.run_options or {}).items() if name != "title"}
    _OWN_VALUES.run(session, {"id": job.id})
    _FORGET_REQUEST.run(session, {"id": job.id, "created_at": job.created_at})
    _FORGET_CALL.run(session, {"id": job.id})
    if job.trigger is not None and job.trigger.startswith("hook:"):
        _FORGET_EVENTS.run(session, {"id": job.id, "hook_id": job.trigger.removeprefix("hook:")})
    _FORGET_ADDED.run(session, {"first": f"{job.id}:", "last": f"{job.id};"})
    _MARK.run(
        session,
        {
            "id": job.id,
            "at": now(session),
            "error": to_json(None if error is None else dict(error)),
            "run_options": to_json(options or None),
        },
    )


_FORGET_CALL = Statement(
    "update hooks set last_body = null, last_headers = null, last_job_id = null where last_job_id = :id"
)


# The name of an event stands in the body of the call. A repeated delivery has the id of the job, too.
_FORGET_EVENTS = Statement("update hook_deliveries set event = '' where hook_id = :hook_id and job_id = :id")
# The receipts of what the job's steps added to collections (`job:node:0/12`), with the names of the texts. They only
# keep a step that begins again from adding it twice, and an ended job has no such step.
_FORGET_ADDED = Statement("delete from knowledge_writes where id >= :first and id < :last")


_COPIES = Statement(
    """
    select id, run_options from jobs
     where workspace_id = :workspace_id and environment = 'playground' and run_options is not null and created_at >= :since
     order by created_at
    """
)


def list_copies(session: Session, workspace_id: str, job_ids: Collection[str], since: int) -> list[str]:
    """Returns the Playground runs since `since` that reuse values of these jobs, or of such runs."""
    known = set(job_ids)
    found: list[str] = []
    for job_id, options in _COPIES.rows(session, {"workspace_id": workspace_id, "since": since}):
        said = from_json(options)
        if job_id not in known and (said.get("again") in known or said.get("reuse") in known):
            known.add(job_id)
            found.append(job_id)
    return found


_OF_KEY = Statement(
    """
    select id, created_at, status, value_bytes from jobs
     where workspace_id = :workspace_id and key_id = :key_id and created_at < :until and data_erased_at is null
       and (created_at > :at or (created_at = :at and id > :id))
     order by created_at, id limit :most
    """
)
_COUNT_OF_KEY = Statement(
    """
    select count(case when data_erased_at is null and completed_at is not null then 1 end),
           count(case when completed_at is null then 1 end), count(data_erased_at)
      from jobs
     where workspace_id = :workspace_id and key_id = :key_id and created_at >= :since and created_at < :until
    """
)


def list_key_jobs(
    session: Session, workspace_id: str, key_id: str, until: int, after: tuple[int, str], most: int
) -> list[KeyJob]:
    """Returns jobs of a key accepted before `until` and not erased, oldest first, after (time, id) `after`."""
    at, job_id = after
    wanted = {"workspace_id": workspace_id, "key_id": key_id, "until": until, "at": at, "id": job_id, "most": most}
    return [KeyJob(row[0], row[1], ended=row[2] in ENDED, size=row[3] or 0) for row in _OF_KEY.rows(session, wanted)]


def count_key_jobs(session: Session, workspace_id: str, key_id: str, since: int, until: int) -> KeyJobs:
    """Counts the jobs of a key that were accepted in a period."""
    wanted = {"workspace_id": workspace_id, "key_id": key_id, "since": since, "until": until}
    return KeyJobs(*_COUNT_OF_KEY.row(session, wanted))


_ERASING = Statement("select id from jobs where data_erased_at is not null and values_gone_at is null limit :most")


def unfinished(session: Session, most: int) -> list[str]:
    """Returns up to `most` jobs whose erasing has not finished."""
    return [row[0] for row in _ERASING.rows(session, {"most": most})]


def clear_jobs(session: Session, job_ids: Sequence[str], most: int) -> int:
    """Deletes steps, values and events of these jobs, about `most` rows.

    Returns how many jobs are finished: the first ones.
    """
    left = most
    for done, job_id in enumerate(job_ids):
        left = clear_job(session, job_id, left)
        if left <= 0:
            return done
    return len(job_ids)


_FINISHED = Statement("update jobs set values_gone_at = :at where id = :id")


def mark_finished(session: Session, job_ids: Sequence[str]) -> None:
    """Stores that no data of these jobs is left in the file."""
    at = now(session)
    _FINISHED.run(session, *({"id": job_id, "at": at} for job_id in job_ids))


_CAN_CLEAN = Statement("select 1 from pragma_module_list where name = 'sqlite_dbpage'")
_PAGES = Statement("select page_count from pragma_page_count")
# Only table leaf pages, whose first byte is 13 (https://www.sqlite.org/fileformat2.html). Another kind of page could
# start so only in a file of 800 GB.
_WITH_ROWS = Statement(
    """
    select pgno, data from json_each(:numbers) as wanted join sqlite_dbpage on pgno = wanted.value
     where substr(data, 1, 1) = x'0d'
    """
)
_PAGE = Statement("select data from sqlite_dbpage where pgno = :n")
_PUT_PAGE = Statement("update sqlite_dbpage set data = :data where pgno = :n")


def can_clean(session: Session) -> bool:
    """True when this SQLite has the module sqlite_dbpage, as Debian's and that of its containers do."""
    return _CAN_CLEAN.row(session, {}) is not None


def last_page(session: Session) -> int:
    """Returns the number of the last page of the file."""
    return _PAGES.row(session, {})[0]


def unclean_pages(session: Session, numbers: Iterable[int]) -> list[int]:
    """Returns those of these pages whose unused part is not empty."""
    found = _WITH_ROWS.rows(session, {"numbers": json.dumps(list(numbers))})
    return [number for number, page in found if _left_in(page)]


def clean_pages(session: Session, numbers: Iterable[int]) -> None:
    """Clears the unused part of each of these pages, in its present state."""
    for number in numbers:
        row = _PAGE.row(session, {"n": number})
        if row is not None and (unused := _left_in(row[0])):
            page = row[0]
            cleared = page[: unused.start] + bytes(len(unused)) + page[unused.stop :]
            _PUT_PAGE.run(session, {"n": number, "data": cleared})


def _left_in(page: bytes) -> range | None:
    """Returns the unused part of a table leaf page, between the cell pointers and the first cell; None when it is
    empty.

    Page header (https://www.sqlite.org/fileformat2.html): byte 0 is the kind of page, 3 and 4 the number of cells, 5
    and 6 the start of the first cell; then two bytes for each cell pointer.
    """
    if page[0] != 13:
        return None
    begin = 8 + 2 * int.from_bytes(page[3:5])
    end = int.from_bytes(page[5:7]) or 65_536
    return range(begin, end) if end <= len(page) and page[begin:end].strip(b"\0") else None
