"""Creates the OpenAPI 3.1 document of the public API from its routes, and the document of one flow, which has the
flow's own fields.
"""

from __future__ import annotations

import copy
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from msgspec import Struct
from starlette.routing import BaseRoute

from api.docs.portable_schema import portable
from api.docs.webhooks import own_schemas, webhooks
from api.http.problem_examples import NOT_FOUND, OF_CALLS, WRONG_FIELDS
from api.http.problem_json import PROBLEM_TYPE, RequestTimeout
from api.http.route_classes import with_headers
from engine.core.unicode_forms import normalized
from engine.flow.contract import FILE_AS_OBJECT, example_payload, input_fields, payload_schema, result_schema
from engine.flow.document import Document
from engine.flow.person_questions import asks_person
from engine.nodes import CATALOG

JsonSchema = dict[str, Any]
VERSION = "1"

_TAGS = [
    {"name": "flows", "description": "Run deployed flows, and see which ones a key may run."},
    {"name": "jobs", "description": "Read, follow and cancel what was accepted."},
    {"name": "files", "description": "Upload files for flows, and download what jobs made."},
    {"name": "documents", "description": "This API as OpenAPI, whole or of one flow."},
    {
        "name": "webhooks",
        "description": "What this server sends to your address when a job or a batch has ended, and when a job asks a person. The addresses that other "
        "services call to start a flow are no part of this document: each is made on the page of its flow for one "
        "service, and that service decides what it sends.",
    },
]
#: Header -> its description and an example.
_HEADERS: dict[str, tuple[str, str | int]] = {
    "Accept-Ranges": ("A part of the file can be asked for with `Range`.", "bytes"),
    "Allow": ("The methods this address takes.", "GET, HEAD"),
    "Cache-Control": (
        "Whether the answer may be kept: not with `no-store`, or `private, no-store` for a file. `private, no-cache` for a job that is read: the caller may keep it and asks with `If-None-Match` whether it has changed.",
        "no-store",
    ),
    "Content-Disposition": (
        "The name of the file, in ASCII and in full; browsers save it instead of showing it.",
        "attachment; filename=\"invoice.pdf\"; filename*=UTF-8''invoice.pdf",
    ),
    "Content-Range": (
        "Which bytes these are, and of how many; in a 416 only how many there are.",
        "bytes 0-1023/48213",
    ),
    "Content-Security-Policy": ("A browser runs nothing of the file.", "sandbox; default-src 'none'"),
    "Cross-Origin-Resource-Policy": ("A page of another site may not embed the file.", "same-origin"),
    "ETag": (
        "Changes when the job does, that of a file never; send it as `If-None-Match`.",
        '"5f2c7b9d0e1a4c3f8b6d2e7a9c0f1b3d"',
    ),
    "Idempotent-Replayed": (
        "`true` when an earlier request with this Idempotency-Key made the job, the batch or the file.",
        "true",
    ),
    "Last-Modified": ("When the file was stored.", "Sat, 31 Jan 2026 12:00:00 GMT"),
    "Location": ("Path of the job, batch or file.", "/public/v1/jobs/job_3nXq8TfW2LrKc0ZbYp5VdA"),
    "Preference-Applied": (
        "How long the call was ready to wait, whether `wait` or `Prefer` asked for it. Not at a 202.",
        "wait=30",
    ),
    "RateLimit": (
        "What is left, by the limit of the key's environment or of the key, whichever has less left, at the moment the call was accepted or refused: `r` is what is left, `t` the seconds until it is whole again.",
        '"concurrency";r=3, "monthly";r=871;t=554400, "requests";r=49;t=1',
    ),
    "RateLimit-Policy": (
        "The limits: `q` is how much, `w` in how many seconds; of `monthly` these are the seconds of the calendar month in UTC, of `requests` those in which what is used comes back, evenly.",
        '"concurrency";q=4, "monthly";q=1000;w=2678400, "requests";q=50;w=1',
    ),
    "Retry-After": ("Seconds to wait before the next call; of a job or batch, only while it has not ended.", 2),
    "WWW-Authenticate": ("How to send the key.", "Bearer"),
    "X-Accel-Buffering": ("A proxy like nginx passes the stream on as it comes.", "no"),
    "X-Content-Type-Options": ("A browser takes the answer for nothing but its `Content-Type`.", "nosniff"),
    "X-Request-Id": ("The id of this request.", "req_5kP0aQm2s8Vt"),
}
#: The headers that every response has.
_ALWAYS = ("Cache-Control", "X-Content-Type-Options", "X-Request-Id")
_SECURITY = {
    "ApiKey": {"type": "http", "scheme": "bearer", "description": "An API key from Settings, API Keys."},
    "ApiKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key, sent so."},
}


