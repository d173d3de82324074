"""Secrets are removed from texts and from JSON, which stays JSON."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.redaction import HIDDEN, Redaction
from engine.core.whole_words import beginning

KEY = "sk-proj-0123456789abcdefghijklmnop"


def redaction(*secrets: str) -> Redaction:
    made = Redaction()
    for secret in secrets:
        made.add(secret)
    return made


@pytest.mark.parametrize(
    ("secret", "value", "hidden"),
    [
        ("20481024", {"a": 20481024, "b": "no. 20481024", "c": 7}, {"a": HIDDEN, "b": f"no. {HIDDEN}", "c": 7}),
        ("20481024", [120481024.5, -20481024, 2048], [HIDDEN, HIDDEN, 2048]),
        ("20481024", 20481024, HIDDEN),
        ("-1.5e-10", {"a": -1.5e-10}, {"a": HIDDEN}),
        ("account", {"account": 1, "x": None}, {HIDDEN: 1, "x": None}),
        ('{"key":"abc"}', {"a": {"key": "abc"}, "b": '{"key":"abc"}'}, {"a": HIDDEN, "b": HIDDEN}),
        ("nabytok", "a\nabytok, nabytok", f"a\nabytok, {HIDDEN}"),
        ("a\\b\\c\\d", ["a\\b\\c\\d\\e"], [f"{HIDDEN}\\e"]),
        ('Zürich "1"', 'in Zürich "1"!', f"in {HIDDEN}!"),
        ("20481024", "\ud800 20481024", f"\ud800 {HIDDEN}"),
        ('Zürich "1"', {"body": '{"k": "Zürich \\"1\\""}'}, {"body": f'{{"k": "{HIDDEN}"}}'}),
        (',"abc"', [20481024, "abc", ',"abc"'], [20481024, "abc", HIDDEN]),
        ("123456", [123456, "a", {"123456": "\\"}], [HIDDEN, "a", {HIDDEN: "\\"}]),
    ],
)
def test_json_without_a_secret_is_still_json(secret: str, value: Any, hidden: Any) -> None:
    text = json.dumps(value, separators=(",", ":"))
    assert json.loads(redaction(secret).known_in_json(text)) == hidden
    assert json.loads(redaction(secret).in_json(text)) == hidden


@pytest.mark.parametrize(
    ("value", "hidden"),
    [
        (f"Take {KEY}.", f"Take {HIDDEN}."),
        ({"a": [f"The key:\n{KEY}"]}, {"a": [f"The key:\n{HIDDEN}"]}),
        (f"a\fp_live_{'x' * 20}", f"a\fp_live_{'x' * 20}"),
        (f"\u2022{KEY}", f"\u2022{HIDDEN}"),
        (f"\0{KEY}", f"\0{HIDDEN}"),
        (f"\xe9{KEY}", f"\xe9{KEY}"),
    ],
)
def test_what_looks_like_a_key_is_hidden_in_json_but_not_as_a_known_secret(value: Any, hidden: Any) -> None:
    text = json.dumps(value)
    assert json.loads(redaction().in_json(text)) == hidden
    assert redaction("another secret").known_in_json(text) == text


@pytest.mark.parametrize("levels", [500, 5_000])
def test_secrets_are_hidden_in_json_however_deep_it_is(levels: int) -> None:
    text = '{"a":[' * levels + f'"{KEY}",20481024,{{"k":[1,2,3]}}' + "]}" * levels
    hidden = redaction("20481024", '{"k":[1,2,3]}').in_json(text)
    assert hidden == '{"a":[' * levels + f'"{HIDDEN}","{HIDDEN}","{HIDDEN}"' + "]}" * levels


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON, st.text(st.sampled_from('0123456789.-e"\\nu{}[],:'), min_size=6, max_size=7))
def test_json_without_any_secret_can_be_read(value: Any, secret: str) -> None:
    json.loads(redaction(secret).in_json(json.dumps([value, secret])))


@given(JSON)
def test_json_that_holds_no_secret_stays_as_it_is(value: Any) -> None:
    text = json.dumps(value)
    assert redaction("a secret that is not in it").in_json(text) == text


@pytest.mark.parametrize("size", range(40))
def test_the_beginning_of_a_text_holds_no_part_of_a_secret(size: int) -> None:
    text = f'["no. 2048\\"1024", "{KEY}", 1, ' + "2, " * 1_000
    made = redaction('2048"1024')
    for keys in (False, True):
        found = made.beginning(text, size, keys=keys)
        whole = f'["no. {HIDDEN}", "{HIDDEN if keys else KEY}", 1, ' + "2, " * 20
        assert whole.startswith(found)
        assert size - len(text) + len(made.text(text)) <= len(found) <= size
    assert redaction().beginning(text, size, keys=False) == text[:size]
    assert made.beginning(text[:17], size, keys=True) == f'["no. {HIDDEN}"'[:size]


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("It said: the key 20481024", f"It said: the key {HIDDEN}"),
        ("It said: the key 204810", f"It said: the key {HIDDEN}"),
        ("Last answer: 204810.", f"Last answer: {HIDDEN}."),
        ("`https://example.com/2048102…` answered “204810”.", f"`https://example.com/{HIDDEN}…` answered “{HIDDEN}”."),
        ("There are 20481", "There are 20481"),
        ("204810 of 7", "204810 of 7"),
        ("the key 204810" + "…" * 100_000, f"the key {HIDDEN}" + "…" * 100_000),
    ],
)
def test_a_secret_that_was_cut_in_words_is_hidden(text: str, hidden: str) -> None:
    assert redaction("20481024").words(text) == hidden
    assert redaction().words(text) == text


@pytest.mark.parametrize(
    ("text", "most", "kept"),
    [
        ("a key: tok_7Hq2", 20, "a key: tok_7Hq2"),
        ("a key: tok_7Hq2", 15, "a key: tok_7Hq2"),
        ("a key: tok_7Hq2", 14, "a key: "),
        ("a key: tok_7Hq2", 5, "a key"),
        ("a key: tok_7Hq2", 0, ""),
        (f"a {'x' * 400}", 302, "a "),
        (f"a {'x' * 400}", 303, f"a {'x' * 301}"),
    ],
)
def test_a_text_is_cut_between_words(text: str, most: int, kept: str) -> None:
    assert beginning(text, most) == kept


def test_a_secret_in_a_long_list_is_hidden_without_looking_at_each_entry() -> None:
    text = json.dumps([*["1"] * 500_000, *[1] * 500_000, "20481024"], separators=(",", ":"))
    begun = time.thread_time()
    hidden = redaction("20481024").in_json(text)
    assert time.thread_time() - begun < 0.3  # a second and more, when each entry is decoded
    assert hidden == text.replace("20481024", HIDDEN)
