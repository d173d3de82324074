from __future__ import annotations

import importlib
import json
import pkgutil

import pytest

import api
import engine
from api.http.problem_json import PUBLISHED, STATUSES, MethodNotAllowed, problem_response, status_of, title_of
from engine.core.errors import FieldError, PayloadInvalid, Refusal, ShuttingDown, Unauthorized

#: The published codes and their statuses. Callers rely on them, so this table is written by hand.
DOCUMENTED = {
    "validation_failed": 400,
    "invalid_json": 400,
    "invalid_upload": 400,
    "invalid_parameter": 400,
    "malformed_request": 400,
    "unauthorized": 401,
    "signature_invalid": 401,
    "not_allowed": 403,
    "file_space_full": 403,
    "not_found": 404,
    "flow_not_deployed": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "request_timeout": 408,
    "idempotency_in_progress": 409,
    "job_not_cancellable": 409,
    "batch_not_cancellable": 409,
    "job_not_ended": 409,
    "hook_paused": 409,
    "question_closed": 409,
    "job_expired": 410,
    "body_too_large": 413,
    "file_too_large": 413,
    "address_too_long": 414,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416,
    "idempotency_key_reused": 422,
    "concurrency_limit_exceeded": 429,
    "monthly_quota_exceeded": 429,
    "rate_limited": 429,
    "headers_too_large": 431,
    "internal": 500,
    "storage_unavailable": 503,
    "too_many_connections": 503,
    "shutting_down": 503,
}


def every_refusal() -> list[type[Refusal]]:
    for package in (engine, api):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    found, waiting = [], [Refusal]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return found


def test_the_published_codes_and_their_statuses_are_those_of_the_documentation():
    assert {kind.code: status_of(kind) for kind in PUBLISHED} == DOCUMENTED


def test_every_refusal_has_a_status_and_a_sentence():
    for kind in every_refusal():
        assert 400 <= status_of(kind) < 600, kind
        assert title_of(kind), kind
        assert not title_of(kind).endswith("."), kind


def test_a_code_has_one_status_wherever_it_is_raised():
    for kind in every_refusal():
        if kind.code in DOCUMENTED:
            assert status_of(kind) == DOCUMENTED[kind.code], kind


def test_a_code_has_one_title_wherever_it_is_raised():
    for published in PUBLISHED:
        for kind in every_refusal():
            if issubclass(kind, published) and kind.code == published.code:
                assert title_of(kind) == title_of(published), kind


def test_the_table_lists_no_class_twice_with_the_status_of_its_parent():
    for kind, status in STATUSES.items():
        if kind is not Refusal and kind.__mro__[1] is not Refusal:
            assert status != status_of(kind.__mro__[1]), kind


def test_a_problem_has_the_published_shape():
    wrong = FieldError("/max_pages", "type_error", "expected a whole number, got a string")
    response = problem_response(PayloadInvalid("1 field is wrong", errors=(wrong,)), "req_1")

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert json.loads(response.body) == {
        "type": "/docs/errors/validation_failed",
        "title": "The request body does not fit what this call takes",
        "status": 400,
        "detail": "1 field is wrong",
        "code": "validation_failed",
        "request_id": "req_1",
        "error_count": 1,
        "errors": [{"pointer": "/max_pages", "code": "type_error", "detail": "expected a whole number, got a string"}],
    }


@pytest.mark.parametrize(
    ("refusal", "header", "value"),
    [
        (Unauthorized(), "www-authenticate", "Bearer"),
        (MethodNotAllowed("PUT", ("GET", "HEAD")), "allow", "GET, HEAD"),
        (ShuttingDown(), "retry-after", "5"),
        (ShuttingDown(retry_after=9), "retry-after", "9"),
    ],
)
def test_a_status_brings_its_header(refusal: Refusal, header: str, value: str):
    assert problem_response(refusal, "req_1").headers[header] == value
