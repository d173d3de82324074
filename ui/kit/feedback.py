"""Feedback to the person on a page: toasts, error cards, confirmations and empty states.

    told("Version 5 is live.", "Runs that have already begun finish with version 4.", action="Undo", on_action=undo)
    failed("Not saved.", "The connection was lost, your edits are kept here.", action="Try again", on_action=save)
    with refusals_told():                  an engine Refusal inside becomes a toast (sentence and remedy); True in `.refused`
        await deploy(...)
    card = error_card("Summarise stopped at page 7 of 12", happened=..., why=..., todo=..., code="model_rate_limited",
                      technical=..., copy_label="Copy with job id", copy_text=...)
    with card.actions: button("Retry from Summarise with version 4", retry, icon="replay", kind="main")
    refusal_card(refusal)                  the same, from an engine Refusal, every wrong field named
    if await confirm("Undeploy Website analyzer?", "Calls are refused from now on.", verb="Undeploy API", danger=True,
                     keep="Keep it live", note="2 keys called it in the last hour.", typed=""):
    with empty("inbox", "No jobs yet", "A job appears here with the first call."): button("How to send one", ...)

A toast reports what is not visible on the page; an error is never shown in a toast alone. These functions are called
while a page is built or from one of its events.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nicegui import Client, ui
from nicegui.slot import Slot

from engine.core.errors import Refusal
from ui.kit.parts import button, copy_button, icon, icon_button, note, sentence, words
from ui.kit.text import _

_AREA = "fp_toasts"
_SECONDS = 6.0
#: The class of a toast that goes with the next thing that the person does.
_PASSES = "fp-toast--passes"


def open_page() -> Client:
    """Returns the page of the event that is handled, also when the element that was pressed is gone meanwhile."""
    for slot in reversed(Slot.get_stack()):
        with contextlib.suppress(RuntimeError):  # the element of this slot was deleted
            return slot.parent.client
    raise RuntimeError("no page is open")


def toast_area() -> ui.element:
    """Creates the container of this page's toasts.

    `frame()` creates it before there is a toast: screen readers announce changes only in regions that existed before.
    """
    client = open_page()
    area = client.storage.get(_AREA)
    if area is None or area.is_deleted:
        with client.layout:
            area = ui.element("div").classes("fp-toasts").props("role=status")
        client.storage[_AREA] = area
    return area


def told(
    strong: str,
    text: str = "",
    *,
    action: str = "",
    on_action: Callable[[], Any] | None = None,
    kind: str = "ok",
    symbol: str = "check_circle",
) -> ui.element | None:
    """Shows a toast that reports success, and returns it; None when the page is closed. It closes after 6 seconds, or later
    when it has an action.
    """
    return _toast(strong, text, action, on_action, kind, symbol, _SECONDS * 2 if action else _SECONDS)


def failed(
    strong: str, text: str = "", *, action: str = "", on_action: Callable[[], Any] | None = None
) -> ui.element | None:
    """Shows a toast that reports a failure, and returns it; None when the page is closed. It stays until the person closes
    it or, when it has no action, goes on: with the next toast of a success, the next question, run or deployment.
    """
    return _toast(strong, text, action, on_action, "bad", "error", None)


def refused(refusal: Refusal) -> None:
    """Shows a refusal as a toast: its sentence and what to do."""
    failed(f"{refusal.title}.", " ".join(_sentence(part) for part in (refusal.detail, refusal.remedy) if part))


@dataclass
class Outcome:
    """The result of `refusals_told()`: whether a refusal was raised."""

    refused: bool = False


@contextmanager
def refusals_told() -> Iterator[Outcome]:
    """Shows a refusal that is raised inside as a toast and does not raise it further."""
    outcome = Outcome()
    try:
        yield outcome
    except Refusal as refusal:
        outcome.refused = True
        refused(refusal)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _toast(
    strong: str,
    text: str,
    action: str,
    on_action: Callable[[], Any] | None,
    kind: str,
    symbol: str,
    seconds: float | None,
) -> ui.element | None:
    try:
        area = toast_area()
    except RuntimeError:  # the page was closed while its work continued, so there is nobody to notify
        return None
    if seconds is not None:
        forget_failures()
    with area, ui.element("div").classes("fp-toast") as toast:
        icon(symbol, f"fp-{kind}", size=20)
        with ui.element("span").style("min-width: 0; flex: 1"):
            sentence(strong + " ", "fp-b", tag="span")
            sentence(text, tag="span")
        if action:
            button(action, on_action, kind="link" if kind == "ok" else "normal", small=True).on(
                "click", toast.delete, []
            )
        icon_button("close", _("Close"), toast.delete, tip=False)
        if seconds is not None:
            ui.timer(seconds, toast.delete, once=True)
        elif not action:
            toast.classes(_PASSES)
    return toast


def forget_failures() -> None:
    """Closes the toasts of failures that offer nothing: the person goes on with something else."""
    for toast in list(toast_area().default_slot.children):
        if _PASSES in toast.classes:
            toast.delete()


class ErrorCard(ui.element):
    """A red card with the three parts of an error; enter `actions` to add buttons."""

    def __init__(self) -> None:
        super().__init__("section")
        self.classes("fp-card fp-err").props("role=alert")
        self.actions: ui.element


def error_card(
    title: str,
    *,
    happened: str,
    why: str = "",
    todo: str = "",
    code: str = "",
    technical: str = "",
    copy_label: str = "",
    copy_text: str = "",
) -> ErrorCard:
    """Draws what happened, why and what to do. The technical detail is collapsed and can be copied."""
    card = ErrorCard()
    with card:
        with ui.element("div").classes("fp-et"):
            icon("error", size=20)
            words(title, tag="h2")
            if code:
                words(code, "fp-s12 fp-t2", tag="code")
            if copy_text:
                copy_button(copy_text, copy_label)
        with ui.element("div").classes("fp-e3"):
            for heading, text in ((_("What happened"), happened), (_("Why"), why), (_("What to do"), todo)):
                if text:
                    with ui.element("div"):
                        words(heading, tag="h3")
                        sentence(text)
        card.actions = ui.element("div").classes("fp-ea")
        if technical:
            with (
                ui.element("div").classes("fp-tech"),
                fold(_("Technical detail")),
                ui.element("div").classes("fp-codebox"),
            ):
                words(technical, "fp-code fp-code--in fp-code--wrap", tag="pre").props("tabindex=0")
                copy_button(technical, name=_("Copy the technical detail")).classes("fp-copy")
    return card


def refusal_card(refusal: Refusal) -> ErrorCard:
    """Draws an engine Refusal as an error card that lists the wrong fields."""
    card = error_card(
        refusal.title, happened=_sentence(refusal.detail or refusal.title), todo=refusal.remedy, code=refusal.code
    )
    if refusal.errors:
        with card, ui.element("ul").classes("fp-tech fp-errlist"):
            for error in refusal.errors:
                with ui.element("li"):
                    words(error.pointer or "/", "fp-mono fp-b")
                    words(f" {error.detail}")
    return card


@contextmanager
def fold(title: str, *, open_at_first: bool = False) -> Iterator[ui.element]:
    """Creates and enters a collapsible section. The browser opens it without a request to the server."""
    with ui.element("details").classes("fp-fold") as details:
        if open_at_first:
            details.props("open")
        with ui.element("summary"):
            icon("chevron_right", size=16)
            words(title)
        yield details


async def confirm(
    title: str,
    sentence: str,
    *,
    verb: str,
    danger: bool = False,
    keep: str = "",
    note_text: str = "",
    typed: str = "",
    both_act: bool = False,
) -> bool:
    """Asks for confirmation. With `typed` the button is enabled when this text (a flow's title) is typed.

    `both_act`: either button changes something, so Escape and a click beside the dialog leave it open. When it goes
    without an answer, that counts as the main button.
    """
    forget_failures()
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        dialog.props["persistent"] = both_act
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(sentence, tag="p")
        if note_text:
            note(note_text, icon="group")
        box: ui.input | None = None
        if typed:
            with ui.element("div").classes("fp-f"):
                with words(_("Type the title to go on:") + " ", tag="label") as label:
                    words(typed, "fp-b")
                box = ui.input().props("outlined dense autofocus autocomplete=off")
                label.props["for"] = box.html_id
        with ui.element("div").classes("fp-acts"):
            button(keep or _("Cancel"), lambda: dialog.submit(False), kind="quiet")
            go = button(verb, lambda: dialog.submit(True), kind="danger_main" if danger else "main")
            if box is not None:
                go.disable()
                box.on_value_change(lambda event: go.set_enabled(_as_seen(event.value or "") == _as_seen(typed)))
    try:
        answer = await dialog
        return both_act if answer is None else bool(answer)
    finally:
        if not dialog.is_deleted:  # closing the page deletes the dialog
            dialog.delete()


def _as_seen(title: str) -> str:
    """The title with its blanks as a page shows them: several in a row as one."""
    return " ".join(title.split())


@contextmanager
def empty(symbol: str, title: str, sentence: str) -> Iterator[ui.element]:
    """Draws an empty state: a title, the reason, and one button to be added inside."""
    with ui.element("div").classes("fp-empty") as element:
        icon(symbol, size=32)
        words(title, tag="h2")
        words(sentence, tag="p")
        yield element
