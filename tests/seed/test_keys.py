"""API keys: rotating, one for each environment, out of code and files, and what a 401 can mean."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.seed.person import Person
from tests.seed.world import Caller, World

pytestmark = pytest.mark.browser


def test_keys_are_rotated_without_an_outage(world: World, person: Person) -> None:
    old = Caller(world.server.url, person.create_key("Rotated"))
    person.key_menu("Rotated", "Rotate")
    new = Caller(world.server.url, person.read_key())
    assert new.key != old.key
    for caller in (old, new):
        assert caller.submit(world.greet, {"name": "Ada"}).status_code == 202
    person.open("/settings/keys")
    expect(person.page.get_by_role("row", name=re.compile("^Rotated"))).to_contain_text("rotating, the old one works")


def test_production_staging_and_development_have_separate_keys(world: World, person: Person) -> None:
    callers = {
        environment: Caller(world.server.url, person.create_key(environment, environment))
        for environment in ("Production", "Staging", "Development")
    }
    for environment, prefix in (("Production", "fp_live_"), ("Staging", "fp_test_"), ("Development", "fp_dev_")):
        assert callers[environment].key.startswith(prefix)
    jobs = {environment: caller.run(world.greet, {"name": "Ada"}) for environment, caller in callers.items()}
    assert [job["environment"] for job in jobs.values()] == ["live", "test", "dev"]
    assert callers["Staging"].request("GET", f"/jobs/{jobs['Production']['job_id']}").status_code == 404
    person.open("/jobs?environment=test")
    table = person.page.get_by_role("table", name="Jobs")
    expect(table.locator(f"a[href='/jobs/{jobs['Staging']['job_id']}']")).to_be_visible()
    expect(table.locator(f"a[href='/jobs/{jobs['Production']['job_id']}']")).to_have_count(0)


def test_nothing_that_goes_into_version_control_holds_a_key(world: World, person: Person) -> None:
    page = person.page
    assert world.caller.submit(world.greet, {"name": "Ada"}).status_code == 202
    person.open(f"/flows/{world.greet}")
    page.get_by_role("button", name="More for Greeting").click()
    with page.expect_download() as started:
        page.get_by_role("menuitem", name="Export", exact=True).click()
    exported = Path(started.value.path()).read_text()
    assert '"nodes"' in exported
    assert not re.search(r"fp_(live|test|dev)_", exported)
    person.open("/docs/guides/best-practices")
    expect(page.get_by_text("Never put a key into version control")).to_be_visible()


def test_the_examples_read_the_key_from_an_environment_variable(world: World, person: Person) -> None:
    person.open(f"/docs/flows/{world.greet}")
    text = person.page.locator("main").inner_text()
    assert "export FLOWPORT_API_KEY=" in text
    assert 'os.environ["FLOWPORT_API_KEY"]' in person.page.content().replace("&quot;", '"')
    assert "process.env.FLOWPORT_API_KEY" in person.page.content()


def test_401_when_the_key_is_not_correct(world: World) -> None:
    key = world.caller.key
    for wrong in (key[:-1] + ("a" if key[-1] != "a" else "b"), key[:20], "sk-something-else"):
        answer = Caller(world.server.url, wrong).submit(world.greet, {"name": "Ada"})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


def test_401_when_the_authorization_header_has_another_form(world: World, person: Person) -> None:
    url = f"{world.server.url}/public/v1/flows/execute/{world.greet}"
    for header in (world.caller.key, f"Basic {world.caller.key}", f'Bearer "{world.caller.key}"', "Bearer"):
        answer = httpx.post(url, json={"name": "Ada"}, headers={"Authorization": header}, timeout=10)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
    person.open("/docs/guides/errors")
    person.page.get_by_role("heading", name="401 Unauthorized").wait_for()
    person.open("/docs/errors/unauthorized")
    expect(person.page.locator("main")).to_contain_text("Authorization: Bearer")


def test_401_when_the_key_was_revoked(world: World, person: Person) -> None:
    caller = Caller(world.server.url, person.create_key("Given away"))
    assert caller.submit(world.greet, {"name": "Ada"}).status_code == 202
    person.key_menu("Given away", "Revoke")
    expect(person.page.get_by_role("row", name=re.compile("^Given away"))).to_contain_text("Revoked")
    assert caller.submit(world.greet, {"name": "Ada"}).status_code == 401
