"""The published bodies of the API. Frequent calls build the same structures as dicts without these classes; tests
validate those against the classes.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from engine.actions.questions import MAX_NOTE
from engine.jobs.submit.batches import MAX_ITEMS

Status = Literal["queued", "processing", "completed", "failed", "cancelled"]
BatchStatus = Literal["queued", "processing", "completed"]
Environment = Literal["live", "test", "dev"]
EVENT_NAMES = [
    "job.queued",
    "job.processing",
    "job.completed",
    "job.failed",
    "job.cancelled",
    "step.started",
    "step.completed",
    "step.failed",
    "step.skipped",
    "step.cancelled",
    "step.delta",
    "step.waiting",
    "step.answered",
    "step.part",
]
_JOB_ID, _SECOND_JOB_ID = "job_3nXq8TfW2LrKc0ZbYp5VdA", "job_8dJk2PzQ7mXaVw4TnRc9Lb"
_FLOW_ID = "flow_8kWq2ZsXc4VbN1mLpT7rYe"
_BATCH_ID = "batch_5TfWqK8nXr2LcZbYp0VdA3"
_QUESTION_ID = "ask_7VdA3nXq8TfW2LrKc0ZbYp"
_OF_KEY = "The environment of the key it was sent with: `live` is Production, `test` Staging, `dev` Development."


_FILE_ID = "file_1A2b3C4d5E6f7G8h9I0jKl"


class Published(BaseModel):
    """A body that is part of the contract: changing one breaks callers."""

    model_config = ConfigDict(extra="forbid")


#: Complete example objects: examples per field would combine into states that do not occur.
_JOB = {
    "job_id": _JOB_ID,
    "status": "completed",
    "flow_id": _FLOW_ID,
    "flow_version": 7,
    "environment": "live",
    "batch_id": None,
    "item_index": None,
    "result": {"summary": "A page for examples."},
    "error": None,
    "steps_failed": 0,
    "execution_time_seconds": 3.25,
    "created_at": "2026-01-31T12:00:00.000Z",
    "started_at": "2026-01-31T12:00:00.250Z",
    "completed_at": "2026-01-31T12:00:03.500Z",
    "ends_by": "2026-01-31T12:30:00.250Z",
    "attempts": 1,
    "waiting_for": None,
    "progress": {"steps_total": 4, "steps_done": 4, "items_failed": 0},
    "usage": {"cost_usd": 0.00042, "input_tokens": 812, "output_tokens": 96, "model_calls": 1},
    "simulated": False,
    "cancel_requested_at": None,
    "data_erased_at": None,
}
_BATCH_SUMMARY = {
    "batch_id": _BATCH_ID,
    "status": "processing",
    "flow_id": _FLOW_ID,
    "environment": "live",
    "total": 2,
    "queued": 0,
    "processing": 1,
    "completed": 1,
    "failed": 0,
    "cancelled": 0,
    "created_at": "2026-01-31T12:00:00.000Z",
    "completed_at": None,
    "cancel_requested_at": None,
}


_QUESTION = {
    "question_id": _QUESTION_ID,
    "job_id": _JOB_ID,
    "flow_id": _FLOW_ID,
    "node_id": "approval",
    "index": [],
    "title": "Send this reply?",
    "values": {"reply": "Dear Mara, your oven door is on its way."},
    "editable": ["reply"],
    "status": "open",
    "expired": False,
    "on_expiry": "refuse",
    "asked_at": "2026-01-31T12:00:02.000Z",
    "answer_by": "2026-02-07T12:00:02.000Z",
    "answered_at": None,
    "answered_by": None,
    "note": "",
    "link": f"https://flowport.example.com/answer/{_QUESTION_ID}.mK2r8Vw0TnRc9LbQ7mXa4dJk2Pz",
}


class Payload(BaseModel):
    """The fields of the flow's API Input; the flow's own document says which. `null` for a field that may be left out is the same \
