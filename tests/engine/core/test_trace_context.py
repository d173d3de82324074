"""Which trace headers of a caller are read, stored and forwarded."""

from __future__ import annotations

import time

import pytest

from engine.core.trace_context import TraceContext

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def read(**headers: str | list[str]) -> TraceContext:
    sent = {name: [value] if isinstance(value, str) else value for name, value in headers.items()}
    return TraceContext.of(lambda name: sent.get(name, []))


def test_three_headers_are_kept_and_sent_on_as_they_came():
    found = read(
        traceparent=PARENT, tracestate="congo=t61rcWkgMzE,rojo=00f067", baggage="user=ann%20b;p=1, tier = gold"
    )
    assert found.headers() == {
        "traceparent": PARENT,
        "tracestate": "congo=t61rcWkgMzE,rojo=00f067",
        "baggage": "user=ann%20b;p=1,tier = gold",
    }
    assert TraceContext.loads(found.dumps()) == found


@pytest.mark.parametrize(
    "found", [read(), read(traceparent=PARENT), read(baggage="a=b"), read(traceparent=PARENT, baggage="a=b")]
)
def test_what_is_left_out_stays_so(found: TraceContext):
    assert TraceContext.loads(found.dumps()) == found


def test_a_traceparent_alone_is_kept_as_it_is():
    """Older jobs have stored only the traceparent."""
    assert read(traceparent=PARENT).dumps() == PARENT
    assert read().dumps() is None
    assert TraceContext.loads(PARENT).headers() == {"traceparent": PARENT}


@pytest.mark.parametrize("value", ["01" + PARENT[2:], "01" + PARENT[2:] + "-more", "cc" + PARENT[2:] + "-"])
def test_a_later_version_is_read_as_the_one_that_is_known(value: str):
    assert read(traceparent=value, tracestate="a=1").headers() == {"traceparent": PARENT, "tracestate": "a=1"}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "01" + PARENT[2:] + "more",
        "ff" + PARENT[2:],
        PARENT.upper(),
        PARENT + "-00",
        PARENT[:-1],
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        [PARENT, PARENT],
    ],
)
def test_without_a_right_traceparent_there_is_no_tracestate_either(value: str | list[str]):
    assert read(traceparent=value, tracestate="a=1", baggage="b=2").headers() == {"baggage": "b=2"}


@pytest.mark.parametrize(
    "value",
    ["a", "A=1", "a=", "a=1=2", "a=é", "=1", "a=1,,b", "a=" + "x" * 300, ",".join(f"k{n}=1" for n in range(33))],
)
def test_a_malformed_tracestate_is_left_out(value: str):
    assert read(traceparent=PARENT, tracestate=value).headers() == {"traceparent": PARENT}


@pytest.mark.parametrize("value", ["a", "a b=c", 'a="c"', "a=b;", "a=b c", "a=\\", "=x", "a=é"])
def test_malformed_baggage_is_left_out(value: str):
    assert read(traceparent=PARENT, baggage=value).headers() == {"traceparent": PARENT}


def test_baggage_with_blanks_and_properties_is_kept():
    value = "a \t= b\t; c ;d = e ; f =;g"
    assert read(baggage=value).headers() == {"baggage": value}


def test_malformed_baggage_of_many_properties_takes_no_time():
    for properties in (10, 1_000):
        begun = time.thread_time()
        assert read(baggage="a=   " + ";b=   " * properties + '"').headers() == {}
        assert time.thread_time() - begun < 0.1, properties


def test_sizes_are_bounded():
    fits = ",".join(f"k{number}={'x' * 200}" for number in range(2)) + ",last=" + "x" * (512 - 413)
    assert read(traceparent=PARENT, tracestate=fits[:512]).tracestate == fits[:512]
    assert read(traceparent=PARENT, tracestate=fits[:512] + "x").tracestate is None
    assert read(baggage="a=" + "x" * 8_190).baggage is not None
    assert read(baggage="a=" + "x" * 8_191).baggage is None


def test_a_header_in_several_lines_is_one_list():
    assert read(traceparent=PARENT, tracestate=["a=1", "b=2"]).tracestate == "a=1,b=2"
