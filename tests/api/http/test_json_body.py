from __future__ import annotations

import tracemalloc

import pytest

from api.http.json_body import parse_json, weighed_batch, weighed_object
from engine.core.errors import InvalidJson, PayloadInvalid


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def keys(count: int) -> bytes:
    return b"{" + b",".join(b'"k%d":"v"' % number for number in range(count)) + b"}"


def batch(*items: bytes) -> bytes:
    return b'{"items":[' + b",".join(items) + b"]}"


ACCEPTED = [
    (b'{"a": 1}', {"a": 1}),
    (b'{"a": 5.0}', {"a": 5.0}),
    (b'{"a": 1e3}', {"a": 1000.0}),
    (b'{"a": -9223372036854775808}', {"a": -(2**63)}),
    (b'{"a": 9223372036854775807}', {"a": 2**63 - 1}),
    ('{"ä": "ö 🎈"}'.encode(), {"ä": "ö 🎈"}),
    (b'{"a": "\\ud83c\\udf88"}', {"a": "🎈"}),
    (b'{"a": "[[[[{{{{\\"::::"}', {"a": '[[[[{{{{"::::'}),
    (b'{"a": "\\u0000"}', {"a": "\x00"}),
    (nested(64), None),
    (b'{"a": [' + b",".join([b"[]"] * 1000) + b"]}", None),
    (b'{"a": [' + b"1," * 199_990 + b"1]}", None),
    (b'{"a": "' + b'[],\\"' * 300_000 + b'"}', None),
    (keys(10_000), None),
]

REFUSED = [
    (b"{", "line 1, column 2"),
    (b"{'a': 1}", "line 1"),
    (b'{"a": 1,}', "line 1"),
    (b'{"a": 01}', "line 1"),
    (b"nope", "line 1"),
    (b'{"a": NaN}', "NaN"),
    (b'{"a": -Infinity}', "Infinity"),
    (b'{"a": 1e999}', "too large"),
    (b'{"a": 9223372036854775808}', "64 bit"),
    (b'{"a": ' + b"9" * 10_000 + b"}", "64 bit"),
    (b'{"a": 1, "a": 2}', '"a"'),
    (b'{"b": {"a": 1, "a": 1}}', '"a"'),
    (b'{"a": "\xff"}', "UTF-8"),
    (b'\xef\xbb\xbf{"a": 1}', "BOM"),
    (b'{"a": "\\ud800"}', "surrogate"),
    (b'{"\\udfff": 1}', "surrogate"),
    (nested(65), "64 levels"),
    (nested(100_000), "64 levels"),
    (b"[" * 200_000, "64 levels"),
    (b'{"a":' * 5_000, "64 levels"),
    (keys(10_001), "It has 10,001 keys; 10,000 are allowed"),
    (keys(199_000), "It has 199,000 keys; 10,000 are allowed"),
    (batch(*[keys(11)] * 1_000), "11,001 keys"),
    (b'{"a": [' + b"1," * 200_000 + b"1]}", "200,000 values"),
    (b'{"a": [' + b"[]," * 200_000 + b"[]]}", "200,000 values"),
    (b'{"a": [' + b'"",' * 220_000 + b'""]}', "200,000 values"),
    (b'{"a": [' + b'"",' * 420_000 + b'""]}', "200,000 values"),
    (b'{"a": [' + (b"[" * 60 + b"]" * 60 + b",") * 4_000 + b"1]}", "200,000 values"),
    (b'{"a": "line\nbreak"}', "line 1"),
    (b'{"a": 1} {"b": 2}', "line 1"),
]


@pytest.mark.parametrize(("body", "value"), ACCEPTED, ids=[str(number) for number in range(len(ACCEPTED))])
def test_json_within_the_limits_is_read(body: bytes, value: object):
    read = parse_json(body)
    assert value is None or read == value


@pytest.mark.parametrize(("body", "word"), REFUSED, ids=[str(number) for number in range(len(REFUSED))])
def test_json_beyond_the_limits_is_refused_with_the_reason(body: bytes, word: str):
    with pytest.raises(InvalidJson) as caught:
        parse_json(body)
    assert word in caught.value.detail


@pytest.mark.parametrize(
    "body", [b"{", b'{"a"', b'{"a":', b'{"a":1', b"{}x", b'"a', b'"\n"', b'"\\x"', b'"\\u12"', b"[1,]"]
)
def test_a_syntax_error_is_told_in_plain_words_with_its_place(body: bytes):
    with pytest.raises(InvalidJson, match=r", at line \d, column \d") as refused:
        parse_json(body)
    assert "Expecting" not in refused.value.detail
    assert "It is no JSON" not in refused.value.detail


def test_the_keys_of_a_batch_are_limited_for_each_item():
    within = batch(*[keys(100)] * 1_000, keys(10_000))
    beyond = batch(*[keys(100)] * 17, b'{"deep": [[%s], "a"]}' % keys(10_000))

    assert len(weighed_batch(within).value["items"]) == 1_001
    with pytest.raises(InvalidJson) as refused:
        weighed_batch(beyond)
    assert refused.value.detail == "The item `/items/17` has 10,001 keys; 10,000 are allowed"
    with pytest.raises(InvalidJson, match="200,000 values"):
        weighed_batch(batch(*[keys(100)] * 1_000, keys(101_000)))
    with pytest.raises(PayloadInvalid):
        weighed_batch(b"[1]")
    assert (
        len(weighed_batch(b'{"items": %s}' % keys(10_001)).value["items"]) == 10_001
    )  # is no list, which is told later


def test_too_many_values_are_refused_before_there_is_an_object_for_each():
    body = b'{"a":[' + b"[]," * 3_000_000 + b"[]]}"
    tracemalloc.start()
    try:
        with pytest.raises(InvalidJson) as caught:
            parse_json(body)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 6 * len(body)
    assert "Split the request" in str(caught.value)


def test_a_whole_number_stays_one_and_a_decimal_does_not_become_one():
    value = parse_json(b'{"a": 5, "b": 5.0}')
    assert isinstance(value["a"], int)
    assert isinstance(value["b"], float)


@pytest.mark.parametrize(
    ("body", "word"),
    [(b"[1]", "a list"), (b'"x"', "a string"), (b"null", "null"), (b"3", "a number"), (b"true", "true")],
)
def test_a_body_that_is_no_object_is_a_type_error_at_its_root(body: bytes, word: str):
    with pytest.raises(PayloadInvalid) as caught:
        weighed_object(body)
    assert [(error.pointer, error.code) for error in caught.value.errors] == [("", "type_error")]
    assert word in caught.value.errors[0].detail


def test_no_refusal_quotes_a_value():
    for body in (b'{"secret": "hunter2" "x"}', b'{"secret": hunter2}', b'{"secret": "hunter2\xff"}'):
        with pytest.raises(InvalidJson) as caught:
            parse_json(body)
        assert "hunter2" not in str(caught.value)
