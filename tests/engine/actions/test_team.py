"""Actions of an owner on other people, and what an invitation allows."""

from __future__ import annotations

import asyncio

import pytest

from engine.actions.members import Browser, ensure_owner, join, password_hash_now, set_new_password, sign_in
from engine.actions.one_time_links import get_link
from engine.actions.principal import Principal
from engine.actions.team import (
    change_role,
    disable_person,
    enable_person,
    invite,
    make_reset_link,
    renew_invitation,
    sign_out_person,
    withdraw_invitation,
)
from engine.core.clock import DAY, MINUTE
from engine.core.errors import Conflict, Invalid, LinkNotValid, NotAllowed, NotFound, SignInFailed
from storage.audit import list_entries
from storage.links import list_invitations
from storage.members import list_people
from storage.sessions import find_signed_in
from tests.factories import person

PASSWORD = "correct horse battery"
EMAIL = "ada@example.com"
EVE = "eve@example.com"
HERE = Browser("192.0.2.7", "Firefox", "flows.lan:8080")


@pytest.fixture(scope="module")
def hashed():
    return password_hash_now(PASSWORD)


@pytest.fixture
def owner(database, workspace, hashed):
    """Ada, an owner with an account."""
    database.write_now(ensure_owner, workspace, EMAIL, hashed)
    (ada,) = database.read_now(list_people, workspace)
    return Principal(workspace, ada.id, ada.name, ada.role)


def signed_in(database, cookie):
    return database.read_now(find_signed_in, cookie)


async def joined(database, owner, role="editor", email=EVE):
    """Invites a person and accepts the invitation; returns the person and their session cookie."""
    token = database.write_now(invite, owner, role)
    cookie = await join(database, token, email.split("@")[0].capitalize(), email, PASSWORD, HERE)
    return signed_in(database, cookie), cookie


@pytest.mark.parametrize("role", ["owner", "editor", "viewer"])
async def test_an_invitation_makes_an_account_with_its_role_and_signs_in(database, owner, role):
    eve, _cookie = await joined(database, owner, role)
    assert (eve.name, eve.email, eve.role, eve.workspace_id) == ("Eve", EVE, role, owner.workspace_id)
    assert database.read_now(list_invitations, owner.workspace_id) == []


async def test_an_invitation_says_what_it_is_for(database, owner):
    token = database.write_now(invite, owner, "viewer", " Eve@Example.com ")
    link = database.read_now(get_link, token, ("invite",))
    assert (link.role, link.email, link.made_by) == ("viewer", EVE, "ada")
    (listed,) = database.read_now(list_invitations, owner.workspace_id)
    assert (listed.role, listed.email, listed.created_by) == ("viewer", EVE, owner.actor)
    assert listed.expires_at - listed.created_at == 7 * DAY


async def test_an_invitation_for_an_address_makes_no_other_account(database, owner):
    token = database.write_now(invite, owner, "viewer", EVE)
    cookie = await join(database, token, "Eve", "mallory@example.com", PASSWORD)
    assert signed_in(database, cookie).email == EVE


async def test_an_invitation_works_once_even_for_two_at_the_same_time(database, owner):
    token = database.write_now(invite, owner, "editor")
    tries = await asyncio.gather(
        *(join(database, token, "Eve", f"eve{number}@example.com", PASSWORD) for number in range(3)),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, str) for answer in tries) == 1
    assert sum(isinstance(answer, LinkNotValid) for answer in tries) == 2
    assert len(database.read_now(list_people, owner.workspace_id)) == 2


