"""The parameters and headers that the OpenAPI documents name."""

from __future__ import annotations

from typing import Any

from api.parameters import MAX_WEB_ADDRESS, WEB_ADDRESS


def _header(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def _query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _path(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": {"type": "string"}}


PARAMETERS: dict[str, dict[str, Any]] = {
    "flow_id": _path("flow_id", "The id of the flow."),
    "job_id": _path("job_id", "The id of the job."),
    "batch_id": _path("batch_id", "The id of the batch."),
    "wait": _query(
        "wait",
        "Seconds to wait for the end of the job; more than 60 counts as 60.",
        {"type": "integer", "minimum": 0, "examples": [30]},
    ),
    "prefer": _header("Prefer", "`wait=N`, the same as the parameter `wait`.", {"type": "string"}),
    "if_none_match": _header("If-None-Match", "The ETag of an earlier answer.", {"type": "string"}),
    "last_event_id": _header(
        "Last-Event-ID",
        "Go on after the event with this number.",
        {"type": "integer", "minimum": 0, "maximum": 999_999_999_999_999_999},
    ),
    "idempotency_key": _header(
        "Idempotency-Key",
        "1 to 255 visible ASCII characters, kept 24 hours: the same request with the same key gets the same job.",
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]{1,255}$"},
    ),
    "cancel_after": _header(
        "Cancel-After",
        "Seconds after which this job is stopped; never above the flow's own limit.",
        {"type": "integer", "minimum": 1, "maximum": 86_400},
    ),
    "x_flow_version": _header(
        "X-Flow-Version",
        "Run this version, if it was ever deployed.",
        {"type": "integer", "minimum": 1, "maximum": 999_999_999},
    ),
    "x_webhook_url": _header(
        "X-Webhook-Url",
        "Call this address when the job ends (Standard Webhooks): http or https, without user or password.",
        {"type": "string", "format": "uri", "maxLength": MAX_WEB_ADDRESS, "pattern": WEB_ADDRESS},
    ),
    "x_request_id": _header(
        "X-Request-Id",
        "Taken over as the id of this request when it has 1 to 64 letters, digits, `.`, `_` or `-`; anything else is "
        "replaced by an id of ours.",
        {"type": "string"},
    ),
    "status": _query(
        "status",
        "Only jobs with this status.",
        {"type": "string", "enum": ["queued", "processing", "completed", "failed", "cancelled"]},
    ),
    "flow_id_filter": _query(
        "flow_id", "Only jobs of this flow.", {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
    ),
    "created_after": _query("created_after", "Only jobs made after it.", {"type": "string", "format": "date-time"}),
    "limit": _query("limit", "How many.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}),
    "cursor": _query("cursor", "`next_cursor` of the page before.", {"type": "string"}),
}

HEADERS: dict[str, dict[str, Any]] = {
    "Location": {"description": "Path of the job or batch.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait before the next call.", "schema": {"type": "integer"}},
    "RateLimit": {
        "description": 'What is left, like `"concurrency";r=3, "monthly";r=871;t=554400, "requests";r=49;t=1`.',
        "schema": {"type": "string"},
    },
}
