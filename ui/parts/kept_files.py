"""Keeps the files that people choose on pages, and draws stored files with a link to download them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui

from engine.actions.files import PLAYGROUND, upload_by_person
from engine.files.intake import incoming_of, value_of
from engine.flow.file_values import media_type_in_words
from ui.kit.parts import icon, words
from ui.kit.text import ENGLISH, Reader, _, size
from ui.page_session import PageSession

Json = Any


def file_keeper(
    page_session: PageSession, environment: str = PLAYGROUND
) -> Callable[[str, str, bytes], Awaitable[Json]]:
    """Returns what a form needs to keep a file: it stores the file for the person's workspace. It raises Refusal.

    `environment`: which keys may use the file by its id.
    """

    async def keep(name: str, said_type: str, content: bytes) -> Json:
        files = page_session.app.database.file_bytes
        incoming = await asyncio.to_thread(incoming_of, files, content, name, said_type)
        try:
            return value_of(await page_session.execute(upload_by_person, incoming, environment))
        finally:
            await asyncio.to_thread(incoming.discard)

    return keep


def file_line(value: Json, reader: Reader = ENGLISH) -> ui.element:
    """Draws a file value: its name as a link that downloads it, its kind and its size."""
    with ui.element("div").classes("fp-file fp-file--value") as line:
        icon("description", size=20)
        with ui.element("div").classes("fp-file-words"):
            with words("", "fp-val-link fp-b", tag="a") as anchor:
                anchor.props["href"] = file_path(value["file_id"])
                anchor.props["download"] = True
                words(value["name"]).props("dir=auto")
                icon("download", size=14)
                words(_("download"), "fp-hide")
            words(f"{media_type_in_words(value['media_type'])}, {size(value['size'], reader)}", "fp-s12 fp-t3")
    return line


def file_path(file_id: str) -> str:
    """Returns where signed-in people download a file."""
    return f"/files/{file_id}"
