"""Explains one kind of refused call: what happened, why, what to do, and the button that does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from storage.refusals import RefusedRow
from ui.kit.parts import button, icon, icon_button, link_button, note, sentence, words
from ui.kit.text import _
from ui.kit.times import Times
from ui.parts.accept_field import UnknownField, where_it_counts
from ui.parts.refusal_words import caller_sees, what_was_wrong


@dataclass(frozen=True)
class Explained:
    """A refused call and its remedies; `accept` and `undo` are None when they are not possible."""

    call: RefusedRow
    first_at: int
    times: int
    key: str
    field: UnknownField | None
    in_draft: bool | None
    accept: Callable[[], Any] | None
    undo: Callable[[], Any] | None
    close: Callable[[], Any]


def explain(one: Explained, times: Times) -> None:
    """Draws the card in the current slot."""
    call = one.call
    often = f"{one.times} {_('times')}" if one.times > 1 else _("once")
    with ui.element("section").classes("fp-card fp-explain"):
        with ui.element("div").classes("fp-row"):
            icon("block", "fp-bad")
            words(f"{what_was_wrong(call)}, {often}, {_('key')} {one.key}", tag="h2")
            words("", "fp-sp")
            icon_button("close", _("Close"), one.close, tip=False)
        happened = (
            f"{_('Calls were refused with')} {call.status} {_('since')} {times.moment(one.first_at)}."
            if one.times > 1
            else f"{_('A call was refused with')} {call.status}, {times.moment(call.at)}."
        )
        why, todo, action = _reasons(call, one.field)
        with ui.element("div").classes("fp-thirds"):
            for heading, text in ((_("What happened"), happened), (_("Why"), why), (_("What to do"), todo)):
                with ui.element("div"):
                    words(heading, "fp-s12 fp-t3", tag="h3")
                    sentence(text, "fp-s13")
        if one.field is not None and one.in_draft:
            _in_draft(one, one.field)
        if call.fields:
            with ui.element("ul").classes("fp-errlist"):
                for field in call.fields:
                    with ui.element("li"):
                        words(str(field.get("pointer") or "/"), "fp-mono fp-b")
                        words(f" {field.get('detail', '')}")
        with ui.element("div").classes("fp-row fp-wrap-row"):
            if one.accept is not None:
                button(_("Accept this field"), one.accept, icon="add", kind="main")
            if action is not None and not one.in_draft:
                link_button(*action)
            caller_sees(call.code, kind="quiet")
            words(f"{_('Request id')} {call.request_id}", "fp-mono fp-s12 fp-t3")


def _in_draft(one: Explained, field: UnknownField) -> None:
    kind = f" {_('as')} {field.word}, {_('optional')}" if one.undo is not None else ""
    strong = f"{field.name} {_('is in the draft')}{kind}."
    with note(where_it_counts(), kind="ok", icon="check_circle", strong=strong):
        if one.undo is not None:
            button(_("Undo"), one.undo, icon="undo", small=True)
        link_button(_("Open in Playground"), f"/playground/{field.flow_id}?node=api_input", icon="schema", small=True)


def _reasons(call: RefusedRow, field: UnknownField | None) -> tuple[str, str, tuple[str, str] | None]:
    """Draws why, what to do, and a link to the place where it is done."""
    playground = (_("Open in Playground"), f"/playground/{call.flow_id}") if call.flow_id else None
    match call.code:
        case "validation_failed" if field is not None:
            return (
                f"{_('The API Input of the live version has no field')} `{field.name}`. "
                + _("An unknown field is often a typing mistake, so it is not ignored."),
                f"{_('Accept')} `{field.name}` {_('as an optional field of the draft')} ({field.word}), "
                + _("then update the API. Or tell the caller to leave it out."),
                playground,
            )
        case "validation_failed":
            return (
                _(
                    "The caller must send the fields of the API Input and no others: an unknown field is often a "
                    "typing mistake."
                ),
                _("Tell the caller, or change the API Input's fields and update the API."),
                playground,
            )
        case "unauthorized":
            return (
                _("The key is unknown, revoked or has expired."),
                _("Check which key the caller sends; create a new one when it is lost."),
                (_("API Keys"), "/settings/keys"),
            )
        case "concurrency_limit_exceeded" | "monthly_quota_exceeded":
            return (
                _("The limit of its environment, or of this key, was used up at that moment."),
                _("The caller may try again after the time the answer names. Or raise the limit."),
                (_("Limits and plan"), "/settings/limits"),
            )
        case "flow_not_deployed":
            return (
                _("The flow's API was switched off."),
                _("Deploy it again, or tell the caller to stop."),
                (_("Open the flow"), f"/flows/{call.flow_id}"),
            )
        case _other:
            return _("The answer told the caller the reason."), _("Ask the caller for the answer they got."), None
