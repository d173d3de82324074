"""OpenAPI 3.1 of the public API and of one flow, written from the published schemas, the status table and a flow's own fields."""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api import schemas
from api.errors import PROBLEM_TYPE, PUBLISHED, status_of, title_of
from api.openapi_parts import HEADERS, PARAMETERS
from api.operations import ALWAYS, OPERATIONS, Operation
from engine import errors
from engine.errors import Refusal

JsonSchema = dict[str, Any]
BASE = "/public/v1"
VERSION = "1"


@dataclass(frozen=True)
class FlowContract:
    """What a flow's document says: its live version's request and result schemas, and a payload that fits."""

    flow_id: str
    title: str
    description: str
    version: int
    request: JsonSchema
    result: JsonSchema
    sample: dict[str, Any]


def api_document(server_url: str) -> dict[str, Any]:
    """The whole public API. All but the address is made once and shared: for reading only."""
    return {**_whole_document(), "servers": [{"url": server_url}]}


@functools.cache
def _whole_document() -> dict[str, Any]:
    components = _components()
    components["schemas"]["Payload"] = {
        "type": "object",
        "description": "The fields of the flow's API Input; the flow's own document says which.",
        "additionalProperties": True,
        "examples": [{"url": "https://example.com"}],
    }
    components["schemas"]["BatchPayload"] = _batch_payload({"$ref": "#/components/schemas/Payload"})
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(BASE + operation.path, {})[operation.method.lower()] = _operation(operation)
    return _document(
        "Flowport public API",
        "Run deployed flows and read their jobs. Every call needs an API key; every error is "
        "`application/problem+json` (RFC 9457). Nothing is converted: a whole number is written `5`, neither `5.0` nor "
        '`"5"`, and fits in 64 bit.',
        VERSION,
        "",
        paths,
        components,
    )


def flow_document(contract: FlowContract, server_url: str) -> dict[str, Any]:
    """One flow: its concrete path, its own schemas, and the calls that read its jobs."""
    components = _components()
    own = components["schemas"]
    own["Payload"] = {**contract.request, "title": "Payload", "examples": [contract.sample]}
    own["BatchPayload"] = _batch_payload({"$ref": "#/components/schemas/Payload"})
    own["Result"] = {**contract.result, "title": "Result"}
    own["Job"]["properties"]["result"] = {
        "anyOf": [{"$ref": "#/components/schemas/Result"}, {"type": "null"}],
        "description": "What the flow returned; null until `status` is `completed`.",
    }
    slug = slug_of(contract.title, contract.flow_id)
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        if operation.operation_id not in _OF_A_FLOW:
            continue
        path = BASE + operation.path.replace("{flow_id}", contract.flow_id)
        entry = _operation(operation, without=("flow_id",) if path != BASE + operation.path else ())
        entry["operationId"] = operation.operation_id.replace("run_flow", f"run_{slug}")
        if operation.operation_id == "run_flow":
            entry["summary"] = f"Run {contract.title}"
            entry["description"] = f"{contract.description}\n\n{operation.description}".strip()
        paths.setdefault(path, {})[operation.method.lower()] = entry
    return _document(contract.title, contract.description, str(contract.version), server_url, paths, components)


