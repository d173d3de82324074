"""Settings, Team and Your account: owners invite, change roles and shut people out; all edit their own account."""

from __future__ import annotations

import asyncio
import re

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction
from sqlalchemy.orm import Session

from engine.actions.keys import create_key
from engine.actions.members import join, sign_in
from engine.actions.one_time_links import get_link
from engine.actions.principal import Principal
from engine.actions.team import disable_person, invite
from engine.core.ids import WorkspaceId
from storage.keys import list_keys
from storage.links import list_invitations
from storage.members import find_user, list_people
from storage.second_factors import has_second_factor, owners_need_second_factor, put_recovery_codes
from storage.sessions import end_sessions, find_signed_in
from storage.tables import SecondFactor
from tests.ui.arrange import box, buttons, page_text, press
from tests.ui.conftest import EMAIL, PASSWORD, Site

EVE = "eve@example.com"


async def eve_joins(site: Site, role: str = "editor") -> str:
    """Lets Eve join with an invitation. Returns her session cookie."""
    token = site.database.write_now(invite, site.owner, role, EVE)  # type: ignore[arg-type]
    return await join(site.database, token, "Eve", EVE, PASSWORD)


def people(site: Site) -> dict[str, tuple[str, bool]]:
    """Returns name -> (role, disabled)."""
    return {one.name: (one.role, one.disabled) for one in site.database.read_now(list_people, site.workspace_id)}


def choose_for(user: User, name: str, entry: str) -> None:
    """Clicks an entry of a person's menu."""
    assert user.client is not None
    menu = next(
        element
        for element in user.client.elements.values()
        if isinstance(element, ui.menu) and element.props.get("aria-label") == f"More for {name}"
    )
    item = next(
        one
        for one in menu.descendants()
        if isinstance(one, ui.menu_item) and any(getattr(child, "text", "") == entry for child in one.descendants())
    )
    UserInteraction(user, {item}, None).click()


def link_on(user: User) -> str:
    """Returns the link on the page; there must be exactly one."""
    (found,) = re.findall(r"http://test(?::\d+)?/(?:invite|setup)/[\w-]+", page_text(user))
    return found


async def test_an_owner_makes_an_invitation_that_is_shown_once_and_can_be_withdrawn(site: Site, user: User) -> None:
    await user.open("/settings/team")
    press(user, "Invite somebody")
    box(user, "Role").value = "viewer"
    box(user, "E-mail address").value = "eve"
    press(user, "Make the link")
    await user.should_see("An e-mail address is like ada@example.com.")
    box(user, "E-mail address").value = EVE
    press(user, "Make the link")
    await user.should_see(f"Send this link to {EVE}")
    token = link_on(user).rpartition("/")[2]
    assert site.database.read_now(get_link, token, ("invite",)).role == "viewer"

    await user.open("/settings/team")
    assert token not in page_text(user)
    assert EVE in page_text(user)
    press(user, "New link")
    await user.should_see("Make a new link?")
    press(user, "Make the link")
    await user.should_see(f"Send this link to {EVE}")
    newer = link_on(user).rpartition("/")[2]
    assert newer != token
    assert site.database.read_now(get_link, newer, ("invite",)).role == "viewer"

    await user.open("/settings/team")
    press(user, "Withdraw")
    await user.should_see("The invitation is withdrawn.")
    assert site.database.read_now(list_invitations, site.workspace_id) == []
    assert EVE not in page_text(user)


async def test_a_second_click_makes_no_second_invitation(site: Site, user: User) -> None:
    await user.open("/settings/team")
    press(user, "Invite somebody")
    press(user, "Make the link")
    press(user, "Make the link")
    await user.should_see("Nobody has used these yet")
    assert len(site.database.read_now(list_invitations, site.workspace_id)) == 1


async def test_a_link_that_works_on_this_computer_only_says_so(site: Site, user: User) -> None:
    user.http_client.headers["host"] = "localhost:9453"
    await user.open("/settings/team")
    press(user, "Invite somebody")
    press(user, "Make the link")
    await user.should_see("http://localhost:9453/invite/")
    await user.should_see("On another computer this link does not open.")

    await user.open(f"/flows/{site.flow('Greeting', live=True)}")
    await user.should_see("This address works on this computer only.")

    user.http_client.headers["host"] = "flows.example.com"
    await user.open(f"/flows/{site.flow('Other', live=True)}")
    await user.should_see("http://flows.example.com/public/v1/flows/execute/")
    assert "on this computer only" not in page_text(user)