as leaving it out: it gets its default.
    """

    model_config = ConfigDict(
        extra="allow", json_schema_extra={"examples": [{"url": "https://practice.flowport.example/"}]}
    )


class BatchPayload(Published):
    """Payloads, each as a submit takes it."""

    items: list[Payload] = Field(min_length=1, max_length=MAX_ITEMS)


class JobAccepted(Published):
    """A job was stored and will run."""

    job_id: str = Field(description="Ask for it at `url`.", examples=[_JOB_ID])
    status: Status = Field(
        description="`queued`, as it was accepted, also after `wait`: ask at `url` how it is now. For a repeated request with the same Idempotency-Key as it is when it is repeated."
    )
    flow_id: str = Field(description="The id of the flow.", examples=[_FLOW_ID])
    created_at: AwareDatetime = Field(description="When it was accepted.")
    url: str = Field(description="Path of the job.", examples=[f"/public/v1/jobs/{_JOB_ID}"])


class JobError(Published):
    """Why a job failed."""

    code: str = Field(description="One word for programs, like `timeout` or `http_status`.", examples=["http_status"])
    message: str = Field(description="A sentence for people.")
    node_id: str | None = Field(description="The node that failed; null when it was no single node.")
    node_label: str | None = Field(description="The name of that node in the flow.")
    item_index: int | list[int] | None = Field(description="The item of a list it failed on.")
    attempts: int | None = Field(description="How often it was tried.")


class Progress(Published):
    """How far a job is."""

    steps_total: int = Field(description="Steps of the flow; one that runs for each item of a list counts once.")
    steps_done: int = Field(
        description="Steps that are over, without one that waited for a person when the job was stopped."
    )
    items_failed: int = Field(
        description="Items of lists that were left out so far because they failed. One that went on with a default value, or that ends the job, is not counted."
    )


class JobUsage(Published):
    """What a job used of language models so far."""

    cost_usd: float | None = Field(description="Null when the price of a model is not known.")
    input_tokens: int = Field(description="Tokens that were sent to models.")
    output_tokens: int = Field(description="Tokens that models wrote.")
    model_calls: int = Field(description="Calls of models.")


class Job(Published):
    """One run of a flow. A job that has ended changes only when its data are erased or expire."""

    model_config = ConfigDict(json_schema_extra={"examples": [_JOB]})

    job_id: str = Field(description="The id of the job.", examples=[_JOB_ID])
    status: Status = Field(description="The last three are final: `completed`, `failed`, `cancelled`.")
    flow_id: str = Field(description="The id of the flow.", examples=[_FLOW_ID])
    flow_version: int | None = Field(description="The version it runs.")
    environment: Environment = Field(description=_OF_KEY)
    batch_id: str | None = Field(description="The batch it is an item of; null for a single job.")
    item_index: int | None = Field(description="Its place in the batch, from 0; null for a single job.")
    result: Any = Field(description="What the flow returned; null until `status` is `completed`.")
    error: JobError | None = Field(description="Set when `status` is `failed`.")
    steps_failed: int = Field(
        description="How many steps failed. A `completed` job with more than 0 went on without what they would have given: they were "
        "skipped, took a default value, or failed for items of a list. A step that runs for each item of a list counts once, "
        "and a step of a called flow as the step that calls it."
    )
    execution_time_seconds: float | None = Field(
        description="From start to end, without the time in which it waited for people; null while it has not ended. 0 when it ended before it "
        "began."
    )
    created_at: AwareDatetime = Field(description="When it was accepted.")
    started_at: AwareDatetime | None = Field(
        description="When a worker began it; null while it has not begun, and for ever when it was cancelled before."
    )
    completed_at: AwareDatetime | None = Field(description="When it ended, in whatever way.")
    ends_by: AwareDatetime | None = Field(
        description="When it is stopped if it still runs, which may take up to two seconds; of a job that has ended, until when it could have run. Null until it begins, while it "
        "waits for a person, and for ever when it was cancelled before it began."
    )
    attempts: int = Field(
        description="How often a worker took it. Going on after the answer of a person is the same attempt, and one that ended because the "
        "server stopped does not count."
    )
    waiting_for: Literal["person"] | None = Field(
        description="`person` while the job waits for somebody's answer: `status` is `processing`, `ends_by` is null, and it holds no slot. "
        "List its questions to see what is asked.",
    )
    progress: Progress
    usage: JobUsage
    simulated: bool = Field(description="True when an answer came from the Simulated model.")
    cancel_requested_at: AwareDatetime | None = Field(description="Set from a cancel until the work stops.")
    data_erased_at: AwareDatetime | None = Field(
        description="Set when the data of the job were erased: `result` is null from then on and nothing of its input is kept."
    )
    result_truncated: bool | None = Field(
        None,
        description="True in a list and in a webhook when the result is larger than 256 KiB and left out: ask for the job itself.",
    )
    result_expired: bool | None = Field(
        None,
        description="True in a webhook when the time of the result was over before the delivery, so that `result` is null.",
    )


class JobList(Published):
    """A page of jobs, newest first."""

    data: list[Job] = Field(description="A page of jobs.")
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last one.")


class Question(Published):
    """What a job asks a person. It takes one answer."""

    model_config = ConfigDict(json_schema_extra={"examples": [_QUESTION]})

    question_id: str = Field(description="The id of the question.", examples=[_QUESTION_ID])
    job_id: str = Field(description="The job that asks.", examples=[_JOB_ID])
    flow_id: str = Field(description="The flow of the job.", examples=[_FLOW_ID])
    node_id: str = Field(description="The step that asks; with a dot in a flow that is called.")
    index: list[int] = Field(description="The item of a list that the step runs for, from 0; empty: of none.")
    title: str = Field(description="What is asked.")
    values: dict[str, Any] = Field(
        description="What the person decides about; with their changes when it has an answer."
    )
    editable: list[str] = Field(description="The names of the values that the person may change.")
    status: Literal["open", "approved", "refused", "withdrawn"] = Field(
        description="`open` until it has an answer; `withdrawn` when the job ended or asks something else instead."
    )
    expired: bool = Field(description="True when nobody answered in time, so that `on_expiry` decided.")
    on_expiry: Literal["refuse", "approve", "fail"] = Field(
        description="What happens when nobody answers in time: it counts as refused, as approved, or the step fails."
    )
    asked_at: AwareDatetime = Field(description="When it was asked.")
    answer_by: AwareDatetime = Field(description="The latest moment for an answer.")
    answered_at: AwareDatetime | None = Field(description="When it was closed.")
    answered_by: str | None = Field(description="Who answered, for people to read; null when nobody did.")
    note: str = Field(description="What they wrote; may be empty.")
    link: str | None = Field(
        description="An address where a person without an account answers, once. Whoever has it may answer. Null when it is closed."
    )


class QuestionOfJob(Question):
    """What a job asks a person, with the batch of the job."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_QUESTION, "batch_id": None, "item_index": None}]})

    batch_id: str | None = Field(description="The batch that its job is an item of; null for a single job.")
    item_index: int | None = Field(description="The place of its job in the batch, from 0; null for a single job.")


