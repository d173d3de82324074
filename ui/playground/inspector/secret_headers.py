"""The editor for headers that are filled from secrets: a header name, and a secret that is chosen or created.

The value of a secret is never read back. People who may not create secrets choose among the existing ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from nicegui import background_tasks, ui

from engine.actions.secrets import MAX_NAME, MAX_VALUE, add_secret
from engine.core.errors import Refusal
from engine.outbound.secret_hosts import host_entry
from storage.secrets import SecretRow, list_secrets
from ui.forms.form import Field
from ui.forms.specs import FieldSpec, Json
from ui.kit.answer import answer_of
from ui.kit.parts import button, icon_button, words
from ui.kit.text import _
from ui.page_session import PageSession

if TYPE_CHECKING:
    from ui.forms.form import Form

_NEW = _("New secret ...")
_NONE = _("Choose a secret")
_GONE = _("A secret that is gone")


class SecretHeaders:
    """Draws fields with the widget `secrets`. Call `load` before drawing, because the form itself does not wait.

    `url` returns the node's current address; its host is proposed as the host that a new secret may be sent to.
    """

    def __init__(self, page_session: PageSession, url: Callable[[], Json]) -> None:
        self.page_session = page_session
        self.url = url
        self.secrets: list[SecretRow] = []

    async def load(self) -> None:
        """Loads the names of the secrets."""
        self.secrets = await self.page_session.query(list_secrets)

    def draw(self, form: Form, spec: FieldSpec, pointer: str, value: Json) -> None:
        """Draws one row for each header."""
        _Rows(self, form, spec, pointer, value if isinstance(value, Mapping) else {})


class _Rows:
    def __init__(
        self, owner: SecretHeaders, form: Form, spec: FieldSpec, pointer: str, value: Mapping[str, Json]
    ) -> None:
        self.owner, self.form, self.spec, self.pointer = owner, form, spec, pointer
        self.rows: list[list[str]] = [[str(name), str(secret_id or "")] for name, secret_id in value.items()]
        self.place = ui.element("div").classes("fp-list")
        self._show()
        if not form.read_only:
            button(_("Add a header"), self._add, icon="add", small=True)

    def _show(self) -> None:
        self.place.clear()
        with self.place:
            for number, row in enumerate(self.rows, 1):
                self._row(number, row)

    def _row(self, number: int, row: list[str]) -> None:
        read_only = self.form.read_only
        with ui.element("div").classes("fp-item"):
            with ui.element("div").classes("fp-f"):
                box = ui.input(value=row[0], on_change=lambda event: self._put(row, 0, event.value or ""))
                box.props("outlined dense debounce=250 autocomplete=off spellcheck=false maxlength=200")
                box.props["placeholder"] = "Authorization"
                box.props["aria-label"] = f"{self.spec.title}, {_('Name')} {number}"
                box.set_enabled(not read_only)
                self.newest = box
            with ui.element("div").classes("fp-f"):
                names = self._names(row[1])
                pick = ui.select(
                    list(dict.fromkeys(names.values())),
                    value=names.get(row[1], _NONE),
                    on_change=lambda event: self._picked(row, event.value),
                )
                pick.props("outlined dense options-dense").classes("w-full")
                pick.props["aria-label"] = f"{self.spec.title}, {_('Secret')} {number}"
                pick.set_enabled(not read_only)
            if not read_only:
                icon_button("close", f"{_('Remove')} {self.spec.title} {number}", lambda: self._remove(row), tip=False)

    def _names(self, chosen: str) -> dict[str, str]:
        """The label of each secret in the list, by id; equal names are numbered."""
        found = {"": _NONE}
        for secret in self.owner.secrets:
            same = sum(name == secret.name or name.startswith(f"{secret.name} (") for name in found.values())
            found[secret.id] = f"{secret.name} ({same + 1})" if same else secret.name
        if chosen not in found:
            found[chosen] = _GONE
        if self.owner.page_session.may("manage connections") and not self.form.read_only:
            found["new"] = _NEW
        return found

    def _put(self, row: list[str], at: int, text: str) -> None:
        row[at] = text.strip()
        self.form.change(self.pointer, {name: secret_id for name, secret_id in self.rows if name})

    def _picked(self, row: list[str], word: str | None) -> None:
        if word == _NEW:
            background_tasks.create(self._make(row), name="new secret")
            return
        self._put(row, 1, next((one for one, name in self._names(row[1]).items() if name == word), ""))

    async def _make(self, row: list[str]) -> None:
        with self.place:
            made = await ask_secret(self.owner.page_session, suggestion=row[0], hosts=host_entry(self.owner.url()))
        if made is not None:
            await self.owner.load()
            self._put(row, 1, made)
        if not self.place.is_deleted:
            self._show()

    def _add(self) -> None:
        self.rows.append(["", ""])
        self._show()
        self.newest.run_method("focus")

    def _remove(self, row: list[str]) -> None:
        self.rows.remove(row)
        self._put(["", ""], 0, "")
        self._show()


async def ask_secret(page_session: PageSession, *, suggestion: str = "", hosts: str = "") -> str | None:
    """Asks for a name, a value and hosts and stores them as a secret.

    Returns its id, or None when the dialog was cancelled.
    """
    with ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        dialog.props["aria-label"] = _("New secret")
        words(_("New secret"), tag="h2")
        words(
            _("It is sealed and never shown again. Every flow of this workspace can send it to the hosts it names."),
            tag="p",
        )
        with ui.element("div").classes("fp-form"):
            named = Field(_("Name"))
            with named.place:
                name = named.control(ui.input(value=suggestion).props("outlined dense autofocus autocomplete=off"))
                name.props(f"maxlength={MAX_NAME}")
            valued = Field(_("Value"), help_text=_("The whole header, like `Bearer abc123`."))
            with valued.place:
                value = valued.control(
                    ui.input(password=True).props("outlined dense autocomplete=new-password spellcheck=false")
                )
                value.props(f"maxlength={MAX_VALUE}")
            hosted = Field(_("Hosts"), help_text=_("Where it may be sent, one a line, like api.example.com."))
            with hosted.place:
                where = hosted.control(
                    ui.textarea(value=hosts).props("outlined dense autogrow autocomplete=off spellcheck=false")
                )

        async def keep() -> None:
            fields = {"/name": named, "/value": valued, "/hosts": hosted}
            for field in fields.values():
                field.error("")
            try:
                made = await page_session.execute(
                    add_secret, page_session.app.vault, name.value or "", value.value or "", where.value or ""
                )
            except Refusal as refusal:
                wrong = fields.get(refusal.errors[0].pointer if refusal.errors else "", valued)
                wrong.error(" ".join(filter(None, (f"{refusal.detail.rstrip('.')}.", refusal.remedy))))
                return
            dialog.submit(made)

        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), dialog.close, kind="quiet")
            button(_("Keep it"), keep, kind="main")
    return await answer_of(dialog) or None
