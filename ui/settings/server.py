"""Settings, Server: what runs, its addresses, what flows may reach beyond the public web, and Check this server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from engine.actions.server import set_known_names, set_outbound_allow, set_public_url, set_webhook_allow
from engine.core.errors import Refusal
from engine.diagnostics.browser_access import FROM_UNTRUSTED, Opened
from engine.diagnostics.findings import Line, State
from engine.diagnostics.server import check_server
from storage.settings import (
    KNOWN_HOST,
    KNOWN_NAMES,
    OUTBOUND_ALLOW,
    SERVER,
    WEBHOOK_ALLOW,
    WEBHOOK_HOSTS_LEFT,
    find_public_url,
    find_setting,
)
from storage.workspaces import is_first_workspace
from ui.forms.form import Field
from ui.kit import feedback
from ui.kit.parts import button, card, icon, note, words
from ui.kit.text import _, plural
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import not_twice, times_of
from ui.parts.ask_owners import ask_note
from ui.settings.navigation import settings_page
from ui.settings.processes_card import ProcessesCard

#: State -> (icon, CSS class, text for screen readers).
MARKS: dict[State, tuple[str, str, str]] = {
    "ok": ("check_circle", "fp-ok", _("All right:")),
    "note": ("info", "fp-t3", _("Good to know:")),
    "warn": ("warning", "fp-warn", _("Look at this:")),
    "bad": ("error", "fp-bad", _("Wrong:")),
}


class SeenServer(Struct, frozen=True):
    """The owner's settings. `known_host` is the host at which the server was set up."""

    public_url: str
    known_host: str
    known_names: tuple[str, ...]
    outbound_allow: str
    webhook_allow: str
    #: None: the owner has confirmed the hosts that the upgrade derived, or there were none.
    webhook_hosts_left: tuple[str, ...] | None


def load_server(session: Session, workspace_id: str) -> SeenServer | None:
    """Reads the settings. Returns None for people who do not own the server."""
    if not is_first_workspace(session, workspace_id):
        return None
    names = (KNOWN_HOST, KNOWN_NAMES, OUTBOUND_ALLOW, WEBHOOK_ALLOW, WEBHOOK_HOSTS_LEFT)
    said = {name: find_setting(session, SERVER, name) for name in names}
    left = said[WEBHOOK_HOSTS_LEFT]
    return SeenServer(
        find_public_url(session),
        said[KNOWN_HOST] or "",
        tuple(said[KNOWN_NAMES] or ()),
        said[OUTBOUND_ALLOW] or "",
        said[WEBHOOK_ALLOW] or "",
        None if left is None else tuple(left),
    )


def register(app: App) -> None:
    """Registers `/settings/server`."""

    @page_at("/settings/server")
    async def open_server(request: Request) -> None:
        await ServerPage(await open_page_session(app, request), request).build()


