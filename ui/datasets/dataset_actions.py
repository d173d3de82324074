"""What a person does with a whole dataset, from the list and from its page: create, rename, delete, export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from nicegui import ui

from engine.actions.datasets import add_dataset, delete_dataset, rename_dataset
from storage.datasets import DatasetLine
from storage.flow_uses import FlowUse
from storage.flows import list_flows
from ui.forms.form import Field
from ui.kit import feedback
from ui.kit.answer import answer_of
from ui.kit.ask import ask_text
from ui.kit.feedback import open_page
from ui.kit.parts import button, link, words
from ui.kit.text import _
from ui.page_session import PageSession
from ui.parts.flow_uses import confirm_delete

#: How many flows are offered, those first that were changed last.
_MAX_FLOWS = 500
_MAX_WITHOUT_SEARCH = 12


async def make(page_session: PageSession) -> str | None:
    """Asks for a name and creates an empty dataset. Returns its id."""
    name = await ask_text(_("New dataset"), _("Name"), "", _("Create"))
    return await page_session.try_execute(add_dataset, name) if name else None


async def rename(page_session: PageSession, dataset: DatasetLine) -> str | None:
    """Asks for another name. Returns it when the dataset was renamed."""
    name = await ask_text(_("Rename the dataset"), _("Name"), dataset.name, _("Rename"))
    if not name or name == dataset.name:
        return None
    with feedback.refusals_told() as outcome:
        await page_session.execute(rename_dataset, dataset.id, name)
    return None if outcome.refused else name


async def delete(page_session: PageSession, dataset: DatasetLine, uses: Sequence[FlowUse]) -> bool:
    """Asks for confirmation, by typing the name when flows use the dataset, and deletes it."""
    lost = _("Its rows are gone for good, also from Knowledge. A backup would bring them back.")
    if not await confirm_delete(dataset.name, lost, uses):
        return False
    with feedback.refusals_told() as outcome:
        await page_session.execute(delete_dataset, dataset.id, "delete" if uses else "refuse")
    return not outcome.refused


async def run_over(page_session: PageSession, dataset: DatasetLine) -> None:
    """Asks for a flow and opens it in the Playground, where a batch over the rows of this dataset can be started."""
    flows = await page_session.query(list_flows, _MAX_FLOWS)
    title = _("Run a flow over these rows")
    box: ui.select | None = None
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        if not dataset.rows:
            words(_("There are no rows yet. Add a row or import a file, then come back here."), tag="p")
        elif not flows:
            with words(_("There is no flow yet that could run. Make one, for example from a template:") + " ", tag="p"):
                link(_("Templates"), "/templates")
        else:
            said = _("It runs once for each row. You see which column fills which field before it starts.")
            words(said, "fp-t2", tag="p")
            field = Field(_("Flow"))
            with field.place:
                names = {one.id: one.title for one in flows}
                box = ui.select(names, value=flows[0].id, with_input=len(flows) > _MAX_WITHOUT_SEARCH)
                field.control(box.props("outlined dense options-dense").classes("w-full"))
        with ui.element("div").classes("fp-acts"):
            button(_("Close") if box is None else _("Cancel"), dialog.close, kind="quiet")
            if box is not None:
                button(_("Open the flow"), lambda: dialog.submit(box.value), kind="main")
    if flow_id := await answer_of(dialog):
        ui.navigate.to(f"/playground/{flow_id}?dataset={dataset.id}")


def export(dataset: DatasetLine, form: Literal["csv", "xlsx", "json"]) -> None:
    """Downloads the rows."""
    ui.download.from_url(f"/datasets/{dataset.id}/export.{form}")
