"""Secrets that HTTP Request nodes name for their headers: kept sealed, replaced and removed here, never shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from engine.actions.secrets import add_secret, remove_secret, replace_secret
from engine.errors import Refusal
from storage.secrets import SecretRow
from ui.forms.form import Field
from ui.look import feedback
from ui.look.answer import answer_of
from ui.look.parts import button, card, icon, words
from ui.look.text import _
from ui.look.times import Times
from ui.visit import Visit


def draw_secrets(
    here: Visit, secrets: Sequence[SecretRow], times: Times, on_changed: Callable[[], Awaitable[None]]
) -> None:
    """The card; who may not manage connections sees the names."""
    may = here.may("manage connections")

    async def add() -> None:
        if await ask_secret(here, None):
            await on_changed()

    async def replace(row: SecretRow) -> None:
        if await ask_secret(here, row):
            feedback.told(f"{row.name} {_('is replaced.')}", _("Steps that begin from now on use the new value."))
            await on_changed()

    async def remove(row: SecretRow) -> None:
        told = _("HTTP Request nodes that name it fail until they name another.")
        if not await feedback.confirm(f"{_('Remove')} {row.name}?", told, verb=_("Remove"), danger=True):
            return
        with feedback.refusals_told() as outcome:
            await here.do(remove_secret, row.id)
        if not outcome.refused:
            await on_changed()

    with card(_("Secrets"), _("for headers of HTTP Request nodes")) as box:
        if may:
            with box.head:
                button(_("Add a secret"), add, icon="add", small=True)
        if not secrets:
            words(
                _("None yet. A header that carries a token takes it from here, so that no flow holds it."),
                "fp-s13 fp-t2",
            )
            return
        with ui.element("ul").classes("fp-models"):
            for row in secrets:
                with ui.element("li"):
                    icon("key", size=16)
                    words(row.name, "fp-b fp-s13 fp-cut")
                    words("", "fp-sp")
                    words(f"{_('set')} {times.ago(row.updated_at)}", "fp-s12 fp-t3 fp-nw")
                    if may:
                        for verb, act in ((_("Replace"), replace), (_("Remove"), remove)):
                            press = button(verb, lambda act=act, row=row: act(row), kind="link", small=True)
                            press.props["aria-label"] = f"{verb} {row.name}"


async def ask_secret(here: Visit, row: SecretRow | None) -> bool:
    """Asks for a new secret, or for another value of `row`; True when it is kept."""
    with ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        title = f"{_('Replace')} {row.name}" if row else _("A new secret")
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(_("Kept sealed on this server; nobody can read it here again."), tag="p")
        with ui.element("div").classes("fp-form"):
            named = Field(_("Name"))
            with named.place:
                name = named.control(ui.input(value=row.name if row else "").props("outlined dense maxlength=100"))
            named.visible = row is None
            valued = Field(_("Value"))
            with valued.place:
                value = valued.control(ui.input(password=True).props("outlined dense autocomplete=new-password"))

        async def save() -> None:
            vault = here.app.vault
            try:
                if row is None:
                    await here.do(add_secret, vault, name.value or "", value.value or "")
                else:
                    await here.do(replace_secret, vault, row.id, value.value or "")
            except Refusal as refusal:
                wrong = {error.pointer: error.detail for error in refusal.errors}
                named.error(wrong.get("/name", ""))
                valued.error("" if "/name" in wrong else f"{refusal.detail}. {refusal.remedy}")
                return
            value.value = ""
            dialog.submit(True)

        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), dialog.close, kind="quiet")
            button(_("Keep it"), save, kind="main")
    return bool(await answer_of(dialog))
