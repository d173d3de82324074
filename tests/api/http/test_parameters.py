from __future__ import annotations

from functools import partial

import pytest
from starlette.requests import Request

from api.app import ROUTES
from api.http import parameters
from api.http.problem_json import NotAcceptable
from api.http.request_ids import request_id_from
from engine.core import job_status
from engine.core.errors import ParameterInvalid

CANCEL_AFTER = partial(parameters.number_header, name="Cancel-After", highest=parameters.MAX_CANCEL_AFTER)
FLOW_VERSION = partial(parameters.number_header, name="X-Flow-Version", highest=parameters.MAX_VERSION)
JOB = next(route for route in ROUTES if route.path.endswith("/jobs/{job_id}"))


def request(query: str = "", **headers: str) -> Request:
    """Builds a request for a job as its route gets it."""
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": query.encode(), "headers": sent}
    return Request({**scope, "route": JOB})


@pytest.mark.parametrize(
    ("query", "prefer", "seconds"),
    [
        ("", "", 0),
        ("wait=5", "", 5),
        ("wait=61", "", 60),
        ("wait=0", "wait=9", 0),
        ("", "wait=9", 9),
        ("", 'respond-async, wait="9"', 9),
        ("", "Wait = 9; x=1", 9),
        ("", "wait=999", 60),
        ("", "wait=" + "9" * 10_000, 60),
        ("", f'wait="{"0" * 10_000}9"', 9),
        ("", "wait=soon", 0),
        ("", "await=9", 0),
        ("", 'wait="4', 0),
        ("", 'foo="a,wait=9"', 0),
        ("", "return=minimal; wait=9", 0),
        ("", "Respond-Async; wait=9", 9),
        ("", "return=minimal; wait=9, wait=3", 3),
        ("", 'x="\\"", wait=3, wait=9', 3),
        ("", "wait=-1", 0),
    ],
)
def test_how_long_a_caller_waits(query: str, prefer: str, seconds: int):
    sent = request(query, prefer=prefer) if prefer else request(query)
    assert parameters.wait_seconds(sent, parameters.query(sent).get("wait")) == seconds


def test_a_blank_beyond_ascii_is_part_of_the_value_of_a_header():
    sent = Request({"type": "http", "headers": [(b"idempotency-key", b"a\xa0")]})
    with pytest.raises(ParameterInvalid, match="visible ASCII"):
        parameters.idempotency_key(sent)


@pytest.mark.parametrize("query", ["wait=soon", "wait=-1", "wait=1.5", "wait=", "wait=٣", "wait=1&wait=2", "wiat=1"])
def test_a_wrong_query_parameter_is_refused_by_its_name(query: str):
    sent = request(query)
    with pytest.raises(ParameterInvalid) as caught:
        parameters.wait_seconds(sent, parameters.query(sent).get("wait"))
    assert query.split("=", maxsplit=1)[0] in caught.value.detail


def test_a_query_parameter_without_a_name_is_told_as_such():
    with pytest.raises(ParameterInvalid) as caught:
        parameters.query(request("=1"))
    assert caught.value.detail == "The address has a parameter without a name; it takes wait"


@pytest.mark.parametrize(
    ("read", "name", "value"),
    [
        (parameters.idempotency_key, "idempotency_key", ""),
        (parameters.idempotency_key, "idempotency_key", "a b"),
        (parameters.idempotency_key, "idempotency_key", "x" * 256),
        (CANCEL_AFTER, "cancel_after", "0"),
        (CANCEL_AFTER, "cancel_after", "soon"),
        (CANCEL_AFTER, "cancel_after", "86401"),
        (FLOW_VERSION, "x_flow_version", "0"),
        (FLOW_VERSION, "x_flow_version", "v2"),
        (parameters.webhook_url, "x_webhook_url", "example.com"),
        (parameters.webhook_url, "x_webhook_url", "ftp://example.com"),
        (parameters.webhook_url, "x_webhook_url", "https://user:secret@example.com"),
        (parameters.webhook_url, "x_webhook_url", "https://"),
        (parameters.webhook_url, "x_webhook_url", "https://example.com:port/"),
        (parameters.webhook_url, "x_webhook_url", "https://example.com/a b"),
        (parameters.webhook_url, "x_webhook_url", "https://example.com/" + "x" * 2_000),
    ],
)
def test_a_wrong_header_is_refused_by_its_name(read, name: str, value: str):
    with pytest.raises(ParameterInvalid) as caught:
        read(request(**{name: value}))
    assert name.replace("_", "-") in caught.value.detail.lower()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://example.com/" + "x" * 2_000, "2,000 characters"),
        ("https://example.com:70000/", "port"),
        ("https://example.com:port/", "port"),
        ("https://example.com/a b", "%20"),
        ("https://b\u00fccher.example/", "xn--"),
        ("https://user:secret@example.com/", "password"),
        ("ftp://example.com/", "https://example.com/hook"),
        ("https://[::1/", "https://example.com/hook"),
        ("https://", "https://example.com/hook"),
        ("https://example.com:0443/", "begins with a 0"),
        ("https://example.com:/", "empty"),
        ("https://example.com\\b", "backslash"),
        ("https://example.com/a\\b", "backslash"),
        ("https://exa$mple.com/", "name"),
        ("https://-a.example/", "name"),
        ("https://example.com/a|b", "`|`"),
        ("https://example.com/a|b", "%7C"),
        ("https://example.com/a`b", "has a backtick in it; write it as %60"),
        ("https://example.com/a\tb", "%09"),
        ("https://example.com/100%", "%25"),
        ("https://example.com/a#b#c", "%23"),
    ],
)
def test_a_wrong_webhook_address_is_told_its_own_fault(url: str, told: str):
    with pytest.raises(ParameterInvalid) as caught:
        parameters.webhook_url(request(x_webhook_url=url))
    assert told in caught.value.detail
    assert "secret" not in caught.value.detail