async def test_who_is_here_already_is_not_invited(site: Site, user: User) -> None:
    await user.open("/settings/team")
    press(user, "Invite somebody")
    box(user, "E-mail address").value = EMAIL.upper()
    press(user, "Make the link")
    await user.should_see("Ada has an account with this address already.")

    assert site.database.read_now(list_invitations, site.workspace_id) == []


async def test_another_role_counts_from_the_next_sign_in(site: Site, user: User) -> None:
    cookie = await eve_joins(site)
    await user.open("/settings/team")
    choose_for(user, "Eve", "Change the role...")
    await user.should_see("Change the role of Eve")
    box(user, "Role").value = "viewer"
    await user.should_see("Viewer: sees everything and changes nothing, and does not answer questions under Waiting.")
    press(user, "Change the role")
    await user.should_see("Eve: viewer.")

    assert people(site)["Eve"] == ("viewer", False)
    assert site.database.read_now(find_signed_in, cookie) is None


async def test_somebody_is_shut_out_and_let_in_again(site: Site, user: User) -> None:
    cookie = await eve_joins(site)
    await user.open("/settings/team")
    choose_for(user, "Eve", "Shut out...")
    await user.should_see("Shut Eve out?")
    press(user, "Shut out")
    await user.should_see("Eve is shut out.")
    assert people(site)["Eve"] == ("editor", True)
    assert site.database.read_now(find_signed_in, cookie) is None

    await user.should_see("Let in again")  # the list is drawn after the toast
    choose_for(user, "Eve", "Let in again")
    await user.should_see("Eve may sign in again.")
    assert people(site)["Eve"] == ("editor", False)


async def test_the_keys_that_somebody_made_can_be_revoked_when_they_are_shut_out(site: Site, user: User) -> None:
    cookie = await eve_joins(site)
    eve = site.database.read_now(find_signed_in, cookie)
    assert eve is not None
    acting = Principal(WorkspaceId(site.workspace_id), eve.id, eve.name, "editor")
    for label in ("Web shop", "Her laptop"):
        site.database.write_now(create_key, acting, label, "live")
    site.database.write_now(create_key, site.owner, "The owner's", "live")
    await user.open("/settings/keys")
    assert page_text(user).count("by Eve") == 2

    await user.open("/settings/team")
    choose_for(user, "Eve", "Shut out...")
    await user.should_see("Eve has seen these keys")
    boxes = {box.text.partition(" (")[0]: box for box in user.find(ui.checkbox).elements}
    assert boxes.keys() == {"Web shop", "Her laptop"}
    boxes["Her laptop"].value = True
    press(user, "Shut out")
    await user.should_see("1 key is revoked.")

    keys = site.database.read_now(list_keys, site.workspace_id)
    assert {key.label for key in keys if key.revoked_at} == {"Her laptop"}
    assert people(site)["Eve"] == ("editor", True)


async def test_a_key_that_somebody_makes_while_they_are_being_shut_out_is_asked_about_too(
    site: Site, user: User
) -> None:
    cookie = await eve_joins(site)
    eve = site.database.read_now(find_signed_in, cookie)
    assert eve is not None
    acting = Principal(WorkspaceId(site.workspace_id), eve.id, eve.name, "editor")
    site.database.write_now(create_key, acting, "Web shop", "live")
    await user.open("/settings/team")
    choose_for(user, "Eve", "Shut out...")
    await user.should_see("Eve has seen these keys")
    for label in ("Taken along", "Left"):
        site.database.write_now(create_key, acting, label, "live")
    press(user, "Shut out")

    await user.should_see("Eve has seen more keys")
    boxes = {box.text.partition(" (")[0]: box for box in user.find(ui.checkbox).elements}
    assert boxes.keys() >= {"Taken along", "Left"}
    boxes["Taken along"].value = True
    press(user, "Revoke")
    await user.should_see("1 key is revoked.")

    keys = site.database.read_now(list_keys, site.workspace_id)
    assert {key.label for key in keys if key.revoked_at} == {"Taken along"}
    assert people(site)["Eve"] == ("editor", True)


