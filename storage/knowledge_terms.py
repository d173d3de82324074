"""The words of texts and of questions, as the word search of both databases indexes and finds them.

Chinese, Japanese, Korean and Thai are written without spaces or with particles joined to words. Runs of these letters
are indexed as overlapping pairs, so that a word of two signs is found too; FTS5's trigram tokenizer finds only words of
three and more.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from itertools import chain, product

from msgspec import Struct

from engine.core.unicode_forms import normalized

#: The largest number of words of a question that are searched.
MAX_WORDS = 32

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U000323af"
)
_RUN = re.compile(f"[{_UNSPACED}]+")
_TERM = re.compile(f"[{_UNSPACED}]+|[^\\W_{_UNSPACED}]+")
_UNSEEN = re.compile("[\u00ad\u200b\u2060\ufeff]++")
#: Those between words: U+200B is where a line may break, and U+FEFF where files were put together.
_BETWEEN_WORDS = frozenset("\u200b\ufeff")
_SHARP_S = re.compile("ß|ss")
#: At so many places of a word, from its beginning on, ß and ss are exchanged: 16 spellings.
_MAX_SHARP_S = 4
TOKENIZER = "porter unicode61 remove_diacritics 2"

_ENGLISH = (
    "a about after all also am an and any are as at be been being but by can could did do does doing for from get had has"
    " have having he her here him his how i if in into is it its just like many may me might more most my no not now of off often on one"
    " or other our out over own please she should so some something still such tell than that the their them then there these they this"
    " those to too up us use very want was we were what when where which while who whom whose why will with would you your"
)
_GERMAN = (
    "aber als am an auch auf aus bei bin bis das dass dem den der des die ein eine einem einen einer es für hat ich ihr im"
    " ist kann man mein meine mich mir mit nach nicht oder sich sie sind so über um und uns vom von vor wann warum was"
    " welche welcher welches wenn wer wie wir wird wo zu zum zur"
)
#: Words that stand in nearly every text, so that they tell nothing about it; a question of such words alone keeps them.
_COMMON = frozenset(f"{_ENGLISH} {_GERMAN}".split())


class IndexedPiece(Struct, frozen=True):
    """What is indexed of a piece: its id, collection and source, and the texts that were stored."""

    id: int
    collection_id: str
    source_id: str
    heading: str
    text: str


class Term(Struct, frozen=True):
    """A word of a question as it is searched. `begins`: every word that begins with it is meant."""

    text: str
    begins: bool = False

    @property
    def unspaced(self) -> bool:
        """True for signs that are written without spaces."""
        return _RUN.match(self.text) is not None


def composed(text: str) -> str:
    """Returns a text with each letter and its accents as one character, without signs that are not seen and stand inside
    of words, like soft hyphens, and with a blank for those between words. Those that join letters and emoji stay.
    """
    return normalized("NFC", _UNSEEN.sub(_blank_or_nothing, text))


def _blank_or_nothing(unseen: re.Match[str]) -> str:
    """Returns a blank for signs between words; none beside another blank, and none between letters that are written
    without spaces, which are found as pairs, and are typed without such signs.
    """
    before, after = (
        unseen.string[max(unseen.start() - 1, 0) : unseen.start()],
        unseen.string[unseen.end() : unseen.end() + 1],
    )
    if _BETWEEN_WORDS.isdisjoint(unseen[0]) or not before.strip() or not after.strip():
        return ""
    return "" if _RUN.match(before) and _RUN.match(after) else " "


def small(text: str) -> str:
    """Returns a text in small letters, each letter one as before: `casefold` makes two of ß, which the tokenizer leaves
    as it is, and `lower` makes two of İ, of which the second is no letter.
    """
    return text.replace("İ", "i").lower()


def spellings(term: Term) -> tuple[str, ...]:
    """Returns how a word may be written: ß is SS in capitals, and ss in Switzerland."""
    whole = term.text.casefold()
    *before, end = _SHARP_S.split(term.text, maxsplit=_MAX_SHARP_S)
    spelled = [
        "".join(chain.from_iterable(zip(before, written, strict=True))) + end
        for written in product(("ß", "ss"), repeat=len(before))
    ]
    return tuple(dict.fromkeys((term.text, whole if len(whole) != len(term.text) else term.text, *spelled)))


def terms_of(question: str) -> list[Term]:
    """Returns the words of a question that are searched, each once and in order."""
    found: dict[Term, None] = {}
    for text in _TERM.findall(small(composed(question))):
        if not _RUN.match(text):
            found[Term(text)] = None
        elif len(text) == 1:
            found[Term(text, begins=True)] = None
        else:
            found.update(dict.fromkeys(Term(text[at : at + 2]) for at in range(len(text) - 1)))
    telling = [term for term in found if term.text not in _COMMON]
    return (telling or list(found))[:MAX_WORDS]


def found_words_in(terms: Sequence[Term], texts: Sequence[str]) -> list[dict[Term, tuple[str, ...]]]:
    """Returns for each text: the terms that it holds -> the words as they are written there, in small letters; the stems
    count.
    """
    texts = [composed(text) for text in texts]  # those that were stored by earlier releases are not
    spaced = [term for term in terms if not term.unspaced]
    words: list[set[str]] = [set(_TERM.findall(small(text))) if spaced else set() for text in texts]
    stems: Mapping[str, str] = (
        _stems({one for term in spaced for one in spellings(term)}.union(*words)) if spaced else {}
    )
    answers: list[dict[Term, tuple[str, ...]]] = []
    for text, mine in zip(texts, words, strict=True):
        by_stem: dict[str, list[str]] = {}
        for word in mine:
            by_stem.setdefault(stems.get(word, word), []).append(word)
        found: dict[Term, tuple[str, ...]] = {}
        for term in terms:
            if term.unspaced:
                if term.text in text:
                    found[term] = (term.text,)
                continue
            wanted = {stems.get(one, one) for one in spellings(term)}
            if same := [word for stem in wanted for word in by_stem.get(stem, ())]:
                found[term] = tuple(sorted(same))
        answers.append(found)
    return answers


def indexed(text: str) -> str:
    """Returns a text as it is indexed: letters that are written without spaces become overlapping pairs.

    The result for a text must stay the same in every release: by it pieces are removed from the index of FTS5.
    """
    return _RUN.sub(lambda run: f" {' '.join(run[0][at : at + 2] for at in range(len(run[0])))} ", text)


def _stems(words: set[str]) -> Mapping[str, str]:
    """Returns word -> what the tokenizer makes of it. The words go through a table in memory: FTS5 offers no other way."""
    ordered = sorted(words)
    memory = sqlite3.connect(":memory:")
    try:
        memory.execute(f"create virtual table words using fts5(word, content='', tokenize='{TOKENIZER}')")
        memory.execute("create virtual table stems using fts5vocab(words, 'instance')")
        memory.executemany("insert into words (rowid, word) values (?, ?)", enumerate(ordered))
        return {ordered[at]: stem for stem, at in memory.execute("select term, doc from stems where offset = 0")}
    finally:
        memory.close()
