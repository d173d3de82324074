"""The `detail` of the example of each problem, by code, as a call would get it. The remedy of the refusal class is
appended.
"""

from __future__ import annotations

DETAILS = {
    "invalid_json": "A comma or a closing bracket is missing, at line 1, column 27",
    "invalid_parameter": "`wait` must be a whole number of seconds, 0 or more",
    "malformed_request": "It has more than one Content-Length",
    "not_allowed": "The key “Website” may not call this flow. Use another key, or let the owner allow this flow for it under "
    "Settings, API Keys",
    "not_found": "No job has the id 'job_3nXq8TfW2LrKc0ZbYp5VdA'",
    "method_not_allowed": "PUT was sent; allowed here: GET, HEAD",
    "not_acceptable": "This call answers with application/json",
    "request_timeout": "Its body did not arrive in full within 30 seconds",
    "signature_invalid": "The signature does not fit the secret of this webhook and the body. Enter the same secret here and at GitHub",
    "job_not_cancellable": "It is completed",
    "batch_not_cancellable": "Its items have all ended",
    "job_not_ended": "job_3nXq8TfW2LrKc0ZbYp5VdA is processing",
    "job_expired": "Results are kept for a limited time, and this one's is over",
    "invalid_upload": "The form is cut off: the boundary at its end is missing",
    "file_space_full": "The files of this workspace take 4.9 GiB of 5 GiB, and this one has 200 MiB",
    "file_too_large": "A file may have 50 MiB",
    "body_too_large": "The body may have 10 MiB",
    "unsupported_media_type": "It came as text/plain",
    "range_not_satisfiable": "It has 48,213 bytes; the first is number 0",
    "idempotency_key_reused": "The body, `X-Flow-Version`, `Cancel-After` or `X-Webhook-Url` differs from that of the first request",
    "concurrency_limit_exceeded": "All 4 jobs that Production may have at once are running or queued. Send the request again in 2 s",
    "monthly_quota_exceeded": "All 1,000 requests of Production for this month are used; it begins again on the 1st at 00:00 UTC",
    "rate_limited": "More than 50 requests came in one second. Send the request again in 1 s",
}
