"""The dialog for the owner's price of a model, in dollars per million tokens."""

from __future__ import annotations

from nicegui import ui

from engine.actions.connections import set_price
from engine.core.errors import Refusal
from engine.models.price import Price
from ui.forms.form import Field
from ui.kit.answer import answer_of
from ui.kit.feedback import open_page
from ui.kit.parts import button, words
from ui.kit.text import Reader, _, cost
from ui.page_session import PageSession

NANOS = 1_000_000_000
#: More than `set_price` takes.
_REFUSED = 1_000_000.0


async def ask_price(page_session: PageSession, connection: str, model: str, price: Price | None) -> bool:
    """Asks for dollars per million tokens. Returns True when a price was stored."""
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        title = _("Price of {model}").format(model=model)
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(
            _(
                "In US dollars for a million tokens, which are about 750,000 words. From now on it counts in place "
                "of the built-in one."
            ),
            tag="p",
        )
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
                if rate is not None:
                    rates.append(round(rate * NANOS))
            if len(rates) < len(boxes):
                return
            try:
                await page_session.execute(set_price, connection, model, rates[0], rates[1])
            except Refusal as refusal:
                boxes[0][0].error(f"{refusal.detail}. {refusal.remedy}")
                return
            dialog.submit(True)

        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), dialog.close, kind="quiet")
            button(_("Save the price"), save, kind="main")
    done = await answer_of(dialog)
    return bool(done)


def price_words(price: Price, reader: Reader) -> str:
    """Formats a price."""
    if price.source == "local":
        return _("free")
    rates = _("{input_nanos} in, {output_nanos} out").format(
        input_nanos=cost(price.input_nanos / NANOS, reader), output_nanos=cost(price.output_nanos / NANOS, reader)
    )
    own = f", {_('your price')}" if price.source == "own" else ""
    return _("{rates} a million tokens{own}").format(rates=rates, own=own)


def _dollars(text: str) -> float | None:
    try:
        rate = float(text.strip().replace(",", "."))
    except ValueError:
        return None
    return min(rate, _REFUSED) if rate >= 0 else None
