"""What a file is in a flow, in which forms it is sent, and how it is told to people."""

from __future__ import annotations

import base64
import re
import time
from ipaddress import ip_network
from typing import Any

import pytest

from engine.flow.contract import example_payload, payload_schema, sample_payload
from engine.flow.document import Document
from engine.flow.draft_fields import fields_from_json
from engine.flow.file_values import (
    SENT_AS_TEXT,
    check_sent_file,
    file_value,
    has_kind,
    is_file_value,
    looks_like_file,
    map_files,
    media_type_in_words,
    read_data_url,
    sent_files,
    size_in_words,
    takes_files,
)
from engine.flow.payload_check import check_payload, json_type
from engine.outbound.addresses import Forbidden, Guard, port_of, read_url
from engine.outbound.allow_list import Allowed
from engine.outbound.errors import BadUrl

ID = "file_" + "0" * 22
VALUE = file_value(ID, "a.pdf", "application/pdf", 3)
DATA = f"data:application/pdf;name=a%20b.pdf;base64,{base64.b64encode(b'%PDF-1.7').decode()}"


@pytest.mark.parametrize(
    "value",
    [None, "", ID, {"file_id": ID}, {**VALUE, "file_id": "x"}, {**VALUE, "size": True}, {**VALUE, "more": 1}, [VALUE]],
)
def test_only_the_whole_value_is_a_file(value: Any) -> None:
    assert is_file_value(VALUE)
    assert not is_file_value(value)


def test_a_data_url_tells_name_type_and_size() -> None:
    parts = read_data_url(DATA)
    assert parts is not None
    assert (parts.name, parts.media_type, parts.size, parts.found_type()) == (
        "a b.pdf",
        "application/pdf",
        8,
        "application/pdf",
    )
    assert parts.content() == b"%PDF-1.7"
    assert [read_data_url(text) for text in ("data:,x", "data:text/plain,x", "https://a.example", "")] == [None] * 4


def test_a_refusal_names_the_file_or_says_that_it_is_the_file_that_was_sent() -> None:
    field = {"name": "invoice", "type": "file", "file_kinds": ["pdf"], "max_file_mb": 1}
    large = "application/pdf", b"%PDF-1.7" * 200_000
    told = [check_payload([field], {"invoice": sent})[1][0].detail for sent in (
        data_url("text/csv"), data_url("text/csv;name=a.csv"), data_url(*large),
        data_url(f"{large[0]};name=a.pdf", large[1]),
    )]  # fmt: skip
    assert [detail.partition("; ")[2] for detail in told] == [
        "the file is text/csv",
        "`a.csv` is text/csv",
        "the file has 1.5 MiB",
        "`a.pdf` has 1.5 MiB",
    ]


def test_a_line_break_in_base64_is_named() -> None:
    broken = f"data:text/csv;base64,{base64.encodebytes(b'a,b' * 40).decode()}"
    told = [check_payload([{"name": "f", "type": "file"}], {"f": sent})[1][0] for sent in (broken, "data:;base64,a*bc")]
    assert [(wrong.code, wrong.detail) for wrong in told] == [
        ("format", "is a data URL with a line break or a blank in its base64: send it in one piece, without"),
        ("format", "is a data URL whose base64 cannot be read"),
    ]


def data_url(head: str, content: bytes = b"a,b\n1,2") -> str:
    return f"data:{head};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(
    ("head", "name", "found"),
    [
        ("text/csv", "", "text/csv"),
        ("TEXT/CSV;charset=utf-8", "", "text/csv"),
        ('text/csv;charset="utf-8"', "", "text/csv"),
        ("text%2Fcsv", "", "text/csv"),
        ("application/csv;name=sales", "sales", "text/csv"),
        ("text/plain;name=q.csv", "q.csv", "text/csv"),
        ("text/html;name=q.csv", "q.csv", "text/csv"),
        ('text/plain;name="q.csv"', "q.csv", "text/csv"),
        ('text/plain;NAME="a;b,\\"c\\".csv";charset=utf-8', 'a;b,"c".csv', "text/csv"),
        ("text/plain; filename=%22q%22.csv", '"q".csv', "text/csv"),
        ("text/markdown", "", "text/markdown"),
        ("application/pdf", "", "text/plain"),
        ("image/png", "", "text/plain"),
        ("", "", "text/plain"),
        (";charset=utf-8", "", "text/plain"),
    ],
)
def test_a_data_urls_type_counts_between_kinds_of_text_when_its_name_has_no_ending(
    head: str, name: str, found: str
) -> None:
    parts = read_data_url(data_url(head))
    assert parts is not None
    assert (parts.name, parts.found_type()) == (name, found)