@pytest.mark.parametrize("ended", ["too old", "withdrawn", "its owner was shut out", "its owner is owner no more"])
async def test_an_invitation_that_ended_lets_nobody_in(database, owner, clock, ended):
    other, _cookie = await joined(database, owner, "owner", "bob@example.com")
    maker = Principal(other.workspace_id, other.id, other.name, other.role)
    token = database.write_now(invite, maker, "owner")
    (listed,) = database.read_now(list_invitations, owner.workspace_id)
    match ended:
        case "too old":
            clock.offset = 7 * DAY + MINUTE
        case "withdrawn":
            database.write_now(withdraw_invitation, owner, listed.id)
        case "its owner was shut out":
            database.write_now(disable_person, owner, other.id)
        case _:
            database.write_now(change_role, owner, other.id, "viewer")
    assert database.read_now(list_invitations, owner.workspace_id) == []
    with pytest.raises(LinkNotValid):
        await join(database, token, "Eve", EVE, PASSWORD)
    with pytest.raises(NotFound):
        database.write_now(withdraw_invitation, owner, listed.id)


async def test_a_new_invitation_for_an_address_replaces_the_one_before(database, owner):
    first = database.write_now(invite, owner, "owner", EVE)
    second = database.write_now(invite, owner, "viewer", EVE)
    with pytest.raises(LinkNotValid):
        await join(database, first, "Eve", EVE, PASSWORD)
    assert signed_in(database, await join(database, second, "Eve", EVE, PASSWORD)).role == "viewer"


@pytest.mark.parametrize("email", [EVE, ""])
async def test_a_lost_link_of_an_invitation_is_replaced(database, owner, email):
    first = database.write_now(invite, owner, "viewer", email)
    (listed,) = database.read_now(list_invitations, owner.workspace_id)
    second = database.write_now(renew_invitation, owner, listed.id)
    (renewed,) = database.read_now(list_invitations, owner.workspace_id)
    assert (renewed.role, renewed.email) == (listed.role, listed.email)
    with pytest.raises(LinkNotValid):
        await join(database, first, "Eve", EVE, PASSWORD)
    assert signed_in(database, await join(database, second, "Eve", EVE, PASSWORD)).role == "viewer"
    with pytest.raises(NotFound):
        database.write_now(renew_invitation, owner, renewed.id)


async def test_a_taken_address_is_refused_and_the_invitation_stays_open(database, owner):
    token = database.write_now(invite, owner, "editor")
    with pytest.raises(Conflict) as refused:
        await join(database, token, "Eve", EMAIL, PASSWORD)
    assert [error.pointer for error in refused.value.errors] == ["/email"]
    for name, email, password in (("", EVE, PASSWORD), ("Eve", "eve", PASSWORD), ("Eve", EVE, "short")):
        with pytest.raises(Invalid):
            await join(database, token, name, email, password)
    assert await join(database, token, "Eve", EVE, PASSWORD)
    with pytest.raises(Conflict):
        database.write_now(invite, owner, "viewer", EVE)


async def test_each_kind_of_link_opens_its_own_door_only(database, owner):
    invitation = database.write_now(invite, owner, "owner")
    reset = database.write_now(make_reset_link, owner, owner.actor)
    with pytest.raises(LinkNotValid):
        await set_new_password(database, invitation, PASSWORD)
    with pytest.raises(LinkNotValid):
        await join(database, reset, "Eve", EVE, PASSWORD)
    with pytest.raises(LinkNotValid):
        database.read_now(get_link, invitation)


async def test_no_invitation_is_stored_as_it_is_sent(database, owner, tmp_path):
    token = database.write_now(invite, owner, "editor")
    stored = b"".join(file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())
    assert token.encode() not in stored


@pytest.mark.parametrize("role", ["editor", "viewer"])
async def test_only_an_owner_of_the_same_workspace_does_any_of_this(database, owner, stranger, role):
    eve, _cookie = await joined(database, owner)
    token = database.write_now(invite, owner, "viewer")
    (listed,) = database.read_now(list_invitations, owner.workspace_id)
    verbs = (
        (change_role, eve.id, "viewer"),
        (disable_person, eve.id),
        (enable_person, eve.id),
        (make_reset_link, eve.id),
        (sign_out_person, eve.id),
        (renew_invitation, listed.id),
        (withdraw_invitation, listed.id),
    )
    for verb, *arguments in verbs:
        with pytest.raises(NotAllowed):
            database.write_now(verb, person(owner.workspace_id, role), *arguments)
        with pytest.raises(NotFound):
            database.write_now(verb, stranger, *arguments)
    with pytest.raises(NotAllowed):
        database.write_now(invite, person(owner.workspace_id, role), "viewer")
    assert database.read_now(get_link, token, ("invite",))
    assert database.read_now(list_invitations, stranger.workspace_id) == []


