"""Every page has one h1, an empty state that says what to do, and the controls that each role may use."""

from __future__ import annotations

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from storage.flows import list_flows
from tests.ui.arrange import buttons, choose, ended, entries, h1, newest_button, page_text, press, until
from tests.ui.conftest import Site

EMPTY = {
    "/start": ("Make your first API in a minute", "Pick one"),
    "/flows": ("Saved Flows", "Make your first API in a minute"),
    "/templates": ("Templates", "Page to clean text"),
    "/jobs": ("Jobs", "No jobs yet"),
    "/monitoring": ("Monitoring", ""),
    "/settings/keys": ("API Keys", "No key yet"),
    "/settings/models": ("Models and secrets", "No model connected yet"),
    "/settings/tools": ("Tools", "No server yet"),
    "/settings/limits": ("Limits and plan", "Free plan"),
    "/settings/about": ("About", "Licences"),
}


@pytest.mark.parametrize("path", EMPTY)
async def test_a_page_with_nothing_in_it_yet_has_its_heading_and_says_what_to_do(user: User, path: str) -> None:
    heading, said = EMPTY[path]

    await user.open(path)

    assert h1(user) == [heading]
    assert said in page_text(user)


async def test_the_first_page_is_the_first_run_and_then_the_saved_flows(site: Site, user: User) -> None:
    await user.open("/")
    assert h1(user) == ["Make your first API in a minute"]

    site.flow()
    await user.open("/")
    assert h1(user) == ["Saved Flows"]


async def test_the_checklist_ticks_what_was_done(site: Site, user: User) -> None:
    flow_id = site.flow(live=True)
    ended(site, flow_id)

    await user.open("/start")

    assert page_text(user).count("Done:") == 3  # all but Change


async def test_a_viewer_is_shown_everything_and_offered_nothing_that_changes(site: Site) -> None:
    flow_id = site.flow(live=True)
    job_id = ended(site, flow_id, "failed")
    user = await site.sign_in("viewer")
    offered = set()
    for path in ("/flows", f"/flows/{flow_id}", f"/jobs/{job_id}", "/settings/keys", "/settings/models", "/templates"):
        await user.open(path)
        offered |= set(buttons(user))

    assert not offered & {
        "Deploy API", "Undeploy API", "Update API", "New flow", "Import", "Create a key", "Add a connection", "Run again",
        "Use this template",
    }  # fmt: skip


async def test_a_template_that_is_pressed_twice_makes_one_draft(site: Site, user: User) -> None:
    await user.open("/templates")
    assert user.client is not None
    use = next(
        one
        for one in user.client.elements.values()
        if str(one.props.get("aria-label", "")).startswith("Use this template: ")
    )

    def drafts() -> int:
        return len(site.database.read_now(list_flows, site.workspace_id))

    for _at in range(2):
        UserInteraction(user, {use}, None).click()
    await until(lambda: user.client is not None and user.client.page.path != "/templates")
    UserInteraction(user, {use}, None).click()  # in the browser the next page may take a while
    await user.open("/flows")
    assert drafts() == 1


async def test_a_double_click_on_duplicate_makes_one_copy(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    await user.open(f"/flows/{flow_id}")

    def titles() -> list[str]:
        return sorted(one.title for one in site.database.read_now(list_flows, site.workspace_id))

    (entry,) = [element for text, element in entries(user) if text == "Duplicate"]
    assert entry.menu is not None
    for copies in (1, 2):
        entry.menu.open()
        choose(user, "Duplicate")
        await until(lambda copies=copies: len(titles()) == 1 + copies)
        choose(user, "Duplicate")
    await user.should_see("Copied as Copy of Greeting.")
    assert len(titles()) == 3


async def test_a_live_flow_with_two_blanks_in_its_title_is_deleted_by_typing_what_is_seen(
    site: Site, user: User
) -> None:
    flow_id = site.flow("Invoice  reader", live=True)
    await user.open(f"/flows/{flow_id}")
    choose(user, "Delete...")
    await user.should_see("Type the title to go on:", retries=100)
    typed = max(user.find(kind=ui.input).elements, key=lambda one: one.id)
    typed.value = "Invoicereader"
    assert not newest_button(user, "Delete").enabled
    typed.value = " Invoice reader"
    press(user, "Delete")
    await until(lambda: not site.database.read_now(list_flows, site.workspace_id))


async def test_an_editor_may_deploy_but_not_set_up_models_or_the_plan(site: Site) -> None:
    flow_id = site.flow()
    user = await site.sign_in("editor")

    await user.open(f"/flows/{flow_id}")
    assert "Deploy API" in buttons(user)
    await user.open("/settings/models")
    assert "Add a connection" not in buttons(user)
    await user.open("/settings/limits")
    assert "Save the plan" not in buttons(user)


@pytest.mark.parametrize(("path", "allowed"), [("/favicon.ico", "GET, HEAD"), ("/settings", "GET")])
async def test_another_method_than_a_page_takes_is_refused_as_everywhere(site: Site, path: str, allowed: str) -> None:
    answer = await (await site.sign_in()).http_client.post(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.text == f"This address takes {allowed}, and not POST.\n"