def test_content_counts_more_than_what_a_data_url_says() -> None:
    parts = read_data_url(data_url("text/csv", b"%PDF-1.7"))
    assert parts is not None
    assert parts.found_type() == "application/pdf"


@pytest.mark.parametrize(
    ("sent", "fits"),
    [
        (ID, True),
        ("FILE_" + "0" * 22, False),
        ("file_0", False),
        (ID + "0", False),
        (DATA, True),
        ("DATA:text/csv;BASE64,YSxiCjEsMgo=", True),
        ('data:text/plain;name="a;b,c.csv"; base64 ,YSxiCjEsMgo', True),
        ("data:;base64,", True),
        ("data:;base64,AAAA====", True),
        ("data:", False),
        ("data:x", False),
        ("data:text/plain,abc", False),
        ("data:text/plain;base64;name=x,YSxi", False),
        ("data:text/plain;base64,YS xi", False),
        ("data:text/plain;base64,YSxi=YSx", False),
    ],
)
def test_the_published_pattern_takes_what_is_taken_as_a_file(sent: str, fits: bool) -> None:
    assert (check_sent_file({}, sent) is None) is fits
    assert (re.search(SENT_AS_TEXT, sent) is not None) is fits


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("https://a.example", ""),
        ("HTTPS://A.example:0443/a b.csv?x=ü#y", ""),
        ("https://a.example:/", ""),
        ("https://a.example./x\n", ""),
        ("https://a_b.example?x", ""),
        ("https://_a-b.example#x", ""),
        ("https://bücher.example/ä", ""),
        ("https://日本。example/", ""),
        ("https://[2001:db8::1]:8443/x", ""),
        ("https://localhost/x", ""),
        (f"https://{'a' * 63}.example/", ""),
        ("https://a b.example/x.csv", "host"),
        ("https://a%20b.example/", "host"),
        ("https://a$b.example/", "host"),
        ("https://a..example/", "host"),
        ("https://-a.example/", "host"),
        ("https://.example/", "host"),
        (f"https://{'a' * 64}.example/", "host"),
        ("https://a\u3000b.example/", "host"),
        ("https://[1.2.3.4]/", "host"),
        ("https://[::1/", "host"),
        ("https://1.2.3.4./x", ""),
        ("https://[::ffff:1.2.3.4]/x", ""),
        ("https://1.2.3.example/x", ""),
        ("https://a.१२/x", ""),
        ("https://256.1.1.1/x", "number"),
        ("https://1.2.3.04/x", "number"),
        ("https://134744072/x", "number"),
        ("https://1.2.3/x", "number"),
        ("https://1.2.3.4.5/x", "number"),
        ("https://0x7F000001:443", "number"),
        ("https://a.0x1f./x", "number"),
        ("https:///x", "no host"),
        ("https://:443/x", "no host"),
        ("https://a.example:99999/x", "port"),
        ("https://a.example:x/", "port"),
        ("https://a.example/x\\y", "backslash"),
        ("https://a.example\\x", "backslash"),
        ("https://a.example/x\ny", "backslash"),
        ("https://ann@a.example/", "user name"),
        ("https://a.example/" + "x" * 8_192, "8,192"),
    ],
)
def test_an_address_that_is_taken_for_a_file_is_one_that_can_be_opened(address: str, why: str) -> None:
    wrong = check_sent_file({}, address)
    assert (wrong is None) is (why == "")
    assert wrong is None or (wrong[0] == "format" and why in wrong[1])
    if why not in {"8,192", "number"} and address != "https://[1.2.3.4]/":
        assert (re.search(SENT_AS_TEXT, address) is None) is bool(why)
    if why:
        with pytest.raises((BadUrl, Forbidden)):
            open_to_all(address)
    else:
        open_to_all(address)


def open_to_all(address: str) -> None:
    """Raises BadUrl or Forbidden for an address that no rule of an owner opens."""
    url = read_url(address)
    everything = Allowed(network=ip_network("0.0.0.0/0")), Allowed(network=ip_network("::/0"))
    Guard(everything, frozenset({443, 8443})).destination(url.raw_host.decode(), port_of(url))


@pytest.mark.parametrize("head", [";a=b" * 1_000_000, ";" * 1_999, ';a="' * 400, ';a="b"' * 300, ';a="\\' * 400])
def test_a_long_text_that_begins_like_a_data_url_takes_no_long_time(head: str) -> None:
    assert read_data_url("data:" + head) is None


