"""Texts, addresses and the key as they stand in the source code of a sample."""

from __future__ import annotations

import json

from engine.core.lone_surrogates import without_lone_surrogates
from engine.core.web_addresses import split_url

YOUR_KEY = "YOUR_API_KEY"
#: The files that the samples of an upload and of a download name.
UPLOADED, DOWNLOADED = "report.pdf", "download"


def shell_word(text: str) -> str:
    """Quotes any text as one shell word that can be encoded; in double quotes where that is safe, because they are easier
    to read.
    """
    text = without_lone_surrogates(text)
    if any(letter in text for letter in "\"$`\\!'\n"):
        return "'" + text.replace("'", "'\\''") + "'"
    return f'"{text}"'


def quoted(text: str) -> str:
    """Quotes any text for Python and JavaScript, so that it can be encoded."""
    return without_lone_surrogates(json.dumps(text, ensure_ascii=False))


def question_of(url: str) -> tuple[str, str]:
    """Returns the address of the questions of a job, and the id of one, from the address where that one is answered."""
    questions, question_id, _ = url.rsplit("/", 2)
    return questions, question_id


def indented(text: str) -> str:
    """Moves all lines but the first to the right."""
    return text.replace("\n", "\n  ")


def origin_of(endpoint: str) -> str:
    """Returns scheme, host and port of a URL."""
    parts = split_url(endpoint)
    return f"{parts.scheme}://{parts.netloc}"


def files_url(endpoint: str) -> str:
    """Returns where the server of this endpoint takes uploads."""
    return f"{origin_of(endpoint)}/public/v1/files"
