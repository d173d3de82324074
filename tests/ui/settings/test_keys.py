"""Settings, API Keys: a key is shown once, changed, rotated and revoked."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from nicegui.testing import User

from engine.actions.flows import delete_flow
from engine.actions.keys import TRY_LABEL, change_key, create_key, revoke_key, try_key
from engine.core.clock import DAY, HOUR
from engine.core.environments import Environment
from storage.keys import list_keys
from tests.ui.arrange import accepted, box, choose, page_text, press, texts, until
from tests.ui.conftest import Site


async def test_a_new_key_is_shown_once(site: Site, user: User) -> None:
    await user.open("/settings/keys")
    press(user, "Create a key")
    box(user, "Label").value = "Web shop"
    box(user, "Environment").value = "Staging"
    press(user, "Create a key")
    await user.should_see('Copy the key "Web shop" now')

    (key,) = site.database.read_now(list_keys, site.workspace_id)
    assert (key.label, key.environment) == ("Web shop", "test")
    shown = next(text for text in page_text(user).split("\n") if text.startswith("fp_test_") and "…" not in text)
    assert shown.endswith(key.last4)
    await user.open("/settings/keys")
    assert shown not in page_text(user)
    assert key.masked in page_text(user)


async def test_a_second_click_makes_no_second_key(site: Site, user: User) -> None:
    await user.open("/settings/keys")
    press(user, "Create a key")
    box(user, "Label").value = "Web shop"
    press(user, "Create a key")
    press(user, "Create a key")
    await user.should_see('Copy the key "Web shop" now')
    assert len(site.database.read_now(list_keys, site.workspace_id)) == 1


async def test_a_key_without_a_label_is_not_made(site: Site, user: User) -> None:
    await user.open("/settings/keys")
    press(user, "Create a key")
    press(user, "Create a key")
    await user.should_see("label of 1 to 100 characters")

    assert site.database.read_now(list_keys, site.workspace_id) == []


async def test_revoking_asks_first(site: Site, user: User) -> None:
    site.database.write_now(create_key, site.owner, "Old one", "live")
    await user.open("/settings/keys")

    choose(user, "Revoke...")
    await user.should_see("Revoke Old one?")
    assert site.database.read_now(list_keys, site.workspace_id)[0].revoked_at is None
    press(user, "Revoke")
    await user.should_see("Revoked")

    assert site.database.read_now(list_keys, site.workspace_id)[0].revoked_at is not None


async def test_how_often_a_key_was_used_leads_to_its_jobs(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    partner = site.database.write_now(create_key, site.owner, "Partner", "live").id
    site.database.write_now(create_key, site.owner, "Silent", "live")
    for key_id in (partner, partner, None):
        accepted(site, flow_id, key_id=key_id)
    await user.open(f"/flows/{flow_id}?tab=api")
    assert user.client is not None
    links = {one.props.get("href") for one in user.client.elements.values()}
    assert f"/settings/keys?key={partner}" in links

    await user.open(f"/settings/keys?key={partner}")
    await user.should_see("Calls, 30 days")
    jobs = [one for one in user.client.elements.values() if str(one.props.get("href")).startswith("/jobs?key=")]
    assert [(one.props["href"], one.text) for one in jobs] == [(f"/jobs?key={partner}&range=30d", "2")]  # type: ignore[attr-defined]
    assert [one for one in user.client.elements.values() if "fp-on" in one.classes and one.tag == "tr"]
    assert "0" in texts(user), "nobody used the other one"


async def test_the_key_of_the_button_try_it_now_is_not_somebodys(site: Site, user: User) -> None:
    site.database.write_now(try_key, site.owner, None)
    site.database.write_now(create_key, site.owner, TRY_LABEL, Environment.DEV)
    await user.open("/settings/keys")
    said = page_text(user)
    assert said.count("made by Flowport for this button") == 1
    assert said.count("· by ") == 1


async def test_where_keys_are_made_and_listed_it_says_how_often_they_may_call(site: Site, user: User) -> None:
    production = (
        "Each key may send 50 calls a second. All keys of Production together: 1,000 requests a month, 4 at once."
    )
    await user.open("/settings/keys")
    press(user, "Create a key")
    await user.should_see(production)
    box(user, "Environment").value = "Staging"
    await user.should_see("All keys of Staging together: 250 requests a month, 1 at once.")
    assert production not in page_text(user)

    site.database.write_now(create_key, site.owner, "Shop", Environment.LIVE)
    await user.open("/settings/keys")
    assert production in page_text(user)


async def test_a_key_gets_its_flows_its_end_and_its_limits_and_is_changed(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    site.flow("Other", live=True)
    await user.open("/settings/keys")
    press(user, "Create a key")
    box(user, "Label").value = "Reports"
    box(user, "May call").value = "some"
    press(user, "Create a key")
    await user.should_see("Choose at least one flow")
    box(user, "Flows").value = [flow_id]  # type: ignore[assignment] - the choice of several flows
    box(user, "Ends").value = "90"
    for label, value in (("Jobs at once", "2²"), ("Requests a month", "500")):
        box(user, label).value = value
    press(user, "Create a key")
    await user.should_see("Write a whole number of 1 or more")
    box(user, "Jobs at once").value = "2"
    press(user, "Create a key")
    await user.should_see('Copy the key "Reports" now')
    await user.should_see("at most 2 at once", retries=100)
    assert "at most 500 requests a month" in page_text(user)

    (key,) = site.database.read_now(list_keys, site.workspace_id)
    assert (key.flow_ids, key.concurrency, key.monthly) == (frozenset({flow_id}), 2, 500)
    assert key.expires_at is not None
    assert 89 * DAY < key.expires_at - site.clock.now() <= 90 * DAY

    choose(user, "Change...")
    await user.should_see("Change Reports")
    box(user, "Label").value = "Weekly reports"
    box(user, "May call").value = "all"
    box(user, "Ends").value = "never"
    press(user, "Save")
    await user.should_see("Weekly reports is changed.")

    (key,) = site.database.read_now(list_keys, site.workspace_id)
    assert (key.label, key.flow_ids, key.expires_at, key.concurrency) == ("Weekly reports", None, None, 2)


async def test_a_new_label_leaves_what_somebody_else_has_changed_meanwhile(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    site.flow("Other", live=True)
    made = site.database.write_now(create_key, site.owner, "Shop", "live")
    await user.open("/settings/keys")
    choose(user, "Change...")
    await user.should_see("Change Shop")
    (seen,) = site.database.read_now(list_keys, site.workspace_id)
    limited = replace(seen.properties, flow_ids=[flow_id])
    site.database.write_now(change_key, site.owner, made.id, seen.properties, limited)

    box(user, "Label").value = "Web shop"
    press(user, "Save")
    await user.should_see("Web shop is changed.")

    (key,) = site.database.read_now(list_keys, site.workspace_id)
    assert (key.label, key.flow_ids) == ("Web shop", frozenset({flow_id}))


async def test_a_new_label_neither_moves_the_end_nor_gives_a_flow_that_nobody_chose(site: Site, user: User) -> None:
    gone, _left = site.flow("Greeting", live=True), site.flow("Other", live=True)
    ends = site.clock.now() + 30 * DAY
    site.database.write_now(create_key, site.owner, "Partner", "live", flow_ids=[gone], expires_at=ends)
    site.database.write_now(delete_flow, site.owner, gone)
    await user.open("/settings/keys")
    choose(user, "Change...")
    await user.should_see("Change Partner")
    box(user, "Label").value = "Partner Ltd"
    press(user, "Save")
    await user.should_see("Partner Ltd is changed.")

    (key,) = site.database.read_now(list_keys, site.workspace_id)
    assert (key.label, key.flow_ids, key.expires_at) == ("Partner Ltd", frozenset({gone}), ends)


async def test_changing_a_key_that_was_revoked_meanwhile_says_so(site: Site, user: User) -> None:
    made = site.database.write_now(create_key, site.owner, "Gone", "live")
    await user.open("/settings/keys")
    choose(user, "Change...")
    await user.should_see("Change Gone")
    site.database.write_now(revoke_key, site.owner, made.id)
    box(user, "Label").value = "Gone 2"
    press(user, "Save")
    await user.should_see("This key is revoked. Create a new key instead.")

    (key,) = site.database.read_now(list_keys, site.workspace_id)
    assert key.label == "Gone"


@pytest.mark.parametrize(("chosen", "hours"), [("0", None), ("1", 1), ("168", 168), ("own", 48)])
async def test_the_overlap_of_a_rotation_is_chosen(site: Site, user: User, chosen: str, hours: int | None) -> None:
    site.database.write_now(create_key, site.owner, "Reports", "live")
    await user.open("/settings/keys")

    choose(user, "Rotate...")
    await user.should_see("The old text works on for")
    box(user, "The old text works on for").value = chosen
    press(user, "Rotate")
    await user.should_see('Copy the key "Reports" now')

    (key,) = site.database.read_now(list_keys, site.workspace_id)
    if hours is None:
        assert key.older_valid_until is None
    else:
        assert key.older_valid_until is not None
        assert abs(key.older_valid_until - site.clock.now() - hours * HOUR) < HOUR / 2


async def test_a_rotated_key_is_shown_and_the_old_one_works_on(site: Site, user: User) -> None:
    site.database.write_now(create_key, site.owner, "Reports", "live")
    await user.open("/settings/keys")

    choose(user, "Rotate...")
    await user.should_see("Rotate Reports?")
    press(user, "Rotate")
    await user.should_see('Copy the key "Reports" now')

    await until(lambda: "rotating, the old one works" in page_text(user), lambda: page_text(user))
