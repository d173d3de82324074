"""Why a document was not read, in words for the flow's designer. The evaluator process returns the key of a sentence
and its facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

KINDS: Final = (
    "Read Document reads PDF, Word (.docx), PowerPoint (.pptx), tables of Excel and OpenDocument (.xlsx, .xls, .ods), CSV, "
    "web pages (.html), e-mails (.eml), Markdown and text."
)


class Sentence(NamedTuple):
    """What happened, why, and what to do, with places for facts."""

    message: str
    why: str = ""
    remedy: str = ""


SENTENCES: Final[Mapping[str, Sentence]] = {
    "empty": Sentence("“{name}” is empty.", "The file has no bytes.", "Send the file again."),
    "with_password": Sentence(
        "“{name}” is locked with a password, so it cannot be read.",
        "",
        "Open it, save it without a password, and use that file.",
    ),
    "scanned": Sentence(
        "“{name}” has no text: its pages are pictures.",
        "It was probably scanned or photographed.",
        "Give the file to a Prompt node: a model that sees pictures can look at its pages.",
    ),
    "no_text": Sentence(
        "“{name}” has no text.", "There is nothing to read on the chosen pages.", "Choose other pages or another file."
    ),
    "damaged": Sentence(
        "“{name}” is damaged, so it cannot be read.",
        "{detail}",
        "Open it in the program that made it, save it again, and use that file.",
    ),
    "unsafe": Sentence(
        "“{name}” was not read, because it is not safe to read.",
        "{detail}",
        "Open it in the program that made it, save it again, and use that file.",
    ),
    "tangled": Sentence(
        "“{name}” cannot be read. {detail}",
        "Reading such a web page could take very long.",
        "Split it, or save it again with the program that made it, and use that file.",
    ),
    "unsupported": Sentence("“{name}” cannot be read: it is {what}.", KINDS, "{hint}"),
    "pages_outside": Sentence(
        "“{name}” has {total}, and none of them is in “{pages}”.",
        "",
        "Change Pages in the node, or leave it empty.",
    ),
    "bad_pages": Sentence("“{pages}” does not say which pages to read.", "{detail}", "Change Pages in the node."),
    "no_pages": Sentence(
        "“{name}” has no pages to show as pictures: only PDFs have.", "", "Use a PDF, or the text of the file."
    ),
    "table_wrong": Sentence("“{name}” cannot be read as a table. {detail}", "", "{hint}"),
    "no_table": Sentence(
        "“{name}” holds no table.",
        "The step gives back the tables of a file, and none was found on the pages that it reads.",
        "Send a file with a table, like Excel or CSV, or choose Text under Give back.",
    ),
    "too_large": Sentence(
        "“{name}” is too big: {size}.", "Files up to {most} are read.", "Send a smaller file, or a part of it."
    ),
    "unpacks": Sentence(
        "“{name}” is too big when it is unpacked.",
        "It unpacks to {size}; up to {most} are read.",
        "Send a smaller file, or a part of it.",
    ),
    "says_too_much": Sentence(
        "“{name}” has too much text.",
        "What it says is longer than a step may hold.",
        "Choose some of its Pages in the node, or split the file.",
    ),
    "too_slow": Sentence(
        "Reading “{name}” took longer than {seconds} seconds, so it was stopped.",
        "Some files are made so that reading them never ends.",
        "Choose some of its Pages in the node, or save it again with the program that made it.",
    ),
    "too_much_memory": Sentence(
        "“{name}” needs more memory than a document may use.",
        "It was stopped at {most_memory}. In a table, one cell far away from the others can be the reason.",
        "Choose some of its Pages in the node, or delete empty rows and columns, and save it again.",
    ),
    "ended": Sentence(
        "“{name}” could not be read: the reader stopped in the middle.",
        "The file is damaged, or it needs more memory than the {most_memory} that a document may use. In a table, one cell far "
        "away from the others can be the reason.",
        "Open it in the program that made it, save it again, and use that file.",
    ),
    "too_deep": Sentence(
        "“{name}” was not read: its parts are nested too deep.",
        "No usual program makes such files.",
        "Open it in the program that made it, save it again, and use that file.",
    ),
    "stopping": Sentence("“{name}” was not read: Flowport is stopping.", "", "Run it again."),
}


def sentence(key: str, facts: Mapping[str, Any]) -> Sentence:
    """Returns the sentence with its facts filled in. An unknown key is told as `ended`; a missing fact is empty."""
    told = SENTENCES.get(key) or SENTENCES["ended"]
    known = _Facts({name: str(value)[:200] for name, value in facts.items()})
    return Sentence(*(part.format_map(known).strip() for part in told))


class _Facts(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""