_ASKS = (
    "It asks a person: a job waits for the answer, for days if it must. Meanwhile its `status` is `processing`, its "
    "`waiting_for` is `person`, and its list of questions has the link at which the person answers."
)


class FlowContract(Struct, frozen=True):
    """What the document of a flow contains: the request and result schemas of its live version, and a valid payload
    (None when none was found). `asks_person` tells whether a step of its own asks a person.
    """

    flow_id: str
    title: str
    description: str
    version: int
    request: JsonSchema
    result: JsonSchema
    sample: dict[str, Any] | None
    asks_person: bool = False


def contract_of(document: Document, *, flow_id: str, title: str, description: str, version: int) -> FlowContract:
    """Returns the contract of this version of a flow."""
    return FlowContract(
        flow_id=flow_id,
        title=title,
        description=description,
        version=version,
        request=payload_schema(input_fields(document), with_null=True),
        result=result_schema(document, CATALOG),
        sample=example_payload(document),
        asks_person=asks_person(document, CATALOG),
    )


def whole_document(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """Returns the OpenAPI document of these routes, without `servers`."""
    document = get_openapi(
        title="Flowport public API",
        version=VERSION,
        description="Run deployed flows and read their jobs. Every call needs an API key, only this document is for everybody; "
        "every error is `application/problem+json` (RFC 9457). Nothing is converted: a whole number is written `5`, neither `5.0` nor "
        '`"5"`, and fits in signed 64 bit (-2^63 to 2^63-1). `null` for a field that may be left out is the same as leaving it out.',
        routes=routes,
        tags=_TAGS,
        contact={"name": "The people who run this server"},
        license_info={"name": "MIT", "identifier": "MIT"},
    )
    document["webhooks"] = webhooks()
    schemas = document["components"]["schemas"]
    document["components"]["schemas"] = schemas | {
        name: one for name, one in own_schemas().items() if name not in schemas
    }
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    for operation in operations:
        _mend(operation)
    for operation in operations:
        _add_request_id(operation, operations)
    for path, calls in document["paths"].items():
        for method, operation in calls.items():
            _fit_examples(path, method.upper(), operation)
    for schema in document["components"]["schemas"].values():
        if "examples" in schema:
            schema["examples"] = [_with_nulls(schema, one) for one in schema["examples"]]
    for name, schema in document["components"]["schemas"].items():
        if name not in _SENT:  # clients must accept unknown fields in responses, because later versions may add some
            schema.pop("additionalProperties", None)
    for content in _streams(
        document["paths"]
    ):  # tools do not follow references in extensions, and would report the schema as unused
        content["x-itemSchema"] = _without_references(content["x-itemSchema"], document["components"]["schemas"])
    document["security"] = [{name: []} for name in _SECURITY]
    headers = {
        name: {
            "description": said,
            "schema": {"type": "integer" if isinstance(example, int) else "string"},
            "example": example,
        }
        for name, (said, example) in _HEADERS.items()
    }
    document["components"] |= {"headers": headers, "securitySchemes": _SECURITY}
    return _without_unused(document)


def served_at(document: dict[str, Any], server_url: str) -> dict[str, Any]:
    """Returns the document with the URL of the server, as `servers` and for the contact."""
    contact = {**document["info"]["contact"], "url": f"{server_url}/docs"}
    return {**document, "info": {**document["info"], "contact": contact}, "servers": [{"url": server_url}]}


def flow_document(whole: dict[str, Any], contract: FlowContract, server_url: str) -> dict[str, Any]:
    """Returns the document of one flow: its own path and schemas, and the calls that read its jobs. `whole` is the
    document of the API. It is long and shared by all requests, so only the parts that differ are copied.
    """
    own = dict(whole["components"]["schemas"])
    document = {**whole, "components": {**whole["components"], "schemas": own}}
    examples = {} if contract.sample is None else {"examples": [contract.sample]}
    request = _with_sent_file(portable(contract.request))
    own["Payload"] = {**request, "title": "Payload", **examples}
    own["SentFile"] = {**FILE_AS_OBJECT, "title": "SentFile"}
    own["Job"] = copy.deepcopy(own["Job"])
    own["Job"].pop("examples")  # the result in the example is that of another flow
    own["Result"] = {**portable(contract.result, of_answer=True), "title": "Result"}
    result = own["Job"]["properties"]["result"]
    result |= {"anyOf": [{"$ref": "#/components/schemas/Result"}, {"type": "null"}]}
    slug = slug_of(contract.title, contract.flow_id)
    asks = _ASKS if contract.asks_person else ""
    paths: dict[str, Any] = {}
    shown_calls = {*_OF_A_FLOW}
    if _has_file(contract.request):
        shown_calls.add("upload_file")
    if _has_file(contract.result):
        shown_calls.add("download_file")
    for path, operations in document["paths"].items():
        kept = {method: dict(call) for method, call in operations.items() if call["operationId"] in shown_calls}
        for call in kept.values():
            if call["operationId"] == "run_flow":
                if contract.request.get("required"):
                    call["requestBody"] = {**call["requestBody"], "required": True}
                call["summary"] = f"Run {contract.title}"
                call["description"] = "\n\n".join(filter(None, (contract.description, asks, call["description"])))
            call["operationId"] = call["operationId"].replace("run_flow", f"run_{slug}")
            call["parameters"] = [one for one in call["parameters"] if (one["in"], one["name"]) != ("path", "flow_id")]
        if kept:
            paths[path.replace("{flow_id}", contract.flow_id)] = kept
    told = "\n\n".join(filter(None, (contract.description or f"Runs the flow “{contract.title}”.", asks)))
    info = {**document["info"], "title": contract.title, "description": told, "version": str(contract.version)}
    shown = [*paths.values(), *document["webhooks"].values()]
    used = {tag for calls in shown for call in calls.values() for tag in call["tags"]}
    tags = [tag for tag in document["tags"] if tag["name"] in used]
    return served_at(_without_unused({**document, "info": info, "tags": tags, "paths": paths}), server_url)


def _with_sent_file(part: Any) -> Any:
    """Returns a part of a schema in which every file sent as an object refers to `SentFile`. Client generators would give
    the same name to the objects of all files of a flow, and leave its calls out.
    """
    if isinstance(part, list):
        return [_with_sent_file(one) for one in part]
    if not isinstance(part, dict):
        return part
    if part == FILE_AS_OBJECT:
        return {"$ref": "#/components/schemas/SentFile"}
    return {name: _with_sent_file(one) for name, one in part.items()}


def _has_file(part: Any) -> bool:
    """Whether a part of a schema is that of a file, or holds one."""
    if isinstance(part, list):
        return any(_has_file(one) for one in part)
    return isinstance(part, dict) and (part.get("format") == "file" or any(_has_file(one) for one in part.values()))


def slug_of(title: str, fallback: str) -> str:
    """Returns a title as part of an operationId: lower-case letters, digits and `_`, which stands for blanks and signs."""
    # accents (M) and what is invisible inside a word (Cf) leave no gap
    parts = (
        one if unicodedata.category(one) == "Cf" or unicodedata.category(one)[0] in "LNM" else " "
        for one in normalized("NFKD", title)
    )
    plain = "".join(parts).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:60] or re.sub(r"[^a-z0-9]+", "_", fallback.lower())


