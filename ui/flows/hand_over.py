"""The card for a colleague who programs: one text to copy that says where the API is, how it is described, how a key goes
along and where keys are made. It never holds a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from engine.code_samples import YOUR_KEY, files_to_send, one_call_examples
from engine.flow.contract import example_payload, input_fields, result_schema, sample_payload
from engine.flow.document import Document
from engine.flow.times_asked import without_times
from engine.nodes import CATALOG
from storage.flows import FlowRow
from ui.kit.answer import answer_of
from ui.kit.parts import button, card, copy_button, words
from ui.kit.text import _, type_word
from ui.page_session import PageSession
from ui.parts.this_computer import this_computer_note


class HandOver:
    """Draws the card in the current slot. `document`: what callers reach; `endpoint`: the whole address."""

    def __init__(self, page_session: PageSession, flow: FlowRow, document: Document, base: str, endpoint: str) -> None:
        self.page_session = page_session
        self.base = base
        self.text = hand_over_text(flow, document, base, endpoint)
        with card(_("For a colleague who programs")), ui.element("div").classes("fp-col"):
            said = _("One text with all they need: the address, how to call it, and how to get a key. No key is in it.")
            words(said, "fp-s13 fp-t2", tag="div")
            with ui.element("div"):
                button(_("Show the text to pass on"), self._show, icon="description", small=True)

    async def _show(self) -> None:
        with ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--wide"):
            title = _("For a colleague who programs")
            dialog.props["aria-label"] = title
            words(title, tag="h2")
            words(_("Copy this text and send it, for example by e-mail or chat. You need not understand it."), tag="p")
            with ui.element("div").classes("fp-deploy-step fp-col"):  # it scrolls: the button below stays in view
                this_computer_note(
                    self.page_session, self.base, _("From another computer these addresses do not work.")
                )
                text = words(self.text, "fp-code fp-code--in fp-code--wrap", tag="pre").props("tabindex=0 role=group")
                text.props["aria-label"] = _("Text to pass on")
            with ui.element("div").classes("fp-acts"):
                button(_("Close"), dialog.close, kind="quiet")
                copy_button(self.text, _("Copy the text"), kind="main", small=False)
        await answer_of(dialog)


def hand_over_text(flow: FlowRow, document: Document, base: str, endpoint: str) -> str:
    """Returns the text: with the flow's own sample as input, never that of a run, which may be private."""
    fields = input_fields(document)
    sample = files_to_send(fields, example_payload(document) or sample_payload(document))
    returned = result_schema(document, CATALOG).get("properties", {})
    sent = [_line(str(field.get("name")), field, required=bool(field.get("required"))) for field in fields]
    got = [_line(name, schema or {}) for name, schema in returned.items()]
    nothing = _("- nothing")
    parts = [
        _("Our flow “{title}” can be called by programs. {says}").format(
            title=flow.title, says=without_times(flow.description)
        ),
        _("Address, to which a program sends a POST request with JSON:\n{endpoint}").format(endpoint=endpoint),
        _("What it takes:\n{fields}").format(fields="\n".join(sent) or nothing),
        _("What it answers with, as `result`:\n{fields}").format(fields="\n".join(got) or nothing),
        _(
            "All about it (fields, errors, code in several languages):\n{docs}\n"
            "The same for programs, as OpenAPI 3.1:\n{docs}/openapi.json"
        ).format(docs=f"{base}/docs/flows/{flow.id}"),
        _("Anybody can read these.")
        if flow.settings.get("public_docs")
        else _("To read these you need an account on our Flowport. Ask me for one, or ask me to make them public."),
        _(
            "Each request carries a key in this header:\nAuthorization: Bearer {key}\n"
            "No key is in this text. Editors and owners make one here, under “Keys that may call it”:\n{page}\n"
            "It is shown once. Keep it like a password, and never in code that others can read."
        ).format(key=YOUR_KEY, page=f"{base}/flows/{flow.id}"),
        _("To try it in a terminal, put the key in place of {key}:\n\n{call}").format(
            key=YOUR_KEY, call=one_call_examples(endpoint, sample, key=YOUR_KEY).curl.strip()
        ),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _line(name: str, schema: Mapping[str, Any], *, required: bool = False) -> str:
    """`- url (Web address, required): The page to read`."""
    kind = _("{kind}, required").format(kind=type_word(schema)) if required else type_word(schema)
    said = " ".join(str(schema.get("description") or "").split())
    return f"- {name} ({kind}): {said}" if said else f"- {name} ({kind})"
