"""Flow files in YAML give the same document as JSON; YAML features without a JSON equivalent are rejected."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import FlowInvalid
from engine.flow.flow_file import FlowFile, parse_flow_file
from engine.flow.yaml_files import MAX_EVENTS, MAX_YAML_BYTES, TooLargeForYaml, as_yaml, is_yaml, json_of_yaml
from tests.factories import greeting

WHOLE = st.integers(-(2**63), 2**63 - 1)  # others are refused by the import
VALUES = st.recursive(
    st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def file_of(value: dict) -> FlowFile:
    file, problems = parse_flow_file(json.dumps(value))
    assert file is not None, problems
    return file


@settings(max_examples=40, deadline=None)
@given(VALUES, st.text(max_size=60))
def test_a_flow_that_went_out_and_came_back_is_identical(value, text):
    file = file_of(greeting(title="T", notes=[{"id": "note", "text": text}]))
    node = file.document.nodes[1].model_copy(update={"inputs": {"template": text, "more": value}})
    file = file.model_copy(
        update={"document": file.document.model_copy(update={"nodes": (file.document.nodes[0], node)})}
    )
    written = as_yaml(file)
    read, problems = parse_flow_file(json_of_yaml(written.encode()))
    assert read is not None, problems
    assert read == file
    assert parse_flow_file(json_of_yaml(as_yaml(read).encode()))[0] == file


def test_a_file_that_the_import_would_refuse_is_not_written():
    lines = "x\n" * (MAX_YAML_BYTES // 30)
    node = greeting()["nodes"][0] | {"config": {"samples": [{"title": "Deep", "payload": nested(lines, 8)}]}}
    at_most = as_yaml(file_of(greeting(nodes=[node])))
    assert len(at_most.encode()) < MAX_YAML_BYTES
    node["config"] = {"samples": [{"title": "Deep", "payload": nested(lines, 20)}]}
    with pytest.raises(TooLargeForYaml):
        as_yaml(file_of(greeting(nodes=[node])))


def nested(value, levels):
    for _level in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "no",
        "one\x85two\u2028three\u2029four\nfive",
        "on",
        "null",
        "~",
        "1",
        "1.0",
        "1e3",
        "2026-01-01",
        "0x1f",
        "12:30",
        "- a",
        "a: b",
        "#",
        "",
        " ",
        "a\n b\n",
        "\t",
    ],
)
def test_texts_that_look_like_something_else_stay_texts(text):
    file = file_of(greeting(text=text))
    assert parse_flow_file(json_of_yaml(as_yaml(file).encode()))[0] == file


def test_a_file_written_by_hand_is_read_as_it_is_meant():
    written = b"""
format: 1
title: By hand
nodes:
  - {id: api_input, type: api_input, config: {fields: [{name: day, type: string, default: 2026-01-01}]}}
  - id: condition
    type: condition
  - {id: set_fields, type: set_fields, inputs: {a: yes, b: true, c: 3}}
edges:
  - {id: e1, source: condition, source_port: no, target: set_fields}
"""
    file, problems = parse_flow_file(json_of_yaml(written))
    assert file is not None, problems
    assert file.document.edges[0].source_port == "no"
    assert file.document.nodes[2].inputs == {"a": "yes", "b": True, "c": 3}
    assert file.document.nodes[0].config["fields"][0]["default"] == "2026-01-01"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a: &x [1]\nb: *x", "anchors and aliases are not taken (line 1)"),
        (b"format: 1\nformat: 1", "`format` stands here twice (line 2)"),
        (b"a: !!python/object/apply:os.system [ls]", "tags like `!!str` are not taken (line 1)"),
        (b"a: !!binary aGk=", "tags like `!!str` are not taken (line 1)"),
        (b'a: !!int ""', "tags like `!!str` are not taken (line 1)"),
        (b"a: !!bool abc", "tags like `!!str` are not taken (line 1)"),
        (b"!!omap [a: 1]", "tags like `!!str` are not taken (line 1)"),
        (b"1: a", "keys are text (line 1)"),
        (b"a: [1, 2", "line"),
        (b"[" * 5000, "too deep"),
        (b"a: 1.0e+400", "Out of range"),
        (b"a: " + b"1" * 5000, "not valid YAML"),
        (b"\xff\xfe\x00", "not valid YAML"),
        (b"a: 1\nb: \xfc", "it is no text in UTF-8 (line 2)"),
        (b"a: 1\n---\na: 2", "another document begins; a flow file has one (line 2)"),
        # what would cost much: each value, each document and each tag is looked at, the last of them against all before it
        (b"- a\n" * 500_000, "it has more than 50,000 values and names; as JSON a flow may have more (line 50003)"),
        (b"---\n" * 500_000, "another document begins; a flow file has one (line 2)"),
        (b"?\n" * 1_000_000, "keys are text (line 1)"),
        (b"".join(b"%%TAG !%d! x\n" % one for one in range(100_000)), "tags like `!!str` are not taken (line 1)"),
        (b"# \xc2\x85%TAG ! x\n---\na: 1", "tags like `!!str` are not taken (line 1)"),
    ],
)
def test_what_is_no_plain_tree_is_refused_with_its_line(data, words):
    with pytest.raises(FlowInvalid) as refused:
        json_of_yaml(data)
    assert words in refused.value.problems[0].message


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("12:30", "12:30"),
        ("1:1:1.5", "1:1:1.5"),
        (":".join(["1"] * 300) + ".0", ":".join(["1"] * 300) + ".0"),
        ("010", "010"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("+5", "+5"),
        (".5", ".5"),
        (".inf", ".inf"),
        ("1e3", "1e3"),  # exported files have such texts without quotes
        ("-12", -12),
        ("18446744073709551616", 1 << 64),
        ("-0.5", -0.5),
        ("1.0e-07", 1e-7),
        ("2.5E+16", 2.5e16),
    ],
)
def test_only_the_numbers_of_json_are_numbers(written, read):
    assert json.loads(json_of_yaml(f"a: {written}".encode())) == {"a": read}


def test_many_values_are_neither_read_nor_written():
    node = greeting()["nodes"][0]
    node["config"] = {"samples": [{"title": "Many", "payload": {"numbers": [1] * (MAX_EVENTS - 200)}}]}
    written = as_yaml(file_of(greeting(nodes=[node])))
    assert json.loads(json_of_yaml(written.encode()))["nodes"][0]["config"] == node["config"]
    node["config"]["samples"][0]["payload"]["numbers"] += [1] * 200
    with pytest.raises(TooLargeForYaml):
        as_yaml(file_of(greeting(nodes=[node])))


@pytest.mark.parametrize("more", [1, 40_000])
def test_rare_characters_come_back_from_small_and_large_files(more):
    file = file_of(greeting(text="a 😀\nb\n" * more))
    written = as_yaml(file)
    assert ("😀" in written) is (more == 1)
    assert parse_flow_file(json_of_yaml(written.encode()))[0] == file


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_of_another_editor_is_read(encoding):
    assert json.loads(json_of_yaml("a: grün\r\nb: 1\r\n".encode(encoding))) == {"a": "grün", "b": 1}


def test_a_file_that_is_too_large_is_refused_before_it_is_read():
    with pytest.raises(FlowInvalid, match="problem"):
        json_of_yaml(b"a: " + b"x" * 2_100_000)


@pytest.mark.parametrize(("name", "yaml"), [("a.yaml", True), ("B.YML", True), ("a.json", False), ("yaml", False)])
def test_the_name_of_the_file_decides(name, yaml):
    assert is_yaml(name) is yaml