async def test_a_reset_link_is_for_one_person_and_shown_once(site: Site, user: User) -> None:
    await eve_joins(site)
    await user.open("/settings/team")
    choose_for(user, "Eve", "Make a reset link...")
    await user.should_see("Make a reset link for Eve?")
    press(user, "Make the link")
    await user.should_see("Send this link to Eve")

    assert site.database.read_now(get_link, link_on(user).rpartition("/")[2]).email == EVE


async def test_somebody_is_signed_out_everywhere(site: Site, user: User) -> None:
    cookie = await eve_joins(site)
    await user.open("/settings/team")
    choose_for(user, "Eve", "Sign out everywhere...")
    await user.should_see("Sign Eve out everywhere?")
    press(user, "Sign out everywhere")
    await user.should_see("Eve is signed out everywhere.")

    assert site.database.read_now(find_signed_in, cookie) is None
    assert site.database.read_now(find_signed_in, await sign_in(site.database, EVE, PASSWORD)) is not None


async def test_the_only_owner_stays_and_is_told_why(site: Site, user: User) -> None:
    await user.open("/settings/team")
    assert "the only owner" in page_text(user)
    choose_for(user, "ada", "Shut out...")
    await user.should_see("Shut ada out?")
    press(user, "Shut out")
    await user.should_see("Make somebody else an owner first.")

    assert people(site)["ada"] == ("owner", False)


@pytest.mark.parametrize("role", ["editor", "viewer"])
async def test_the_others_see_who_is_who_and_whom_to_ask(site: Site, role: str) -> None:
    token = site.database.write_now(invite, site.owner, "owner")
    await join(site.database, token, "Olga", "olga@example.com", PASSWORD)
    site.database.write_now(invite, site.owner, "viewer", "secret.guest@example.com")
    user = await site.sign_in(role)
    await user.open("/settings/team")

    said = page_text(user)
    assert "Ask: Olga (olga@example.com)." in said
    assert "secret.guest@example.com" not in said
    assert "Invite somebody" not in buttons(user)
    assert user.client is not None
    menus = [element for element in user.client.elements.values() if isinstance(element, ui.menu)]
    assert not [menu for menu in menus if str(menu.props.get("aria-label", "")).startswith("More for")]


async def test_everybody_changes_their_own_name(site: Site) -> None:
    user = await site.sign_in("viewer")
    # The only owner of this test's workspace became a viewer. Everybody may still change their own name.
    await user.open("/settings/account")
    box(user, "Your name").value = " "
    press(user, "Save the name")
    await user.should_see("Write a name of 1 to 100 characters.")
    box(user, "Your name").value = "Ada Lovelace"
    press(user, "Save the name")
    await user.should_see("Saved.")

    assert list(people(site)) == ["Ada Lovelace"]


async def test_the_account_says_where_one_is_signed_in(site: Site, user: User) -> None:
    from engine.actions.members import Browser

    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    await sign_in(site.database, EMAIL, PASSWORD, Browser("192.0.2.7", agent))
    await user.open("/settings/account")

    said = page_text(user)
    assert "Firefox, Linux" in said
    assert "192.0.2.7" in said
    assert said.count("this one") == 1


async def test_changing_the_password_signs_the_others_out_and_this_browser_gets_a_new_session(site: Site) -> None:
    other = await sign_in(site.database, EMAIL, PASSWORD)
    async with site.browser() as browser:
        await browser.post("/sign-in", data={"email": EMAIL, "password": PASSWORD})
        first = browser.cookies["flowport_session"]
        form = await browser.get("/change-password")
        wrong = await browser.post("/change-password", data={"old": "not it", "password": "another good password"})
        short = await browser.post("/change-password", data={"old": PASSWORD, "password": "short"})
        foreign = await browser.post(
            "/change-password",
            data={"old": PASSWORD, "password": "another good password"},
            headers={"sec-fetch-site": "cross-site"},
        )
        answer = await browser.post("/change-password", data={"old": PASSWORD, "password": "another good password"})
        there = await browser.get("/settings/account?changed=password")

    assert "The password you have" in form.text
    assert (wrong.status_code, short.status_code, foreign.status_code) == (422, 422, 403)
    assert 'id="old-error"' in wrong.text
    assert 'id="password-error"' in short.text
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings/account?changed=password")
    assert there.status_code == 200
    assert browser.cookies["flowport_session"] != first
    assert [site.database.read_now(find_signed_in, cookie) for cookie in (other, first)] == [None, None]


