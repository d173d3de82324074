"""Imports a flow file from a button or a file dropped on the page, and shows the problems of a refused file."""

from __future__ import annotations

import re

from nicegui import events, ui

from engine.actions.flows import import_flow, read_import
from engine.actions.principal import require_may
from engine.core.errors import FlowInvalid, Refusal
from engine.flow.flow_file import MAX_FILE_BYTES, FlowFile
from engine.flow.yaml_files import is_yaml, json_of_yaml
from ui.kit import feedback
from ui.kit.answer import answer_of
from ui.kit.hidden_upload import TOO_LARGE, hidden_upload
from ui.kit.long_lists import first_lines
from ui.kit.parts import button, icon, sentence, words
from ui.kit.text import _, plural
from ui.page_session import PageSession

#: Upload limit in bytes. It is above that of a flow file, so that the refusal can name the size of a larger file.
MAX_UPLOAD = MAX_FILE_BYTES + (2 << 20)


def import_button(page_session: PageSession, *, quiet: bool = False) -> ui.upload:
    """Draws a button that takes a flow file; the browser sends the file by HTTP."""

    async def received(event: events.UploadEventArguments) -> None:
        await take_in(page_session, event.file.name, await event.file.read())

    def refused(why: str) -> None:
        large = _("The file is larger than a flow can be. A flow file has at most 4 MB, and its flow 1 MB.")
        feedback.failed(_("Not imported."), large if why == TOO_LARGE else _("A flow file ends in .json or .yaml."))

    upload = hidden_upload(received, refused, most_bytes=MAX_UPLOAD, accept=".json,.yaml,.yml")
    made = button(_("import a flow file") if quiet else _("Import"), icon="upload", kind="link" if quiet else "normal")
    made.on("click", js_handler=f"() => getElement({upload.id}).$refs.qRef.pickFiles()")
    return upload


def take_dropped(page: ui.element, upload: ui.upload) -> None:
    """Imports a flow file that is dropped anywhere on the page.

    Its scripts are constants, so no text of a file is executed.
    """
    page.on("dragover", js_handler="(event) => event.dataTransfer.types.includes('Files') && event.preventDefault()")
    page.on(
        "drop",
        js_handler=f"(event) => {{ const files = event.dataTransfer.files; if (!files.length) return; event.preventDefault();"
        f" getElement({upload.id}).$refs.qRef.addFiles(files); }}",
    )


class _Reading(set[str]):
    """The ids of the people for whom a file is being read."""


async def take_in(page_session: PageSession, name: str, data: bytes) -> None:
    """Imports a file and opens the flow, or lists every problem of a refused file. Reads one file of a person at a time."""
    fallback = re.sub(r"(\.flow)?\.(json|ya?ml)$", "", name, flags=re.IGNORECASE)
    reading, person_id = page_session.app.shared(_Reading), page_session.person.id
    if person_id in reading:
        said = _("The file that you gave before is still being read. Import this one when that is done.")
        feedback.failed(_("{name} was not imported.").format(name=name), said)
        return
    try:
        require_may(page_session.principal, "edit flows")
        reading.add(person_id)
        try:
            file = await page_session.beside(_read, name, data, fallback)
        finally:
            reading.discard(person_id)
        made = await page_session.execute(import_flow, file)
    except FlowInvalid as refusal:
        await _show_problems(name, refusal)
        return
    except Refusal as refusal:
        feedback.refused(refusal)
        return
    ui.navigate.to(f"/flows/{made.flow_id}?imported=1")


def _read(name: str, data: bytes, fallback: str) -> FlowFile:
    return read_import(json_of_yaml(data) if is_yaml(name) else data, fallback)


async def _show_problems(name: str, refusal: FlowInvalid) -> None:
    count = plural(len(refusal.problems), _("problem"), _("problems"))
    with feedback.open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--wide"):
        title = _("{name} was not imported").format(name=name)
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(_("{count}. Nothing was stored. Mend the file and import it again.").format(count=count), tag="p")
        with ui.element("ul").classes("fp-problems fp-problems--scroll").props("tabindex=0"):
            for problem in first_lines(refusal.problems):
                with ui.element("li"):
                    icon("error", "fp-bad", size=16)
                    with ui.element("div").classes("fp-grow"):
                        sentence(problem.message, tag="div")
                        place = " ".join(part for part in (problem.node_id, problem.pointer) if part)
                        if place:
                            words(place, "fp-mono fp-s12 fp-t3", tag="div")
        with ui.element("div").classes("fp-acts"):
            button(_("Close"), dialog.close, kind="main")
    await answer_of(dialog)
