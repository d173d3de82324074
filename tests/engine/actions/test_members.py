from __future__ import annotations

import asyncio

import pytest

from engine.actions import server_start
from engine.actions.members import (
    Browser,
    change_name,
    change_password,
    ensure_owner,
    join,
    password_hash_now,
    set_new_password,
    set_up_owner,
    sign_in,
    sign_out,
    sign_out_everywhere,
)
from engine.actions.one_time_links import get_link, new_reset_token, new_setup_token, renew_setup_token
from engine.actions.principal import Principal
from engine.actions.team import disable_person, invite
from engine.actions.workspaces import create_workspace
from engine.core.clock import DAY, HOUR, MINUTE
from engine.core.errors import Conflict, Invalid, LinkNotValid, NotFound, RateLimited, SignInFailed
from engine.core.settings import BadSetting, Settings
from storage.audit import list_entries
from storage.members import has_owner, list_people
from storage.sessions import find_signed_in, note_seen
from storage.settings import KNOWN_HOST, SERVER, find_setting
from tests.factories import person
from tests.stored import all_of

PASSWORD = "correct horse battery"
EMAIL = "ada@example.com"
HERE = Browser("192.0.2.7", "Firefox", "flows.lan:8080")


@pytest.mark.parametrize(
    ("email", "password", "variable"),
    [("boss", PASSWORD, "FLOWPORT_ADMIN_EMAIL"), ("ada@example.com", "short", "FLOWPORT_ADMIN_PASSWORD_FILE")],
)
def test_an_owner_of_the_environment_that_cannot_be_is_refused_by_the_variable(
    database, tmp_path, email, password, variable
):
    file = tmp_path / "password"
    file.write_text(password)
    with pytest.raises(BadSetting, match=rf"^{variable} .*cannot be used: "):
        server_start.set_up(database, Settings(admin_email=email, admin_password_file=file))


def set_up(database, workspace, password=PASSWORD):
    token = database.write_now(new_setup_token, workspace)
    return set_up_owner(database, token, "Ada", EMAIL, password, HERE)


async def signed_in(database, cookie):
    return await database.read(find_signed_in, cookie)


async def test_a_set_up_link_makes_the_owner_and_signs_them_in(database, workspace):
    found = await signed_in(database, await set_up(database, workspace))
    assert (found.name, found.email, found.role, found.workspace_id) == ("Ada", EMAIL, "owner", workspace)
    assert await database.read(has_owner, workspace)
    assert await database.read(find_setting, SERVER, KNOWN_HOST) == "flows.lan:8080"


async def test_the_owner_of_another_workspace_names_no_host_of_the_server(database, workspace):
    await set_up(database, workspace)
    elsewhere = database.write_now(create_workspace, "Elsewhere")
    token = database.write_now(new_setup_token, elsewhere)
    await set_up_owner(
        database, token, "Bob", "bob@example.net", PASSWORD, Browser("192.0.2.8", "", "other.example.net")
    )
    assert await database.read(find_setting, SERVER, KNOWN_HOST) == "flows.lan:8080"


def set_up_twice(database) -> list[str]:
    """Starts two servers; returns the tokens of their set-up links."""
    links = [server_start.set_up(database, Settings()) for _ in range(2)]
    return [link.removeprefix("/setup/") for link in links if link]


async def test_a_set_up_link_works_once(database, workspace):
    token = database.write_now(new_setup_token, workspace)
    await set_up_owner(database, token, "Ada", EMAIL, PASSWORD)
    with pytest.raises(LinkNotValid):
        await set_up_owner(database, token, "Eve", "eve@example.com", PASSWORD)


async def test_a_set_up_link_lives_15_minutes(database, workspace, clock):
    token = database.write_now(new_setup_token, workspace)
    assert database.read_now(get_link, token).purpose == "setup"
    clock.offset = 15 * MINUTE + 1000
    with pytest.raises(LinkNotValid):
        await set_up_owner(database, token, "Ada", EMAIL, PASSWORD)


def test_a_new_set_up_link_voids_the_one_before(database, workspace):
    first = database.write_now(new_setup_token, workspace)
    second = database.write_now(new_setup_token, workspace)
    with pytest.raises(LinkNotValid):
        database.read_now(get_link, first)
    assert database.read_now(get_link, second)


