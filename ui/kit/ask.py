"""Dialogs that ask for one value."""

from __future__ import annotations

from nicegui import ui

from ui.kit.answer import answer_of
from ui.kit.feedback import forget_failures, open_page
from ui.kit.parts import button, words
from ui.kit.text import _


async def ask_text(title: str, label: str, value: str, verb: str) -> str | None:
    """Asks for one line of text. `verb`: the label of the button that answers, like Create.

    Returns the text without spaces around it, never an empty one; None when the dialog is closed.
    """
    forget_failures()
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        with ui.element("div").classes("fp-f"):
            name = words(label, tag="label")
            box = ui.input(value=value).props("outlined dense autofocus autocomplete=off maxlength=200")
            box.props["for"] = box.html_id
            name.props["for"] = box.html_id
            box.props["aria-label"] = label
        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), dialog.close, kind="quiet")
            go = button(verb, lambda: dialog.submit((box.value or "").strip()), kind="main")
        go.set_enabled(bool(value.strip()))
        box.on_value_change(lambda event: go.set_enabled(bool((event.value or "").strip())))
        box.on("keydown.enter", lambda: dialog.submit((box.value or "").strip()) if (box.value or "").strip() else None)
    return (await answer_of(dialog)) or None
