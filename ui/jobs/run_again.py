"""What the button “Run again” on a job's page runs: the flow as it ran then or, where that differs, as it is now."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session

from engine.actions.called_flows import read_inner, read_library
from engine.actions.datasets import known_datasets
from engine.flow.called_flows import pinned
from engine.flow.document import Document, load_document
from engine.flow.version_comparison import answers_may_differ, content_of
from storage.flows import get_draft, get_flow, get_version
from storage.jobs import JobRow
from ui.kit.answer import answer_of
from ui.kit.feedback import forget_failures, open_page
from ui.kit.parts import button, note, words
from ui.kit.text import _
from ui.parts.job_words import version_that_ran
from ui.parts.written_rows import does_before_a_run


class Way(Struct, frozen=True):
    """A flow that may run with the input of the job.

    `version`: the number of the version that it is, None for no version; `now`: whether it is on the canvas now; `does`:
    what it writes and calls, as the Run panel says it.
    """

    verb: str
    document: Document
    version: int | None
    now: bool
    does: str = ""


def load_ways(session: Session, workspace_id: str, job: JobRow, ran: Document) -> list[Way]:
    """Reads what may run: first the flow as it ran, then the live version or what is on the canvas when that may answer in
    another way. A run of the canvas is compared with the canvas only: it is not meant to be what is live. Raises NotFound.
    """
    flow = get_flow(session, workspace_id, job.flow_id)
    draft = load_document(get_draft(session, workspace_id, job.flow_id).document)
    number, live = version_that_ran(job), flow.live_version
    ways: list[Way] = []
    if live not in (None, number) and (number is not None or not flow.differs_from_live):
        document = load_document(get_version(session, workspace_id, job.flow_id, live).document)
        ways.append(Way(_("With version {number}, live now").format(number=live), document, live, now=False))
    if draft.nodes:
        ways.append(Way(_("With what is on the canvas now"), draft, None, now=True))
    content = content_of(ran)
    other = next((one for one in ways if answers_may_differ(content, content_of(one.document))), None)
    is_on_canvas = number is None and not answers_may_differ(content, content_of(draft))
    verb = _("As it ran then") if number is None else _("As it ran then (version {number})").format(number=number)
    found = [Way(verb, ran, number, now=is_on_canvas), *([other] if other is not None else [])]
    known = known_datasets(session, workspace_id)

    def does(document: Document) -> str:
        inner = read_inner(session, workspace_id, pinned(document, read_library(session, workspace_id, document)))
        return does_before_a_run(document, inner, known)

    return [Way(one.verb, one.document, one.version, one.now, does(one.document)) for one in found]


async def choose_way(ways: Sequence[Way]) -> Way | None:
    """Asks which of two ways runs; the last one is the main button. Returns None when the person wants neither."""
    forget_failures()
    title = _("Run again with which flow?")
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--wide"):
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(_("The flow was changed since this run. The input is the same either way."), tag="p")
        if len({one.does for one in ways}) == 1:
            if ways[0].does:
                note(ways[0].does, icon="table_rows")
        else:
            for one in ways:
                note(one.does or _("Writes no rows."), icon="table_rows", strong=f"{one.verb}:")
        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), lambda: dialog.submit(None), kind="quiet")
            for one in ways:
                kind = "main" if one is ways[-1] else "normal"
                button(one.verb, lambda one=one: dialog.submit(one), kind=kind)
    return await answer_of(dialog)
