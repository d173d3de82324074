"""Which table a template uses: the one that it brings along, or one of the workspace. Drawn as a question of a goal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nicegui import ui

from engine.actions.datasets import add_dataset, known_datasets
from engine.flow.document import Document
from engine.nodes.known_datasets import KnownDataset, find_known
from engine.table_files.samples import sample_tables
from ui.forms.specs import FieldSpec, Json
from ui.kit.ask import ask_text
from ui.kit.parts import button, link, words
from ui.kit.text import _
from ui.page_session import PageSession
from ui.page_shell import every

if TYPE_CHECKING:
    from ui.forms.form import Form

#: How often the page looks whether an empty table was filled, in seconds.
_LOOK_SECONDS = 2.0
#: The names of the form widgets: the table, one of its columns, and one that is to hold numbers.
WIDGET = "table"
COLUMN = "column"
NUMBER_COLUMN = "number_column"


class TableChoice:
    """The datasets of the workspace, for a template that names some, and the field in which one is chosen.

    A dataset that exists is chosen by its id; the one that the template brings along by its name until it is made.
    """

    def __init__(self, page_session: PageSession, template: Document, known: Sequence[KnownDataset]) -> None:
        self.page_session = page_session
        self.brings = sample_tables(template)
        self.known = known
        self._show: Callable[[], None] | None = None
        #: The table that is chosen on the page, and what draws the columns on offer again.
        self._on_page = ""
        self._columns: list[Callable[[], None]] = []

    async def load(self) -> None:
        """Reads the datasets again, when the template names any."""
        if self.brings:
            self.known = await self.page_session.query(known_datasets)
            if self._show is not None:
                self._show()

    def chosen(self, named: Json) -> Json:
        """Returns the id of the dataset of this name; what was given when there is none."""
        found = find_known(self.known, named)
        return named if found is None else found.id

    def draw(self, form: Form, spec: FieldSpec, pointer: str, value: Json) -> None:
        """Draws the form widget."""
        around = ui.element("div").props("data-fp-back")
        with around:
            place = ui.element("div").classes("fp-goal-documents")
        shown = value

        def draw(chosen: Any) -> None:
            nonlocal shown
            shown = chosen
            self._on_page = str(self.chosen(chosen) or "")
            place.clear()
            with place:
                self._draw_choice(str(chosen or ""), spec.title, pick)
            timer.active = self._is_to_be_filled(chosen)
            for draw_column in self._columns:
                draw_column()

        def pick(chosen: Any) -> None:
            form.change(pointer, chosen)
            draw(chosen)

        async def look_again() -> None:
            """Tables may have been made in another tab."""
            fresh = await self.page_session.query_again(known_datasets)
            if tuple(fresh) != tuple(self.known) and not place.is_deleted:
                self.known = fresh
                draw(shown)

        self._show = lambda: None if place.is_deleted else draw(shown)
        with around:
            timer = every(_LOOK_SECONDS, look_again)  # while people fill the table in another window
        draw(value)
        around.on("fpback", look_again, [])

    def draw_number_column(self, form: Form, spec: FieldSpec, pointer: str, value: Json) -> None:
        """Draws the same for a column that is to hold numbers: it says so of one that holds something else."""
        self.draw_column(form, spec, pointer, value, numbers=True)

    def draw_column(self, form: Form, spec: FieldSpec, pointer: str, value: Json, *, numbers: bool = False) -> None:
        """Draws the form widget in which a column of the chosen table is chosen. A field that may be empty is last.

        A column that another table does not have is taken back, and comes back with its table.
        """
        place = ui.element("div")
        told = words("", "fp-hint", tag="p").props("role=status")
        chosen = str(value or "")
        picked = {self._name_on_page(): chosen}

        def put(column: str) -> None:
            nonlocal chosen
            chosen = column
            form.change(pointer, chosen)

        def pick(column: Any) -> None:
            put(str(column or ""))
            picked[self._name_on_page()] = chosen
            tell()

        def tell() -> None:
            told.text = self._no_numbers(chosen) if numbers else ""
            told.visible = bool(told.text)

        def draw(*, again: bool = True) -> None:
            if place.is_deleted:
                return
            columns = self._columns_of(self._on_page)
            options = {name: name for name in columns} | ({} if spec.required else {"": _("None")})
            wanted = picked.get(self._name_on_page(), chosen)
            if again and (wanted := wanted if wanted in columns else "") != chosen:
                put(wanted)
            place.clear()
            with place:
                box = ui.select(options, value=chosen if chosen in options else None)
                box.on_value_change(lambda event: pick(event.value))
                box.props("outlined dense options-dense").classes("w-full")
                box.props["aria-label"] = spec.title
            tell()

        draw(again=False)
        self._columns.append(draw)

    def _name_on_page(self) -> str:
        found = find_known(self.known, self._on_page)
        return self._on_page if found is None else found.name

    def _no_numbers(self, column: str) -> str:
        """What to know about a column of the chosen table that is no column of numbers; "" for one that is."""
        found = find_known(self.known, self._on_page)
        kind = "" if found is None else found.columns.get(column, "")
        if kind in {"", "number", "integer"}:
            return ""
        if kind in {"string", "mixed"}:
            return _(
                "There is text in this column. Numbers in it, like 1.234,50 or £ 12.50, count; the rest is left out."
            )
        return _("There are no numbers in this column.")

    def _columns_of(self, named: str) -> Sequence[str]:
        if (found := find_known(self.known, named)) is not None:
            return tuple(found.columns)
        return self.brings[named].columns if named in self.brings else ()

    def _draw_choice(self, wanted: str, title: str, pick: Callable[[Json], None]) -> None:
        chosen = str(self.chosen(wanted))  # the table of the template may be there by now
        options = {self.chosen(name): self._said(name) for name in self.brings}
        options |= {one.id: one.name for one in self.known if one.name not in self.brings}
        options.setdefault(chosen, _("A dataset that is gone"))
        with ui.element("div").classes("fp-row fp-wrap-row"):
            box = ui.select(
                options, value=chosen, on_change=lambda event: pick(event.value), with_input=len(options) > 10
            )
            box.props("outlined dense options-dense").classes("fp-grow fp-table-choice")
            box.props["aria-label"] = title
            if self.page_session.may("edit datasets"):
                button(_("Make my own table"), lambda: self._make(pick), icon="add")
        if (found := find_known(self.known, chosen)) is not None:
            said = _("Nothing is in it yet: fill it") if self._is_to_be_filled(chosen) else _("Open it")
            link(said, f"/datasets/{found.id}", "fp-s13", new_tab=True)

    def _is_to_be_filled(self, chosen: Json) -> bool:
        """True when the flow looks things up and the chosen table has nothing in it."""
        found = find_known(self.known, chosen)
        return found is not None and not found.columns and any(table.rows for table in self.brings.values())

    def _said(self, name: str) -> str:
        if self.brings[name].rows:
            return _("{name} (a small sample)").format(name=name)
        return name if find_known(self.known, name) else _("{name} (a new table)").format(name=name)

    async def _make(self, pick: Callable[[Json], None]) -> None:
        name = await ask_text(_("Make my own table"), _("Name"), "", _("Create"))
        made = await self.page_session.try_execute(add_dataset, name) if name else None
        if made is not None:
            await self.load()
            pick(made)
