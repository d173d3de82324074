"""The Versions menu of the Playground: an older version goes live again and comes onto the canvas."""

from __future__ import annotations

from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.actions.deployments import deploy
from engine.actions.flows import save_draft
from storage.flows import get_flow
from tests.factories import document, greeting
from tests.ui.arrange import draft, page_text, press, until
from tests.ui.conftest import Site
from tests.ui.playground.test_run_panel import push


async def choose_version(user: User, number: int) -> None:
    (menu,) = [one for one in user.find(kind=ui.menu).elements if one.props.get("aria-label") == "Versions"]
    menu.open()
    said = f"Version {number}"
    await user.should_see(said)
    entry = next(
        one
        for one in menu.descendants()
        if isinstance(one, ui.menu_item) and any(getattr(part, "text", "") == said for part in one.descendants())
    )
    UserInteraction(user, {entry}, None).click()


async def test_making_an_older_version_live_puts_it_on_the_canvas(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Hi")), 1)
    site.database.write_now(deploy, site.owner, flow_id)
    await user.open(f"/playground/{flow_id}")
    await choose_version(user, 1)
    await user.should_see("Callers get now: version 2")
    press(user, "Make live")
    await user.should_see("Also put version 1 on the canvas")
    press(user, "Make version 1 live")

    await until(lambda: draft(site, flow_id).nodes[1].inputs["template"] == "Hello {{ api_input.out.name }}")
    await user.should_see("Same as live version 1.")
    assert site.database.read_now(get_flow, site.workspace_id, flow_id).state == "Live"
    assert "Draft differs" not in page_text(user)


async def test_from_what_differs_the_live_version_can_be_taken_back(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Hi")), 1)
    site.database.write_now(deploy, site.owner, flow_id)
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Ahoy")), 2)
    await user.open(f"/playground/{flow_id}")
    await choose_version(user, 2)
    await user.should_see("takes back what differs here: the canvas is then as version 2.")
    press(user, "Close")

    push(user, "Draft differs: show where")
    await user.should_see("Callers get version 2 until you press Update API.")
    press(user, "Take version 2 back")

    await until(lambda: draft(site, flow_id).nodes[1].inputs["template"] == "Hi")
    assert site.database.read_now(get_flow, site.workspace_id, flow_id).live_version == 2
