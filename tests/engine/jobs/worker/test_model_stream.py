"""Streamed model text: all of it is sent as events, and no event contains a part of a secret."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.redaction import HIDDEN, KEY_LENGTH, Redaction
from engine.jobs.worker.model_stream import MANY, Streamed
from engine.run.steps import StepKey

SECRET = "tok one-4f1d6a0b9c7e2358"
STEP = StepKey("prompt", ())


def streamed(*secrets: str) -> Streamed:
    redaction = Redaction()
    for secret in secrets:
        redaction.add(secret)
    return Streamed(redaction)


def events_of(streamed: Streamed, pieces: list[str], key: StepKey = STEP) -> list[str]:
    """Returns the texts of the events when one may be sent after every piece."""
    sent = []
    for piece in pieces:
        streamed.add(key, piece)
        sent += [one.text for one in streamed.take()]
    return sent + [one.text for one in streamed.end(key)]


def cut(text: str, places: list[int]) -> list[str]:
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[first:last] for first, last in itertools.pairwise(bounds)]


@given(st.text(), st.text(), st.lists(st.integers(0, 10_000), max_size=30))
def test_a_secret_is_in_no_event_however_it_arrives(before, after, places):
    sent = events_of(streamed(SECRET), cut(f"{before}{SECRET}{after}", places))
    assert SECRET not in "".join(sent)
    assert HIDDEN in "".join(sent)


@pytest.mark.parametrize("secret", ["k" * 400, "tok_7Hq2mZx9Lw4Rb8", SECRET])
def test_a_secret_that_arrives_by_characters_is_hidden_behind_a_long_word(secret: str):
    sent = "".join(events_of(streamed(secret), [*("x" * 1_000 + secret)]))
    assert sent == "x" * 1_000 + HIDDEN


@given(st.lists(st.integers(0, 10_000), max_size=30))
def test_what_looks_like_a_key_is_in_no_event_however_it_arrives(places):
    key = "sk-proj-0123456789abcdefghijklmnop"
    sent = "".join(events_of(streamed(), cut(f"Take {key}, please.", places)))
    assert sent == f"Take {HIDDEN}, please."


@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.integers(0, 10_000), max_size=30))
def test_all_of_a_text_without_secrets_goes_out_in_order(text, places):
    assert "".join(events_of(streamed(SECRET), cut(text, places))) == text


def test_words_go_out_when_they_are_whole():
    assert events_of(streamed(), ["Par", "is is la", "rge."]) == ["Paris is ", "large."]


def test_a_text_without_spaces_does_not_wait_for_its_end():
    assert events_of(streamed(), ["東京は大きい", "です。"]) == ["東京は大きい", "です。"]
    assert events_of(streamed(), ["x" * (KEY_LENGTH + 1), "y"]) == ["x", "x", f"{'x' * (KEY_LENGTH - 1)}y"]


def test_the_text_of_another_call_begins_anew():
    text = streamed()
    text.add(STEP, "Lost half")
    first = list(text.take())
    text.called(STEP)
    text.add(STEP, "Whole answer.")
    pieces = [*first, *text.take(), *text.end(STEP)]
    by_call = {call: "".join(one.text for one in pieces if one.call == call) for call in (1, 2)}
    assert by_call == {1: "Lost half", 2: "Whole answer."}


def test_steps_do_not_mix_and_many_are_heard_less_often():
    text = streamed()
    keys = [StepKey("prompt", (number,)) for number in range(MANY + 1)]
    assert [text.add(key, f"{key.index[0]} ") for key in keys] == [True] + [False] * MANY
    assert text.due_in > streamed().due_in
    assert [(one.key, one.text) for one in text.take()] == [(key, f"{key.index[0]} ") for key in keys]
    assert list(text.take()) == []