class ServerPage:
    """One open page of the server settings."""

    def __init__(self, page_session: PageSession, request: Request) -> None:
        self.page_session = page_session
        self.settings = page_session.app.settings
        self.reader = times_of(page_session).reader
        client = request.client.host if request.client else ""
        self.opened = Opened(
            request.url.scheme,
            request.headers.get("host", ""),
            client,
            dict(request.headers),
            trusted=FROM_UNTRUSTED not in request.scope,
        )

    async def build(self) -> None:
        """Draws the page."""
        seen = await self.page_session.query(load_server) if self.page_session.may("change the server") else None
        with settings_page(
            self.page_session, "server", _("What runs, how it is reached, and what it may reach.")
        ) as page:
            if seen is None:
                ask_note(self.page_session, _("Owners set this up."))
                return
            with page.actions:
                self.check_button = button(_("Check this server"), self._check, icon="troubleshoot", kind="main")
            self.checked = ui.element("div").classes("fp-col").props("role=status")
            processes = ProcessesCard(self.page_session)
            self._draw_addresses(seen)
            self._draw_allowed(seen)
            await processes.begin()

    # Check this server.

    async def _check(self) -> None:
        if await self.page_session.query(load_server) is None or not self.page_session.may("change the server"):
            return
        self.check_button.disable()
        self.checked.clear()
        with self.checked, card(_("Check this server"), padded=False) as one:
            with one.head:
                told = words(_("Looking ..."), "fp-s13 fp-t2")
            lines = ui.element("div").classes("fp-checked-all")
        found: list[State] = []
        try:
            app = self.page_session.app
            async for line in check_server(
                self.settings, app.database, app.vault, opened=await self._opened(), running=True
            ):
                found.append(line.state)
                with lines:
                    draw_line(line)
        except Refusal as refusal:
            feedback.refused(refusal)
        finally:
            self.check_button.enable()
        told.text = self._sum(found)

    def _sum(self, found: list[State]) -> str:
        bad, warn = found.count("bad"), found.count("warn")
        if not bad and not warn:
            return _("All is well.")
        parts = [
            plural(bad, _("thing is wrong"), _("things are wrong"), self.reader) if bad else "",
            plural(warn, _("thing to look at"), _("things to look at"), self.reader) if warn else "",
        ]
        return ", ".join(part for part in parts if part)

    async def _opened(self) -> Opened:
        """How the page was opened, with the origin that the browser reports."""
        try:
            origin: Any = await ui.run_javascript("window.location.origin", timeout=3.0)
        except TimeoutError:
            origin = ""
        return msgspec.structs.replace(self.opened, origin=origin if isinstance(origin, str) else "")

    # Settings of the owner.

    def _draw_addresses(self, seen: SeenServer) -> None:
        fixed = self.settings.public_url if self.settings.public_url != seen.public_url else ""
        with card(_("Addresses")), ui.element("div").classes("fp-form fp-narrow"):
            field = Field(
                _("Public address"),
                _("optional"),
                _("FLOWPORT_PUBLIC_URL sets it; change it there.")
                if fixed
                else _(
                    "Links and endpoints are shown with it. Whoever set up this server or its network knows it: it is what "
                    "other people write into their browser to get here, like https://flows.example.com. Pages open there "
                    "at once; links follow when the server starts again."
                ),
            )
            with field.place:
                box = field.control(
                    ui.input(value=fixed or seen.public_url).props("outlined dense autocomplete=off spellcheck=false")
                )
                if fixed:
                    box.props("readonly")
            if not fixed:
                self._save_all(
                    lambda text, began: self.page_session.execute(set_public_url, text, began=began),
                    seen.public_url,
                    field,
                    box,
                    _("Save the address"),
                )
            usual = _("Localhost and IP addresses always work")
            host = (
                _("{usual}, and so does {known_host}.").format(usual=usual, known_host=seen.known_host)
                if seen.known_host
                else f"{usual}."
            )
            names = Field(
                _("Further names"),
                _("one a line"),
                _("Names this server may be opened by, like flows.lan or flows.lan:8080. {host}").format(host=host),
            )
            with names.place:
                area = names.control(
                    ui.textarea(value="\n".join(seen.known_names)).props("outlined dense autogrow spellcheck=false")
                )
            self._save_all(
                lambda text, began: self.page_session.execute(set_known_names, text, began=began),
                seen.known_names,
                names,
                area,
                _("Save the names"),
            )

    def _draw_allowed(self, seen: SeenServer) -> None:
        with (
            card(_("Allowed addresses"), _("They count for the next request")),
            ui.element("div").classes("fp-form fp-narrow"),
        ):
            words(_("For flows"), "fp-s13 fp-b", tag="h3")
            words(
                _(
                    "Flows may read the public web at its usual ports (80, 443, 8080 and 8443). Addresses inside your network, and public ones at other ports, are refused unless they stand here: a name, *.name, an IP address or a network, each with or without a port."
                ),
                "fp-s13 fp-t2",
                tag="p",
            )
            if self.settings.outbound_allow:
                note(
                    _("FLOWPORT_OUTBOUND_ALLOW also allows {outbound_allow}.").format(
                        outbound_allow=self.settings.outbound_allow
                    ),
                    icon="info",
                )
            field = Field(
                _("Allowed"), _("one a line"), _("Like intranet.example.com, *.corp.example or 10.0.0.5:8080.")
            )
            with field.place:
                area = field.control(
                    ui.textarea(value=seen.outbound_allow.replace(", ", "\n")).props(
                        "outlined dense autogrow spellcheck=false"
                    )
                )
            self._save_all(
                lambda text, began: self.page_session.execute(set_outbound_allow, text, began=began),
                seen.outbound_allow,
                field,
                area,
                _("Save the list"),
            )
            self._draw_allowed_for_callers(seen)

    def _draw_allowed_for_callers(self, seen: SeenServer) -> None:
        words(_("For callers' webhooks"), "fp-s13 fp-b", tag="h3")
        words(
            _(
                "A call may name an address that is told when its job ends (X-Webhook-Url). Inside your network it reaches only what stands here; the list above does not count for it. The webhook in a flow's own settings uses the list above."
            ),
            "fp-s13 fp-t2",
            tag="p",
        )
        if self.settings.webhook_allow:
            note(
                _("FLOWPORT_WEBHOOK_ALLOW also allows {webhook_allow}.").format(
                    webhook_allow=self.settings.webhook_allow
                ),
                icon="info",
            )
        told = seen.webhook_hosts_left
        if told is not None:
            text = _(
                "The upgrade filled this list with private hosts that such calls reached before. A former webhook of a flow may be among them; please look whether they are right."
            )
            if told:
                why = _("Reached too but left out, as they are a flow's own webhook or may lie on the public web:")
                text = f"{text} {why} {', '.join(told)}."
            note(_("{text} Saving the list ends this note.").format(text=text), icon="info")
        field = Field(_("Allowed for callers"), _("one a line"), _("Like hooks.example.com or 10.0.0.5:8080."))
        with field.place:
            area = field.control(
                ui.textarea(value=seen.webhook_allow.replace(", ", "\n")).props(
                    "outlined dense autogrow spellcheck=false"
                )
            )
        self._save_all(
            lambda text, began: self.page_session.execute(set_webhook_allow, text, began=began),
            seen.webhook_allow,
            field,
            area,
            _("Save the list for callers"),
        )

    def _save_all(
        self,
        keep: Callable[[str, Any], Awaitable[Any]],
        began: Any,
        field: Field,
        area: ui.input | ui.textarea,
        verb: str,
    ) -> None:
        """Adds the button that saves all of a box, unless somebody changed it since the form began with it."""

        async def save() -> None:
            nonlocal began
            began = await keep(area.value or "", began)

        self._save_button(field, save, verb)

    def _save_button(self, field: Field, save: Callable[[], Awaitable[Any]], verb: str) -> None:
        async def pressed() -> None:
            field.error("")
            try:
                await save()
            except Refusal as refusal:
                field.error(" ".join(f"{part.rstrip('.')}." for part in (refusal.detail, refusal.remedy) if part))
                return
            feedback.told(_("Saved."))

        with ui.element("div"):
            button(verb, not_twice(pressed))


def draw_line(line: Line) -> None:
    """Draws one result of the check."""
    symbol, kind, word = MARKS[line.state]
    with ui.element("div").classes("fp-checked"):
        icon(symbol, kind, size=20)
        with ui.element("div"):
            with ui.element("p"):
                words(word + " ", "fp-hide")
                words(line.name, "fp-b")
            words(line.found, "fp-s13 fp-t2 fp-wrap-text", tag="p")
            if line.fix and line.state != "ok":
                words(line.fix, "fp-s13 fp-wrap-text", tag="p")