async def test_a_change_of_role_ends_the_sessions_of_that_person(database, owner):
    eve, cookie = await joined(database, owner)
    database.write_now(change_role, owner, eve.id, "viewer")
    assert signed_in(database, cookie) is None
    assert signed_in(database, await sign_in(database, EVE, PASSWORD)).role == "viewer"


async def test_a_person_who_is_shut_out_is_out_at_once_and_may_come_back(database, owner):
    eve, cookie = await joined(database, owner)
    reset = database.write_now(make_reset_link, owner, eve.id)
    database.write_now(disable_person, owner, eve.id)
    assert signed_in(database, cookie) is None
    with pytest.raises(SignInFailed):
        await sign_in(database, EVE, PASSWORD)
    with pytest.raises(LinkNotValid):
        await set_new_password(database, reset, "another long password")
    with pytest.raises(Conflict):
        database.write_now(make_reset_link, owner, eve.id)
    database.write_now(enable_person, owner, eve.id)
    assert await sign_in(database, EVE, PASSWORD)


async def test_an_owner_makes_a_reset_link_that_lives_a_day(database, owner, clock):
    eve, cookie = await joined(database, owner)
    first = database.write_now(make_reset_link, owner, eve.id)
    second = database.write_now(make_reset_link, owner, eve.id)
    assert signed_in(database, cookie), "until it is used nothing changes"
    with pytest.raises(LinkNotValid):
        database.read_now(get_link, first)
    clock.offset = DAY - MINUTE
    assert database.read_now(get_link, second).email == EVE
    clock.offset = DAY + MINUTE
    with pytest.raises(LinkNotValid):
        await set_new_password(database, second, "another long password")


async def test_signing_somebody_out_ends_their_sessions_and_no_others(database, owner):
    eve, cookie = await joined(database, owner)
    mine = await sign_in(database, EMAIL, PASSWORD)
    database.write_now(sign_out_person, owner, eve.id)
    assert (signed_in(database, cookie), signed_in(database, mine) is not None) == (None, True)


def test_the_last_owner_stays_owner(database, owner):
    for verb, *arguments in ((change_role, owner.actor, "editor"), (disable_person, owner.actor)):
        with pytest.raises(Conflict):
            database.write_now(verb, owner, *arguments)


async def test_all_of_it_stands_in_the_audit_log(database, owner):
    eve, _cookie = await joined(database, owner)
    database.write_now(invite, owner, "viewer", "bob@example.com")
    (open_one,) = database.read_now(list_invitations, owner.workspace_id)
    database.write_now(withdraw_invitation, owner, open_one.id)
    database.write_now(change_role, owner, eve.id, "viewer")
    database.write_now(make_reset_link, owner, eve.id)
    database.write_now(sign_out_person, owner, eve.id)
    database.write_now(disable_person, owner, eve.id)
    database.write_now(enable_person, owner, eve.id)
    found = [(entry.verb, entry.detail) for entry in reversed(database.read_now(list_entries, owner.workspace_id))]
    assert found[-9:] == [
        ("invite", "anybody with the link, as editor"),
        ("join", "eve@example.com, as editor"),
        ("invite", "bob@example.com, as viewer"),
        ("withdraw invitation", "bob@example.com, as viewer"),
        ("change role", "eve@example.com: editor to viewer"),
        ("make reset link", EVE),
        ("sign out person", EVE),
        ("disable person", EVE),
        ("enable person", EVE),
    ]