#: Calls that the document of every flow has; it has those for files when the flow takes or gives some.
_OF_A_FLOW = {
    "run_flow",
    "run_flow_batch",
    "get_job",
    "cancel_job",
    "erase_job_data",
    "stream_job_events",
    "list_job_questions",
    "answer_question",
    "get_batch",
    "get_batch_results",
    "cancel_batch",
}


_COMPONENTS = "#/components/"
#: Keys of a document whose values are data.
_DATA = frozenset({"const", "default", "enum", "example", "examples"})
#: Bodies of requests; all others are bodies of responses.
_SENT = {"Payload", "BatchPayload", "QuestionAnswer"}


def _mend(operation: dict[str, Any]) -> None:
    """Corrects what FastAPI generates by default and this API does differently: titles, the media type of streams, the
    JSON media type of problems, 422 for invalid parameters, and the body of a submit, which may be empty.
    """
    if operation["operationId"] == "run_flow":
        operation["requestBody"].pop("required", None)
    for parameter in operation.get("parameters", ()):
        del parameter["schema"]["title"]
        parameter["schema"].pop("description", None)
    for status, answer in list(operation["responses"].items()):
        answer["headers"] = answer.get("headers", {}) | with_headers(*_ALWAYS)["headers"]
        if "HTTPValidationError" in str(answer):
            del operation["responses"][status]
        elif status >= "4":
            schema = {name: part for content in answer["content"].values() for name, part in content.items()}
            answer["content"] = {PROBLEM_TYPE: schema}
        elif "content" in answer:
            for kind, content in answer["content"].items():
                content["schema"].pop("title", None)
                if kind in {"text/event-stream", "application/x-ndjson"}:
                    content["schema"] = {}