def slug_of(title: str, fallback: str) -> str:
    """A title as a part of an operationId: lower case letters, digits and `_`."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:60] or re.sub(r"[^a-z0-9]+", "_", fallback.lower())


_OF_A_FLOW = {"run_flow", "run_flow_batch", "get_job", "cancel_job", "stream_job_events", "get_batch"}


#: What to call with the id that a submit answered.
_LINKS: dict[type[BaseModel], dict[str, Any]] = {
    schemas.JobAccepted: {
        operation_id: {"operationId": operation_id, "parameters": {"job_id": "$response.body#/job_id"}}
        for operation_id in ("get_job", "stream_job_events", "cancel_job")
    },
    schemas.BatchAccepted: {
        "get_batch": {"operationId": "get_batch", "parameters": {"batch_id": "$response.body#/batch_id"}}
    },
}

#: A stream is no JSON value, so it has an example and no type: readers differ in whether a type is that of one event or of all.
_EVENTS: dict[str, Any] = {
    "schema": {},
    "example": "id: 1\nevent: job.queued\n"
    'data: {"job_id":"job_3nXq8TfW2LrKc0ZbYp5VdA","seq":1,"at":"2026-01-31T12:00:00.000Z"}\n\n',
}


def _document(
    title: str, description: str, version: str, server_url: str, paths: dict[str, Any], components: dict[str, Any]
) -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "description": description, "version": version},
        "servers": [{"url": server_url}],
        "security": [{"ApiKey": []}],
        "paths": paths,
        "components": components,
    }


def _operation(operation: Operation, without: Iterable[str] = ()) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "operationId": operation.operation_id,
        "summary": operation.summary,
        "description": operation.description or operation.summary,
        "tags": list(operation.tags),
    }
    if names := [name for name in operation.parameters if name not in without]:
        entry["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in names]
    if operation.body:
        schema = {"$ref": f"#/components/schemas/{operation.body}"}
        entry["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    entry["responses"] = _answers(operation) | _problems(operation)
    return entry


def _answers(operation: Operation) -> dict[str, Any]:
    if operation.answer is None:
        stream = operation.operation_id == "stream_job_events"
        content = {"text/event-stream": _EVENTS} if stream else {"application/json": {"schema": {"type": "object"}}}
        return {"200": {"description": operation.summary, "content": content}}
    answers: dict[str, Any] = {}
    if operation.also_job:
        answers["200"] = _answer("The job has ended within the time asked for", schemas.Job)
    answers[str(operation.status)] = _answer((operation.answer.__doc__ or "").strip().rstrip("."), operation.answer)
    if operation.status == 202:
        answers["202"]["headers"] = {
            name: {"$ref": f"#/components/headers/{name}"} for name in ("Location", "Retry-After", "RateLimit")
        }
        answers["202"]["links"] = _LINKS[operation.answer]
    if "if_none_match" in operation.parameters:
        answers["304"] = {"description": "Nothing has changed since that ETag"}
    return answers


def _answer(description: str, model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problems(operation: Operation) -> dict[str, Any]:
    """One response per status; its examples show each code."""
    kinds = {*ALWAYS, *operation.refusals}
    by_status: dict[int, list[type[Refusal]]] = {}
    for kind in PUBLISHED:
        if kind in kinds:
            by_status.setdefault(status_of(kind), []).append(kind)
    return {str(status): _problem(by_status[status]) for status in sorted(by_status)}


def _problem(kinds: list[type[Refusal]]) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    examples = {kind.code: {"value": _example(kind)} for kind in kinds}
    answer: dict[str, Any] = {
        "description": "; ".join(f"`{kind.code}`: {title_of(kind)}" for kind in kinds),
        "content": {PROBLEM_TYPE: {"schema": schema, "examples": examples}},
    }
    if status_of(kinds[0]) in {429, 503}:
        answer["headers"] = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
    return answer


def _example(kind: type[Refusal]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": f"/docs/errors/{kind.code}",
        "title": title_of(kind),
        "status": status_of(kind),
        "detail": title_of(kind),
        "code": kind.code,
        "request_id": "req_5kP0aQm2s8Vt",
    }
    if kind is errors.PayloadInvalid:
        body["detail"] = "1 field is wrong"
        body["errors"] = [
            {"pointer": "/max_pages", "code": "type_error", "detail": "expected a whole number, got a string"}
        ]
    return body


def _batch_payload(item: JsonSchema) -> JsonSchema:
    return {
        "type": "object",
        "properties": {"items": {"type": "array", "items": item, "minItems": 1, "maxItems": 1_000}},
        "required": ["items"],
        "additionalProperties": False,
    }


def _components() -> dict[str, Any]:
    models = [
        schemas.JobAccepted,
        schemas.Job,
        schemas.JobList,
        schemas.BatchAccepted,
        schemas.Batch,
        schemas.FlowList,
        schemas.ProblemDetails,
    ]
    _, definitions = models_json_schema(
        [(model, "serialization") for model in models], ref_template="#/components/schemas/{model}"
    )
    return {
        "schemas": definitions["$defs"],
        "parameters": json.loads(json.dumps(PARAMETERS)),
        "headers": json.loads(json.dumps(HEADERS)),
        "securitySchemes": {
            "ApiKey": {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key from Settings, API Keys. `X-API-Key: KEY` is accepted too.",
            }
        },
    }
