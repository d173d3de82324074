"""API keys on pages: the form that makes one, and the one time its text is shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from nicegui import ui

from engine.actions.keys import NewKey, create_key
from engine.errors import Refusal
from engine.key_format import Environment
from ui.forms.form import Field
from ui.look.parts import ENVIRONMENTS, button, copy_button, environment_badge, icon, words
from ui.look.text import _
from ui.visit import Visit

#: Word on screen -> environment.
WORDS: dict[str, Environment] = {
    ENVIRONMENTS["live"][0]: "live",
    ENVIRONMENTS["test"][0]: "test",
    ENVIRONMENTS["dev"][0]: "dev",
}


@dataclass(frozen=True)
class MadeKey:
    """A key that was just made, with what was said about it."""

    label: str
    environment: Environment
    new: NewKey


def key_form(
    here: Visit,
    on_made: Callable[[MadeKey], Awaitable[None] | None],
    on_cancel: Callable[[], None],
    *,
    flow_ids: Sequence[str] | None = None,
    label: str = "",
) -> ui.element:
    """Label and environment; `flow_ids` limits the key to these flows."""

    async def make() -> None:
        environment = WORDS[choice.value]
        try:
            new = await here.do(create_key, box.value or "", environment, flow_ids=flow_ids)
        except Refusal as refusal:
            named.error(refusal.errors[0].detail if refusal.errors else refusal.detail or refusal.title)
            named.focus()
            return
        told = on_made(MadeKey((box.value or "").strip(), environment, new))
        if told is not None:
            await told

    with ui.element("div").classes("fp-form fp-key-form") as form:
        named = Field(_("Label"), help_text=_("Which program uses it, like Web shop."))
        with named.place:
            box = named.control(ui.input(value=label).props("outlined dense autofocus maxlength=100 autocomplete=off"))
            box.on("keydown.enter", make)
        kind = Field(_("Environment"), help_text=_("Keys of different environments do not see each other's jobs."))
        with kind.place:
            choice = kind.control(ui.select(list(WORDS), value=next(iter(WORDS))).props("outlined dense options-dense"))
        with ui.element("div").classes("fp-row"):
            button(_("Create a key"), make, icon="key", kind="main")
            button(_("Cancel"), on_cancel, kind="quiet")
    return form


def reveal(made: MadeKey, on_done: Callable[[], None]) -> ui.element:
    """The key in full, once. Done works when the person says it is in a safe place."""
    with ui.element("section").classes("fp-card fp-reveal") as card:
        title = f'{_("Copy the key")} "{made.label}" {_("now")}'
        card.props["aria-label"] = title
        icon("key", "fp-ok", size=20)
        with ui.element("div").classes("fp-grow"):
            with ui.element("div").classes("fp-row"):
                words(title, tag="h2")
                words("", "fp-sp")
                environment_badge(made.environment)
            words(
                _("It is shown this one time. Flowport keeps only a fingerprint of it and cannot show it again."),
                "fp-t2",
                tag="p",
            )
            with ui.element("div").classes("fp-row fp-reveal-line"):
                words(made.new.key, "fp-mono fp-reveal-key", tag="code")
                copy_button(made.new.key, _("Copy key"), kind="main", small=False)
            with ui.element("div").classes("fp-row"):
                safe = ui.checkbox(_("I have put it in a safe place"))
                words("", "fp-sp")
                done = button(_("Done"), on_done, small=True)
                done.disable()
                safe.on_value_change(lambda event: done.set_enabled(bool(event.value)))
    return card
