"""The reference of the calls, generated from the OpenAPI document: each operation gets a page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from api.docs.schema_words import example_value, field_rows, plain_schema, rules, type_words
from api.http.problem_json import PROBLEM_TYPE
from engine.code_samples import (
    Answers,
    Examples,
    answer_examples,
    call_examples,
    code_examples,
    download_examples,
    upload_examples,
)

Json = Mapping[str, Any]
_METHODS = ("get", "post", "put", "patch", "delete")
_PLACES = (("path", "In the path"), ("query", "In the query"), ("header", "Headers"))
_ANSWERS: dict[str, Answers] = {
    "application/json": "json",
    "application/problem+json": "json",
    "application/jsonl": "lines",
    "application/x-ndjson": "lines",
    "text/event-stream": "events",
}
#: Values that the example of a call has instead of those of its model: a cancelled or erased job has no result, an
#: answered question is closed.
_LEFT_SO: dict[str, Json] = {
    "cancel_job": {
        "status": "cancelled",
        "result": None,
        "progress": {"steps_total": 4, "steps_done": 2, "items_failed": 0},
    },
    "answer_question": {
        "status": "approved",
        "answered_at": "2026-01-31T12:05:00.000Z",
        "answered_by": "API key Shop",
        "note": "Looks right",
        "link": None,
    },
    "erase_job_data": {"result": None, "data_erased_at": "2026-01-31T12:05:00.000Z"},
    "cancel_batch": {
        "status": "completed",
        "processing": 0,
        "cancelled": 1,
        "completed_at": "2026-01-31T12:00:04.000Z",
    },
}


class OperationPage(Struct, frozen=True):
    """The template variables of the page of one call. Rows are those of `schema_words.field_rows`; `path` has its
    parameters in braces.
    """

    id: str
    method: str
    path: str
    title: str
    description: tuple[str, ...]
    tag: str
    #: (location, rows) for the parameters in the path, the query and the headers; only locations with parameters.
    parameters: tuple[tuple[str, list[dict[str, Any]]], ...]
    #: {"rows", "kind", "value", "example", "description"}; None when the call takes no body.
    body: dict[str, Any] | None
    #: Each {"status", "description", "headers", "rows", "kind", "example"}; only statuses below 400.
    answers: tuple[dict[str, Any], ...]
    #: Each {"code", "status", "title"}.
    errors: tuple[dict[str, Any], ...]
    needs_key: bool
    answers_with: Answers

    def examples(self, base: str) -> Examples:
        """Returns code for the server with the URL `base`. Ids that the reader has to insert are written as FLOW_ID,
        JOB_ID, ...
        """
        url = base + re.sub(r"\{(\w+)\}", lambda name: name[1].upper(), self.path)
        sent = self.body["value"] if self.body else None
        if self.id == "run_flow":
            return code_examples(url, sent or {})
        if self.id == "answer_question":
            return answer_examples(url, sent or {})
        if self.id == "upload_file":
            return upload_examples(url)
        if self.id == "download_file":
            return download_examples(url)
        if self._takes("query", "wait"):
            url += "?wait=30"
        headers = self._takes("header", "Idempotency-Key")
        return call_examples(
            self.method,
            url,
            body=sent,
            answers=self.answers_with,
            with_idempotency_key=headers,
            needs_key=self.needs_key,
        )

    def _takes(self, place: str, name: str) -> bool:
        rows = dict(self.parameters).get(dict(_PLACES)[place], [])
        return any(row["name"] == name for row in rows)


def operation_pages(document: Json) -> dict[str, OperationPage]:
    """Returns every call of an OpenAPI document by its operationId, in the order of the document."""
    pages: dict[str, OperationPage] = {}
    for path, calls in document["paths"].items():
        shared = calls.get("parameters", ())
        for method in _METHODS:
            if method in calls:
                page = _page(document, path, method, calls[method], shared)
                pages[page.id] = page
    return pages


def _page(document: Json, path: str, method: str, call: Json, shared: Iterable[Json]) -> OperationPage:
    parameters = [_resolved(document, one) for one in (*shared, *call.get("parameters", ()))]
    responses = {status: _resolved(document, one) for status, one in sorted(call["responses"].items())}
    good = {status: one for status, one in responses.items() if status < "400"}
    left_so = _LEFT_SO.get(call["operationId"], {})
    answers = tuple(_answer(document, status, one, left_so) for status, one in good.items())
    kinds = [answer["kind"] for answer in answers if answer["kind"]]
    return OperationPage(
        id=call["operationId"],
        method=method.upper(),
        path=path,
        title=call.get("summary") or call["operationId"],
        description=_paragraphs(call),
        tag=next(iter(call.get("tags") or ()), ""),
        parameters=tuple(
            (title, rows)
            for place, title in _PLACES
            if (rows := [_parameter_row(document, one) for one in parameters if one["in"] == place])
        ),
        body=_body(document, call.get("requestBody")),
        answers=answers,
        errors=tuple(_errors(responses)),
        needs_key=bool(call.get("security", document.get("security"))),
        answers_with=_ANSWERS.get(kinds[0], "json") if kinds else "nothing",
    )


def _paragraphs(call: Json) -> tuple[str, ...]:
    """Returns the paragraphs of a description; none when it only repeats the title."""
    said = (call.get("description") or "").strip()
    return () if said in ("", call.get("summary")) else tuple(re.split(r"\n\s*\n", said))


def _resolved(document: Json, part: Json) -> Json:
    """Returns a parameter, response or header after following its reference."""
    while "$ref" in part:
        found: Any = document
        for step in str(part["$ref"]).removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def _parameter_row(document: Json, one: Json) -> dict[str, Any]:
    schema = plain_schema(one.get("schema") or {}, document)
    kinds = schema.get("type")
    if isinstance(kinds, list):  # an optional parameter cannot be sent as null
        schema["type"] = [kind for kind in kinds if kind != "null"]
    return {
        "name": one["name"],
        "type": type_words(schema),
        "required": bool(one.get("required")),
        "description": one.get("description") or schema.get("description", ""),
        "rules": rules(schema),
    }


def _body(document: Json, body: Json | None) -> dict[str, Any] | None:
    if body is None:
        return None
    kind, media = next(iter(_resolved(document, body)["content"].items()))
    schema = plain_schema(media.get("schema") or {}, document)
    is_form = kind == "multipart/form-data"
    value = None if is_form else _media_example(media, schema)
    return {
        "rows": field_rows(schema),
        "kind": kind,
        "value": value,
        "example": "" if is_form else _shown(value),  # a form is shown by the code of the call
        "description": schema.get("description", ""),
    }


def _answer(document: Json, status: str, response: Json, left_so: Json) -> dict[str, Any]:
    kind, media = next(iter((response.get("content") or {}).items()), ("", {}))
    schema = plain_schema(media.get("schema") or media.get("x-itemSchema") or {}, document)
    headers = {name: _resolved(document, one) for name, one in (response.get("headers") or {}).items()}
    example = _media_example(media, schema) if kind and (schema or "example" in media or "examples" in media) else None
    if isinstance(example, dict):
        example = {**example, **left_so}
    return {
        "status": status,
        "description": response["description"].rstrip("."),
        "headers": [_parameter_row(document, {**one, "name": name}) for name, one in headers.items()],
        "rows": field_rows(schema),
        "kind": kind,
        "example": "" if example in (None, {}) else _shown(example),
    }


def _media_example(media: Json, schema: Json) -> Any:
    """Returns an example of a body; None for the bytes of a file."""
    if schema.get("format") == "binary":
        return None
    if "example" in media:
        return media["example"]
    for named in (media.get("examples") or {}).values():
        return named.get("value")
    return example_value(schema)


def _shown(value: Any) -> str:
    return value.strip() if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _errors(responses: Mapping[str, Json]) -> Iterable[dict[str, Any]]:
    """Returns the codes in the examples of the responses from 400 on."""
    for status, response in responses.items():
        if not status.isdigit() or status < "400":
            continue
        media = (response.get("content") or {}).get(PROBLEM_TYPE) or {}
        examples = [named["value"] for named in (media.get("examples") or {}).values()]
        if "example" in media:
            examples.append(media["example"])
        for example in {example["code"]: example for example in examples}.values():
            yield {"code": example["code"], "status": int(status), "title": example["title"]}
