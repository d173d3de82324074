"""The calls of the public API as data: the OpenAPI documents are written from this table, and a test holds it against the routes."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import BaseModel

from api import schemas
from api.errors import Internal, NotAcceptable, UnsupportedMediaType
from engine import errors
from engine.errors import Refusal


@dataclass(frozen=True)
class Operation:
    """One published call. `refusals` come on top of those that every call may answer with."""

    method: str
    path: str
    operation_id: str
    summary: str
    status: int
    answer: type[BaseModel] | None
    description: str = ""
    body: str | None = None  # a schema of components, or None
    parameters: tuple[str, ...] = ()
    refusals: tuple[type[Refusal], ...] = ()
    also_job: bool = False  # 200 with the job when it ended in time
    tags: tuple[str, ...] = field(default=("jobs",))


#: What every call may answer with.
ALWAYS = (
    errors.ParameterInvalid,
    errors.Unauthorized,
    NotAcceptable,
    errors.RateLimited,
    Internal,
    errors.StorageUnavailable,
    errors.TooManyConnections,
    errors.ShuttingDown,
)
_BODY = (errors.PayloadInvalid, errors.InvalidJson)
_SUBMIT = (
    *_BODY,
    errors.NotAllowed,
    errors.NotFound,
    errors.NotDeployed,
    errors.IdempotencyInProgress,
    errors.TooLarge,
    UnsupportedMediaType,
    errors.IdempotencyKeyReused,
    errors.ConcurrencyLimitExceeded,
    errors.MonthlyQuotaExceeded,
)
_SUBMIT_PARAMETERS = ("idempotency_key", "cancel_after", "x_flow_version", "x_webhook_url", "x_request_id")

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/flows/execute/{flow_id}",
        "run_flow",
        "Run a flow",
        202,
        schemas.JobAccepted,
        "The body holds the fields of the flow's API Input. Answers at once with a job id; with `wait`, with the job "
        "when it ends in time.",
        body="Payload",
        parameters=("flow_id", "wait", "prefer", *_SUBMIT_PARAMETERS),
        refusals=_SUBMIT,
        also_job=True,
        tags=("flows",),
    ),
    Operation(
        "POST",
        "/flows/execute/{flow_id}/batch",
        "run_flow_batch",
        "Run a flow for many payloads",
        202,
        schemas.BatchAccepted,
        "At most 1,000 items. All are checked before any is accepted; they run within the concurrency limit.",
        body="BatchPayload",
        parameters=("flow_id", *_SUBMIT_PARAMETERS),
        refusals=_SUBMIT,
        tags=("flows",),
    ),
    Operation(
        "GET",
        "/jobs/{job_id}",
        "get_job",
        "Read a job",
        200,
        schemas.Job,
        "With `wait`, answers as soon as the job ends. With If-None-Match, 304 while nothing has changed.",
        parameters=("job_id", "wait", "prefer", "if_none_match"),
        refusals=(errors.NotFound, errors.Expired),
    ),
    Operation(
        "GET",
        "/jobs",
        "list_jobs",
        "List jobs",
        200,
        schemas.JobList,
        "Newest first; the pages stay stable while jobs arrive. A key sees the jobs of its own environment and of the "
        "flows it may call. A page ends before it has more than 512 KiB, so it may hold fewer jobs than `limit`: go on "
        "while `next_cursor` is not null.",
        parameters=("status", "flow_id_filter", "created_after", "limit", "cursor"),
    ),
    Operation(
        "POST",
        "/jobs/{job_id}/cancel",
        "cancel_job",
        "Cancel a job",
        200,
        schemas.Job,
        "A queued job ends at once. A job at work is stopped: the call waits up to 3 seconds and answers with the job "
        "as it then is.",
        parameters=("job_id",),
        refusals=(errors.NotFound, errors.JobNotCancellable),
    ),
    Operation(
        "GET",
        "/jobs/{job_id}/events",
        "stream_job_events",
        "Follow a job as server-sent events",
        200,
        None,
        "`id` is the number of the event, `event` its name (`job.queued|processing|completed|failed|cancelled`, "
        "`step.started|completed|failed|skipped`, `step.delta`), `data` JSON with `job_id`, `seq` and `at`. "
        "A `step.delta` carries `text` of a model as it arrives; text of another `call` of the step begins anew. "
        "Last-Event-ID goes on after that number. The stream ends with the job.",
        parameters=("job_id", "last_event_id"),
        refusals=(errors.NotFound,),
    ),
    Operation(
        "GET",
        "/batches/{batch_id}",
        "get_batch",
        "Read a batch",
        200,
        schemas.Batch,
        parameters=("batch_id", "limit", "cursor"),
        refusals=(errors.NotFound,),
    ),
    Operation(
        "GET",
        "/flows",
        "list_flows",
        "List the flows this key may call",
        200,
        schemas.FlowList,
        tags=("flows",),
    ),
    Operation(
        "GET",
        "/flows/{flow_id}/openapi.json",
        "get_flow_openapi",
        "OpenAPI of one flow",
        200,
        None,
        "The document of this flow alone, with its own request and result schema.",
        parameters=("flow_id",),
        refusals=(errors.NotAllowed, errors.NotFound, errors.NotDeployed),
        tags=("documents",),
    ),
    Operation(
        "GET",
        "/openapi.json",
        "get_openapi",
        "OpenAPI of the whole public API",
        200,
        None,
        tags=("documents",),
    ),
)
