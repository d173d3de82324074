"""Values in words: on one line, as an outline, and where two of them differ."""

from __future__ import annotations

from typing import Any

import pytest

from ui.kit.value_words import (
    Changed,
    around_difference,
    as_lines,
    changed_parts,
    changed_words,
    in_short,
    in_short_of_json,
    shortened,
)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, ""),
        ("a", "a"),
        (2.5, "2.5"),
        (True, "yes"),
        (["red", "blue"], "red, blue"),
        ({"name": "Ann", "age": 3, "gone": None}, "name: Ann, age: 3"),
        ([{"name": "Ann"}, {"name": "Bob"}], "(name: Ann); (name: Bob)"),
        ({"who": {"city": "Bonn"}}, "who: (city: Bonn)"),
        ({"text": ""}, "text: (empty)"),
    ],
)
def test_a_value_is_said_on_one_line(value: Any, said: str) -> None:
    assert in_short(value) == said


def test_json_that_is_cut_is_said_as_far_as_it_goes() -> None:
    assert in_short_of_json('{"who":"Ann","n":1}', 50) == "who: Ann, n: 1"
    assert in_short_of_json('{"who":"Ann","text":"long l', 50) == "who: Ann, text: long l…"
    said = 'page: https://shop.example/a,b, text: Hi at 10:30, "Tom…'
    cut = r'{"page":"https://shop.example/a,b","text":"Hi\n\nat 10:30, \"Tom'
    assert [in_short_of_json(f"{cut}{end}", 90) for end in ("", "\\", "\\u00")] == [said] * 3
    assert in_short_of_json('{"tags":["red","bl', 50) == "tags: red, bl…"
    assert in_short_of_json('{"who":"Ann","te', 50) == "who: Ann…"
    assert in_short_of_json('{"who":"\\ud83d A', 50) == '{"who":"\\ud83d A…'
    assert in_short_of_json("", 50) == ""
    assert in_short_of_json('"' + "x" * 90 + '"', 10) == "x" * 9 + "…"


def test_an_outline_has_a_line_for_each_name_and_item() -> None:
    value = {"title": "A", "tags": ["x", "y"], "who": {"city": "Bonn"}, "note": "one\ntwo", "none": []}
    assert as_lines(value) == [
        "title: A", "tags:", "   • x", "   • y", "who:", "   city: Bonn", "note:", "   one", "   two", "none: (empty)",
    ]  # fmt: skip


def test_only_the_parts_that_differ_are_named_however_deep_they_are() -> None:
    before = [{"name": "mood", "type": "string", "enum": ["good"]}, {"name": "why", "type": "string"}]
    after = [{"name": "mood", "type": "string", "enum": ["good", "bad"]}, {"name": "count", "type": "number"}]
    assert list(changed_parts(before, after)) == [
        Changed(("mood", "enum"), ["good"], ["good", "bad"]),
        Changed(("why",), {"name": "why", "type": "string"}, None),
        Changed(("count",), None, {"name": "count", "type": "number"}),
    ]
    assert list(changed_parts({"a": 1}, {"a": 1})) == []
    ((*path, _before, _after),) = [
        (*one.path, one.before, one.after) for one in changed_parts([{"left": "a"}], [{"left": "b"}])
    ]
    assert path == ["1", "left"]


def test_a_list_in_another_order_differs() -> None:
    one, other = {"name": "a"}, {"name": "b"}
    assert list(changed_parts([one, other], [other, one])) == [Changed(("order",), ["a", "b"], ["b", "a"])]


@pytest.mark.parametrize("at", [0, 500, 999])
def test_of_long_texts_the_part_around_the_difference_is_shown(at: int) -> None:
    before = "x" * 1000
    after = before[:at] + "NEW" + before[at:]
    was, now = around_difference(before, after, 300)
    assert "NEW" in now
    assert len(now) < 310
    assert len(was) < 310
    assert around_difference("short", "other", 300) == ("short", "other")


def _marked(before: str, after: str) -> str:
    marks = {"kept": "{}", "was": "[-{}]", "is": "[+{}]"}
    return "".join(marks[part.kind].format(part.text) for part in changed_words(before, after, 300))


