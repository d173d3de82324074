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
from ui.kit.feedback import open_page
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
    """The rows of one field. Adding, changing or removing a row leaves the others as they are."""

    def __init__(
        self, owner: SecretHeaders, form: Form, spec: FieldSpec, pointer: str, value: Mapping[str, Json]
    ) -> None:
        self.owner, self.form, self.spec, self.pointer = owner, form, spec, pointer
        self.rows: list[_Row] = []
        self.place = ui.element("div").classes("fp-list")
        for name, secret_id in value.items():
            self._draw(str(name), str(secret_id or ""))
        if not form.read_only:
            button(_("Add a header"), self._add, icon="add", small=True)

    def tell(self) -> None:
        """Stores the headers that have a name."""
        self.form.change(self.pointer, {row.name: row.secret_id for row in self.rows if row.name})

    def names(self, chosen: str) -> dict[str, str]:
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

    def make(self, row: _Row) -> None:
        """Asks for a new secret and puts it into the row."""

        async def ask() -> None:
            with self.place:
                hosts = host_entry(self.owner.url())
                made = await ask_secret(self.owner.page_session, suggestion=row.name, hosts=hosts)
            if made is not None:
                await self.owner.load()
            if self.place.is_deleted:
                return
            row.secret_id = made or row.secret_id
            for one in self.rows:
                one.offer()
            if made is not None:
                self.tell()

        background_tasks.create(ask(), name="new secret")

    def remove(self, row: _Row) -> None:
        """Removes a row."""
        self.rows.remove(row)
        row.element.delete()
        self.tell()

    def _draw(self, name: str, secret_id: str) -> None:
        with self.place:
            self.rows.append(_Row(self, name, secret_id, len(self.rows) + 1))

    def _add(self) -> None:
        self._draw("", "")
        self.rows[-1].box.run_method("focus")


class _Row:
    """The name of one header and its secret."""

    def __init__(self, rows: _Rows, name: str, secret_id: str, number: int) -> None:
        self._rows, self.name, self.secret_id, self._quiet = rows, name, secret_id, False
        read_only, title = rows.form.read_only, rows.spec.title
        with ui.element("div").classes("fp-item") as self.element:
            with ui.element("div").classes("fp-f"):
                self.box = ui.input(value=name, on_change=lambda event: self._named(event.value or ""))
                self.box.props("outlined dense debounce=250 autocomplete=off spellcheck=false maxlength=200")
                self.box.props["placeholder"] = "Authorization"
                self.box.props["aria-label"] = _("{title}, Name {number}").format(title=title, number=number)
                self.box.props.set_bool("readonly", read_only)
            with ui.element("div").classes("fp-f"):
                self.pick = ui.select([_NONE], value=_NONE, on_change=lambda event: self._picked(event.value))
                self.pick.props("outlined dense options-dense").classes("w-full")
                self.pick.props["aria-label"] = _("{title}, Secret {number}").format(title=title, number=number)
                self.pick.props.set_bool("readonly", read_only)
            if not read_only:
                icon_button(
                    "close",
                    _("Remove {title} {number}").format(title=title, number=number),
                    lambda: rows.remove(self),
                    tip=False,
                )
        self.offer()

    def offer(self) -> None:
        """Shows the secrets that there are now."""
        names = self._rows.names(self.secret_id)
        self._quiet = True
        self.pick.set_options(list(dict.fromkeys(names.values())), value=names.get(self.secret_id, _NONE))
        self._quiet = False

    def _named(self, name: str) -> None:
        self.name = name.strip()
        self._rows.tell()

    def _picked(self, word: str | None) -> None:
        if self._quiet:
            return
        if word == _NEW:
            self._rows.make(self)
            return
        names = self._rows.names(self.secret_id)
        self.secret_id = next((one for one, name in names.items() if name == word), "")
        self._rows.tell()


async def ask_secret(page_session: PageSession, *, suggestion: str = "", hosts: str = "") -> str | None:
    """Asks for a name, a value and hosts and stores them as a secret.

    Returns its id, or None when the dialog was cancelled.
    """
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
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
