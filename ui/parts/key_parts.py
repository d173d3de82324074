"""API keys on pages: showing a key's text once, and choosing how long the old text works after a rotation."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from nicegui import ui

from engine.actions.keys import NewKey
from engine.core.environments import Environment
from ui.forms.form import Field
from ui.kit.answer import answer_of
from ui.kit.feedback import open_page
from ui.kit.parts import button, words
from ui.kit.reveal import reveal_once
from ui.kit.text import _


class MadeKey(Struct, frozen=True):
    """A new key and the message that is shown with it."""

    label: str
    environment: Environment
    new: NewKey


def reveal(made: MadeKey, on_done: Callable[[], None], on_kept: Callable[[bool], None] | None = None) -> ui.element:
    """Shows the key in full, once.

    The Done button is enabled after the person has copied the key or says that it is stored safely; `on_kept` is told.
    """
    title = _('Copy the key "{label}" now').format(label=made.label)
    told = _("It is shown this one time. Flowport keeps only a fingerprint of it and cannot show it again.")
    copy, safe = _("Copy key"), _("I have put it in a safe place")
    return reveal_once(
        title, told, made.new.key, on_done, copy=copy, safe=safe, environment=made.environment, on_kept=on_kept
    )


OWN = "own"
#: Choice -> label, and hours.
OVERLAPS: dict[str, tuple[str, float]] = {
    "0": (_("Not at all: it stops now"), 0),
    "1": (_("1 hour"), 1),
    "24": (_("24 hours"), 24),
    "168": (_("7 days"), 168),
    OWN: (_("Another time"), 0),
}
LONGEST_HOURS = 720


async def ask_overlap(label: str) -> float | None:
    """Asks how many hours the old text of a key keeps working; None when the rotation is cancelled."""
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        title = _("Rotate {label}?").format(label=label)
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(_("The key gets a new text, shown once. Its label, its history and what it may call stay."), tag="p")
        with ui.element("div").classes("fp-form"):
            longer = Field(
                _("The old text works on for"), help_text=_("Long enough to change every program that has it.")
            )
            with longer.place:
                choice = longer.control(
                    ui.select({name: word for name, (word, _hours) in OVERLAPS.items()}, value="24").props(
                        "outlined dense options-dense"
                    )
                )
            own = Field(_("Hours"), help_text=_("At most 720: 30 days."))
            with own.place:
                hours = own.control(ui.input(value="48").props("outlined dense inputmode=decimal autocomplete=off"))
            own.visible = False
            choice.on_value_change(lambda event: own.set_visibility(event.value == OWN))

        def rotate() -> None:
            wanted = OVERLAPS[str(choice.value)][1] if choice.value != OWN else _hours(hours.value)
            if wanted is None:
                own.error(_("Write a number of hours from 0 to 720."))
                return
            dialog.submit(wanted)

        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), dialog.close, kind="quiet")
            button(_("Rotate"), rotate, kind="main")
    return await answer_of(dialog)


def _hours(text: str | None) -> float | None:
    try:
        hours = float((text or "").strip().replace(",", "."))
    except ValueError:
        return None
    return hours if 0 <= hours <= LONGEST_HOURS else None
