"""The card for a colleague who programs: one text to copy that says where the API is, how it is described, how a key goes
along and where keys are made. It never holds a key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nicegui import ui

from engine.code_samples import YOUR_KEY, files_to_send, one_call_examples
from engine.flow.contract import input_fields, result_schema, shown_payload
from engine.flow.document import Document
from engine.flow.times_asked import without_times
from engine.nodes import CATALOG
from storage.flows import FlowRow
from ui.kit.answer import answer_of
from ui.kit.feedback import open_page
from ui.kit.parts import button, card, copy_button, link, words
from ui.kit.text import _, type_word
from ui.page_session import PageSession
from ui.parts.this_computer import this_computer_note

#: How many keys are named.
_MAX_KEYS = 3


class HandOver:
    """Draws the card in the current slot. `document`: what callers reach; `endpoint`: the whole address; `keys`: returns
    the labels of the keys that may call it at the moment.
    """

    def __init__(
        self,
        page_session: PageSession,
        flow: FlowRow,
        document: Document,
        base: str,
        endpoint: str,
        keys: Callable[[], Sequence[str]],
        *,
        asks: bool,
    ) -> None:
        self.page_session = page_session
        self.base = base
        self.text = lambda: hand_over_text(flow, document, base, endpoint, keys(), asks=asks)
        with card(_("For a colleague who programs")), ui.element("div").classes("fp-col"):
            said = _("One text with all they need: the address, how to call it, and how to get a key. No key is in it.")
            words(said, "fp-s13 fp-t2", tag="div")
            with ui.element("div"):
                button(_("Show the text to pass on"), self._show, icon="description", small=True)
            said = _(
                "For a web site, this text is right when the page shows what the flow answers. There is another text for a"
                " colleague who makes a web page whose form starts the flow, and shows no answer: add an incoming webhook of"
                " “Any service”, and it stands there. It needs no key."
            )
            with words(f"{said} ", "fp-hint", tag="p"):
                link(_("Incoming webhooks"), f"/flows/{flow.id}?tab=triggers")

    async def _show(self) -> None:
        await show_text_to_pass_on(self.page_session, _("For a colleague who programs"), self.text(), self.base)


async def show_text_to_pass_on(page_session: PageSession, title: str, text_to_pass_on: str, base: str) -> None:
    """Shows a text that somebody copies and sends. `base`: the address at which Flowport is open, which stands in it."""
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--wide"):
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(_("Copy this text and send it, for example by e-mail or chat. You need not understand it."), tag="p")
        with ui.element("div").classes("fp-deploy-step fp-col"):  # it scrolls: the button below stays in view
            this_computer_note(page_session, base, _("From another computer these addresses do not work."))
            text = words(text_to_pass_on, "fp-code fp-code--in fp-code--wrap", tag="pre").props("tabindex=0 role=group")
            text.props["aria-label"] = _("Text to pass on")
        with ui.element("div").classes("fp-acts"):
            button(_("Close"), dialog.close, kind="quiet")
            copy_button(text_to_pass_on, _("Copy the text"), kind="main", small=False)
    await answer_of(dialog)


def hand_over_text(
    flow: FlowRow, document: Document, base: str, endpoint: str, keys: Sequence[str] = (), *, asks: bool
) -> str:
    """Returns the text: with the flow's own sample as input, never that of a run, which may be private.

    `asks`: whether a run may wait for a person.
    """
    fields = input_fields(document)
    sample = files_to_send(fields, shown_payload(document)[0])
    returned = result_schema(document, CATALOG).get("properties", {})
    sent = [field_line(str(field.get("name")), field, required=bool(field.get("required"))) for field in fields]
    got = [field_line(name, schema or {}) for name, schema in returned.items()]
    nothing = _("- nothing")
    parts = [
        _("Our flow “{title}” can be called by programs. {says}").format(
            title=flow.title, says=without_times(flow.description)
        ),
        _("Address, to which a program sends a POST request with JSON:\n{endpoint}").format(endpoint=endpoint),
        _("What it takes:\n{fields}").format(fields="\n".join(sent) or nothing),
        _("What it answers with, as `result`:\n{fields}").format(fields="\n".join(got) or nothing),
        _(
            "A run may wait for a person, for days if it must. The call is then answered with the job: ask for it again until "
            "its `status` is `completed`, `failed` or `cancelled`, or let a webhook tell you. The page below says how."
        )
        if asks
        else "",
        _(
            "All about it (fields, errors, code in several languages):\n{docs}\n"
            "The same for programs, as OpenAPI 3.1:\n{docs}/openapi.json"
        ).format(docs=f"{base}/docs/flows/{flow.id}"),
        _("Anybody can read these.")
        if flow.settings.get("public_docs")
        else _("To read these you need an account on our Flowport. Ask me for one, or ask me to make them public."),
        "\n".join(filter(None, _about_keys(keys, f"{base}/flows/{flow.id}"))),
        _(
            "For a web page: the key belongs on the server of the web site, never into the page. The page asks that server, it "
            "calls the address above with the key, and gives the answer back. A web site without a server of its own needs a "
            "small one for this, like a “serverless function” of your host. Why: {docs}"
        ).format(docs=f"{base}/docs/authentication#not-from-a-page-in-a-browser"),
        _("To try it in a terminal, put the key in place of {key}:\n\n{call}").format(
            key=YOUR_KEY, call=one_call_examples(endpoint, sample, key=YOUR_KEY).curl.strip()
        ),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _about_keys(keys: Sequence[str], page: str) -> tuple[str, str, str]:
    """How a key goes along, which keys may call the flow already ("" without one), and where one is made."""
    labels = ", ".join(f"“{label}”" for label in keys[:_MAX_KEYS])
    there = _("The key {labels} may call it: ask me for it.") if len(keys) == 1 else ""
    if len(keys) > 1:
        there = _("These keys may call it: {labels}. Ask me for one of them.")
    return (
        _("Each request carries a key in this header:\nAuthorization: Bearer {key}\nNo key is in this text.").format(
            key=YOUR_KEY
        ),
        there.format(labels=labels),
        _(
            "Editors and owners make one here, under “Keys that may call it”:\n{page}\n"
            "It is shown once. Keep it like a password, and never in code that others can read."
        ).format(page=page),
    )


def field_line(name: str, schema: Mapping[str, Any], *, required: bool = False) -> str:
    """`- url (Web address, required): The page to read`. A type that nobody knows is left out."""
    known = type_word(schema) if schema.get("type") or schema.get("format") else ""
    kind = ", ".join(word for word in (known, _("required") if required else "") if word)
    said = " ".join(str(schema.get("description") or "").split())
    return f"- {name}{f' ({kind})' if kind else ''}{f': {said}' if said else ''}"
