"""The confirmation before the data of a job is erased: what is removed, what stays and what cannot be reached."""

from __future__ import annotations

from nicegui import ui

from ui.kit.answer import answer_of
from ui.kit.feedback import open_page
from ui.kit.parts import button, note, words
from ui.kit.text import _


async def sure_to_erase() -> bool:
    """Asks for confirmation. Returns True when the data may be erased."""
    title = _("Erase the data of this job?")
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--wide"):
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(_("It happens now and cannot be undone."), tag="p")
        note(
            _(
                "input and result, its steps with their values, what models wrote, messages of errors; also in runs made again from it in the Playground."
            ),
            icon="delete",
            strong=_("Removed:"),
        )
        note(
            _(
                "the job in the list, with status, times, counts and cost. A webhook that waits is sent without the result."
            ),
            icon="check",
            strong=_("Stays:"),
        )
        note(
            _(
                "backups made before, rows it wrote into datasets, what it sent to other servers, and runs and samples that somebody made in the Playground after opening its input there."
            ),
            kind="warn",
            icon="warning",
            strong=_("Not reached:"),
        )
        with ui.element("div").classes("fp-acts"):
            button(_("Keep it"), lambda: dialog.submit(False), kind="quiet")
            button(_("Erase data"), lambda: dialog.submit(True), kind="danger_main")
    return bool(await answer_of(dialog))