class QuestionList(Published):
    """A page of questions, in the order in which they were asked."""

    data: list[Question] = Field(description="A page of questions.")
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last one.")


class QuestionAnswer(Published):
    """The answer to a question of a job."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"approved": True, "note": "Looks right"},
                {
                    "approved": True,
                    "values": {"reply": "Dear Mara, your new oven door comes on Friday."},
                    "note": "Added the day",
                },
            ]
        }
    )

    approved: bool = Field(description="True to approve, false to refuse.")
    values: dict[str, Any] | None = Field(
        None,
        description="The values that you change, of those in `editable`; each keeps its type, while what stands in a list or an object is not checked. Others may be left out, or sent as they are. What you change may have 256 KiB as JSON.",
    )
    note: str | None = Field(None, description="A word for later steps and for people.", max_length=MAX_NOTE)


class BatchAccepted(Published):
    """All items were stored and will run."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "batch_id": _BATCH_ID,
                    "status": "queued",
                    "total": 2,
                    "job_ids": [_JOB_ID, _SECOND_JOB_ID],
                    "flow_id": _FLOW_ID,
                    "created_at": "2026-01-31T12:00:00.000Z",
                    "url": f"/public/v1/batches/{_BATCH_ID}",
                }
            ]
        }
    )

    batch_id: str = Field(description="Ask for it at `url`.", examples=[_BATCH_ID])
    status: BatchStatus = Field(
        description="`queued`, as it was accepted: ask at `url` how it is now. For a repeated request with the same Idempotency-Key as it is when it is repeated."
    )
    total: int = Field(description="How many items it has.")
    job_ids: list[str] = Field(description="One per item, in the order of the items.")
    flow_id: str = Field(description="The id of the flow.", examples=[_FLOW_ID])
    created_at: AwareDatetime = Field(description="When it was accepted.")
    url: str = Field(description="Path of the batch.", examples=[f"/public/v1/batches/{_BATCH_ID}"])


class BatchSummary(Published):
    """How the items of a batch stand."""

    model_config = ConfigDict(json_schema_extra={"examples": [_BATCH_SUMMARY]})

    batch_id: str = Field(description="The id of the batch.", examples=[_BATCH_ID])
    status: BatchStatus = Field(
        description="`queued` until an item begins, then `processing`, and `completed` when all have ended, in whatever way."
    )
    flow_id: str = Field(description="The id of the flow.", examples=[_FLOW_ID])
    environment: Environment = Field(description=_OF_KEY)
    total: int = Field(description="How many items it has.")
    queued: int = Field(description="Items that wait.")
    processing: int = Field(description="Items at work, or waiting for a person, which hold no slot.")
    completed: int = Field(description="Items that have their result.")
    failed: int = Field(description="Items that failed.")
    cancelled: int = Field(description="Items that were cancelled.")
    created_at: AwareDatetime = Field(description="When it was accepted.")
    completed_at: AwareDatetime | None = Field(description="When its last item ended.")
    cancel_requested_at: AwareDatetime | None = Field(
        description="Set from a cancel of the batch until its last item ends."
    )


