"""Texts of the pages below `/docs/errors/`: why each error of the public API occurs and what to do about it."""

from __future__ import annotations

from engine.core.body_limits import FREE_PIECES, PIECE_BYTES
from engine.core.error_codes import RefusalCode

#: code -> (why it happens, what to do)
ERROR_TEXTS: dict[str, tuple[str, str]] = {
    RefusalCode.VALIDATION_FAILED: (
        'The body does not fit the fields of the flow\'s API Input, or, for a batch or the answer to a question, what that call takes. `errors` names every wrong field at once, by JSON pointer (what stands inside `items` or `values`, and whether a file is there, once the fields around are right): missing required fields, fields the flow does not know, wrong types and values outside their limits. Nothing is converted: "5" is not a number.',
        "Compare the body with the request fields in the flow's API docs. If the flow should take the field, its owner presses Accept this field under Jobs, Refused, or adds it to the API Input in the Playground, and then Update API.",
    ),
    RefusalCode.INVALID_JSON: (
        "The body cannot be read as JSON: a syntax error, a key that stands twice in one object, NaN or Infinity, a whole number that does not fit in signed 64 bit (-2^63 to 2^63-1), any other number that is too large (`1e400`), nesting deeper than 64 levels, more than 10,000 keys (in a batch: in one item, which `detail` names) or 200,000 values (each text, number, `true`, `false`, `null`, list and object within the outermost is one), text that is not UTF-8, a byte order mark (BOM) at its begin, or a `\\u` escape that names half of a character (a lone surrogate). At an incoming webhook also a form that is not UTF-8 or has more than 1,000 fields, and a form of GitHub without the field `payload`.",
        "Let a JSON library write the body instead of putting text together, and send UTF-8. Split what has too many keys or values.",
    ),
    RefusalCode.INVALID_PARAMETER: (
        "A query parameter is unknown (not at incoming webhooks and health checks), stands twice or has a value that cannot be used; a header that the call reads has a value that cannot be used (one that it does not know is passed over); one of the headers `Authorization`, `X-API-Key`, `Content-Type`, `Idempotency-Key`, `Cancel-After`, `X-Flow-Version`, `X-Webhook-Url` or `Last-Event-ID` stands twice at a call that reads it (an incoming webhook takes the first, as services differ); or, at a call that needs a key, `Authorization` and `X-API-Key` name two keys, or `Authorization` holds something other than `Bearer`, like `Basic`, beside an `X-API-Key`.",
        "The detail names it. Take it out, or correct its value.",
    ),
    RefusalCode.MALFORMED_REQUEST: (
        f"The request breaks the rules of HTTP/1.1, or asks for something that this server does not do, and `detail` says what: a line that ends with LF alone in place of CR LF, a first line without a known method, an address and `HTTP/1.1` (or `HTTP/1.0`; other versions are not read), an address that is neither a path from `/` nor a whole address with its host, or has a space within it (several in front of it or behind it count as one), a control character, a `#` or anything beyond ASCII like `ü` (these must be written as `%XX`; others that should be, like `<` or a `%` alone, are taken as they are), `CONNECT` (which is for proxies), `OPTIONS *` (which asks the server as a whole), a `Content-Length` that is no number, has more than 20 digits or stands twice or beside `Transfer-Encoding`, a `Transfer-Encoding` other than `chunked`, a chunk that cannot be read, a header that goes on in the next line, has no name or a character that may not stand there, a `Host` that is missing (in HTTP/1.1), stands twice or is no name, IPv4 address or IPv6 address in brackets (each with or without a port), or a body in more than {FREE_PIECES:,} pieces (chunks, or what arrives one by one) of fewer than {PIECE_BYTES} bytes on average. Often nobody can tell for certain where such a request ends, so the connection is closed.",
        "Let an HTTP library write the request instead of putting it together. Behind a proxy of your own, look at what it sends on.",
    ),
    RefusalCode.UNAUTHORIZED: (
        "The key is missing, misspelt, unknown, expired or revoked. All of these get this one answer, so that nobody can learn which keys exist.",
        "Send `Authorization: Bearer` and the whole key. Settings, API Keys shows which keys are valid and when each was used last.",
    ),
    RefusalCode.SIGNATURE_INVALID: (
        "A call of an incoming webhook does not prove where it comes from: the signature or the secret in the address is missing or wrong, or the time in the signature is more than five minutes away. `detail` says which.",
        "Enter the same secret in the webhook on the flow's page and at the service that calls. The list of the last calls there shows each refused call with its reason.",
    ),
    RefusalCode.NOT_ALLOWED: (
        "The key is valid, but it may not do this: it is limited to other flows.",
        "Use another key, or ask the owner to allow this flow for the key.",
    ),
    RefusalCode.NOT_FOUND: (
        "The API has no such address, or nothing has the id in it, or it belongs to somebody else or to another environment. The last three look the same on purpose; of an address that does not exist `detail` says so. What has an id is a flow, a job, a batch, a question of a job or a file; a version in `X-Flow-Version` that was never deployed is not found either.",
        "Check the address, then the id in it, and the number in `X-Flow-Version` where one is sent. `/public/v1/openapi.json` lists all addresses. A key sees the jobs and files of its own environment only.",
    ),
    RefusalCode.FLOW_NOT_DEPLOYED: (
        "The flow is yours, but its API is switched off: it was never deployed, or it was undeployed.",
        "Press Deploy API on the flow's page. The address stays the same.",
    ),
    RefusalCode.METHOD_NOT_ALLOWED: (
        "The address exists, but not for this method.",
        "The header `Allow` says which methods it takes.",
    ),
    RefusalCode.NOT_ACCEPTABLE: (
        "The `Accept` header takes none of the forms this answer has.",
        "Leave the header out, or name what the call answers with; `detail` says it: `text/event-stream` for the events of a job, `application/x-ndjson` for the results of a batch, `text/plain` for `/metrics`, `application/json` for all else. The download of a file has no such answer: it sends the file as it is, whatever `Accept` says.",
    ),
    RefusalCode.REQUEST_TIMEOUT: (
        "The head or the body of the request did not arrive in full within 30 seconds. An upload of a file has 10 minutes instead, and is given up when nothing of it arrives for 30 seconds. Nothing was accepted.",
        "Send the whole request again, in one go. Over a slow line, send an address of the data instead of the data.",
    ),
    RefusalCode.IDEMPOTENCY_IN_PROGRESS: (
        "Another request with this Idempotency-Key is being accepted at this moment.",
        "Wait a second and send the same request again; you get the job of the first one.",
    ),
    RefusalCode.JOB_NOT_CANCELLABLE: (
        "The job is `completed` or `failed`, so there is nothing to stop. Cancelling one that is being cancelled, or was, is no error: it answers 200 again.",
        "Read the job: it has its result or its error.",
    ),
    RefusalCode.BATCH_NOT_CANCELLABLE: (
        "All items of the batch had ended before anybody cancelled it, so there is nothing to stop. Cancelling one that was cancelled is no error: it answers 200 again.",
        "Read the batch's results: each item has its result or its error.",
    ),
    RefusalCode.QUESTION_CLOSED: (
        "A question of a job to a person takes one answer. Somebody has given it, nobody did in time, or the job has ended and asks no more; `detail` says which.",
        "List the questions of the job (`GET /public/v1/jobs/{job_id}/questions`): they say what was answered, by whom and when. When it was your own answer that was lost on its way and that you sent again, it stands there.",
    ),
    RefusalCode.JOB_NOT_ENDED: (
        "The data of a job can be erased when it has ended. This one waits or runs, or somebody has run it again in the Playground and that run has not ended, whose data are erased with it; `detail` says which.",
        "Cancel the job (`POST /public/v1/jobs/{job_id}/cancel`) or wait until it has ended, then send the request again. When it is the run in the Playground, send it again later, or ask whoever made the run to cancel it.",
    ),
    RefusalCode.HOOK_PAUSED: (
        "Somebody has paused this incoming webhook. The call is genuine, but it started nothing.",
        "Press Resume at the webhook on the flow's page, then let the service send the call again.",
    ),
    RefusalCode.JOB_EXPIRED: (
        "Results are kept for a time (30 days unless the owner chose otherwise), and this job's time is over.",
        "Fetch results soon after the job ends, and store what you need.",
    ),
    RefusalCode.INVALID_UPLOAD: (
        "An upload is a form (`multipart/form-data`) with the file as its only part. This one cannot be read as a form (the `Content-Type` names no boundary or another one than the body has, or what stands around the file breaks the rules of such forms), holds no file (a part without a `filename` is none, nor is one with an empty name, which a browser sends when nobody chose a file), has more than one part (a field beside the file is one, too), or its end is missing; `detail` says which. The name of the part does not matter, and text before the first boundary, a little less than 16 KiB at most, is passed over.",
        "Let an HTTP library write the form: `curl -F file=@report.pdf`, `files=` in Python, `FormData` in JavaScript. Send each file with a call of its own.",
    ),
    RefusalCode.FILE_SPACE_FULL: (
        "All files of a workspace together may take so much space, and this one does not fit any more. `detail` says how much is used.",
        "The owner can raise it under Settings, Data. A file that nothing uses is removed a day after its upload, and one that was used longer once nothing uses it any more, like those of jobs with their data: so a shorter time for results gives space back too.",
    ),
    RefusalCode.FILE_TOO_LARGE: (
        "A file may have 50 MiB (52,428,800 bytes).",
        "Send a smaller file, or split it: a PDF by pages, a table by rows.",
    ),
    RefusalCode.BODY_TOO_LARGE: (
        "A body may have 10 MiB.",
        "Send an address of the data instead of the data, or split the request.",
    ),
    RefusalCode.ADDRESS_TOO_LONG: (
        "The address of the request leaves its headers no room: together they may have 16 KiB.",
        "Send the data in the body instead of the address.",
    ),
    RefusalCode.UNSUPPORTED_MEDIA_TYPE: (
        "These routes take JSON in UTF-8 only (the upload of a file takes a form), as it is: the `Content-Type` is missing, is another one or names another `charset`, or the body is compressed (`Content-Encoding`). `detail` says which. Of a call with JSON that has no body, or a chunked one without bytes, which counts as `{}`, these headers are not looked at (`/mcp` always wants a message); only a second `Content-Type` is refused, with 400 `invalid_parameter`.",
        "Send the header `Content-Type: application/json` and a body in UTF-8 without `Content-Encoding`. An upload of a file is a form (`multipart/form-data`).",
    ),
    RefusalCode.RANGE_NOT_SATISFIABLE: (
        "A download asked for a part (`Range`) that begins behind the end of the file, or for its last 0 bytes (`bytes=-0`). `Content-Range` and `detail` say how many bytes the file has.",
        "Ask for a part that begins within the file, or leave `Range` out to get all of it. A download that goes on where an earlier one broke off is complete when nothing is left to ask for.",
    ),
    RefusalCode.IDEMPOTENCY_KEY_REUSED: (
        "This Idempotency-Key was used with another request in the last 24 hours: another body, or another `X-Flow-Version`, `Cancel-After` or `X-Webhook-Url`. Other headers do not count, and a field that is left out equals its default. Or the data of the job that it made, or of an item of the batch, were erased, so nobody can tell if the request is the same; or the file that it stored was removed meanwhile; or, for an upload, the file, its name or its type is another.",
        "Use a new key for a new request, and the same key only to repeat the same one.",
    ),
    RefusalCode.CONCURRENCY_LIMIT_EXCEEDED: (
        "As many jobs are queued or running as the key's environment (Production, Staging or Development) or the key itself may have at once. A job that waits for a person does not count.",
        "Wait for the seconds in `Retry-After`, then send the request again. The owner can raise the limit under Settings, Limits and plan.",
    ),
    RefusalCode.MONTHLY_QUOTA_EXCEEDED: (
        "The accepted requests of this UTC calendar month have reached the number of the key's environment (Production, Staging or Development) or of the key itself. Or a batch has more items than requests are left in this month: then smaller batches and single requests are still accepted, and `detail` says how many. Or it has more items than a whole month has requests: then the answer has no `Retry-After`, as the batch can never be accepted, and `detail` says how many items may be sent at most.",
        "Wait until the 1st, 00:00 UTC, or ask the owner to raise the limit under Settings, Limits and plan. Send a batch that is too large for what is left with fewer items, and the rest later; one that is too large for a month in smaller ones over several months.",
    ),
    RefusalCode.RATE_LIMITED: (
        "A key may send so many requests in a second as its plan says (Free 50, Pro 200, Enterprise any number), polling too. What is used comes back all the time (of 50 a second, one every 20 ms), so as many may also come at once. All calls without a valid key from one address may be 50 in a second. Or 100 bodies of one key wait until they are checked, which bodies of flows with patterns, large ones and batches do one after the other. Or the calls of the workspace that wait (`?wait`, tools of MCP) and its event streams hold half of the connections that the server takes; `detail` says which.",
        "Wait for the seconds in `Retry-After`, then send the request again, and use `?wait=30` instead of asking often. End event streams that nobody reads.",
    ),
    RefusalCode.HEADERS_TOO_LARGE: (
        "The address and the headers of a request, and the headers behind its body, may have 16 KiB together.",
        "Leave out headers that this API does not read, cookies for example. The connection is closed.",
    ),
    RefusalCode.INTERNAL: (
        "Something went wrong inside Flowport. That is a fault of ours, not of your request.",
        "Send the request again. If it stays, give the `request_id` to whoever runs the server: the log has the details under it.",
    ),
    RefusalCode.STORAGE_UNAVAILABLE: (
        "The server cannot write its data at the moment, for example because the disk is full. Nothing was half made.",
        "Send the request again in a few seconds. Whoever runs the server finds the reason in its log.",
    ),
    RefusalCode.TOO_MANY_CONNECTIONS: (
        "As many connections are open as the server holds, in all or from one address (an IPv6 address counts with its /64), or all but a twentieth of them are held by calls that wait and event streams. Or the bodies that are being received have 128 MiB together, or those of one workspace 64 MiB; at incoming webhooks 32 MiB, or 16 MiB from one address. Then whoever has most gives way, first with what arrives with less than 64 KiB a second; the same holds when more than 32 files are being received. Or the bodies of one workspace that wait to be checked take 64 MiB of memory (a short list needs twenty times its text). Or more than 16 requests were sent ahead on one connection, before the answer to the first of them.",
        "Send no more than 16 requests ahead on one connection (HTTP pipelining). Use open connections again (HTTP keep-alive) instead of making one for each request, and send it again after the seconds in `Retry-After`. Behind a proxy of your own, name it in FLOWPORT_TRUSTED_PROXIES: it has no limit of its own then.",
    ),
    RefusalCode.SHUTTING_DOWN: (
        "The server is stopping or restarting. Accepted jobs are kept and go on after the restart.",
        "Send the request again in a few seconds.",
    ),
}
