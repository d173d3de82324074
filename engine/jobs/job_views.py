"""The published JSON of jobs and batches: in answers of the public API, in webhooks and in the results of MCP tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.core.clock import to_rfc3339
from engine.core.error_codes import JobErrorCode
from engine.core.job_status import STATUSES
from storage.batches import BatchRow, ItemRow
from storage.jobs import JobRow, Json
from storage.questions import QuestionRow

_ERROR_KEYS = ("code", "message", "node_id", "node_label", "item_index", "attempts")


#: The published codes for why a job failed. Any other code of a node is published as `node_failed`.
ERROR_CODES = frozenset(JobErrorCode)
_PUBLISHED_AS = {"timed_out": JobErrorCode.TIMEOUT}


def job_view(job: JobRow, result: Json) -> dict[str, Any]:
    """Returns a job as published; `result` is its result. Times are RFC 3339 texts in UTC.

    While the job has not ended, `result`, `completed_at` and `execution_time_seconds` are null.
    """
    view: dict[str, Any] = {
        "job_id": job.id,
        "status": job.status,
        "flow_id": job.flow_id,
        "flow_version": job.flow_version,
        "environment": job.environment,
        **batch_of(job),
        "result": result if job.status == "completed" else None,
        "error": _error(job.error) if job.status == "failed" else None,
        "steps_failed": job.steps_failed,
        "execution_time_seconds": _execution_time(job),
        "created_at": to_rfc3339(job.created_at),
        "started_at": _time(job.started_at),
        "completed_at": _time(job.completed_at),
        "ends_by": _time(job.ends_by),
        "attempts": job.attempts + (job.waiting_since is not None),  # one that waits is not counted while it does
        "waiting_for": "person" if job.waits_for_person else None,
        "progress": {
            "steps_total": job.steps_total,
            "steps_done": job.steps_done,
            "items_failed": job.items_failed,
        },
        "usage": {
            "cost_usd": None if job.cost_nanos is None else round(job.cost_nanos / 1_000_000_000, 9),
            "input_tokens": job.input_tokens,
            "output_tokens": job.output_tokens,
            "model_calls": job.model_calls,
        },
        "simulated": job.simulated,
        "cancel_requested_at": None if job.ended else _time(job.cancel_requested_at),
        "data_erased_at": _time(job.data_erased_at),
    }
    return view


def batch_of(job: JobRow) -> dict[str, Any]:
    """Returns the batch of a job and its place in it; null for a single job."""
    return {"batch_id": None, "item_index": None} | place_in_batch(job)


def place_in_batch(job: JobRow) -> dict[str, Any]:
    """Returns the fields that every event of a batch's item carries beside its own; empty for a single job."""
    return {} if job.item_index is None else {"batch_id": job.batch_id, "item_index": job.item_index}


def batch_view(batch: BatchRow) -> dict[str, Any]:
    """Returns a batch as published in lists, answers and webhooks: without its job ids.

    Times are RFC 3339 texts in UTC.
    """
    return {
        "batch_id": batch.id,
        "status": batch.status,
        "flow_id": batch.flow_id,
        "environment": batch.environment,
        "total": batch.total,
        **{status: batch.counts.get(status, 0) for status in STATUSES},
        "created_at": to_rfc3339(batch.created_at),
        "completed_at": _time(batch.completed_at),
        "cancel_requested_at": None if batch.ended else _time(batch.cancel_requested_at),
    }


def item_view(item: ItemRow) -> dict[str, Any]:
    """Returns an item of a batch as a line of the batch's results, with null as its `result`."""
    return {
        "item_index": item.index,
        "job_id": item.job_id,
        "status": item.status,
        "result": None,
        "error": _error(item.error) if item.status == "failed" else None,
        "steps_failed": item.steps_failed,
        "simulated": item.simulated,
    }


def question_view(question: QuestionRow, link: str) -> dict[str, Any]:
    """Returns a question to a person as published. `link`: its address for people without an account, which is shown
    while the question is open.
    """
    return {
        "question_id": question.id,
        "job_id": question.job_id,
        "flow_id": question.flow_id,
        "node_id": question.node_id,
        "index": list(question.index),
        "title": question.title,
        "values": {**question.values, **question.answer},
        "editable": list(question.editable),
        "status": question.outcome or "open",
        "expired": question.expired,
        "on_expiry": question.on_expiry,
        "asked_at": to_rfc3339(question.asked_at),
        "answer_by": to_rfc3339(question.expires_at),
        "answered_at": _time(question.closed_at),
        "answered_by": question.answered_by or None,
        "note": question.note,
        "link": link if question.open else None,
    }


def published_code(code: str) -> str:
    """Returns the code of `JobErrorCode` under which a node's error code is published."""
    code = _PUBLISHED_AS.get(code, code)
    return code if code in ERROR_CODES else JobErrorCode.NODE_FAILED


def _error(error: Mapping[str, Any] | None) -> dict[str, Any]:
    published = {key: (error or {}).get(key) for key in _ERROR_KEYS}
    return {**published, "code": published_code(str(published["code"]))}


def _execution_time(job: JobRow) -> float | None:
    return None if job.run_ms is None else job.run_ms / 1000


def _time(at: int | None) -> str | None:
    return None if at is None else to_rfc3339(at)
