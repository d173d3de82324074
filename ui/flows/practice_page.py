"""Shows a page of the practice site, which flows can read and browsers cannot open."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from nicegui import ui

from engine.core.web_addresses import split_url
from engine.outbound.practice_site import PRACTICE_HOST, practice_page
from ui.kit.answer import answer_of
from ui.kit.feedback import open_page
from ui.kit.markdown import foreign_markdown
from ui.kit.parts import button, words
from ui.kit.text import _

if TYPE_CHECKING:
    from engine.pages.main_content import Page

#: A link of Markdown: it would lead a browser to a server that is not there.
_LINK = re.compile(r"\[([^\[\]]*)\]\([^()\s]*\)")


def is_practice_page(address: object) -> bool:
    """True for the address of a page of the practice site, also without `https://`."""
    text = str(address or "").strip()[:2_000]
    try:
        parts = split_url(text if "://" in text else f"https://{text}")
        return parts.hostname == PRACTICE_HOST and practice_page(parts.path) is not None
    except ValueError:
        return False


async def show_practice_page(address: str) -> None:
    """Shows the title and the text of a practice page until the dialog is closed."""
    text = address.strip()
    url = text if "://" in text else f"https://{text}"
    page = await asyncio.to_thread(_read, url)
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--wide"):
        dialog.props["aria-label"] = page.title
        words(page.title, tag="h2")
        with ui.element("div").classes("fp-dlg-body fp-col"):
            words(
                _("{address} lies in Flowport itself: flows can read it, browsers cannot open it.").format(address=url),
                "fp-t2 fp-s13 fp-wrap-text",
                tag="p",
            )
            foreign_markdown(_LINK.sub(r"\1", page.markdown))
        with ui.element("div").classes("fp-acts"):
            button(_("Close"), dialog.close, kind="quiet")
    await answer_of(dialog)


def _read(url: str) -> Page:
    """Reads a page in a thread, since what reads pages takes long to import."""
    from engine.pages.main_content import read_page

    return read_page(practice_page(split_url(url).path) or "", url, content="selector", selector="main")
