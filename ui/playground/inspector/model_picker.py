"""The model setting of a Prompt: a connection and one of its models, or the Simulated model, and what to do without a
connection.
"""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from engine.models.connections import split_model
from storage.connections import ConnectionRow, list_connections
from ui.forms.form import Form
from ui.forms.specs import ABSENT, FieldSpec, Json
from ui.kit.parts import sentence, words
from ui.kit.text import _
from ui.page_session import PageSession
from ui.parts.model_wanted import ModelWanted

SIMULATED = "simulated"
_GONE = _("is gone")


class ModelPicker:
    """Draws the field with the widget `model`. Call `load` before drawing, because the form itself does not wait."""

    def __init__(self, page_session: PageSession, flow_id: str) -> None:
        self.page_session = page_session
        self.rows: Sequence[ConnectionRow] = ()
        self.form: Form | None = None
        self.pointer = ""
        self.wanted = ModelWanted(page_session, _("this flow"), flow_id=flow_id, on_connected=self._connected)

    async def load(self) -> None:
        """Loads the connections of the workspace."""
        self.rows = await self.page_session.query(list_connections)
        await self.wanted.load()

    def draw(self, form: Form, spec: FieldSpec, pointer: str, value: Json) -> None:
        """Draws the choice of the connection, the choice of its model, and a hint."""
        self.form, self.pointer = form, pointer
        self.model = value if isinstance(value, str) else ""
        self.place = ui.element("div").classes("fp-list")
        self._show()

    def _show(self) -> None:
        name, model = split_model(self.model) if self.model else ("", "")
        self.place.clear()
        with self.place:
            self._draw_connection(name)
            if name:
                self._draw_model(name, model)
            row = self._row(name)
            if name is None:
                words(
                    _(
                        "It makes its answers up: it copies words out of the prompt, and it guesses where it must choose. "
                        "It costs nothing, and every answer is marked as simulated."
                    ),
                    "fp-hint",
                    tag="p",
                )
            elif name and row is None:
                sentence(_("There is no connection `{name}` any more.").format(name=name), "fp-hint")
            if not self.rows or (name and row is None):
                self.wanted.draw(self.rows)

    def _row(self, name: str | None) -> ConnectionRow | None:
        return next((row for row in self.rows if row.name == name), None)

    def _draw_connection(self, name: str | None) -> None:
        options = {SIMULATED: _("Simulated model (no key needed)")} | {f"={row.name}": row.name for row in self.rows}
        chosen = SIMULATED if name is None else f"={name}" if name else None
        if chosen is not None and chosen not in options:
            options[chosen] = f"{name} ({_GONE})"
        pick = ui.select(options, value=chosen, on_change=lambda event: self._choose(str(event.value)))
        self._dress(pick, _("Connection"))

    def _draw_model(self, name: str, model: str) -> None:
        row = self._row(name)
        offered = list(row.offered) if row else []
        if model and model not in offered:
            offered.insert(0, model)
        pick = ui.select(
            offered,
            value=model or None,
            with_input=True,
            new_value_mode="add-unique",
            on_change=lambda event: self._put(f"{name}:{event.value}" if event.value else f"{name}:"),
        )
        pick.props["placeholder"] = "" if model else _("Choose a model or write its name")
        self._dress(pick, _("Model of the connection"))

    def _dress(self, pick: ui.select, label: str) -> None:
        pick.props("outlined dense options-dense").classes("w-full")
        pick.props["aria-label"] = label
        if self.form is not None and self.form.read_only:
            pick.props("readonly")

    def _choose(self, option: str) -> None:
        """Selects the first model of a newly chosen connection."""
        name = option.removeprefix("=")
        if option == SIMULATED:
            self._put(SIMULATED)
        else:
            row = self._row(name)
            self._put(f"{name}:{row.offered[0] if row and row.offered else ''}")
        self._show()

    def _put(self, model: str) -> None:
        self.model = model
        if self.form is not None:
            self.form.change(self.pointer, model or ABSENT)

    async def _connected(self, name: str) -> None:
        await self.load()
        if not self.place.is_deleted:
            self._choose(f"={name}")
