"""The forms of a model connection: add or change one, and set a model's price."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from engine.actions.connections import add_connection, change_connection, set_price
from engine.errors import Refusal
from engine.outside.connections import ModelConnection
from engine.outside.prices import Price
from engine.providers import PROVIDERS
from storage.connections import ConnectionRow
from ui.forms.form import Field
from ui.look.answer import answer_of
from ui.look.parts import button, words
from ui.look.text import _
from ui.visit import Visit

NANOS = 1_000_000_000


def connection_form(
    here: Visit,
    on_made: Callable[[str], Awaitable[None]],
    on_cancel: Callable[[], None],
    *,
    row: ConnectionRow | None = None,
    found: ModelConnection | None = None,
) -> ui.element:
    """Adds a connection, or changes `row`; `found` fills in a server of this machine. The key is written, never read."""
    first = "openai_compatible" if found is not None else "openai"
    with ui.element("div").classes("fp-form fp-narrow") as form:
        kind = Field(_("Provider"))
        with kind.place:
            titles = {name: provider.title for name, provider in PROVIDERS.items()}
            provider = kind.control(ui.select(titles, value=row.provider if row else first))
            provider.props("outlined dense options-dense")
            if row is not None:
                provider.props("readonly")
        named = Field(_("Name"), help_text=_("A Prompt names its model with it, like `openai:gpt-4.1-mini`."))
        with named.place:
            suggestion = row.name if row else found.name.lower().replace(" ", "-") if found else first
            name = named.control(ui.input(value=suggestion).props("outlined dense maxlength=63 autocomplete=off"))
            if row is not None:
                name.props("readonly")
        placed = Field(
            _("Base URL"),
            _("optional"),
            _(
                "Only for another server than the provider's own, like http://localhost:11434/v1. It is allowed for model calls."
            ),
        )
        with placed.place:
            address = (row.base_url if row else found.base_url if found else "") or ""
            base_url = placed.control(ui.input(value=address).props("outlined dense autocomplete=off spellcheck=false"))
        kept = row is not None and row.has_key
        keyed = Field(
            _("Key"),
            _("optional") if found else "",
            _("A key is stored. Leave this empty to keep it.")
            if kept
            else _("Kept sealed on this server; nobody can read it here again."),
        )
        with keyed.place:
            key = keyed.control(ui.input(password=True).props("outlined dense autocomplete=new-password"))
        fields = {"/name": named, "/provider": kind, "/base_url": placed}

        def follow() -> None:
            if row is None and name.value in {"", *PROVIDERS}:
                name.value = "local" if provider.value == "openai_compatible" else provider.value

        provider.on_value_change(follow)

        async def save() -> None:
            for field in fields.values():
                field.error("")
            vault = here.app.vault
            said = (key.value or "").strip() or None
            try:
                if row is None:
                    wanted = (name.value or "").strip()
                    await here.do(add_connection, vault, wanted, provider.value, base_url=base_url.value, key=said)
                else:
                    wanted = row.name
                    await here.do(change_connection, vault, wanted, base_url=base_url.value, key=said)
            except Refusal as refusal:
                if not refusal.errors:
                    named.error(f"{refusal.detail or refusal.title}. {refusal.remedy}")
                for error in refusal.errors:
                    fields.get(error.pointer, named).error(error.detail[:1].upper() + error.detail[1:])
                return
            key.value = ""
            await on_made(wanted)

        with ui.element("div").classes("fp-row"):
            button(_("Save and test"), save, kind="main")
            button(_("Cancel"), on_cancel, kind="quiet")
    return form


async def ask_price(here: Visit, connection: str, model: str, price: Price | None) -> bool:
    """Asks for dollars a million tokens; True when a price was stored."""
    with ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        title = f"{_('Price of')} {model}"
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(_("US dollars a million tokens. Your price wins over the price table from now on."), tag="p")
        with ui.element("div").classes("fp-form"):
            boxes: list[tuple[Field, ui.input]] = []
            for label, nanos in (
                (_("Input"), price.input_nanos if price else None),
                (_("Output"), price.output_nanos if price else None),
            ):
                field = Field(label, "$")
                with field.place:
                    shown = "" if nanos is None else f"{nanos / NANOS:g}"
                    boxes.append(
                        (field, field.control(ui.input(value=shown).props("outlined dense inputmode=decimal")))
                    )

        async def save() -> None:
            rates = []
            for field, box in boxes:
                rate = _dollars(box.value or "")
                field.error(
                    "" if rate is not None else _("Write an amount like 0.15; 0 for a model that costs nothing.")
                )
                if rate is None:
                    return
                rates.append(round(rate * NANOS))
            try:
                await here.do(set_price, connection, model, rates[0], rates[1])
            except Refusal as refusal:
                boxes[0][0].error(f"{refusal.detail}. {refusal.remedy}")
                return
            dialog.submit(True)

        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), dialog.close, kind="quiet")
            button(_("Save the price"), save, kind="main")
    done = await answer_of(dialog)
    return bool(done)


def _dollars(text: str) -> float | None:
    try:
        rate = float(text.strip().replace(",", "."))
    except ValueError:
        return None
    return rate if 0 <= rate <= 1_000_000 else None
