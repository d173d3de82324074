"""What a person does with a whole dataset, from the list and from its page: create, rename, delete, export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from nicegui import ui

from engine.actions.datasets import add_dataset, delete_dataset, rename_dataset
from storage.datasets import DatasetLine
from storage.flow_uses import FlowUse
from ui.kit import feedback
from ui.kit.ask import ask_text
from ui.kit.text import _
from ui.page_session import PageSession
from ui.parts.flow_uses import confirm_delete


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


def export(dataset: DatasetLine, form: Literal["csv", "json"]) -> None:
    """Downloads the rows; the server sends them in pieces."""
    ui.download.from_url(f"/datasets/{dataset.id}/export.{form}")
