"""The card with the incoming webhooks of a flow: their addresses, and what came of the last calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from engine.actions.hooks import (
    OVERLAP_MS,
    NewHook,
    hook_path,
    pause_hook,
    remove_hook,
    renew_hook_secret,
    resume_hook,
)
from engine.core.clock import HOUR
from engine.core.errors import Refusal
from engine.flow.document import Document
from storage.flows import FlowRow
from storage.hooks import DeliveryLine, HookRow
from storage.triggers import FlowTriggers
from ui.flows.hand_over import show_text_to_pass_on
from ui.flows.hook_form import SERVICES, HookForm
from ui.flows.web_form_text import web_form_text
from ui.forms.form import Field
from ui.kit import feedback
from ui.kit.feedback import empty, fold
from ui.kit.parts import Column, Kind, badge, button, card, copy_button, link, note, table, words
from ui.kit.scroll import into_view
from ui.kit.text import _
from ui.page_session import PageSession
from ui.page_shell import times_of
from ui.parts.ask_owners import asking
from ui.parts.this_computer import this_computer_line

GUIDE = "/docs/guides/incoming-webhooks"


class HooksCard:
    """Draws the card in the current slot; `show` draws what was read again, while no form or new secret is shown."""

    def __init__(self, page_session: PageSession, base: str, again: Callable[[], Awaitable[object]]) -> None:
        self.page_session = page_session
        self.base = base
        self.times = times_of(page_session)
        self.may = page_session.may("deploy")
        self.editing: HookRow | None = None
        self.form_open = False
        self.made: tuple[NewHook, str] | None = None
        self.again = again
        #: The ids of hooks whose secrets cannot be opened.
        self.unreadable: frozenset[str] = frozenset()
        self.place = ui.element("div")

    def show(self, flow: FlowRow, seen: FlowTriggers, document: Document) -> None:
        """Draws the webhooks as they are now; an open form stays as it is."""
        self.flow, self.seen, self.document = flow, seen, document
        if not self.form_open:
            self._draw()

    def _draw(self) -> None:
        self.place.clear()
        with (
            self.place,
            card(_("Incoming webhooks"), _("Another service starts the flow by calling an address.")) as box,
        ):
            if self.form_open:
                HookForm(
                    self.page_session,
                    self.flow.id,
                    self.document,
                    hook=self.editing,
                    last_call=self.seen.last_calls.get(self.editing.id) if self.editing else None,
                    on_done=self._close,
                )
                return
            if self.may and self.seen.hooks:
                with box.head:
                    button(_("Add a webhook"), self._add, icon="add", small=True)
            if self.made is not None:
                self._draw_made(*self.made)
            if not self.seen.hooks:
                self._draw_empty()
                return
            if self.flow.live_version is None:
                note(
                    _("Calls are refused before you press Deploy API."),
                    kind="warn",
                    icon="cloud_off",
                    strong=_("This flow is not deployed."),
                )
            for hook in self.seen.hooks:
                self._draw_one(hook)
            if self.may and any(hook.preset == "link" for hook in self.seen.hooks):
                said = _("There is another text for a colleague whose program calls the flow with a key:")
                with words(f"{said} ", "fp-hint", tag="p"):
                    link(_("For a colleague who programs"), f"/flows/{self.flow.id}?tab=api")

    def _draw_empty(self) -> None:
        with empty(
            "webhook",
            _("No webhook yet"),
            _(
                "GitHub, Stripe, a form or a shop can start the flow when something happens there. They need no API key."
            ),
        ):
            if self.may:
                button(_("Add a webhook"), self._add, icon="add")
            else:
                words(asking(self.page_session, _("Editors and owners can add webhooks.")), "fp-hint", tag="p")
            link(_("How to connect GitHub or Stripe"), GUIDE, new_tab=True)

    def _draw_made(self, made: NewHook, preset: str) -> None:
        """Draws the address and the secret, which are shown this one time, and what to do with them."""
        address = self.base + hook_path(made.id, preset, made.secret)
        with ui.element("section").classes("fp-card fp-reveal fp-col") as place:
            place.props["aria-label"] = _("The new webhook")
            todo = {
                "link": _(
                    "Enter this address at the service. It holds the secret, so it is shown this one time. Where a form on a "
                    "web page is to call it, pass on the text for the colleague who makes the page."
                ),
                "github": _(
                    "At GitHub open Settings, Webhooks, Add webhook of your repository. Enter both, and choose the "
                    "content type application/json. The secret is shown this one time."
                ),
                "stripe": _(
                    "At Stripe open Developers, Webhooks, and add this address. Stripe then shows a secret: enter it "
                    "here with New secret, if you have not yet."
                ),
                "standard": _(
                    "Enter the address at the service, and the secret if it asks for one. It is shown this one time."
                ),
            }[preset]
            words(todo, "fp-b fp-s13", tag="p")
            self._copied(_("Address"), address)
            this_computer_line(self.page_session, self.base)
            if preset in {"github", "standard"}:
                self._copied(_("Secret"), made.secret)
            with ui.element("div").classes("fp-row fp-wrap-row"):
                button(_("I have entered it"), self._is_safe, icon="check", small=True)
                hook = next((one for one in self.seen.hooks if one.id == made.id), None)
                if preset == "link" and hook is not None:
                    self._draw_web_page(hook, address)

    def _draw_web_page(self, hook: HookRow, address: str) -> None:
        title = _("For a colleague who makes the web page")

        async def show() -> None:
            text = web_form_text(self.flow.title, self.document, hook, address)
            await show_text_to_pass_on(self.page_session, title, text, self.base)

        button(title, show, icon="description", small=True).props["aria-label"] = f"{title}: {hook.title}"

    def _copied(self, name: str, value: str) -> None:
        with ui.element("div").classes("fp-col fp-copied"):
            words(name, "fp-s12 fp-t3")
            with ui.element("div").classes("fp-row fp-reveal-line"):
                words(value, "fp-mono fp-reveal-key", tag="code")
                copy_button(value, name=_("Copy: {name}").format(name=name))

    def _draw_one(self, hook: HookRow) -> None:
        deliveries = self.seen.deliveries.get(hook.id, ())
        with ui.element("section").classes("fp-trigger") as section:
            section.props["aria-label"] = hook.title
            with ui.element("div").classes("fp-row fp-wrap-row"):
                words(hook.title, "fp-b fp-wrap-text", tag="h3")
                badge(SERVICES[hook.preset][0])
                if hook.paused:
                    badge(_("Paused"), kind="warn", icon="pause")
                if hook.id in self.unreadable:
                    renew = _("New address") if hook.preset == "link" else _("New secret")
                    said = _("Its secret cannot be read any more, so calls are refused: press {verb}")
                    badge(said.format(verb=renew), kind="bad", icon="key_off")
            address = self.base + hook_path(hook.id, hook.preset)
            with ui.element("div").classes("fp-row"):
                words(f"{address}/…" if hook.preset == "link" else address, "fp-mono fp-s13 fp-break", tag="code")
                if hook.preset != "link":
                    copy_button(address, name=_("Copy the address of {title}").format(title=hook.title))
            if self.made is None:  # else it stands beside the whole address
                this_computer_line(self.page_session, self.base)
            if hook.preset == "link":
                words(
                    _(
                        "The end of the address is secret and was shown when it was made. New address makes another one."
                    ),
                    "fp-hint",
                    tag="p",
                )
            if not deliveries:
                words(_("No call has come yet."), "fp-t2 fp-s13", tag="div")
            if self.may:
                self._draw_verbs(hook)
            if deliveries:
                self._draw_deliveries(hook, deliveries)

    def _draw_verbs(self, hook: HookRow) -> None:
        renew = _("New address") if hook.preset == "link" else _("New secret")
        verbs = (
            (_("Change"), self._change, "edit"),
            (_("Resume"), self._resume, "play_circle") if hook.paused else (_("Pause"), self._pause, "pause"),
            (renew, self._renew, "key"),
            (_("Remove"), self._remove, "delete"),
        )
        with ui.element("div").classes("fp-row fp-wrap-row"):
            if hook.preset == "link":
                end = _("THE-END-THAT-I-SEND-YOU")
                self._draw_web_page(hook, f"{self.base}{hook_path(hook.id, hook.preset)}/{end}")
            for name, work, symbol in verbs:
                made = button(name, lambda work=work: work(hook), icon=symbol, small=True, kind="quiet")
                made.props["aria-label"] = f"{name}: {hook.title}"

    def _draw_deliveries(self, hook: HookRow, deliveries: tuple[DeliveryLine, ...]) -> None:
        with fold(_("Last calls"), open_at_first=deliveries[0].status >= 300):
            columns = [Column(_("Came")), Column(_("Event")), Column(_("Answer"))]
            rows = table(columns, label=_("Last calls of {title}").format(title=hook.title), stacks=True)
            for line in deliveries:
                with rows.row():
                    rows.cell(self.times.moment(line.at), "fp-num fp-t2")
                    rows.cell(line.event or "", "fp-wrap-text")
                    with rows.cell(classes="fp-wrap-text"):
                        text, kind = _answer(line)
                        badge(text, kind=kind)
                        if line.job_id:
                            words(" ")
                            link(_("The job"), f"/jobs/{line.job_id}")
                        if line.reason:
                            words(line.reason, "fp-hint fp-wrap-text", tag="div")
            with ui.element("p").classes("fp-hint"):
                link(_("All jobs of this webhook"), f"/jobs?trigger=hook:{hook.id}")

    # The verbs.

    def _add(self) -> None:
        self._open(None)

    def _change(self, hook: HookRow) -> None:
        self._open(hook)

    def _open(self, hook: HookRow | None) -> None:
        self.editing, self.form_open, self.made = hook, True, None
        self._draw()
        into_view(self.place)

    async def _close(self, made: NewHook | None = None, preset: str = "") -> None:
        self.editing, self.form_open = None, False
        if made is not None:
            self.made = made, preset
        await self.again()
        self._draw()
        if made is not None:
            into_view(self.place)

    def _is_safe(self) -> None:
        self.made = None
        self._draw()

    async def _pause(self, hook: HookRow) -> None:
        with feedback.refusals_told():
            await self.page_session.execute(pause_hook, hook.id)
        await self._close()

    async def _resume(self, hook: HookRow) -> None:
        with feedback.refusals_told():
            await self.page_session.execute(resume_hook, hook.id)
        await self._close()

    async def _renew(self, hook: HookRow) -> None:
        hours = OVERLAP_MS // HOUR
        if hook.preset == "link":
            sure = await feedback.confirm(
                _("Make a new address?"),
                _("The old one works for {hours} hours more, so that you can change it at the service.").format(
                    hours=hours
                ),
                verb=_("Make a new one"),
            )
            secret = "" if sure else None
        else:
            secret = await _ask_secret(hours)
        if secret is None:
            return
        made = await self.page_session.try_execute(renew_hook_secret, self.page_session.app.vault, hook.id, secret)
        if made is None:
            return
        if secret:
            feedback.told(_("The secret is saved."), "")
            await self._close()
        else:
            await self._close(made, hook.preset)

    async def _remove(self, hook: HookRow) -> None:
        if await feedback.confirm(
            _("Remove this webhook?"),
            _("“{title}”: its address answers no more. Its jobs stay.").format(title=hook.title),
            verb=_("Remove it"),
            danger=True,
        ):
            try:
                await self.page_session.execute(remove_hook, hook.id)
            except Refusal as refusal:
                feedback.refused(refusal)
            self.made = None
            await self._close()


async def _ask_secret(hours: int) -> str | None:
    """Asks for the secret of the service. Returns "" for a new one, and None when the person leaves."""
    with feedback.open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        words(_("A new secret"), tag="h2")
        words(
            _("The old one is taken for {hours} hours more, so that nothing is lost.").format(hours=hours),
            "fp-t2",
            tag="p",
        )
        field = Field(_("Secret of the service"), _("optional"), _("Empty: a new one is made, which you enter there."))
        with field.place:
            box = ui.input(value="", password=True, password_toggle_button=True)
            field.control(box.props("outlined dense maxlength=500 autocomplete=off"))
        with ui.element("div").classes("fp-row fp-wrap-row"):
            button(_("Save the secret"), lambda: dialog.submit((box.value or "").strip()), kind="main")
            button(_("Cancel"), lambda: dialog.submit(None), kind="quiet")
    answer = await dialog
    dialog.delete()
    return answer


def _answer(line: DeliveryLine) -> tuple[str, Kind]:
    match line.code:
        case "accepted":
            return _("started a job"), "ok"
        case "repeated":
            return _("came before"), ""
        case "ping":
            return _("test of the address"), "ok"
    return _("refused, {status}").format(status=line.status), "bad"