def _add_request_id(operation: dict[str, Any], operations: Sequence[Mapping[str, Any]]) -> None:
    """Adds the header X-Request-Id, which every call takes; routes of submits declare it."""
    declared = next(one for other in operations for one in other.get("parameters", ()) if one["name"] == "X-Request-Id")
    parameters = operation.setdefault("parameters", [])
    if declared not in parameters:
        parameters.append(declared)


def _fit_examples(path: str, method: str, operation: dict[str, Any]) -> None:
    """Fits the examples of problems to this call. Before that, all calls have the same ones."""
    name = operation["operationId"]
    answers = operation["responses"]
    kinds = [kind for status, answer in answers.items() if status < "3" for kind in answer.get("content", ())]
    ids = re.findall(r"\{(\w+)\}", path)
    takes = [one["name"] for one in operation["parameters"] if one["in"] == "query"]
    details = {
        "method_not_allowed": f"PUT was sent; allowed here: {'GET, HEAD' if method == 'GET' else method}",
        "not_acceptable": f"This call answers with {kinds[0]}",
        **({"not_found": NOT_FOUND[ids[-1]]} if ids else {}),
        **({} if "requestBody" in operation else {"request_timeout": RequestTimeout.remedy}),  # only a head can be late
        **OF_CALLS.get(name, {}),
    }
    if "wait" not in takes:
        known = ", ".join(takes) or "none"
        details["invalid_parameter"] = f"`page` is no parameter of this address; it takes {known}"
    for status, answer in answers.items():
        for code, example in answer["content"][PROBLEM_TYPE]["examples"].items() if status >= "4" else ():
            value = example["value"]
            value["detail"] = details.get(code, value["detail"])
            if code == "validation_failed":
                value["errors"][0] |= WRONG_FIELDS.get(name, {})


def _streams(paths: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in paths.values():
        for operation in path.values():
            for answer in operation["responses"].values():
                yield from (content for content in answer.get("content", {}).values() if "x-itemSchema" in content)


def _without_references(part: Any, schemas: dict[str, Any]) -> Any:
    """Returns a part of a document with its references replaced by the schemas that they refer to."""
    if isinstance(part, list):
        return [_without_references(one, schemas) for one in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _without_references(schemas[part["$ref"].rpartition("/")[2]], schemas)
    return {name: _without_references(one, schemas) for name, one in part.items()}


def _with_nulls(schema: JsonSchema, example: Any) -> Any:
    """Returns the example of a model with its null fields, which FastAPI leaves out."""
    if not isinstance(example, dict):
        return example
    required = schema.get("required", ())
    fields = {name: example.get(name) for name in schema.get("properties", ()) if name in required or name in example}
    return {**fields, **example}


def _without_unused(document: dict[str, Any]) -> dict[str, Any]:
    """Returns the document without components that nothing refers to."""
    components = document["components"]
    kinds = [kind for kind in components if kind != "securitySchemes"]
    used: set[str] = set()
    waiting = [document["paths"], document["webhooks"]]
    while waiting:
        found = {reference.removeprefix(_COMPONENTS) for reference in _references(waiting.pop())} - used
        used |= found
        waiting += [components[kind][name] for kind, name in (one.split("/") for one in found)]
    kept = {kind: {name: part for name, part in components[kind].items() if f"{kind}/{name}" in used} for kind in kinds}
    return {**document, "components": {**components, **kept}}


def _references(part: Any, *, is_map: bool = False) -> Iterator[str]:
    """Yields the references in a part of a document. What a flow has as an example, a default or an allowed value is data,
    and may look like a reference. `is_map`: the keys are names of fields, and may be any text.
    """
    if isinstance(part, list):
        for one in part:
            yield from _references(one)
    elif isinstance(part, dict):
        for name, one in part.items():
            if is_map:
                yield from _references(one)
            elif name == "$ref":
                yield one
            elif name not in _DATA:
                yield from _references(one, is_map=name == "properties")
