"""Retention settings on the page Data: how long values and rows are kept, and the size limit of the database."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from nicegui import ui

from engine.actions.server import set_rules
from engine.core.errors import Refusal
from engine.jobs.server.retention import Rules
from ui.forms.form import Field
from ui.forms.values import read_count
from ui.kit import feedback
from ui.kit.parts import button, card
from ui.kit.text import _
from ui.page_session import PageSession
from ui.page_shell import not_twice


def draw_retention(page_session: PageSession, rules: Rules, changed: Callable[[], Awaitable[None]]) -> None:
    """Draws the card in the current slot; `changed` is called after other rules are stored."""
    began = rules
    shared = page_session.app.settings.database_url is not None
    with (
        card(_("How long things are kept"), _("It counts within ten minutes")),
        ui.element("div").classes("fp-form fp-narrow"),
    ):
        values = Field(
            _("Values"),
            _("days"),
            _(
                "Inputs, results and steps of jobs. After that they are deleted, and a caller who asks is told "
                "that the job has expired. A flow may have its own time in its settings. The list of refused calls "
                "goes back as far."
            ),
        )
        with values.place:
            values_box = values.control(
                ui.input(value=str(rules.values_days)).props("outlined dense inputmode=numeric")
            )
        rows = Field(
            _("Jobs and logs"),
            _("months"),
            _("The lines of Jobs and Monitoring, the counts of refused calls, the audit log."),
        )
        with rows.place:
            rows_box = rows.control(ui.input(value=str(rules.rows_months)).props("outlined dense inputmode=numeric"))
        cap = Field(
            _("Largest size of the database"),
            "GB",
            _(
                "When more of the database is in use, without files, the oldest inputs and results are deleted early, "
                "first those of the workspace that uses most, never those of the last hour. 0: no limit."
            )
            if shared
            else _(
                "When the database grows larger, the oldest inputs and results are deleted early, first those of "
                "the workspace that uses most, never those of the last hour. 0: no limit."
            ),
        )
        with cap.place:
            cap_box = cap.control(ui.input(value=f"{rules.cap_gb:g}").props("outlined dense inputmode=decimal"))
        files = Field(
            _("Space for files"),
            "GB",
            _(
                "What the files of each workspace may take: uploads and what jobs made. When it is used up, more files "
                "are refused. A file goes when nothing uses it any more. 0: no limit."
            ),
        )
        with files.place:
            files_box = files.control(ui.input(value=f"{rules.files_gb:g}").props("outlined dense inputmode=decimal"))
        fields = {"/values": values, "/rows": rows, "/cap": cap, "/files": files}

        async def save() -> None:
            nonlocal began
            for field in fields.values():
                field.error("")
            read = _read_rules(values_box.value or "", rows_box.value or "", cap_box.value or "", files_box.value or "")
            if isinstance(read, str):
                fields[read].error(_("Write a number."))
                return
            try:
                await page_session.execute(set_rules, read, began=began)
            except Refusal as refusal:
                for error in refusal.errors:
                    fields[error.pointer].error(f"{refusal.detail}. {refusal.remedy}")
                if not refusal.errors:
                    feedback.refused(refusal)
                return
            began = read
            feedback.told(_("Saved."), _("It counts within ten minutes."))
            await changed()

        with ui.element("div"):
            button(_("Save"), not_twice(save))


def _read_rules(values: str, rows: str, cap: str, files: str) -> Rules | str:
    """Parses the rules. Returns the JSON pointer of the first field that is no number instead."""
    days, months = read_count(values), read_count(rows)
    if days is None or months is None:
        return "/values" if days is None else "/rows"
    sizes = []
    for pointer, text in (("/cap", cap), ("/files", files)):
        try:
            gigabytes = float(text.strip().replace(",", ".") or "0")
        except ValueError:
            return pointer
        if not 0 <= gigabytes < math.inf:
            return pointer
        sizes.append(gigabytes)
    return Rules(days, months, *sizes)