async def test_strangers_have_no_password_to_change(site: Site) -> None:
    async with site.browser() as browser:
        answers = [await browser.get("/change-password"), await browser.post("/change-password", data={"old": "x"})]

    assert [answer.status_code for answer in answers] == [303, 401]


@pytest.mark.parametrize("path", ["/flows", "/settings/about", "/settings/team", "/playground"])
async def test_the_open_tab_of_somebody_who_is_signed_out_is_emptied(
    site: Site, user: User, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ui import page_session

    led: list[str] = []
    monkeypatch.setattr(page_session, "WATCH_SECONDS", 0.05)
    await user.open(path)
    monkeypatch.setattr(ui.navigate, "to", led.append)
    client = user.client
    assert client is not None
    (ada,) = site.database.read_now(list_people, site.workspace_id)

    site.database.write_now(end_sessions, ada.id)
    async with asyncio.timeout(10):
        while client.elements:
            await asyncio.sleep(0.02)

    assert [where.split("&")[0] for where in led] == ["/sign-in?ended=1"]
    async with site.browser() as browser:
        assert "You are signed out" in (await browser.get(led[0])).text


async def test_a_button_pressed_after_being_shut_out_changes_nothing(
    site: Site, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookie = await eve_joins(site, "owner")
    site.user.http_client.cookies.set("flowport_session", cookie)
    await user.open("/settings/team")
    press(user, "Invite somebody")
    eve = next(one for one in site.database.read_now(list_people, site.workspace_id) if one.name == "Eve")
    site.database.write_now(disable_person, site.owner, eve.id)
    led: list[str] = []
    monkeypatch.setattr(ui.navigate, "to", led.append)

    press(user, "Make the link")
    async with asyncio.timeout(10):
        while not led:
            await asyncio.sleep(0.02)

    assert site.database.read_now(list_invitations, site.workspace_id) == []
    assert user.client is None or not user.client.elements


def factor_of(site: Site, email: str) -> bool:
    """Whether the person's sign-in asks for a code."""

    def look(session: Session) -> bool:
        user = find_user(session, email)
        return user is not None and has_second_factor(session, user.id)

    return site.database.read_now(look)


def give_factor(site: Site, email: str) -> None:
    """Gives the person an active second factor."""

    def put(session: Session) -> None:
        user = find_user(session, email)
        assert user is not None
        session.add(SecondFactor(user_id=user.id, sealed="v1.", created_at=1, last_step=0))
        put_recovery_codes(session, user.id, ["one", "two"])

    site.database.write_now(put)


async def test_an_owner_resets_somebodys_second_factor_and_sees_who_has_one(site: Site, user: User) -> None:
    await eve_joins(site)
    give_factor(site, EVE)
    await user.open("/settings/team")
    assert page_text(user).count("second factor") >= 1
    choose_for(user, "Eve", "Reset the second factor...")
    await user.should_see("Reset the second factor of Eve?")
    press(user, "Reset it")
    await user.should_see("The second factor is reset")
    assert not factor_of(site, EVE)


async def test_owners_need_a_second_factor_only_by_an_owner_who_has_one(site: Site, user: User) -> None:
    await user.open("/settings/team")
    await user.should_see("Set up your own first")
    assert "Owners need it" not in buttons(user)

    give_factor(site, EMAIL)
    await user.open("/settings/team")
    press(user, "Owners need it")
    await user.should_see("Need it no longer")
    assert site.database.read_now(owners_need_second_factor, site.workspace_id)
    press(user, "Need it no longer")
    await user.should_see("Owners need it")
    assert not site.database.read_now(owners_need_second_factor, site.workspace_id)


async def test_your_account_says_whether_the_second_factor_is_on(site: Site, user: User) -> None:
    await user.open("/settings/account")
    await user.should_see("Set it up")
    give_factor(site, EMAIL)
    await user.open("/settings/account")
    await user.should_see("Turn it off")
    assert "2 recovery codes are left" in page_text(user)
