"""Explains one kind of refused call: what happened, why, what to do, and the buttons that do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from nicegui import ui

from engine.core.error_codes import RefusalCode
from storage.refusals import RefusedRow
from ui.kit.parts import badge, button, copy_button, icon, icon_button, link_button, note, sentence, words
from ui.kit.text import _
from ui.kit.times import Times
from ui.parts.accept_field import UnknownField, unknown_field, where_it_counts
from ui.parts.refusal_words import field_name, field_reason, refusal_word, to_caller, what_was_wrong
from ui.parts.refused_answer import caller_sees


class Remedy(Struct, frozen=True):
    """An unknown field of the call. `accept` and `undo` are None when they are not possible."""

    in_draft: bool | None
    accept: Callable[[], Any] | None
    undo: Callable[[], Any] | None


class Explained(Struct, frozen=True):
    """A refused call with what can be done about it.

    `types`: field name -> type that the flow asks for. `flow` and `key` are names, empty when there is none.
    """

    call: RefusedRow
    first_at: int
    times: int
    key: str
    flow: str
    types: Mapping[str, str]
    remedies: Mapping[UnknownField, Remedy]
    close: Callable[[], Any]


def explain(one: Explained, times: Times) -> None:
    """Draws the card in the current slot."""
    call = one.call
    with ui.element("section").classes("fp-card fp-explain") as box:
        with ui.element("div").classes("fp-row"):
            icon("block", "fp-bad")
            heading = words(what_was_wrong(call), tag="h2")
            words("", "fp-sp")
            icon_button("close", _("Close"), one.close, tip=False)
        box.props["aria-labelledby"] = heading.html_id
        with ui.element("div").classes("fp-thirds"):
            with _third(_("What happened")):
                sentence(_happened(one, times), "fp-s13")
            with _third(_("Why")):
                sentence(_why(call), "fp-s13")
                if call.fields:
                    _draw_fields(one)
            with _third(_("What to do")):
                _draw_to_caller(one)
        for field, remedy in one.remedies.items():
            if remedy.in_draft:
                _draw_in_draft(field, remedy)
        with ui.element("div").classes("fp-row fp-wrap-row"):
            if (place := _place(call)) is not None:
                link_button(*place)
            caller_sees(call, one.types, kind="quiet")
            words(_("Request id {request_id}").format(request_id=call.request_id), "fp-mono fp-s12 fp-t3")


def _third(heading: str) -> ui.element:
    with ui.element("div") as element:
        words(heading, "fp-s12 fp-t3", tag="h3")
    return element


def _happened(one: Explained, times: Times) -> str:
    call = one.call
    who = _("The key {key}").format(key=one.key) if one.key else _("A caller")
    what = _("called {flow}").format(flow=one.flow) if one.flow else _("called an address of this server")
    when = (
        _("{times} times since {first_at}, the last time {at}").format(
            times=one.times, first_at=times.moment(one.first_at), at=times.moment(call.at)
        )
        if one.times > 1
        else times.moment(call.at)
    )
    fields = ", ".join(dict.fromkeys(field_name(field) for field in call.fields))
    about = " " + _("It is about {fields}.").format(fields=fields) if fields else ""
    return _("{who} {what} {when}. It got the answer {status} ({refusal}), and nothing ran.{about}").format(
        who=who, what=what, when=when, status=call.status, refusal=refusal_word(call.code), about=about
    )


def _draw_fields(one: Explained) -> None:
    """Draws each wrong field with its reason, and beside an unknown field the button that adds it to the flow."""
    with ui.element("ul").classes("fp-errlist"):
        for field in one.call.fields:
            with ui.element("li"):
                words(f"{field_name(field)}:", "fp-b")
                words(f" {field_reason(field, one.types)}")
                found = unknown_field(one.call, field)
                remedy = one.remedies.get(found) if found is not None else None
                if found is not None and remedy is not None and remedy.in_draft:
                    badge(_("In the draft"), kind="warn", icon="edit")


def _draw_to_caller(one: Explained) -> None:
    """Draws the sentence for the caller with its copy button, and the fields that the flow could accept instead."""
    said = to_caller(one.call, one.types)
    words(_("Send this to the caller:"), "fp-s13", tag="p")
    with ui.element("div").classes("fp-say"):
        words(said, "fp-s13 fp-grow", tag="p")
        copy_button(said, name=_("Copy the sentence for the caller"))
    open_fields = [(field, one_of) for field, one_of in one.remedies.items() if one_of.accept is not None]
    if not open_fields:
        return
    names = ", ".join(f"`{field.name}`" for field, _one in open_fields)
    enough = len(open_fields) == len(one.call.fields)
    sentence(
        _("Or let the flow accept {names} as optional, then press Update API.").format(names=names)
        + ("" if enough else f" {_('The other fields stay wrong until the caller corrects them.')}"),
        "fp-s13",
    )
    for field, remedy in open_fields:
        accept = button(
            _("Accept this field") if len(open_fields) == 1 else _("Accept {name}").format(name=field.name),
            remedy.accept,
            icon="add",
            kind="main" if enough else "normal",
            small=True,
        )
        accept.props["aria-label"] = _("Accept this field: {name} ({word})").format(name=field.name, word=field.word)


def _draw_in_draft(field: UnknownField, remedy: Remedy) -> None:
    kind = " " + _("as {word}, optional").format(word=field.word) if remedy.undo is not None else ""
    strong = _("{name} is in the draft{kind}.").format(name=field.name, kind=kind)
    with note(where_it_counts(), kind="ok", icon="check_circle", strong=strong):
        if remedy.undo is not None:
            button(_("Undo"), remedy.undo, icon="undo", small=True)
        link_button(_("Open in Playground"), f"/playground/{field.flow_id}?node=api_input", icon="schema", small=True)


def _why(call: RefusedRow) -> str:
    match call.code:
        case RefusalCode.VALIDATION_FAILED:
            return _(
                "A call must send the fields of the flow and no others. A field that the flow does not know is often a "
                "typing mistake, so it is not ignored."
            )
        case RefusalCode.UNAUTHORIZED:
            return _("The key is unknown, revoked or has expired.")
        case RefusalCode.CONCURRENCY_LIMIT_EXCEEDED | RefusalCode.MONTHLY_QUOTA_EXCEEDED:
            return _("The limit of its environment, or of this key, was used up at that moment.")
        case RefusalCode.RATE_LIMITED:
            return _("The key sent more calls in a second than its plan allows.")
        case RefusalCode.FLOW_NOT_DEPLOYED:
            return _("The flow's API was switched off.")
        case RefusalCode.NOT_ALLOWED:
            return _("This key is limited to other flows.")
        case RefusalCode.NOT_FOUND:
            return _("There is no flow of yours at the address that was called.")
        case _other:
            return f"{refusal_word(call.code)}."


def _place(call: RefusedRow) -> tuple[str, str] | None:
    """The label and the path of the place where the reason can be changed."""
    match call.code:
        case RefusalCode.VALIDATION_FAILED if call.flow_id:
            return _("Change the fields in the Playground"), f"/playground/{call.flow_id}?node=api_input"
        case RefusalCode.UNAUTHORIZED | RefusalCode.NOT_ALLOWED:
            return _("API Keys"), "/settings/keys"
        case RefusalCode.CONCURRENCY_LIMIT_EXCEEDED | RefusalCode.MONTHLY_QUOTA_EXCEEDED | RefusalCode.RATE_LIMITED:
            return _("Limits and plan"), "/settings/limits"
        case RefusalCode.FLOW_NOT_DEPLOYED if call.flow_id:
            return _("Open the flow to deploy it again"), f"/flows/{call.flow_id}"
    return None
