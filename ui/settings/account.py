"""Settings, Your account: the person's own name, password, second factor and sessions."""

from __future__ import annotations

from nicegui import ui
from starlette.requests import Request

from engine.actions.members import change_name, sign_out_everywhere
from engine.core.errors import Refusal
from storage.second_factors import SeenFactor, see_second_factor
from storage.sessions import list_browsers
from ui.forms.form import Field
from ui.kit import feedback
from ui.kit.browser_names import browser_name
from ui.kit.parts import Column, badge, button, card, key_values, link_button, note, table, words
from ui.kit.roles import ROLES
from ui.kit.text import _, plural
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import every, one_at_a_time, times_of
from ui.settings.navigation import settings_page

LOOK_SECONDS = 10.0


def register(app: App) -> None:
    """Registers `/settings/account`."""

    @page_at("/settings/account")
    async def open_account(request: Request, changed: str = "") -> None:
        await AccountPage(await open_page_session(app, request)).build(changed=changed == "password")


class AccountPage:
    """One open page of the person's account."""

    def __init__(self, page_session: PageSession) -> None:
        self.page_session = page_session
        self.times = times_of(page_session)

    async def build(self, *, changed: bool) -> None:
        """Draws the page; `changed`: the password was just changed."""
        self.seen = await self.page_session.query(list_browsers, self.page_session.person.id)
        with settings_page(self.page_session, "account", _("How the others see you, and how you come in.")):
            if changed:
                note(
                    _("Everywhere else you were signed in, you are signed out."),
                    kind="ok",
                    icon="check_circle",
                    strong=_("Your password is changed."),
                )
            self._draw_name()
            with card(_("Password")), ui.element("div").classes("fp-row fp-wrap-row"):
                words(_("Changing it signs you out in every other browser."), "fp-s13 fp-t2 fp-grow")
                link_button(_("Change the password"), "/change-password", icon="lock_reset")
            self._draw_second_factor(await self.page_session.query(see_second_factor, self.page_session.person.id))
            with card(_("Where you are signed in"), padded=False) as one:
                with one.head:
                    button(_("Sign out everywhere"), self._sign_out, icon="logout", small=True)
                self.list = ui.element("div")
            self._draw_browsers()
        every(LOOK_SECONDS, self._look)

    @one_at_a_time
    async def _look(self) -> None:
        fresh = await self.page_session.query_again(list_browsers, self.page_session.person.id)
        if fresh != self.seen:
            self.seen = fresh
            self._draw_browsers()

    def _draw_name(self) -> None:
        person = self.page_session.person
        word, means = ROLES[person.role]
        with card(_("You")), ui.element("div").classes("fp-form fp-narrow"):
            key_values([(_("E-mail address"), person.email), (_("Role"), f"{word}: {means}")])
            self.name = Field(_("Your name"))
            with self.name.place:
                box = ui.input(value=person.name).props("outlined dense autocomplete=name maxlength=100")
                self.box = self.name.control(box)
                self.box.on("keydown.enter", self._save_name)
            with ui.element("div"):
                button(_("Save the name"), self._save_name)

    def _draw_second_factor(self, seen: SeenFactor) -> None:
        with card(_("Second factor")) as one, ui.element("div").classes("fp-row fp-wrap-row"):
            if seen.since is None:
                said = _(
                    "Off. With it, signing in takes a code of an app on your phone, too: a stolen password opens nothing."
                )
                words(said, "fp-s13 fp-t2 fp-grow")
                link_button(_("Set it up"), "/second-factor", icon="phonelink_lock")
                return
            with one.head:
                badge(_("on"), kind="ok", icon="check")
            left = plural(seen.codes, _("recovery code is left"), _("recovery codes are left"))
            said = _("On since {since}; {left}.").format(since=self.times.moment(seen.since), left=left)
            words(_("{said} For new ones turn it off and on again.").format(said=said), "fp-s13 fp-t2 fp-grow")
            link_button(_("Turn it off"), "/second-factor/off", icon="phonelink_erase")

    async def _save_name(self) -> None:
        self.name.error("")
        try:
            await self.page_session.execute(change_name, self.box.value or "")
        except Refusal as refusal:
            self.name.error(_("Write a name of 1 to 100 characters.") if refusal.errors else str(refusal))
            self.name.focus()
            return
        feedback.told(_("Saved."), _("The other pages show it when they are opened again."))

    def _draw_browsers(self) -> None:
        self.list.clear()
        columns = [Column(_("Browser")), Column(_("Address")), Column(_("Last used")), Column(_("Signed in"))]
        with self.list:
            rows = table(columns, label=_("Where you are signed in"), stacks=True).props("tabindex=0")
            for one in self.seen:
                with rows.row():
                    with rows.cell(), ui.element("span").classes("fp-row"):
                        words(browser_name(one.browser), "fp-b")
                        if one.id == self.page_session.session_hash:
                            badge(_("this one"), kind="ok", icon="check")
                    rows.cell(one.address or _("unknown"), "fp-mono fp-t2")
                    rows.cell(self.times.ago(one.seen_at), "fp-t2")
                    rows.cell(self.times.moment(one.created_at), "fp-t2")

    async def _sign_out(self) -> None:
        sure = await feedback.confirm(
            _("Sign out everywhere?"),
            _("Every browser has to sign in again, this one too. Open pages stop within seconds."),
            verb=_("Sign out everywhere"),
        )
        if sure:
            await self.page_session.execute(sign_out_everywhere)
            self.page_session.leave()
