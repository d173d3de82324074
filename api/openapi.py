"""OpenAPI 3.1 of the public API as FastAPI writes it from the routes, and of one flow: the same with the flow's own fields."""

from __future__ import annotations

import copy
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from api.errors import PROBLEM_TYPE

JsonSchema = dict[str, Any]
VERSION = "1"

_HEADERS: dict[str, dict[str, Any]] = {
    "Location": {"description": "Path of the job or batch.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait before the next call.", "schema": {"type": "integer"}},
    "RateLimit": {
        "description": 'What is left, like `"concurrency";r=3, "monthly";r=871;t=554400, "requests";r=49;t=1`: jobs at once and '
        "requests of the month by the limit of the key's environment or of the key, whichever has less left.",
        "schema": {"type": "string"},
    },
}
_SECURITY = {
    "ApiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key from Settings, API Keys. `X-API-Key: KEY` is accepted too.",
    }
}


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


def whole_document(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """The document of these routes, without the address of a server."""
    document = get_openapi(
        title="Flowport public API",
        version=VERSION,
        description="Run deployed flows and read their jobs. Every call needs an API key; every error is "
        "`application/problem+json` (RFC 9457). Nothing is converted: a whole number is written `5`, neither `5.0` nor "
        '`"5"`, and fits in 64 bit.',
        routes=routes,
    )
    for path in document["paths"].values():
        for operation in path.values():
            _mend(operation)
    document["security"] = [{name: []} for name in _SECURITY]
    document["components"] |= {"headers": _HEADERS, "securitySchemes": _SECURITY}
    return _without_unused(document)


def served_at(document: dict[str, Any], server_url: str) -> dict[str, Any]:
    """The document with the address of the server."""
    return {**document, "servers": [{"url": server_url}]}


def flow_document(whole: dict[str, Any], contract: FlowContract, server_url: str) -> dict[str, Any]:
    """One flow: its concrete path, its own schemas, and the calls that read its jobs. `whole` is the API's document."""
    document = copy.deepcopy(whole)
    own = document["components"]["schemas"]
    own["Payload"] = {**contract.request, "title": "Payload", "examples": [contract.sample]}
    own["Result"] = {**contract.result, "title": "Result"}
    result = own["Job"]["properties"]["result"]
    result |= {"anyOf": [{"$ref": "#/components/schemas/Result"}, {"type": "null"}]}
    slug = slug_of(contract.title, contract.flow_id)
    paths: dict[str, Any] = {}
    for path, operations in document["paths"].items():
        kept = {method: call for method, call in operations.items() if call["operationId"] in _OF_A_FLOW}
        for call in kept.values():
            if call["operationId"] == "run_flow":
                call["summary"] = f"Run {contract.title}"
                call["description"] = f"{contract.description}\n\n{call['description']}".strip()
            call["operationId"] = call["operationId"].replace("run_flow", f"run_{slug}")
            call["parameters"] = [one for one in call["parameters"] if (one["in"], one["name"]) != ("path", "flow_id")]
        if kept:
            paths[path.replace("{flow_id}", contract.flow_id)] = kept
    info = {"title": contract.title, "description": contract.description, "version": str(contract.version)}
    return served_at(_without_unused({**document, "info": info, "paths": paths}), server_url)


def slug_of(title: str, fallback: str) -> str:
    """A title as a part of an operationId: lower case letters, digits and `_`."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:60] or re.sub(r"[^a-z0-9]+", "_", fallback.lower())


_OF_A_FLOW = {
    "run_flow",
    "run_flow_batch",
    "get_job",
    "cancel_job",
    "stream_job_events",
    "get_batch",
    "get_batch_results",
    "cancel_batch",
}


def _mend(operation: dict[str, Any]) -> None:
    """What FastAPI takes for granted and this API does not: titles, a type of streams, JSON for problems, 422 for what is wrong."""
    for parameter in operation.get("parameters", ()):
        del parameter["schema"]["title"]
        parameter["schema"].pop("description", None)
    for status, answer in list(operation["responses"].items()):
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


def _without_unused(document: dict[str, Any]) -> dict[str, Any]:
    """The document without components that nothing in it refers to."""
    components = document["components"]
    kinds = [kind for kind in components if kind != "securitySchemes"]
    used: set[str] = set()
    waiting = [document["paths"]]
    while waiting:
        found = set(re.findall(r"'#/components/(\w+/[\w.-]+)'", str(waiting.pop()))) - used
        used |= found
        waiting += [components[kind][name] for kind, name in (one.split("/") for one in found)]
    kept = {kind: {name: part for name, part in components[kind].items() if f"{kind}/{name}" in used} for kind in kinds}
    return {**document, "components": {**components, **kept}}