class Batch(BatchSummary):
    """How the items of a batch stand, with a page of their jobs."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_BATCH_SUMMARY, "next_cursor": None, "job_ids": [_JOB_ID, _SECOND_JOB_ID]}]}
    )

    next_cursor: str | None = Field(description="Send it as `cursor` for the next page of ids; null on the last one.")
    job_ids: list[str] = Field(description="A page of the job ids, in the order of the items.")


class BatchList(Published):
    """A page of batches, newest first."""

    data: list[BatchSummary] = Field(description="A page of batches.")
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last one.")


class BatchResult(Published):
    """One line of the results of a batch."""

    item_index: int = Field(description="The place of the item in the batch, from 0.")
    job_id: str = Field(description="The job of the item.", examples=[_JOB_ID])
    status: Status = Field(description="How the item stands; the last three are final.")
    result: Any = Field(description="What the flow returned; null until `status` is `completed`.")
    error: JobError | None = Field(description="Set when `status` is `failed`.")
    steps_failed: int = Field(description="How many steps failed, as in the job.")
    simulated: bool = Field(description="True when an answer came from the Simulated model, as in the job.")
    result_expired: bool | None = Field(
        None,
        description="True in the line of a `completed` item whose result is not there any more, because its time is over or its data were erased; all "
        "other lines are without it.",
    )


class FlowSummary(Published):
    """A flow this key may call."""

    flow_id: str = Field(description="The id of the flow.", examples=[_FLOW_ID])
    title: str = Field(description="Its title.", examples=["Summarise a page"])
    description: str = Field(
        description="What its owner says about it; may be empty.", examples=["Reads a page and writes a summary."]
    )
    version: int = Field(description="The version callers reach now.")
    url: str = Field(description="Path to POST to.", examples=[f"/public/v1/flows/execute/{_FLOW_ID}"])


class FlowList(Published):
    """Every flow this key may call."""

    data: list[FlowSummary] = Field(description="All of them; there are no pages.")


class JobWebhook(Published):
    """What a webhook is sent when a job has ended."""

    type: Literal["job.completed", "job.failed", "job.cancelled"] = Field(description="How it ended.")
    timestamp: AwareDatetime = Field(description="When it ended.")
    data: Job = Field(
        description="The job. A result above 256 KiB is left out, and `result_truncated` is true: ask for the job."
    )


class QuestionWebhook(Published):
    """What a webhook is sent when a job asks a person."""

    type: Literal["step.waiting"] = Field(description="A step waits for a person.")
    timestamp: AwareDatetime = Field(description="When it was asked.")
    data: QuestionOfJob = Field(
        description="The question as it is at this try, with the link for an answer while it is open."
    )


class BatchWebhook(Published):
    """What a webhook is sent when all items of a batch have ended."""

    type: Literal["batch.completed"] = Field(description="All items have ended, in whatever way.")
    timestamp: AwareDatetime = Field(description="When the last item ended.")
    data: BatchSummary = Field(description="The batch with its counts.")


class EventData(Published):
    """The `data` of an event. The fields beside the first three are there as the description of the event's name says."""

    job_id: str = Field(description="The job.", examples=[_JOB_ID])
    seq: int = Field(description="The number of the event: 1, 2, 3 and so on, without gaps.", examples=[3])
    at: AwareDatetime = Field(description="When it happened.")
    batch_id: str | None = Field(None, description="Of an item of a batch: its batch.")
    item_index: int | None = Field(None, description="Of an item of a batch: its place in it, from 0.")
    attempt: int | None = Field(
        None,
        description="Of `job.processing`, and of a `job.queued` after the first: `attempts` of the job at that moment.",
    )
    node_id: str | None = Field(
        None,
        description="The step; null in a `job.failed` that was no single node's. With a dot in a flow that is called.",
    )
    index: list[int] | None = Field(
        None, description="The item of a list that the step runs for, from 0; empty: of none."
    )
    duration_ms: int | None = Field(None, description="How long the step took.")
    code: str | None = Field(
        None,
        description="Why it failed, as in the `error` of a job; also of a `step.completed` or `step.skipped` that had "
        "failed, which counts in `steps_failed` of the job.",
    )
    message: str | None = Field(None, description="The same as a sentence for people.")
    steps_failed: int | None = Field(None, description="Of `job.completed`: how many steps failed, when any did.")
    call: int | None = Field(
        None, description="Which answer of the step's model the text is of; a new number begins anew."
    )
    text: str | None = Field(None, description="What the model has written since the last `step.delta`.")
    question_id: str | None = Field(
        None, description="Of `step.waiting` and `step.answered`: the question to a person."
    )
    question: Question | None = Field(
        None, description="Of `step.waiting`: the question as it is now, with its link while it is open."
    )
    approved: bool | None = Field(None, description="Of `step.answered`: what was answered.")
    expired: bool | None = Field(None, description="Of `step.answered`: true when nobody answered in time.")
    part: str | None = Field(
        None, description="The part of an agent's step: `turn/1` is a reply of its model, `call/1/0` a call of a tool."
    )
    ended: bool | None = Field(None, description="Of `step.part`: false when the part begins, true when it has ended.")
    data_erased_at: AwareDatetime | None = Field(None, description="When the data of the job were erased.")