@pytest.mark.sqlite("one server, whose later start ends the link of the earlier one")
def test_the_next_start_voids_the_set_up_link_of_the_one_before(database, workspace):
    first, second = set_up_twice(database)
    with pytest.raises(LinkNotValid):
        database.read_now(get_link, first)
    assert database.read_now(get_link, second)


@pytest.mark.postgres
def test_the_set_up_links_of_several_servers_hold(database, workspace):
    for token in set_up_twice(database):
        assert database.read_now(get_link, token)


def test_a_visit_renews_the_set_up_link_once_a_minute(database, workspace, clock):
    assert database.write_now(renew_setup_token, workspace) is not None
    assert database.write_now(renew_setup_token, workspace) is None
    clock.offset = 2 * MINUTE
    assert database.write_now(renew_setup_token, workspace) is not None


async def test_a_visit_takes_the_set_up_link_from_nobody_and_one_owner_ends_them_all(database, workspace, clock):
    opened = database.write_now(new_setup_token, workspace)
    clock.offset = 2 * MINUTE
    renewed = database.write_now(renew_setup_token, workspace)
    assert await set_up_owner(database, opened, "Ada", EMAIL, PASSWORD)
    with pytest.raises(LinkNotValid):
        database.read_now(get_link, renewed)


def test_a_visit_renews_the_set_up_link_after_the_clock_was_ahead(database, workspace, clock):
    clock.offset = 24 * 60 * MINUTE
    database.write_now(renew_setup_token, workspace)
    clock.offset = 0
    assert database.write_now(renew_setup_token, workspace) is not None
    assert database.write_now(renew_setup_token, workspace) is None
    clock.offset = 2 * MINUTE
    assert database.write_now(renew_setup_token, workspace) is not None


async def test_with_an_owner_there_is_no_set_up_link(database, workspace):
    await set_up(database, workspace)
    with pytest.raises(Conflict):
        database.write_now(new_setup_token, workspace)
    assert database.write_now(renew_setup_token, workspace) is None


async def test_the_link_survives_a_form_that_was_filled_in_wrong(database, workspace):
    token = database.write_now(new_setup_token, workspace)
    for name, email, password in (("", "nobody", PASSWORD), ("Ada", EMAIL, "short")):
        with pytest.raises(Invalid):
            await set_up_owner(database, token, name, email, password)
    assert await set_up_owner(database, token, "Ada", EMAIL, PASSWORD)


@pytest.mark.usefixtures("dear_passwords")
async def test_no_link_token_cookie_or_password_is_stored(database, workspace, tmp_path):
    token = database.write_now(new_setup_token, workspace)
    cookie = await set_up_owner(database, token, "Ada", EMAIL, PASSWORD)
    stored = all_of(tmp_path / "data")
    for value in (token, cookie, PASSWORD):
        assert value not in stored
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in stored


async def test_signing_in_takes_the_address_in_any_case(database, workspace):
    await set_up(database, workspace)
    cookie = await sign_in(database, "  ADA@Example.com", PASSWORD, HERE)
    assert (await signed_in(database, cookie)).name == "Ada"


async def test_unknown_wrong_and_disabled_look_the_same(database, workspace):
    await set_up(database, workspace)
    owner = person(workspace)
    await join(database, database.write_now(invite, owner, "editor"), "Eve", "eve@example.com", PASSWORD)
    (eve,) = [found for found in database.read_now(list_people, workspace) if found.name == "Eve"]
    database.write_now(disable_person, owner, eve.id)
    said = set()
    for email, password in ((EMAIL, "wrong"), ("nobody@example.com", PASSWORD), ("eve@example.com", PASSWORD)):
        with pytest.raises(SignInFailed) as refused:
            await sign_in(database, email, password)
        said.add(str(refused.value))
    assert len(said) == 1


async def test_the_sixth_try_in_15_minutes_is_refused_even_with_the_right_password(database, workspace, clock):
    await set_up(database, workspace)
    for _ in range(5):
        with pytest.raises(SignInFailed):
            await sign_in(database, EMAIL, "wrong")
    with pytest.raises(RateLimited) as refused:
        await sign_in(database, EMAIL, PASSWORD)
    assert 0 < refused.value.retry_after <= 15 * 60
    clock.offset = 15 * MINUTE + 1000
    assert await sign_in(database, EMAIL, PASSWORD)


async def test_guesses_sent_at_once_cannot_outrun_the_count(database, workspace):
    await set_up(database, workspace)
    tries = await asyncio.gather(*(sign_in(database, EMAIL, "wrong") for _ in range(12)), return_exceptions=True)
    assert sum(isinstance(answer, SignInFailed) for answer in tries) == 5
    assert sum(isinstance(answer, RateLimited) for answer in tries) == 7


