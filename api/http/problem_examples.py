"""The `detail` of the example of each problem, by code, as a call would get it. The remedy of the refusal class is
appended.
"""

from __future__ import annotations

from engine.core.error_codes import RefusalCode

DETAILS: dict[str, str] = {
    RefusalCode.INVALID_JSON: "A comma or a closing bracket is missing, at line 1, column 27",
    RefusalCode.INVALID_PARAMETER: "`wait` must be a whole number of seconds, 0 or more",
    RefusalCode.MALFORMED_REQUEST: "It has more than one Content-Length",
    RefusalCode.NOT_ALLOWED: "The key “Website” may not call this flow. Use another key, or let the owner allow this flow for it under "
    "Settings, API Keys",
    RefusalCode.NOT_FOUND: "No job has the id 'job_3nXq8TfW2LrKc0ZbYp5VdA'",
    RefusalCode.METHOD_NOT_ALLOWED: "PUT was sent; allowed here: GET, HEAD",
    RefusalCode.NOT_ACCEPTABLE: "This call answers with application/json",
    RefusalCode.REQUEST_TIMEOUT: "Its body did not arrive in full within 30 seconds",
    RefusalCode.SIGNATURE_INVALID: "The signature does not fit the secret of this webhook and the body. Enter the same secret here and at GitHub. "
    "If it is the same, something between changes the body",
    RefusalCode.JOB_NOT_CANCELLABLE: "It is completed",
    RefusalCode.BATCH_NOT_CANCELLABLE: "Its items have all ended",
    RefusalCode.QUESTION_CLOSED: "API key Website approved it",
    RefusalCode.JOB_NOT_ENDED: "job_3nXq8TfW2LrKc0ZbYp5VdA is processing",
    RefusalCode.JOB_EXPIRED: "Results are kept for a limited time, and this one's is over",
    RefusalCode.INVALID_UPLOAD: "The form is cut off: the boundary at its end is missing",
    RefusalCode.FILE_SPACE_FULL: "The files of this workspace take 5.0 GiB of 5 GiB, and this one has 40 MiB",
    RefusalCode.FILE_TOO_LARGE: "A file may have 50 MiB",
    RefusalCode.BODY_TOO_LARGE: "The body may have 10 MiB",
    RefusalCode.UNSUPPORTED_MEDIA_TYPE: "It came as text/plain",
    RefusalCode.RANGE_NOT_SATISFIABLE: "It has 48,213 bytes; the first is number 0",
    RefusalCode.IDEMPOTENCY_KEY_REUSED: "The body, `X-Flow-Version`, `Cancel-After` or `X-Webhook-Url` differs from that of the first request",
    RefusalCode.CONCURRENCY_LIMIT_EXCEEDED: "All 4 jobs that Production of this workspace may have at once are running or queued. "
    "Send the request again in 2 s. The owner can raise it under Settings, Limits and plan",
    RefusalCode.MONTHLY_QUOTA_EXCEEDED: "All 1,000 requests of Production of this workspace for this month are used; it begins again on the 1st at 00:00 UTC. "
    "The owner can raise it under Settings, Limits and plan",
    RefusalCode.STORAGE_UNAVAILABLE: "The database said: database or disk is full",
    RefusalCode.RATE_LIMITED: "The key “Website” may send 50 requests a second. Wait a second, and ask with `?wait=30` instead of often. "
    "Another plan takes more; the owner chooses it under Settings, Limits and plan",
}

#: What `not_found` says in place of this, by the last parameter in the path of the call.
NOT_FOUND: dict[str, str] = {
    "flow_id": "No flow has the id 'flow_8kWq2ZsXc4VbN1mLpT7rYe'. GET /public/v1/flows lists the flows that this key may call",
    "job_id": DETAILS[RefusalCode.NOT_FOUND],
    "question_id": "No question has the id 'ask_7VdA3nXq8TfW2LrKc0ZbYp'",
    "batch_id": "No batch has the id 'batch_5TfWqK8nXr2LcZbYp0VdA3'",
    "file_id": "No file has the id 'file_1A2b3C4d5E6f7G8h9I0jKl'",
}
#: What the examples of a call say in place of this, by its operationId.
OF_CALLS: dict[str, dict[str, str]] = {
    "upload_file": {
        RefusalCode.UNSUPPORTED_MEDIA_TYPE: "It came as text/plain. Send the file as multipart/form-data, the only part of a form, as "
        "`curl -F file=@report.pdf` does",
        RefusalCode.IDEMPOTENCY_KEY_REUSED: "The file or its name differs from that of the first request. Use a new key for a new request",
        RefusalCode.REQUEST_TIMEOUT: "The file came too slowly. Send it again, in one go",
    },
    "get_openapi": {
        RefusalCode.RATE_LIMITED: "Without a valid key 50 requests a second are taken from one address. Send a valid key as "
        "`Authorization: Bearer`, and wait a second",
    },
}
#: The wrong field of `validation_failed` of a call, by its operationId.
WRONG_FIELDS: dict[str, dict[str, str]] = {
    "run_flow_batch": {"pointer": "/items/1/max_pages"},
    "answer_question": {"pointer": "/approved", "detail": "must be true or false"},
}