def test_of_long_texts_the_words_that_differ_are_shown() -> None:
    text = "You are a friendly helper of a shop. Answer in one short sentence."
    assert _marked(text, text.replace("friendly", "strict")) == (
        "You are a [-friendly][+strict] helper of a shop. Answer in one short sentence."
    )
    assert _marked(text, text.replace("one short", "two plain")).endswith(
        " Answer in [-one short][+two plain] sentence."
    )
    assert _marked(text, f"{text} Be kind.") == f"{text}[+ Be kind.]"
    assert _marked(text, text.replace(". ", ".\n")) == text.replace(". ", ".[- ][+↵]")
    assert _marked(text, f"Hello!\n{text}\nBe kind.") == f"[+Hello!↵]{text}[+↵Be kind.]"


PROMPT = (
    "You are an assistant of a hotel. Read the e-mail of the guest and write an answer in the language of the e-mail. "
    "Thank the guest first, then answer each question of the guest. Keep the answer under 120 words, and end with the "
    "name of the hotel."
)


@pytest.mark.parametrize(
    "changes",
    [
        {"Read the e-mail": ("Read [the] e-mail", "this"), "120 words": ("[120] words", "90")},
        {"Read the e-mail": ("Read [the] e-mail", "an"), "name of the": ("name of [the]", "our")},
    ],
)
@pytest.mark.parametrize("more", ["", " Never write about prices." * 50])
def test_words_that_nobody_changed_are_not_marked(changes: dict[str, tuple[str, str]], more: str) -> None:
    """Words and blanks that come often are no reason to pair other words with each other."""
    before = PROMPT.replace("Keep", f"{more} Keep")
    after = before
    wanted = []
    for words, (marked, now) in changes.items():
        old = marked[marked.index("[") + 1 : marked.index("]")]
        after = after.replace(words, words.replace(old, now))
        wanted += [("was", old), ("is", now)]
    assert [(part.kind, part.text) for part in changed_words(before, after, 300) if part.kind != "kept"] == wanted


def test_of_very_long_texts_sentences_are_compared() -> None:
    old = [f"Rule {at} is for the guests of room {at % 9}, at each time of the day." for at in range(300)]
    new = [f"{line[:-1]} and night." if at in {3, 250} else line for at, line in enumerate(old)]
    parts = changed_words(" ".join(old), " ".join(new), 300)
    assert [(part.kind, part.text) for part in parts if part.kind != "kept"] == 2 * [
        ("was", "day."),
        ("is", "day and night."),
    ]


def test_between_differences_that_are_far_apart_a_text_is_cut() -> None:
    long = " ".join(f"word{at}" for at in range(1_000))
    said = _marked(long, long.replace("word300 ", "first ").replace("word600 ", "").replace("word999", "last"))
    assert said.startswith("… word29")
    assert " word299 [-word300][+first] word301 " in said
    assert " word599 [-word600 ]word601 " in said
    assert said.endswith(" word998 [-word999][+last]")
    assert len(said) < 600


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Say hello to Ann", "Say hello to Bob"),
        ("one two three four five six seven eight nine", "ten twenty thirty forty fifty sixty seventy eighty nine"),
        ("", "You are a friendly helper of a shop. Answer in one short sentence."),
        ("a b " * 3_000, "a c " * 3_000),
        ("a. b. " * 3_000, "a. c. " * 3_000),
    ],
)
def test_short_and_quite_different_texts_are_shown_one_after_the_other(before: str, after: str) -> None:
    assert changed_words(before, after, 300) == []


def test_very_many_differences_are_cut() -> None:
    words = [f"word{at}" for at in range(300)]
    said = _marked(" ".join(words), " ".join("new" if at % 3 == 0 else word for at, word in enumerate(words)))
    assert said.count("[+") == 15
    assert said.endswith("…")


def test_a_deep_value_is_said_without_an_error() -> None:
    value: Any = "x"
    for _level in range(100):
        value = [{"a": value}]
    assert in_short(value)
    assert as_lines(value)
    assert list(changed_parts(value, [{"a": 1}]))


@pytest.mark.parametrize(
    ("text", "longest", "said"),
    [
        ("short", 10, "short"),
        ("two\n lines", 20, "two lines"),
        ("The lamp arrived broken", 20, "The lamp arrived…"),
        ("The lamp arrived, broken", 18, "The lamp arrived…"),
        ("The lamp arrived broken", 17, "The lamp arrived…"),
        ("x" * 30, 10, "x" * 9 + "…"),
        ("at https://example.com/a/very/long/address", 20, "at https://example…"),
    ],
)
def test_a_long_text_ends_at_a_word_with_a_mark(text: str, longest: int, said: str) -> None:
    assert shortened(text, longest) == said
    assert len(said) <= longest
