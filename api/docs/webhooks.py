"""The parts of the OpenAPI document that no route declares: the webhooks that Flowport sends, and the events of a
stream.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from api.http.schemas import BatchResult, BatchWebhook, JobWebhook, Published, QuestionWebhook, StreamEvent

_SENT: dict[str, tuple[str, type[Published], str]] = {
    "job.completed": ("A job is completed", JobWebhook, "Sent when a job has its result, also one of a batch."),
    "job.failed": ("A job has failed", JobWebhook, "Sent when a job has failed, also one of a batch."),
    "job.cancelled": ("A job was cancelled", JobWebhook, "Sent when a job was cancelled, also one of a batch."),
    "step.waiting": (
        "A job asks a person",
        QuestionWebhook,
        "Sent when a step waits for a person, with a link under which somebody without an account can answer. Whoever has the link may answer.",
    ),
    "batch.completed": (
        "All items of a batch have ended",
        BatchWebhook,
        "Sent once when the last item of a batch has ended, in whatever way, beside the webhooks of its items, some of which may arrive after it.",
    ),
}
_AS_SENT = "As it was sent with the submit, when it was"
#: Name, type, whether every call has it, and what is said of it.
_HEADERS = (
    ("webhook-id", "string", True, "The same at every try of one delivery: skip what you have seen."),
    ("webhook-timestamp", "integer", True, "When this try was made, in seconds since 1970."),
    (
        "webhook-signature",
        "string",
        True,
        "`v1,` and the base64 of the HMAC-SHA256 of `id.timestamp.body`, one for each valid secret with spaces between.",
    ),
    ("traceparent", "string", False, f"W3C Trace Context. {_AS_SENT}."),
    ("tracestate", "string", False, f"W3C Trace Context. {_AS_SENT}."),
    ("baggage", "string", False, f"W3C Baggage. {_AS_SENT}."),
)


def webhooks() -> dict[str, Any]:
    """Returns the `webhooks` of the OpenAPI document, by the `type` of their bodies."""
    return {name: {"post": _webhook(name, *what)} for name, what in _SENT.items()}


def own_schemas() -> dict[str, Any]:
    """Returns the schemas that are used by no operation, and the schemas that they refer to."""
    models = (JobWebhook, QuestionWebhook, BatchWebhook, StreamEvent, BatchResult)
    _, schemas = models_json_schema(
        [(model, "serialization") for model in models], ref_template="#/components/schemas/{model}"
    )
    return schemas["$defs"]


def _webhook(name: str, summary: str, model: type[Published], told: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {
        "tags": ["webhooks"],
        "operationId": f"webhook_{name.replace('.', '_')}",
        "summary": summary,
        "description": f"{told} It follows Standard Webhooks. The guide Webhooks says who is called and how to check the signature.",
        "security": [],
        "parameters": [
            {"name": header, "in": "header", "required": always, "description": said, "schema": {"type": kind}}
            for header, kind, always, said in _HEADERS
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "2XX": {"description": "Taken. Answer within 15 seconds"},
            "410": {"description": "Never send this again"},
            "default": {"description": "Sent again later, up to ten times in all"},
        },
    }
