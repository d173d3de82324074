"""The settings of a flow: title, limits, webhooks and their deliveries."""

from __future__ import annotations

from typing import Any

from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.actions.flows import rename_flow
from engine.actions.jobs import cancel_all
from engine.actions.webhooks import set_webhook
from engine.core.environments import ENVIRONMENTS
from engine.jobs.submit.accept import Caller, flow_webhook
from engine.jobs.submit.batches import accept_batch
from engine.jobs.submit.bodies import SubmitOptions
from storage.flows import get_flow
from storage.tables import Job
from tests.ui.arrange import (
    accepted,
    box,
    press,
    until,
)
from tests.ui.conftest import Site


async def test_who_saves_a_title_keeps_the_description_that_somebody_else_saved_meanwhile(
    site: Site, user: User
) -> None:
    flow_id = site.flow("Greeting")
    await user.open(f"/flows/{flow_id}?tab=settings")
    site.database.write_now(rename_flow, site.owner, flow_id, None, "Ben wrote this")

    def stored() -> tuple[str, str]:
        flow = site.database.read_now(get_flow, site.workspace_id, flow_id)
        return flow.title, flow.description

    for title in ("New title", "Greeting"):  # the second is what was drawn
        box(user, "Title").set_value(title)
        newest_save = next(one for one in user.find(kind=ui.button, content="Save").elements if one.text == "Save")
        UserInteraction(user, {newest_save}, None).click()
        await until(lambda title=title: stored() == (title, "Ben wrote this"))
    box(user, "Description").set_value("Mine")
    UserInteraction(user, {newest_save}, None).click()
    await until(lambda: stored() == ("Greeting", "Mine"))


async def test_the_settings_tab_renames_and_limits(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    await user.open(f"/flows/{flow_id}?tab=settings")

    for one in user.find(kind=ui.input).elements:
        if one.value == "Greeting":
            one.value = "Good morning"
        if one.value == "1800":
            one.value = "5"
    press(user, "Save")
    await user.should_see("Saved.")
    press(user, "Save the limit")
    await user.should_see("Write a whole number from 10 to 86400.")

    flow = site.database.read_now(get_flow, site.workspace_id, flow_id)
    assert flow.title == "Good morning"
    assert dict(flow.settings) == {}


async def test_settings_that_callers_and_jobs_feel_are_stored(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    await user.open(f"/flows/{flow_id}?tab=settings")
    await user.should_see("The time in which it waits for a person does not count.")

    next(box for box in user.find(kind=ui.input).elements if box.value == "1800").value = "60"
    press(user, "Save the limit")
    await user.should_see("It counts for the next job.", retries=100)
    box(user, "Keep inputs, results and steps for").value = "0"
    press(user, "Save the days")
    await user.should_see("Write a whole number from 1 to 3650")
    box(user, "Keep inputs, results and steps for").value = "7"
    press(user, "Save the days")
    await user.should_see("It counts from the next clean-up on.", retries=100)

    flow = site.database.read_now(get_flow, site.workspace_id, flow_id)
    assert dict(flow.settings) == {"limit_seconds": 60, "keep_days": 7}


async def test_how_many_jobs_run_at_the_same_time_is_stored_and_removed(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    label = "How many of its jobs run at the same time"
    job_id = accepted(site, flow_id)

    def kept() -> tuple[dict[str, Any], int | None]:
        flow = site.database.read_now(get_flow, site.workspace_id, flow_id)
        job = site.database.read_now(lambda session: session.get(Job, job_id))
        assert job is not None
        return dict(flow.settings), job.flow_concurrency

    await user.open(f"/flows/{flow_id}?tab=settings")
    for wrong in ("0", "1001", "2.5", "two"):
        box(user, label).value = wrong
        press(user, "Save the number")
        await user.should_see("Write a whole number from 1 to 1000, or nothing.")

    box(user, label).value = "2"
    press(user, "Save the number")
    await user.should_see("It counts at once, also for jobs that wait.", retries=100)
    assert kept() == ({"concurrency": 2}, 2)

    await user.open(f"/flows/{flow_id}?tab=settings")
    assert box(user, label).value == "2"
    box(user, label).value = ""
    press(user, "Save the number")
    await until(lambda: kept() == ({}, None))


async def test_the_deliveries_tell_a_batch_from_a_job(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    caller = Caller(site.workspace_id, None, "live")
    options = SubmitOptions(route="/batch", webhook_url="https://hooks.example.com/")
    made = site.database.write_now(accept_batch, caller, flow_id, {"items": [{"name": "Ada"}]}, options)
    site.database.write_now(cancel_all, caller, made.batch_id)

    await user.open(f"/flows/{flow_id}?tab=settings")

    await user.should_see("a batch of calls", retries=100)
    await user.should_see("cancelled")
    await user.should_not_see("a test")


async def test_each_environment_gets_its_own_webhook(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    site.database.write_now(set_webhook, site.owner, flow_id, "https://example.com/live")
    await user.open(f"/flows/{flow_id}?tab=settings")
    assert box(user, "Production").value == "https://example.com/live"
    box(user, "Staging").value = "https://example.com/staging"
    box(user, "Development").value = "example.com"
    press(user, "Save the webhooks")
    await user.should_see("The webhook's address is not a web address", retries=100)
    box(user, "Development").value = ""
    press(user, "Save the webhooks")
    await user.should_see("It counts for jobs that are sent from now on.", retries=100)

    settings = site.database.read_now(get_flow, site.workspace_id, flow_id).settings
    told = [flow_webhook(settings, environment) for environment in ENVIRONMENTS]
    assert told == ["https://example.com/live", "https://example.com/staging", None]


async def test_a_new_title_is_in_the_breadcrumb_too(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    await user.open(f"/flows/{flow_id}?tab=settings")
    next(box for box in user.find(kind=ui.input).elements if box.value == "Greeting").value = "Good morning"

    press(user, "Save")
    await user.should_see("Saved.", retries=100)

    def crumbs() -> list[str]:
        assert user.client is not None
        here = [one for one in user.client.elements.values() if one.props.get("aria-current") == "page"]
        return [getattr(one, "text", "") for one in here]

    await until(lambda: "Good morning" in crumbs(), crumbs)