class StreamEvent(Published):
    """One event of a stream of server-sent events."""

    id: str = Field(description="Its number; send it as `Last-Event-ID` to go on after it.", examples=["3"])
    event: str = Field(
        examples=EVENT_NAMES,
        description="What happened; more names may come, pass over those you do not know. The last one is `job.completed` "
        "(with `steps_failed` when steps failed), `job.failed` (with `code`, `message`, `node_id`) or `job.cancelled`; it has `data_erased_at` when the data of the job "
        "were erased. `job.processing` has `attempt`, and so has a `job.queued` that tells that the job goes back into the queue; the first one has none. Steps have `node_id` and `index`: `step.started`; with "
        "`duration_ms` too `step.completed` (with `code` and `message` when it had failed and its default value is its output), "
        "`step.failed` (`code`, `message`), `step.skipped` (both when it had failed) and "
        "`step.cancelled`; `step.delta` has `call` and `text`; `step.waiting` has `question_id` and `question`, `step.answered` has "
        "`question_id`, `approved` and `expired`; `step.part` has `part` and `ended`.",
    )
    data: EventData


class WrongField(Published):
    """One wrong field."""

    pointer: str = Field(description="JSON pointer into the request body.", examples=["/max_pages"])
    code: str = Field(
        description="Which rule it breaks: `required`, `unknown_field`, `type_error`, `enum`, `format`, `minimum`, `maximum`, "
        "`min_length`, `max_length`, `min_items`, `max_items`, `pattern`, `file_not_found`, `file_kind` or `file_size`; more may come.",
        examples=["type_error"],
    )
    detail: str = Field(description="A sentence for people.")


class ProblemDetails(Published):
    """An error as RFC 9457 asks, always as `application/problem+json`."""

    type: str = Field(description="A page of this server about the error.", examples=["/docs/errors/validation_failed"])
    title: str = Field(description="What the code means, the same for every answer with it.")
    status: int = Field(description="The HTTP status again.")
    detail: str = Field(description="What happened in this case and what to do, for people.")
    code: str = Field(description="One word for programs; it never changes its meaning.")
    request_id: str = Field(description="Name it when you ask for help.")
    error_count: int | None = Field(
        None,
        description="How many fields are wrong; `errors` holds the first 100 of them. When the check ended early it is a least number, "
        "and `detail` begins with “At least”.",
    )
    errors: list[WrongField] | None = Field(None, description="Every wrong field at once, at most 100.", max_length=100)


class UploadedFile(Published):
    """A stored file. Send its `file_id` in a field of the type File."""

    file_id: str = Field(description="Its id, for fields of the type File and for the download.")
    name: str = Field(description="Its name, without folders and signs that systems stumble over.")
    media_type: str = Field(description="What its content and name show.")
    size: int = Field(description="Its size in bytes.")
    created_at: AwareDatetime = Field(description="When it was uploaded.")
    kept_until: AwareDatetime = Field(
        description="When it is removed, unless a job, sample, dataset, collection or schedule uses it; then once nothing uses it any more. When the data of the "
        "last job that uses it are erased and nothing else uses it, it goes with them, also before that time."
    )
    url: str = Field(description="Where it is downloaded, with the same key.")

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "file_id": _FILE_ID,
                    "name": "invoice.pdf",
                    "media_type": "application/pdf",
                    "size": 48213,
                    "created_at": "2026-01-31T12:00:00.000Z",
                    "kept_until": "2026-02-01T12:00:00.000Z",
                    "url": f"/public/v1/files/{_FILE_ID}",
                }
            ]
        },
    )