async def test_a_network_may_fail_20_times_over_all_accounts(database, workspace):
    await set_up(database, workspace)
    for number in range(20):
        with pytest.raises(SignInFailed):
            await sign_in(database, f"nobody{number}@example.com", "wrong", Browser("198.51.100.7"))
    with pytest.raises(RateLimited):
        await sign_in(database, EMAIL, PASSWORD, Browser("198.51.100.8"))
    assert await sign_in(database, EMAIL, PASSWORD, Browser("198.51.101.8"))


async def test_a_success_forgets_the_failures_of_the_account(database, workspace):
    await set_up(database, workspace)
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(SignInFailed):
                await sign_in(database, EMAIL, "wrong")
        await sign_in(database, EMAIL, PASSWORD)


async def test_a_session_ends_after_12_idle_hours(database, workspace, clock):
    cookie = await set_up(database, workspace)
    clock.offset = 11 * HOUR
    assert await signed_in(database, cookie)
    database.write_now(note_seen, cookie)
    clock.offset = 22 * HOUR
    assert await signed_in(database, cookie)
    clock.offset = 24 * HOUR
    assert await signed_in(database, cookie) is None


async def test_a_session_ends_after_30_days_whatever_happens(database, workspace, clock):
    cookie = await set_up(database, workspace)
    for hours in range(0, 30 * 24, 11):
        clock.offset = hours * HOUR
        database.write_now(note_seen, cookie)
    assert await signed_in(database, cookie)
    clock.offset = 30 * DAY + MINUTE
    assert await signed_in(database, cookie) is None


async def test_signing_out_ends_one_session_and_everywhere_ends_all(database, workspace):
    one = await set_up(database, workspace)
    two, three = [await sign_in(database, EMAIL, PASSWORD) for _ in range(2)]
    database.write_now(sign_out, one)
    assert [await signed_in(database, cookie) is not None for cookie in (one, two, three)] == [False, True, True]
    ada = await signed_in(database, two)
    database.write_now(sign_out_everywhere, Principal(workspace, ada.id, ada.name, ada.role))
    assert [await signed_in(database, cookie) for cookie in (two, three)] == [None, None]


async def test_who_comes_into_a_browser_ends_the_session_of_who_was_there(database, workspace):
    ada = await set_up(database, workspace)
    invitation = database.write_now(invite, person(workspace), "viewer")
    eve = await join(database, invitation, "Eve", "eve@example.com", PASSWORD, Browser("192.0.2.7", cookie=ada))
    assert await signed_in(database, ada) is None
    again = await sign_in(database, EMAIL, PASSWORD, Browser("192.0.2.7", cookie=eve))
    assert await signed_in(database, eve) is None
    with pytest.raises(SignInFailed):
        await sign_in(database, "eve@example.com", "wrong", Browser("192.0.2.7", cookie=again))
    assert (await signed_in(database, again)).name == "Ada"


async def test_a_reset_link_sets_a_password_and_ends_all_sessions(database, workspace):
    old = await set_up(database, workspace)
    token, had_factor = database.write_now(new_reset_token, workspace, "Ada@Example.com")
    assert not had_factor
    assert database.read_now(get_link, token).email == EMAIL
    new = await set_new_password(database, token, "another long password")
    assert await signed_in(database, old) is None
    assert await signed_in(database, new)
    with pytest.raises(SignInFailed):
        await sign_in(database, EMAIL, PASSWORD)
    with pytest.raises(LinkNotValid):
        await set_new_password(database, token, "once more, with feeling")


async def test_a_reset_link_makes_no_owner_and_a_set_up_link_resets_nothing(database, workspace):
    token = database.write_now(new_setup_token, workspace)
    with pytest.raises(LinkNotValid):
        await set_new_password(database, token, PASSWORD)
    await set_up_owner(database, token, "Ada", EMAIL, PASSWORD)
    reset, _ = database.write_now(new_reset_token, workspace, EMAIL)
    with pytest.raises(LinkNotValid):
        await set_up_owner(database, reset, "Eve", "eve@example.com", PASSWORD)


def test_a_reset_link_needs_an_account_of_the_workspace(database, workspace, stranger):
    for email in ("nobody@example.com", ""):
        with pytest.raises(NotFound):
            database.write_now(new_reset_token, workspace, email)


