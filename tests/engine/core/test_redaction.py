"""Secrets are removed from texts and from JSON, which stays JSON."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.redaction import CURRENT_REDACTION, HIDDEN, Redaction, cut

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


@pytest.mark.parametrize("size", range(60))
def test_the_part_of_a_text_holds_no_part_of_a_secret(size: int) -> None:
    text = f'["no. 2048\\"1024", "{KEY}", 1, ' + "2, " * 1_000
    made = redaction('2048"1024')
    for keys in (False, True):
        whole = f'["no. {HIDDEN}", "{HIDDEN if keys else KEY}", 1, ' + "2, " * 20
        assert whole.startswith(made.part(text, 0, size, keys=keys))
        assert made.part(text, size, len(text), keys=keys) in whole + "2, " * 1_000
    assert redaction().part(text, 0, size, keys=False) == text[:size]
    assert redaction().part(text, size, 70, keys=False) == text[size:70]


def test_a_text_is_cut_after_secrets_are_hidden() -> None:
    token = CURRENT_REDACTION.set(redaction("20481024"))
    try:
        assert cut("the key is 20481024.", 11) == "the key is "
        assert {cut("the key is 20481024.", most) for most in range(12, 20)} == {f"the key is {HIDDEN}"}
        assert cut("the key is 20481024.", 15, mark="…") == f"the key is {HIDDEN}…"
        assert cut("the key is 20481024.", 20) == "the key is 20481024."
        assert cut(f"the key is {KEY}", 20) == f"the key is {HIDDEN}"
        assert cut(f"the key is {KEY}", 20, keys=False) == f"the key is {KEY}"[:20]
    finally:
        CURRENT_REDACTION.reset(token)


@pytest.mark.parametrize("guess", ["tok_7Hq2mZ", "tok_7Hq2mX", "tok_7Hq2mZx9Lw4", "tok_7Hq2mZx9LwX"])
def test_nothing_tells_how_much_of_a_guess_is_right(guess: str) -> None:
    made = redaction("tok_7Hq2mZx9Lw4Rb8", "correct horse battery")
    assert made.text(f"{guess}…") == f"{guess}…"
    assert made.part(f"{guess} and more", 0, len(guess) + 2, keys=True) == f"{guess} a"
    for before in ("", "a" * 1_000, "a " * 500):
        assert made.held_back(f"{before}{guess}") == made.held_back(f"{before}{'x' * len(guess)}")


def test_a_secret_in_a_long_list_is_hidden_without_looking_at_each_entry() -> None:
    text = json.dumps([*["1"] * 500_000, *[1] * 500_000, "20481024"], separators=(",", ":"))
    begun = time.thread_time()
    hidden = redaction("20481024").in_json(text)
    assert time.thread_time() - begun < 0.3  # a second and more, when each entry is decoded
    assert hidden == text.replace("20481024", HIDDEN)
