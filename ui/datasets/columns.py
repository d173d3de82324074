"""Changes to the columns of a dataset: add, rename, remove."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct
from nicegui import ui

from engine.actions.datasets import add_column, remove_column, rename_column
from storage.datasets import ColumnLine, ColumnType, DatasetLine
from ui.datasets.words import TYPES
from ui.forms.form import Field
from ui.kit import feedback
from ui.kit.answer import answer_of
from ui.kit.ask import ask_text
from ui.kit.parts import button, menu_button, menu_item, words
from ui.kit.text import _
from ui.page_session import PageSession


class ColumnHeads(Struct, frozen=True):
    """The actions of the menu in a column's head; `on_change` is called after a change."""

    page_session: PageSession
    dataset: DatasetLine
    on_change: Callable[[], Awaitable[None]]

    def draw(self, column: ColumnLine) -> None:
        """Draws the menu of one column."""
        with menu_button(_("More for column {name}").format(name=column.name)):
            menu_item(_("Rename column..."), lambda: self._rename(column), icon="edit")
            menu_item(_("Remove column..."), lambda: self._remove(column), icon="delete", danger=True)

    async def _rename(self, column: ColumnLine) -> None:
        name = await ask_text(_("Rename the column"), _("Name"), column.name, _("Rename"))
        if not name or name == column.name:
            return
        with feedback.refusals_told() as outcome:
            await self.page_session.execute(rename_column, self.dataset.id, column.name, name)
        if not outcome.refused:
            feedback.told(
                _("{old} is now {new}.").format(old=column.name, new=name),
                _("Steps of flows that use this column must be changed, too."),
            )
            await self.on_change()

    async def _remove(self, column: ColumnLine) -> None:
        sure = await feedback.confirm(
            _("Remove column {name}?").format(name=column.name),
            _("Its values are gone from every row, for good."),
            verb=_("Remove"),
            danger=True,
            keep=_("Keep it"),
        )
        if not sure:
            return
        with feedback.refusals_told() as outcome:
            await self.page_session.execute(remove_column, self.dataset.id, column.name)
        if not outcome.refused:
            await self.on_change()


async def ask_new_column(page_session: PageSession, dataset: DatasetLine, why: str = "") -> bool:
    """Asks for a name and a type and adds the column. `why` says why a column is asked for."""
    words_of: dict[str, ColumnType] = {word: kind for kind, word in TYPES.items()}  # type: ignore[misc]
    with feedback.open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        title = _("Add a column")
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        if why:
            words(why, "fp-t2", tag="p")
        field = Field(_("Name"))
        with field.place:
            name = field.control(ui.input().props("outlined dense autofocus autocomplete=off maxlength=200"))
        kinds = Field(
            _("Type"),
            help_text=_("What you fill in when you add a row. “List” holds several values, “Group” named values."),
        )
        with kinds.place:
            kind = kinds.control(ui.select(list(words_of), value=TYPES["string"]).props("outlined dense options-dense"))
            kind.classes("w-full")

        def typed() -> str:
            return (name.value or "").strip()

        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), dialog.close, kind="quiet")
            go = button(_("Add"), lambda: dialog.submit(typed()), kind="main")
            go.disable()
            name.on("keydown.enter", lambda: dialog.submit(typed()) if typed() else None, [])
            name.on_value_change(lambda: go.set_enabled(bool(typed())))
    chosen = await answer_of(dialog)
    if not chosen:
        return False
    with feedback.refusals_told() as outcome:
        await page_session.execute(add_column, dataset.id, chosen, words_of[kind.value or TYPES["string"]])
    return not outcome.refused
