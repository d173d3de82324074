"""Settings, Team: members and their roles. Owners invite people, change roles and shut people out; others only read."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from engine.actions.one_time_links import invitation_path, link_path
from engine.actions.second_factor import require_second_factor, reset_second_factor
from engine.actions.team import (
    change_role,
    disable_person,
    enable_person,
    make_reset_link,
    renew_invitation,
    sign_out_person,
    withdraw_invitation,
)
from storage.keys import KeyRow, list_keys_shown_to
from storage.links import Invitation, list_invitations
from storage.members import Person, list_people
from storage.second_factors import owners_need_second_factor, people_with_second_factor
from ui.kit import feedback
from ui.kit.parts import Column, badge, button, card, link, menu_button, menu_item, table, words
from ui.kit.reveal import reveal_once
from ui.kit.roles import role_word
from ui.kit.text import _, plural
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import base_address, every, one_at_a_time, times_of
from ui.parts.ask_owners import ask_note
from ui.parts.this_computer import this_computer_note
from ui.settings.navigation import settings_page
from ui.settings.team_forms import InviteForm, ask_revoke, ask_role, ask_shut_out

LOOK_SECONDS = 5.0


class SeenTeam(Struct, frozen=True):
    """The data of the page. Only owners get the open invitations."""

    people: tuple[Person, ...]
    invitations: tuple[Invitation, ...] = ()
    #: Ids of the people who sign in with a second factor; `needed`: owners must have one.
    with_factor: frozenset[str] = frozenset()
    needed: bool = False

    @property
    def owners(self) -> list[Person]:
        """Owners who can sign in."""
        return [one for one in self.people if one.role == "owner" and not one.disabled]

    def name_of(self, actor: str) -> str:
        """The name of the person who made something."""
        return next((one.name for one in self.people if one.id == actor), _("the command line"))


def load_team(session: Session, workspace_id: str, *, invitations: bool) -> SeenTeam:
    """Reads all members of the workspace and the invitations that are not used yet."""
    invited = list_invitations(session, workspace_id) if invitations else ()
    return SeenTeam(
        tuple(list_people(session, workspace_id)),
        tuple(invited),
        people_with_second_factor(session, workspace_id),
        owners_need_second_factor(session, workspace_id),
    )


def register(app: App) -> None:
    """Registers `/settings/team`."""

    @page_at("/settings/team")
    async def open_team(request: Request) -> None:
        await TeamPage(await open_page_session(app, request)).build()


class TeamPage:
    """One open page of the team."""

    def __init__(self, page_session: PageSession) -> None:
        self.page_session = page_session
        self.times = times_of(page_session)
        self.base = base_address(page_session)
        self.may = page_session.may("manage people")

    async def build(self) -> None:
        """Draws the page."""
        self.seen = await self._see()
        with settings_page(self.page_session, "team", _("Who may come in, and what each may do.")) as page:
            if self.may:
                with page.actions:
                    self.begin = button(_("Invite somebody"), self._begin, icon="person_add")
            else:
                ask_note(self.page_session, _("Owners invite people and change roles."))
            self.making = ui.element("div")
            self.list = ui.element("div").classes("fp-col")
            self._draw()
        every(LOOK_SECONDS, self._look)

    async def _see(self) -> SeenTeam:
        return await self.page_session.query_again(load_team, invitations=self.may)

    @one_at_a_time
    async def _look(self) -> None:
        fresh = await self._see()
        if fresh != self.seen:
            self.seen = fresh
            self._draw()

    # Inviting.

    def _begin(self) -> None:
        self.begin.visible = False
        self.making.clear()
        with self.making, card(_("Invite somebody")):
            InviteForm(self.page_session, self._invited, self._stop)

    def _stop(self) -> None:
        self.making.clear()
        self.begin.visible = True

    async def _invited(self, token: str, email: str) -> None:
        title = _("Send this link to {email}").format(email=email) if email else _("Send this link to the person")
        self._reveal(
            title,
            _(
                "It is shown this one time, works once and for 7 days. Whoever opens it chooses a name and a password. If "
                "it gets lost, make a new one under Open invitations."
            ),
            f"{self.base}{invitation_path(token)}",
        )
        await self._look()

    def _reveal(self, title: str, sentence: str, value: str) -> None:
        self.making.clear()
        if self.may:
            self.begin.visible = False
        with self.making, ui.element("div").classes("fp-col"):
            this_computer_note(self.page_session, self.base, _("On another computer this link does not open."))
            reveal_once(
                title, sentence, value, self._stop, copy=_("Copy link"), safe=_("I have sent it"), symbol="link"
            )

    # Drawing.

    def _draw(self) -> None:
        self.list.clear()
        with self.list:
            count = plural(len(self.seen.people), _("person"), _("people"))
            with card(_("People"), count, padded=False):
                self._draw_people()
            if self.seen.invitations:
                with card(_("Open invitations"), _("Nobody has used these yet"), padded=False):
                    self._draw_invitations()
            if self.may:
                self._draw_requirement()

    def _draw_people(self) -> None:
        columns = [
            Column(_("Name")),
            Column(_("Role")),
            Column(_("Last here")),
            Column(_("What to do"), hidden=True, right=True, width="60px"),
        ]
        rows = table(columns, label=_("People"), tall=True, stacks=True)
        for one in self.seen.people:
            with rows.row():
                with rows.cell():
                    with ui.element("span").classes("fp-row"):
                        words(one.name, "fp-b fp-t3" if one.disabled else "fp-b")
                        if one.id == self.page_session.person.id:
                            badge(_("you"))
                        if one.disabled:
                            badge(_("Shut out"), kind="bad", icon="block")
                        elif self.may and one.id in self.seen.with_factor:
                            badge(_("second factor"), kind="ok", icon="check")
                    words(one.email, "fp-s12 fp-t3", tag="div")
                with rows.cell():
                    words(role_word(one.role))
                    if self.seen.owners == [one]:
                        words(_("the only owner"), "fp-s12 fp-t3", tag="div")
                rows.cell(self.times.ago(one.seen_at) if one.seen_at else _("not yet"), "fp-t2")
                with rows.cell():
                    if self.may:
                        self._draw_verbs(one)
                    elif one.id == self.page_session.person.id:
                        link(_("Your account"), "/settings/account")

    def _draw_verbs(self, one: Person) -> None:
        with menu_button(_("More for {name}").format(name=one.name)):
            if one.disabled:
                menu_item(_("Let in again"), lambda: self._let_in(one), icon="lock_open")
                return
            menu_item(_("Change the role..."), lambda: self._change_role(one), icon="badge")
            menu_item(_("Make a reset link..."), lambda: self._reset(one), icon="lock_reset")
            if one.id in self.seen.with_factor and one.id != self.page_session.person.id:
                menu_item(_("Reset the second factor..."), lambda: self._reset_factor(one), icon="phonelink_erase")
            menu_item(_("Sign out everywhere..."), lambda: self._sign_out(one), icon="logout")
            ui.separator()
            menu_item(_("Shut out..."), lambda: self._shut_out(one), icon="block", danger=True)

    def _draw_requirement(self) -> None:
        with card(_("A second check when owners sign in")), ui.element("div").classes("fp-row fp-wrap-row"):
            if self.seen.needed:
                said = _("Needed: an owner signs in with a code of an app, or sets one up right after the password.")
                words(said, "fp-s13 fp-t2 fp-grow")
                button(_("Need it no longer"), lambda: self._require(needed=False))
                return
            said = _(
                "At the moment each person decides under Your account whether to sign in with a code from an app too. If "
                "owners need it, they are asked for the code, or to set it up, the next time they sign in."
            )
            words(said, "fp-s13 fp-t2 fp-grow")
            if self.page_session.person.id in self.seen.with_factor:
                button(_("Owners need it"), lambda: self._require(needed=True), icon="phonelink_lock")
            else:
                link(_("Set up your own first"), "/second-factor")

    def _draw_invitations(self) -> None:
        columns = [
            Column(_("For")),
            Column(_("Role")),
            Column(_("Works until")),
            Column(_("What to do"), hidden=True, right=True, width="200px"),
        ]
        rows = table(columns, label=_("Open invitations"), tall=True, stacks=True)
        for one in self.seen.invitations:
            whom = one.email or _("Whoever has the link")
            with rows.row():
                with rows.cell():
                    words(whom, "fp-b")
                    made = _("by {name}, {created_at}").format(
                        name=self.seen.name_of(one.created_by), created_at=self.times.ago(one.created_at)
                    )
                    words(made, "fp-s12 fp-t3", tag="div")
                rows.cell(role_word(one.role))
                rows.cell(self.times.moment(one.expires_at), "fp-t2")
                with rows.cell(), ui.element("span").classes("fp-row fp-end"):
                    again = button(_("New link"), lambda one=one: self._renew(one), small=True)
                    again.props["aria-label"] = _("New link for the invitation of {whom}").format(whom=whom)
                    taken_back = button(_("Withdraw"), lambda one=one: self._withdraw(one), small=True)
                    taken_back.props["aria-label"] = _("Withdraw the invitation for {whom}").format(whom=whom)

    # Actions of an owner.

    async def _withdraw(self, one: Invitation) -> None:
        with feedback.refusals_told() as outcome:
            await self.page_session.execute(withdraw_invitation, one.id)
        if not outcome.refused:
            feedback.told(_("The invitation is withdrawn."), _("Nobody can join with its link any more."))
        await self._look()

    async def _renew(self, one: Invitation) -> None:
        sure = await feedback.confirm(
            _("Make a new link?"),
            _("The link that was shown before does not work any more then. The role stays the same."),
            verb=_("Make the link"),
        )
        if not sure:
            return
        token = await self.page_session.try_execute(renew_invitation, one.id)
        if token is not None:
            await self._invited(token, one.email or "")
        else:
            await self._look()

    async def _change_role(self, one: Person) -> None:
        role = await ask_role(one)
        if role is None:
            return
        with feedback.refusals_told() as outcome:
            await self.page_session.execute(change_role, one.id, role)
        if not outcome.refused:
            feedback.told(f"{one.name}: {role_word(role).lower()}.", _("It counts from the next sign-in on."))
            await self._look()

    async def _reset(self, one: Person) -> None:
        sure = await feedback.confirm(
            _("Make a reset link for {name}?").format(name=one.name),
            _("With it they choose a new password. Until it is used, the old password works on."),
            verb=_("Make the link"),
        )
        if not sure:
            return
        token = await self.page_session.try_execute(make_reset_link, one.id)
        if token is not None:
            title = _("Send this link to {name}").format(name=one.name)
            sentence = _("It is shown this one time, works once and for a day. Links from before no longer work.")
            self._reveal(title, sentence, f"{self.base}{link_path(token)}")

    async def _reset_factor(self, one: Person) -> None:
        sure = await feedback.confirm(
            _("Reset the second factor of {name}?").format(name=one.name),
            _("For somebody whose phone is gone. Their password alone signs them in until they set it up again."),
            verb=_("Reset it"),
        )
        if not sure:
            return
        with feedback.refusals_told() as outcome:
            await self.page_session.execute(reset_second_factor, one.id)
        if not outcome.refused:
            feedback.told(_("The second factor is reset: {name}.").format(name=one.name))
        await self._look()

    async def _require(self, *, needed: bool) -> None:
        with feedback.refusals_told() as outcome:
            await self.page_session.execute(require_second_factor, needed=needed)
        if not outcome.refused:
            feedback.told(_("Saved."), _("It counts from the next sign-in on."))
        await self._look()

    async def _sign_out(self, one: Person) -> None:
        sure = await feedback.confirm(
            _("Sign {name} out everywhere?").format(name=one.name),
            _("Every browser they are signed in with has to sign in again. Open pages stop within seconds."),
            verb=_("Sign out everywhere"),
        )
        if not sure:
            return
        with feedback.refusals_told() as outcome:
            await self.page_session.execute(sign_out_person, one.id)
        if not outcome.refused:
            feedback.told(_("{name} is signed out everywhere.").format(name=one.name))

    async def _shut_out(self, one: Person) -> None:
        keys = await self.page_session.query(list_keys_shown_to, one.id)
        revoked = await ask_shut_out(one, keys, self.times)
        if revoked is None:
            return
        seen = await self.page_session.try_execute(disable_person, one.id, revoked)
        if seen is None:
            return
        self._tell_revoked(_("{name} is shut out.").format(name=one.name), revoked)
        await self._look()
        shown = {key.id for key in keys}
        if missed := [key for key in seen if key.id not in shown]:
            await self._ask_about_missed(one, missed)

    async def _ask_about_missed(self, one: Person, missed: list[KeyRow]) -> None:
        """Asks about the keys that the person made or rotated while the first question was open."""
        revoked = await ask_revoke(one, missed, self.times)
        if revoked and await self.page_session.try_execute(disable_person, one.id, revoked) is not None:
            self._tell_revoked("", revoked)

    def _tell_revoked(self, said: str, revoked: Sequence[str]) -> None:
        count = plural(len(revoked), _("key is revoked."), _("keys are revoked.")) if revoked else ""
        feedback.told(said or count, count if said else "")

    async def _let_in(self, one: Person) -> None:
        with feedback.refusals_told() as outcome:
            await self.page_session.execute(enable_person, one.id)
        if not outcome.refused:
            feedback.told(_("{name} may sign in again.").format(name=one.name))
            await self._look()
