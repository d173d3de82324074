"""Normal forms of texts, also of those with endless accents."""

from __future__ import annotations

import sys
import time
import unicodedata

import pytest

from engine.core.unicode_forms import normalized
from storage.knowledge_terms import composed

ENDLESS = "a" + "\u0301" * 20_000 + "\u0316" * 20_000


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_usual_texts_have_their_normal_form(form):
    for text in ("Ünïted", "u\u0308ber", "ﬁ ½", "각", "ක්‍ෂ", "🙂" * 50, "a" + "\u0316\u0301" * 15, "plain"):
        assert normalized(form, text) == unicodedata.normalize(form, text)


@pytest.mark.parametrize(
    "accents",
    [ENDLESS, "\u0301\u0316\uff9e" * 20_000, "\u0f73\u0316" * 20_000],
    ids=["marks", "a letter that becomes one", "a sign that becomes two"],
)
def test_endless_accents_take_no_time(accents: str):
    for reader in (lambda text: normalized("NFKD", text), composed):
        begun = time.thread_time()
        found = reader(accents)
        assert time.thread_time() - begun < 0.3
        assert found.replace("\u034f", "").count("\u0316") == 20_000


def test_every_mark_is_found():
    signs = map(chr, range(sys.maxunicode + 1))
    marks = [one for one in signs if unicodedata.combining(unicodedata.normalize("NFKD", one)[0])]
    assert {"\u0301", "\u0f73", "\uff9e", "\uff9f"} < {*marks}
    assert all("\u034f" in normalized("NFKD", "a" + mark * 40) for mark in marks)
