"""What the caller sees: the answer that a refused call got, in words and as JSON, made from what is stored of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from nicegui import ui

from engine.core import errors
from engine.core.errors import Refusal
from storage.refusals import MAX_STORED_FIELDS, RefusedRow
from ui.kit.answer import answer_of
from ui.kit.code_view import code
from ui.kit.feedback import fold, open_page
from ui.kit.parts import ButtonKind, button, link_button, sentence, words
from ui.kit.text import _
from ui.parts.refusal_words import CODES, field_name, field_reason, refusal_word


def caller_sees(
    call: RefusedRow, types: Mapping[str, str], *, kind: ButtonKind = "normal", small: bool = False
) -> None:
    """Draws the button that shows the answer. `types`: field name -> type that the flow asks for."""
    button(_("What the caller sees"), lambda: show_answer(call, types), icon="visibility", kind=kind, small=small)


async def show_answer(call: RefusedRow, types: Mapping[str, str]) -> None:
    """Shows the answer of a refused call until the person closes it."""
    title = _("What the caller sees")
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--answer") as box:
        box.props["aria-label"] = title
        words(title, tag="h2")
        words(
            _("The caller got this answer instead of a job: {status}, {reason}.").format(
                status=call.status, reason=refusal_word(call.code).lower()
            ),
            tag="p",
        )
        if call.fields:
            draw_fields(call, types)
        elif remedy := _remedy(call.code):
            sentence(f"{remedy.rstrip('.')}.")
        with fold(_("The same as JSON, for programs")):
            code(json.dumps(stored_answer(call), ensure_ascii=False, indent=2), "json", name=_("The answer as JSON"))
            words(_("Values that were sent are not kept, so the answer is shown without them."), "fp-hint", tag="p")
        with ui.element("div").classes("fp-acts"):
            if call.code in CODES:
                docs = link_button(
                    _("About this error in the docs"), f"/docs/errors/{call.code}", icon="open_in_new", kind="quiet"
                )
                docs.props("target=_blank rel=noopener")
            button(_("Close"), dialog.close, kind="main")
    await answer_of(dialog)


def draw_fields(call: RefusedRow, types: Mapping[str, str]) -> None:
    """Draws a list of the wrong fields, each with its reason."""
    with ui.element("ul").classes("fp-errlist"):
        for field in call.fields:
            with ui.element("li"):
                words(f"{field_name(field)}:", "fp-b")
                words(f" {field_reason(field, types)}")


def stored_answer(call: RefusedRow) -> dict[str, Any]:
    """The problem document of a refused call (RFC 9457), as `api/http/problem_json.py` wrote it. Details in which
    values of the call may stand are not stored and are left out.
    """
    body: dict[str, Any] = {"type": f"/docs/errors/{call.code}", "title": _title(call.code), "status": call.status}
    count = len(call.fields)
    if count and count < MAX_STORED_FIELDS:
        body["detail"] = "1 field is wrong" if count == 1 else f"{count} fields are wrong"
    elif remedy := _remedy(call.code):
        body["detail"] = remedy.rstrip(".")
    body |= {"code": call.code, "request_id": call.request_id}
    if count and count < MAX_STORED_FIELDS:
        body["error_count"] = count
    if count:
        body["errors"] = [
            {name: field[name] for name in ("pointer", "code", "detail") if field.get(name)} for field in call.fields
        ]
    return body


def _kinds(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for one in kind.__subclasses__():
        yield one
        yield from _kinds(one)


#: Code -> the class that has it. A class that only inherits its code does not count.
_KINDS = {one.code: one for one in _kinds(errors.Refusal) if one.__module__ == errors.__name__ and "code" in vars(one)}


def _title(code: str) -> str:
    kind = errors.PayloadInvalid if code == errors.PayloadInvalid.code else _KINDS.get(code)
    return kind.__new__(kind).title if kind is not None else refusal_word(code)


def _remedy(code: str) -> str:
    kind = _KINDS.get(code)
    return kind.remedy if kind is not None else ""