async def test_a_reset_link_finds_its_account_in_any_workspace(database, workspace):
    await set_up(database, workspace)
    elsewhere = database.write_now(create_workspace, "Elsewhere")
    setup = database.write_now(new_setup_token, elsewhere)
    await set_up_owner(database, setup, "Bob", "bob@example.net", PASSWORD)
    with pytest.raises(NotFound, match="Nobody in this workspace"):
        database.write_now(new_reset_token, workspace, "bob@example.net")
    token, _ = database.write_now(new_reset_token, None, "bob@example.net")
    assert database.read_now(list_entries, elsewhere)[0].verb == "print reset link"
    found = await signed_in(database, await set_new_password(database, token, "a brand new password"))
    assert (found.name, found.workspace_id) == ("Bob", elsewhere)


async def test_a_reset_link_is_refused_for_somebody_who_is_shut_out(database, workspace):
    await set_up(database, workspace)
    invitation = database.write_now(invite, person(workspace), "editor")
    await join(database, invitation, "Eve", "eve@example.com", PASSWORD)
    (eve,) = (one for one in database.read_now(list_people, workspace) if one.name == "Eve")
    database.write_now(disable_person, person(workspace), eve.id)
    with pytest.raises(Conflict, match="shut out"):
        database.write_now(new_reset_token, workspace, "eve@example.com")


async def test_changing_the_password_ends_a_reset_link(database, workspace):
    cookie = await set_up(database, workspace)
    token, _ = database.write_now(new_reset_token, workspace, EMAIL)
    await change_password(database, cookie, PASSWORD, "a brand new password")
    with pytest.raises(LinkNotValid):
        await set_new_password(database, token, "a password of a thief")


async def test_changing_the_password_needs_the_old_one_and_ends_other_sessions(database, workspace):
    cookie = await set_up(database, workspace)
    with pytest.raises(SignInFailed):
        await change_password(database, cookie, "wrong", "a brand new password")
    new = await change_password(database, cookie, PASSWORD, "a brand new password")
    assert await signed_in(database, cookie) is None
    assert await signed_in(database, new)
    assert await sign_in(database, EMAIL, "a brand new password")


async def test_the_owner_of_the_environment_is_made_once(database, workspace):
    hashed = password_hash_now(PASSWORD)
    assert database.write_now(ensure_owner, workspace, EMAIL, hashed)
    assert not database.write_now(ensure_owner, workspace, "other@example.com", hashed)
    assert (await signed_in(database, await sign_in(database, EMAIL, PASSWORD))).role == "owner"


async def test_signing_in_stands_in_the_audit_log_and_so_does_failing_without_what_was_typed(database, workspace):
    await set_up(database, workspace)
    await sign_in(database, EMAIL, PASSWORD, HERE)
    for email in (EMAIL, "my password instead"):
        with pytest.raises(SignInFailed):
            await sign_in(database, email, "wrong", HERE)
    unknown, wrong, good = database.read_now(list_entries, workspace)[:3]
    assert (good.verb, good.actor.split(" (")[0], good.address) == ("sign in", "Ada", "192.0.2.7")
    assert (wrong.verb, wrong.actor, wrong.detail) == ("fail to sign in", "somebody", EMAIL)
    assert (unknown.verb, unknown.subject, unknown.detail) == ("fail to sign in", "", "an unknown e-mail address")


async def test_a_person_changes_their_own_name_and_nobody_elses(database, workspace, stranger):
    ada = await signed_in(database, await set_up(database, workspace))
    me = Principal(workspace, ada.id, ada.name, ada.role)
    database.write_now(change_name, me, "  Ada Lovelace ")
    assert database.read_now(list_people, workspace)[0].name == "Ada Lovelace"
    with pytest.raises(Invalid):
        database.write_now(change_name, me, " ")
    for other in (stranger, Principal(stranger.workspace_id, ada.id, "Mallory", "owner")):
        with pytest.raises(NotFound):
            database.write_now(change_name, other, "Mallory")


async def test_when_somebody_was_last_here_is_kept_to_the_minute(database, workspace, clock):
    cookie = await set_up(database, workspace)
    first = database.read_now(list_people, workspace)[0].seen_at
    clock.offset = HOUR
    database.write_now(note_seen, cookie)
    database.write_now(sign_out, cookie)
    assert 0 <= database.read_now(list_people, workspace)[0].seen_at - first - HOUR < MINUTE
