"""Cuts a text into pieces of about equal length along its headings, paragraphs and sentences.

A piece keeps the headings above it (`Terms › Returns`), because a paragraph alone often does not say what it is about.
Headings are those of Markdown. The time is in proportion to the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from storage.knowledge_documents import NewPiece
from storage.knowledge_terms import composed

PIECE_CHARS = 1_000
SMALLEST_PIECE, LARGEST_PIECE = 200, 8_000
_LONGEST_HEADING = 300
_FENCE = ("```", "~~~")
_ENDS = re.compile(r"(?<=[.!?;])\s++(?=\S)|(?<=[。！？；])\s*+(?=\S)")
_BLANKS = re.compile(r"[^\S\n]++")
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


def cut(text: str, chars: int = PIECE_CHARS, place: str = "") -> list[NewPiece]:
    """Returns the pieces of a text, each about `chars` characters long and at most half as long again.

    Headings with nothing below them are text below the heading above them, those that follow each other together.
    """
    pieces: list[NewPiece] = []
    path: list[str] = []
    above: list[str] = []
    held: list[str] = []
    is_bare = False

    def end() -> None:
        pieces.extend(NewPiece(one, _shown(above), place) for one in _packed(held, chars))
        held.clear()

    def hold(text: str, below: list[str]) -> None:
        if below != above:
            end()
            above[:] = below
        held.append(text)

    for block in _blocks(clean(text)):
        level = _level(block)
        if not level:
            hold(block, path)
            is_bare = False
            continue
        if is_bare and level <= len(path):
            hold(path[-1], path[:-1])
        else:
            end()
        heading = _BLANKS.sub(" ", block.strip("# \t"))
        del path[level - 1 :]
        path += [""] * (level - 1 - len(path)) + [heading[:_LONGEST_HEADING]]
        is_bare = len(heading) <= _LONGEST_HEADING
        if not is_bare:
            hold(heading, path)
    if is_bare:
        hold(path[-1], path[:-1])
    end()
    return pieces


def cut_parts(parts: Sequence[tuple[str, str]], chars: int = PIECE_CHARS) -> list[NewPiece]:
    """Returns the pieces of a document of several parts, like pages: `(place, text)` each."""
    return [piece for place, text in parts for piece in cut(text, chars, place)]


def clean(text: str) -> str:
    """Returns a text as it is stored, with words as they are searched."""
    return composed(storable(text))


def storable(text: str) -> str:
    """Returns a text without characters that no database keeps, and with plain line ends."""
    return _UNREADABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _blocks(text: str) -> Iterator[str]:
    """Yields headings and paragraphs; a fenced part of code is one paragraph."""
    lines: list[str] = []
    fence = ""
    for line in text.split("\n"):
        mark = line.lstrip()[:3]
        if fence:
            lines.append(line)
            if mark == fence:
                fence = ""
        elif mark in _FENCE:
            fence = mark
            lines.append(line)
        elif not line.strip() or _level(line):
            if lines:
                yield "\n".join(lines)
                lines = []
            if line.strip():
                yield line.strip()
        else:
            lines.append(line.rstrip())
    if lines:
        yield "\n".join(lines)


def _level(block: str) -> int:
    """Returns 1 to 6 for a heading of Markdown, else 0."""
    marks = len(block) - len(block.lstrip("#"))
    return marks if 1 <= marks <= 6 and "\n" not in block and block[marks : marks + 1] == " " else 0


def _shown(path: Sequence[str]) -> str:
    return " › ".join(part for part in path if part)[:1_000]


def _packed(blocks: Sequence[str], chars: int) -> Iterator[str]:
    """Yields the texts of pieces: paragraphs together up to `chars`, and long paragraphs in parts."""
    held = ""
    for part in (part for block in blocks for part in _parts(block, chars)):
        if held and len(held) + 2 + len(part) > chars * 1.1:
            yield held
            held = part
        else:
            held = f"{held}\n\n{part}" if held else part
    if held.strip():
        yield held


def _parts(block: str, chars: int) -> Iterator[str]:
    """Yields a paragraph in parts of at most `chars`: at ends of lines or sentences, else at spaces, else anywhere."""
    if len(block) <= chars:
        yield block
        return
    lines = block.split("\n")
    joint = "\n" if len(lines) > 1 else " "
    units = lines if len(lines) > 1 else _ENDS.split(block)
    held = ""
    for unit in (part for one in units for part in _hard(one, chars)):
        if held and len(held) + 1 + len(unit) > chars:
            yield held
            held = unit
        else:
            held = f"{held}{joint}{unit}" if held else unit
    if held.strip():
        yield held


def _hard(unit: str, chars: int) -> Iterator[str]:
    at = 0
    while len(unit) - at > chars:
        space = unit.rfind(" ", at + chars // 2, at + chars)
        until = space if space > 0 else at + chars
        yield unit[at:until].strip()
        at = until
    if rest := unit[at:].strip():
        yield rest
