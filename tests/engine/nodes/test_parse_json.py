"""Read JSON text."""

import time

import pytest

from engine.flow.node_context import NodeFailed
from engine.nodes.parse_json import read_json
from tests.engine.nodes.one_node import run_node

FOUND = {
    '{"a": 1}': {"a": 1},
    " [1, 2]\n": [1, 2],
    "\ufeff5": 5,
    '"text"': "text",
    "null": None,
    'Here you are:\n```json\n{"a": 1}\n```\nBye.': {"a": 1},
    "```\n[1]\n```": [1],
    "~~~json\n[1]\n~~~": [1],
    '```python\nprint({})\n```\nand\n```json\n{"a": 2}\n```': {"a": 2},
    '```json\n{"a": 1}': {"a": 1},
    '  ```JSON  \r\n{"a": 1}\r\n```': {"a": 1},
    'The answer is {"a": [1, {"b": 2}]}, I hope.': {"a": [1, {"b": 2}]},
    'Sure! {"quote": "a } in text"}': {"quote": "a } in text"},
}


@pytest.mark.parametrize("text", FOUND)
async def test_json_is_found(text):
    assert await run_node("parse_json", {}, {"text": text}) == FOUND[text]


@pytest.mark.parametrize("around", ["{}", "\n {}", 'A 12" screen: {}', "```json\n{}\n```"])
def test_too_many_values_are_counted_before_they_are_built(around):
    text = around.replace("{}", f"[{'[],' * 1_000_000}1]")
    begun = time.thread_time()
    with pytest.raises(NodeFailed, match="more than 200,000 values"):
        read_json(text)
    assert time.thread_time() - begun < 0.5  # two seconds, and 80 MB, when they are built
    assert len(read_json(around.replace("{}", f"[{'[],' * 199_998}1]"))) == 199_999
    assert read_json(around.replace("{}", f'["{"[]," * 1_000_000}"]')) == ["[]," * 1_000_000]


@pytest.mark.parametrize("value", [{"a": 1}, [1], 5, True])
async def test_data_passes_through(value):
    assert await run_node("parse_json", {}, {"text": value}) == value


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        ('{"a": 1,\n "b": }', "line 2, column 7", "value is expected"),
        ('{"a": 1\n "b": 2}', "line 2, column 2", "`,` is missing"),
        ("{'a': 1}", "line 1, column 2", "double quotes"),
        ('{"a": 1,}', "line 1, column", "comma after the last"),
        ("[1, 2", "line 1, column 6", "`,` is missing"),
        ('{"a": "x', "line 1, column 7", "never ends"),
        ("hello", "line 1, column 1", "value is expected"),
        ('Look:\n```json\n{"a": 1,\n "b" 2}\n```', "line 4, column 6", "`:` is missing"),
        ("NaN", "line 1, column 1 near `NaN`", "NaN"),
        ("[NaN]", "line 1, column 2", "NaN"),
        ('{"a": "NaN \\" 1e999",\n "Infinity": [-1e3, -Infinity, NaN]}', "line 2, column 21", "`-Infinity`"),
        ("[1e999]", "line 1, column 2", "larger than any number"),
        ('{"a": 1, "b": [2.5, 1.5e400, NaN]}', "line 1, column 21", "`1.5e400`"),
        ("[1,\n" + "1" * 5_000 + "]", "line 2, column 1", "digits"),
        ('It" is: [1, NaN]', "line 1, column 13", "NaN"),
        ('Look:\n```json\n  {"a": 1,\n "b": NaN}\n```', "line 4, column 7", "NaN"),
        ("[1] and [2]", "line 1, column 5", "goes on"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text, place, why):
    with pytest.raises(NodeFailed) as failed:
        read_json(text)
    assert place in failed.value.message
    assert why in failed.value.why
    assert failed.value.code == "invalid_json"


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_text_is_told(text):
    with pytest.raises(NodeFailed, match="empty"):
        read_json(text)


@pytest.mark.parametrize("text", ["[" * 70 + "]" * 70, "[" * 100_000, "```\n" + "[" * 100_000 + "\n```"])
def test_json_nested_too_deep_is_told(text):
    with pytest.raises(NodeFailed, match=r"deeper|no valid JSON"):
        read_json(text)