#: Times of ISO 8601 that RFC 3339 does not have.
OTHER_ISO_8601 = [
    "2026-W05-6T12:00:00Z",
    "20260131T120000Z",
    "2026-01-31_12:00:00Z",
    "2026-01-31 12:00:00Z",
    "2026-01-31T12Z",
    "2026-01-31T12:00Z",
    "2026-01-31T12:00:00,5Z",
    "2026-01-31T12:00:00.Z",
    "2026-01-31T12:00:00+0100",
    "2026-01-31T12:00:00+01",
    "2026-01-31T12:00:00+01:00:00",
]


@pytest.mark.parametrize("text", ["2026-01-31t12:00:00z", "2026-01-31t14:00:00+02:00"])
def test_a_time_may_have_small_letters(text: str):
    assert parameters.moment("created_after", text) == 1769860800000


@pytest.mark.parametrize(
    "text",
    ["2026-02-30T12:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T12:00:00+01:60", "2026-01-31T12:00:61Z"],
)
def test_a_day_that_does_not_exist_is_told(text: str):
    with pytest.raises(ParameterInvalid, match="does not exist"):
        parameters.moment("created_after", text)


def test_right_headers_are_read():
    sent = request(
        idempotency_key="k-1",
        cancel_after="120",
        x_flow_version="7",
        x_webhook_url="https://example.com:8443/hook?a=1",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    assert parameters.idempotency_key(sent) == "k-1"
    assert CANCEL_AFTER(sent) == 120
    assert FLOW_VERSION(sent) == 7
    assert parameters.webhook_url(sent) == "https://example.com:8443/hook?a=1"
    assert parameters.webhook_url(request(x_webhook_url="HTTPS://example.com/")) == "HTTPS://example.com/"
    assert parameters.trace(sent) == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "value", ["", "junk", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "ff-" + "a" * 32 + "-b7ad6b7169203331-01"]
)
def test_a_malformed_trace_is_left_out(value: str):
    assert parameters.trace(request(traceparent=value)) is None


@pytest.mark.parametrize(
    ("accept", "fine"),
    [
        ("*/*", True),
        ("application/*", True),
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("text/html, application/json;q=0.5", True),
        ("text/html, */*;q=0.1", True),
        ("", True),
        ("text/html", False),
        ("application/json;q=0", False),
        ("application/json;q=0.0, */*", False),
        ("application/xml, text/*", False),
    ],
)
def test_the_accept_header_counts(accept: str, fine: bool):
    sent = request(accept=accept)
    if fine:
        parameters.check_accept(sent, "application/json")
    else:
        with pytest.raises(NotAcceptable):
            parameters.check_accept(sent, "application/json")


@pytest.mark.parametrize("text", ["2026-01-31T12:00:00Z", "2026-01-31T14:00:00+02:00", "2026-01-31T14:00:00 02:00"])
def test_a_time_needs_its_offset(text: str):
    assert parameters.moment("created_after", text) == 1769860800000


@pytest.mark.parametrize("text", ["2026-01-31T12:00:00", "yesterday", "", "99999-01-01T00:00:00Z", *OTHER_ISO_8601])
def test_anything_else_is_no_time(text: str):
    with pytest.raises(ParameterInvalid, match="must be a time with its time zone"):
        parameters.moment("created_after", text)


def test_a_leap_second_is_refused_as_one():
    with pytest.raises(ParameterInvalid, match="leap second"):
        parameters.moment("created_after", "2016-12-31T23:59:60Z")


@pytest.mark.parametrize("sent", ["abc", "A.b_c-1", "x" * 64])
def test_a_harmless_request_id_is_taken_over(sent: str):
    assert request_id_from(sent) == sent


@pytest.mark.parametrize("sent", [None, "", "a b", "x" * 65, "é", "a\n", "<script>"])
def test_any_other_request_id_is_replaced(sent: str | None):
    assert request_id_from(sent).startswith("req_")


def test_the_statuses_of_the_document_are_those_of_jobs():
    assert parameters.STATUSES == job_status.STATUSES