@pytest.mark.parametrize(
    ("media_type", "kinds", "fits"),
    [
        ("image/png", ["image"], True),
        ("image/png", ["pdf", "image"], True),
        ("image/png", ["pdf"], False),
        ("application/json", ["text"], True),
        ("anything/else", None, True),
        ("anything/else", ["unknown kind"], False),
    ],
)
def test_kinds_are_groups_of_media_types(media_type: str, kinds: list[str] | None, fits: bool) -> None:
    assert has_kind(media_type, kinds) is fits


def test_files_are_found_and_replaced_at_every_level() -> None:
    fields = [
        {"name": "a/b", "type": "file"},
        {"name": "list", "type": "array", "items": {"type": "array", "items": {"type": "file"}}},
        {"name": "group", "type": "object", "fields": [{"name": "file", "type": "file"}, {"name": "text"}]},
        {"name": "text", "type": "string"},
    ]
    payload = {"a/b": "1", "list": [["2"], []], "group": {"file": "3", "text": "x"}, "text": "y"}
    assert takes_files(fields)
    assert not takes_files(fields[3:])
    assert [pointer for _, pointer, _ in sent_files(fields, payload)] == ["/a~1b", "/list/0/0", "/group/file"]
    changed = map_files(fields, payload, lambda pointer, value: f"{pointer} {value}")
    assert changed == {
        "a/b": "/a~1b 1",
        "list": [["/list/0/0 2"], []],
        "group": {"file": "/group/file 3", "text": "x"},
        "text": "y",
    }
    assert payload["list"] == [["2"], []]


def test_a_list_is_copied_once_and_not_for_each_of_its_files() -> None:
    """A body may name 190,000 files, for which copies took a minute, in the transaction that accepts the job."""
    fields = [{"name": "list", "type": "array", "items": {"type": "file"}}]
    payload = {"list": [ID] * 40_000}
    begin = time.thread_time()
    changed = map_files(fields, payload, lambda _pointer, _value: VALUE)
    assert time.thread_time() - begin < 0.5, "it takes 0.05 s"
    assert changed == {"list": [VALUE] * 40_000}
    assert payload == {"list": [ID] * 40_000}


def test_a_sample_with_a_file_drafts_a_field_of_that_type() -> None:
    assert fields_from_json({"one": VALUE, "two": ID, "three": DATA, "all": [ID]}) == [
        {"name": "one", "type": "file", "required": True},
        {"name": "two", "type": "file", "required": True},
        {"name": "three", "type": "file", "required": True},
        {"name": "all", "type": "array", "items": {"type": "file"}, "required": True},
    ]
    assert json_type({"file_id": "x"}) == "object"
    assert not looks_like_file("https://a.example/a.pdf")


def test_files_are_made_up_for_callers_and_not_for_forms() -> None:
    node = {
        "id": "api_input",
        "type": "api_input",
        "config": {"fields": [{"name": "one", "type": "file", "required": True}]},
    }
    document = Document.model_validate({"format": 1, "nodes": [node], "edges": []})
    assert sample_payload(document) == {}
    example = example_payload(document)
    assert example is not None
    assert check_payload(node["config"]["fields"], example)[1] == []  # pyright: ignore[reportIndexIssue, reportCallIssue, reportArgumentType]


def test_the_schema_of_out_is_the_file_value_and_may_be_null_when_optional() -> None:
    fields = [{"name": "one", "type": "file"}, {"name": "two", "type": "file", "required": True}]
    schema = payload_schema(fields, for_output=True)["properties"]
    assert (schema["one"]["type"], schema["two"]["type"]) == (["object", "null"], "object")
    assert set(schema["two"]["properties"]) == {"name", "media_type", "size", "file_id"}
    assert payload_schema(fields, with_null=True)["properties"]["one"]["anyOf"][-1] == {"type": "null"}


def test_sizes_and_types_are_told_in_words() -> None:
    assert [size_in_words(size) for size in (0, 1, 900, 2048, 1_500_000, 50 << 20, 5 << 30)] == [
        "0 bytes", "1 byte", "900 bytes", "2 KiB", "1.4 MiB", "50 MiB", "5 GiB",
    ]  # fmt: skip
    assert media_type_in_words("application/pdf") == "PDF"
    assert media_type_in_words("audio/mpeg") == "Sound"
    assert media_type_in_words("x/y") == "x/y"
