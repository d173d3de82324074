"""Derives the fields of the API Input from an example: pasted JSON or a pasted curl command."""

from __future__ import annotations

import contextlib
from typing import Any

from msgspec import Struct
from nicegui import ui

from engine.flow.curl_parser import looks_like_curl, read_curl
from engine.flow.document import Node
from engine.flow.draft_fields import SampleRefused, fields_from_json, fields_from_text
from engine.flow.json_values import read_strictly
from ui.kit.answer import answer_of
from ui.kit.feedback import open_page
from ui.kit.parts import button, icon, words
from ui.kit.text import _, plural, type_word

Fields = list[dict[str, Any]]


class Drafted(Struct, frozen=True):
    """Fields in the form in which the API Input stores them, and the example itself when it is one request."""

    fields: Fields
    payload: dict[str, Any] | None


def draft_from(text: str) -> Drafted:
    """Derives fields from a pasted example. Raises SampleRefused with a sentence that is shown to the person."""
    value: Any = None
    if looks_like_curl(text):
        with contextlib.suppress(ValueError):  # `fields_from_text` raises the refusal that the person sees
            value = read_curl(text).body
        # without a content type header curl sends JSON as a form, so the body is tried as JSON
        with contextlib.suppress(ValueError, TypeError):
            value = read_strictly(value)
        fields = fields_from_json(value) if isinstance(value, dict) else fields_from_text(text)
    else:
        fields = fields_from_text(text)
        value = read_strictly(text)
    if not isinstance(value, dict):
        return Drafted(fields, None)
    names = {field["name"] for field in fields}
    return Drafted(fields, {name: one for name, one in value.items() if name in names})


async def ask_for_example(node: Node | None) -> tuple[Fields | None, dict[str, Any] | None]:
    """Returns the fields of the API Input with the example's fields added, and a sample made of it; (None, None) when
    cancelled.
    """
    stored = node.config.get("fields") if node else None
    kept = [one for one in stored if isinstance(one, dict)] if isinstance(stored, list | tuple) else []
    state: dict[str, Drafted | None] = {"drafted": None}
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--wide"):
        dialog.props["aria-label"] = _("From an example")
        words(_("From an example"), tag="h2")
        words(_("Paste the JSON that callers will send, or a whole curl line."), tag="p")
        with ui.element("div").classes("fp-f"):
            name = words(_("Example"), tag="label")
            box = ui.textarea(placeholder='{"url": "https://example.com", "max_pages": 12}').props(
                "outlined dense debounce=200 input-style='min-height: 150px' autofocus"
            )
            box.classes("fp-mono")
            box.props["for"] = f"{box.html_id}-in"
            name.props["for"] = f"{box.html_id}-in"
        found = ui.element("div").classes("fp-stack").props("role=status")
        keep = ui.switch(_("Keep it as a sample, too"), value=True)
        replace = ui.switch(_("Take away the fields that are not in it"), value=False)
        replace.visible = bool(kept)
        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), dialog.close, kind="quiet")
            go = button(_("Make the fields"), lambda: dialog.submit(state["drafted"]), kind="main")
        go.disable()

        def read(text: str | None) -> None:
            found.clear()
            state["drafted"] = None
            if (text or "").strip():
                try:
                    state["drafted"] = draft_from(text or "")
                except SampleRefused as refusal:
                    with found, ui.element("p").classes("fp-hint fp-bad"):
                        icon("error", size=14)
                        words(str(refusal))
            if (drafted := state["drafted"]) is not None:
                _show(found, drafted)
            go.set_enabled(bool(state["drafted"]))

        box.on_value_change(lambda event: read(event.value))
    drafted: Drafted | None = await answer_of(dialog)
    if drafted is None:
        return None, None
    fresh = {str(one["name"]): one for one in drafted.fields}
    fields = []
    for one in kept:  # existing fields keep their place, and their rules where the type is the same
        new = fresh.pop(str(one.get("name")), None)
        if new is not None:
            fields.append(one if one.get("type") == new["type"] else new)
        elif not replace.value:
            fields.append(one)
    fields += fresh.values()
    wanted = keep.value and drafted.payload is not None
    sample = {"title": _("Example"), "payload": drafted.payload} if wanted else None
    return fields, sample


def _show(found: ui.element, drafted: Drafted) -> None:
    with found:
        words(plural(len(drafted.fields), _("field"), _("fields")), "fp-b")
        with ui.element("div").classes("fp-cs"):
            for field in drafted.fields:
                with ui.element("span").classes("fp-chip fp-chip--pick"):
                    words(str(field["name"]))
                    words(type_word(field), "fp-ty")
