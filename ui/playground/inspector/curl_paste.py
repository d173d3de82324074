"""The dialog that fills an HTTP Request node from a pasted curl command, as one edit.

Its credentials are stored as secrets.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui import ui

from engine.actions.secrets import MAX_NAME, add_secret
from engine.core.errors import Refusal
from engine.core.web_addresses import split_url
from engine.flow.curl_parser import CurlCommand, CurlRefused, read_curl
from engine.flow.document import Node
from engine.flow.edits import Op, update_node
from engine.outbound.secret_hosts import host_entry
from ui.forms.form import Field
from ui.kit import feedback
from ui.kit.answer import answer_of
from ui.kit.parts import button, icon, note, words
from ui.kit.text import _, plural
from ui.page_session import PageSession

_EXAMPLE = "curl https://api.example.com/v1/items -H 'Authorization: Bearer ...' --json '{\"name\": \"value\"}'"


def paste_button(
    page_session: PageSession,
    node_now: Callable[[], Node | None],
    edit: Callable[[Sequence[Op]], Awaitable[Any]],
    filled: Callable[[], Awaitable[Any]],
) -> None:
    """The button above the fields of an HTTP Request. `filled` is called after the edit, to update the fields."""

    async def paste() -> None:
        chosen = await ask_for_curl(page_session)
        node = node_now()
        if chosen is None or node is None:
            return
        if await edit([fill_in(node, *chosen)]):
            await filled()

    with ui.element("div").classes("fp-row"):
        button(_("Paste a curl command"), paste, icon="content_paste", small=True)
        words(_("Fills in the fields below."), "fp-t3 fp-s12")


def fill_in(node: Node, command: CurlCommand, secrets: dict[str, str]) -> Op:
    """The operations that make the node send the command's request. Settings that the command does not mention stay."""
    kept = {name: value for name, value in node.config.items() if name not in {"method", "secret_headers"}}
    return update_node(node, config={**kept, **command.config(secrets)}, inputs=command.inputs())


async def ask_for_curl(page_session: PageSession) -> tuple[CurlCommand, dict[str, str]] | None:
    """Returns the pasted command and the ids of the secrets created from its credentials; None when the dialog was
    cancelled.
    """
    with feedback.open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--wide"):
        dialog.props["aria-label"] = _("Paste a curl command")
        words(_("Paste a curl command"), tag="h2")
        words(_("From a service's documentation, or “Copy as cURL” in a browser. Nothing is sent now."), tag="p")
        with ui.element("div").classes("fp-form"):
            command = Field(_("Command"))
            with command.place:
                box = command.control(ui.textarea(placeholder=_EXAMPLE)).classes("fp-mono")
                box.props(
                    "outlined dense debounce=200 input-style='min-height: 150px' autofocus autocomplete=off "
                    "spellcheck=false"
                )
            place = ui.element("div").classes("fp-form").props("role=status")
        found = _ParsedCurl(page_session, place)

        async def fill() -> None:
            if not go.enabled:  # the first of two quick presses is at work
                return
            go.disable()
            try:
                if (answer := await found.answer()) is not None:
                    dialog.submit(answer)
            finally:
                go.set_enabled(found.command is not None)

        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), dialog.close, kind="quiet")
            go = button(_("Fill in the fields"), fill, kind="main")
        go.disable()

        def read(text: str | None) -> None:
            found.read(text or "")
            go.set_enabled(found.command is not None)

        box.on_value_change(lambda event: read(event.value))
    return await answer_of(dialog)


class _ParsedCurl:
    """The parsed command, shown under the text box."""

    def __init__(self, page_session: PageSession, place: ui.element) -> None:
        self.page_session = page_session
        self.place = place
        self.command: CurlCommand | None = None
        self.keep: dict[str, tuple[ui.switch, ui.input]] = {}
        self.made: dict[str, str] = {}

    def read(self, text: str) -> None:
        """Parses the text and shows the result; a refusal is shown under the text box."""
        self.place.clear()
        self.command = None
        self.keep, self.made = {}, {}
        if not text.strip():
            return
        try:
            self.command = read_curl(text)
        except CurlRefused as refusal:
            with self.place, ui.element("p").classes("fp-hint fp-bad"):
                icon("error", size=14)
                words(str(refusal))
            return
        with self.place:
            self._show(self.command)

    async def answer(self) -> tuple[CurlCommand, dict[str, str]] | None:
        """Stores the chosen credentials as secrets. None when one was refused, and then the node is not filled."""
        command = self.command
        if command is None:
            return None
        for header, (switch, name) in self.keep.items():
            if not switch.value or header in self.made:
                continue
            try:
                self.made[header] = await self.page_session.execute(
                    add_secret,
                    self.page_session.app.vault,
                    name.value or "",
                    command.credentials[header],
                    host_entry(command.url),
                )
            except Refusal as refusal:
                feedback.refused(refusal)
                return None
        return command, {header: made for header, made in self.made.items() if self.keep[header][0].value}

    def _show(self, command: CurlCommand) -> None:
        parts = [plural(len(command.headers), _("header"), _("headers")) if command.headers else ""]
        parts += [plural(len(command.query), _("query value"), _("query values")) if command.query else ""]
        parts += [_("a body") if command.body is not None else ""]
        with ui.element("div"):
            words(f"{command.method} {command.url}", "fp-mono fp-s13 fp-cut", tag="p")
            words(", ".join(filter(None, parts)), "fp-t2 fp-s12", tag="p")
        may = self.page_session.may("manage connections")
        host = split_url(command.url).hostname or ""
        for header in command.credentials:
            if not may:
                note(
                    _(
                        "{header}: this looks like a password or a key. Only the owner keeps secrets; choose one here when it is there."
                    ).format(header=header),
                    icon="lock",
                )
                continue
            switch = ui.switch(_("Keep {header} as a secret").format(header=header), value=True)
            named = Field(_("Name of the secret"))
            with named.place:
                name = named.control(ui.input(value=f"{host} {header}"[:MAX_NAME]).props("outlined dense"))
                name.props(f"autocomplete=off maxlength={MAX_NAME}")
            allowed = host_entry(command.url)
            told = _("It may be sent to {host}.").format(host=allowed) if allowed else _("It may be sent to no host.")
            goes = words(told, "fp-hint", tag="p")
            goes.bind_visibility_from(switch, "value")
            named.bind_visibility_from(switch, "value")
            hint = words(_("Its value is left out. Choose a secret for this header in the node."), "fp-hint", tag="p")
            hint.bind_visibility_from(switch, "value", value=False)
            self.keep[header] = (switch, name)
        for text in command.notes:
            note(text, kind="warn", icon="warning")
