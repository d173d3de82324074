"""The versions of a flow: which are live, what differs between them, and a version that goes live again."""

from __future__ import annotations

import json

from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.actions.deployments import deploy
from engine.actions.flows import save_draft, save_version
from engine.core.clock import HOUR
from engine.flow.document import Document, load_document
from storage.flows import get_draft, get_flow, get_version
from tests.factories import document, greeting, parked_node
from tests.ui.arrange import (
    buttons,
    draft,
    ended,
    labels,
    page_text,
    press,
    press_named,
    texts,
    until,
)
from tests.ui.conftest import Site


def second_version_live(site: Site) -> str:
    flow_id = site.flow("Greeting", live=True)
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Hi {{ api_input.out.name }}")), 1)
    site.database.write_now(deploy, site.owner, flow_id)
    return flow_id


def template(site: Site, flow_id: str) -> str:
    return str(draft(site, flow_id).nodes[1].inputs["template"])


async def test_a_version_that_goes_live_again_comes_onto_the_canvas_too(site: Site, user: User) -> None:
    flow_id = second_version_live(site)
    await user.open(f"/flows/{flow_id}?tab=versions")

    press(user, "Make live")
    await user.should_see("This goes back to an older version.")
    await user.should_see("Also put version 1 on the canvas")
    await user.should_see("What is on the canvas now stays under Versions as version 2.")
    press(user, "Make version 1 live")
    await user.should_see("Version 1 is live and on the canvas.", retries=100)

    flow = site.database.read_now(get_flow, site.workspace_id, flow_id)
    assert (flow.live_version, flow.state, template(site, flow_id)) == (1, "Live", "Hello {{ api_input.out.name }}")


async def test_without_the_tick_the_canvas_stays_and_its_version_is_no_newer_draft(site: Site, user: User) -> None:
    flow_id = second_version_live(site)
    await user.open(f"/flows/{flow_id}?tab=versions")
    press(user, "Make live")
    await user.should_see("Also put version 1 on the canvas")
    (tick,) = user.find(kind=ui.checkbox).elements
    assert tick.value
    tick.value = False
    press(user, "Make version 1 live")
    await user.should_see("Version 1 is live.", retries=100)
    assert template(site, flow_id) == "Hi {{ api_input.out.name }}"

    await user.open(f"/flows/{flow_id}")
    assert "Callers get version 1 again." in page_text(user)
    assert "Version 2, which was live before, is still on the canvas." in page_text(user)
    assert "Update API" not in buttons(user)
    press(user, "Put version 1 on the canvas")
    await until(lambda: template(site, flow_id) == "Hello {{ api_input.out.name }}")


async def test_what_was_changed_while_the_question_stood_is_saved_too(site: Site, user: User) -> None:
    flow_id = second_version_live(site)
    await user.open(f"/flows/{flow_id}?tab=versions")
    press(user, "Make live")
    await user.should_see("What is on the canvas now stays under Versions as version 2.")

    revision = site.database.read_now(get_draft, site.workspace_id, flow_id).revision
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Third")), revision)
    press(user, "Make version 1 live")
    await user.should_see("Version 1 is live and on the canvas.", retries=100)

    kept = site.database.read_now(get_version, site.workspace_id, flow_id, 3)
    assert "Third" in str(kept.document)


async def test_what_no_version_holds_is_saved_before_the_canvas_is_replaced(site: Site, user: User) -> None:
    flow_id = second_version_live(site)
    revision = site.database.read_now(get_draft, site.workspace_id, flow_id).revision
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Third")), revision)
    await user.open(f"/flows/{flow_id}?tab=versions")

    press(user, "Make live")
    await user.should_see("It is saved as version 3 first.")
    press(user, "Make version 1 live")
    await user.should_see("Version 1 is live and on the canvas.", retries=100)

    kept = site.database.read_now(get_version, site.workspace_id, flow_id, 3)
    assert "Third" in kept.document
    assert kept.note == "Was on the canvas before version 1 went live again"
    assert site.database.read_now(get_flow, site.workspace_id, flow_id).state == "Live"


async def test_steps_that_are_not_connected_are_not_taken_off_the_canvas_without_a_question(
    site: Site, user: User
) -> None:
    flow_id = second_version_live(site)
    draft_now = site.database.read_now(get_draft, site.workspace_id, flow_id)
    file = json.loads(draft_now.document)
    file["nodes"].append(parked_node())
    loose = Document.model_validate(file)
    site.database.write_now(save_draft, site.owner, flow_id, loose, draft_now.revision)
    await user.open(f"/flows/{flow_id}?tab=versions")

    press(user, "Put on the canvas")  # of version 1, which is not the one of the canvas
    await user.should_see("Steps that are not connected are in no version", retries=100)
    assert loose == load_document(site.database.read_now(get_draft, site.workspace_id, flow_id).document)


async def test_a_version_is_viewed_and_compared_with_the_canvas(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Hi {{ api_input.out.name }}")), 1)
    await user.open(f"/flows/{flow_id}")

    press(user, "Compare")
    await user.should_see("Callers get now: version 1", retries=100)
    assert _captions(user) == ["Callers get now: version 1", "What is on the canvas"]
    assert "Greet" in page_text(user)
    assert "Put on the canvas" in buttons(user)
    press(user, "Close")

    await user.open(f"/flows/{flow_id}?tab=versions")
    press(user, "View")
    await user.should_see("Callers get now: version 1", retries=100)


async def test_what_is_live_is_compared_with_a_draft_that_differs_also_when_there_are_older_versions(
    site: Site, user: User
) -> None:
    flow_id = second_version_live(site)
    revision = site.database.read_now(get_draft, site.workspace_id, flow_id).revision
    changed = document(greeting("Ahoy {{ api_input.out.name }}"))
    site.database.write_now(save_draft, site.owner, flow_id, changed, revision)
    await user.open(f"/flows/{flow_id}")

    press(user, "Compare")
    await user.should_see("Ahoy", retries=100)

    assert _captions(user) == ["Callers get now: version 2", "What is on the canvas"]


async def test_an_older_version_is_viewed_as_what_callers_would_get_in_place_of_now(site: Site, user: User) -> None:
    flow_id = second_version_live(site)
    await user.open(f"/flows/{flow_id}?tab=versions")

    press(user, "View")  # of version 1, the last in the list
    await user.should_see("Callers get now: version 2")

    assert _captions(user) == ["Callers get now: version 2", "Version 1"]
    said = texts(user)
    assert said.index("Hi api_input › name") < said.index("Hello api_input › name"), "what goes away stands first"
    assert any(text.endswith("by the command line. ") or "by the command line." in text for text in said)


async def test_a_version_with_very_many_differences_is_viewed_with_the_first_of_them(site: Site, user: User) -> None:
    def many(value: str) -> Document:
        file = greeting()
        file["nodes"][0]["config"]["samples"] = [
            {"title": "Large", "payload": {"name": {f"k{at}": f"{value} {at}" for at in range(5_000)}}}
        ]
        return document(file)

    flow_id = site.flow("Greeting")
    for revision, value in ((1, "old"), (2, "new")):
        site.database.write_now(save_draft, site.owner, flow_id, many(value), revision)
        site.database.write_now(save_version, site.owner, flow_id)
    await user.open(f"/flows/{flow_id}?tab=versions")

    press_named(user, "View version 3")  # compared with the one before
    await user.should_see("4,801 more are not listed.")
    assert texts(user).count("old 198") == 1
    assert "old 199" not in texts(user)


async def test_of_very_many_versions_the_newest_are_drawn_and_older_ones_at_a_press(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    for at in range(100):
        site.database.write_now(save_version, site.owner, flow_id, f"Note {at}")
    await user.open(f"/flows/{flow_id}?tab=versions")

    await user.should_see("Version 101")
    assert "View version 2" in labels(user)
    assert "View version 1" not in labels(user)
    press(user, "Older versions")
    await until(lambda: "View version 1" in labels(user))
    assert "Older versions" not in texts(user)


async def test_the_live_version_is_viewed_as_what_changed_since_the_version_before(site: Site, user: User) -> None:
    flow_id = second_version_live(site)
    await user.open(f"/flows/{flow_id}?tab=versions")

    views = sorted((one for one in user.find(kind=ui.button).elements if one.text == "View"), key=lambda one: one.id)
    UserInteraction(user, {views[0]}, None).click()  # of version 2, the first in the list
    await user.should_see("Callers get now: version 2")

    assert _captions(user) == ["Version 1", "Callers get now: version 2"]
    said = texts(user)
    assert said.index("Hello api_input › name") < said.index("Hi api_input › name"), "the older one stands first"


def _captions(user: User) -> list[str]:
    found = [one for one in user.find(kind=ui.element).elements if one.tag == "figcaption"]
    return [one.text for one in sorted(found, key=lambda one: one.id)]  # type: ignore[attr-defined]


async def test_the_list_of_versions_says_when_each_was_live(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    site.clock.offset += HOUR
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Hi")), 1)
    site.database.write_now(deploy, site.owner, flow_id)
    site.clock.offset += HOUR
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Bye")), 2)
    site.database.write_now(save_version, site.owner, flow_id)

    await user.open(f"/flows/{flow_id}?tab=versions")

    said = [text for text in texts(user) if text.startswith(("live ", "never live"))]
    assert said[0] == "never live"
    assert said[1].startswith("live since ")
    assert said[2].startswith("live from ")
    assert said[1].removeprefix("live since ") == said[2].rpartition(" to ")[2]
    assert "by the command line" in texts(user)


async def test_first_calls_from_before_another_version_went_live_stand_apart(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    ended(site, flow_id)
    site.clock.offset += HOUR
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Hi")), 1)
    site.database.write_now(deploy, site.owner, flow_id)

    await user.open(f"/flows/{flow_id}")
    await user.should_see("none yet")
    assert "Before version 2 went live:" in page_text(user)
    assert any(text.startswith("version 1, completed") for text in texts(user))

    ended(site, flow_id)
    await user.should_see("1 call", retries=100)
    shown = [text for text in texts(user) if text.startswith(("version ", "Before version"))]
    assert [text[:12] for text in shown] == ["version 2, c", "Before versi", "version 1, c"]


async def test_of_a_long_setting_the_part_that_differs_is_shown(site: Site, user: User) -> None:
    long = "Dear friend, " * 60
    flow_id = site.flow("Greeting", live=True, file=greeting(f"{long} old end"))
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting(f"{long} new end")), 1)
    await user.open(f"/flows/{flow_id}")
    press(user, "Compare")

    await user.should_see("What is on the canvas", retries=100)
    said = texts(user)
    at = said.index("old")
    assert said[at - 1].startswith("… Dear friend, ")
    assert said[at + 1 : at + 4] == [" to ", "new", " end"], "they are apart where they are copied or read aloud"
    assert "Template" in said, "the setting has the name that its form has"


async def test_two_versions_are_compared_with_each_other(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Hi {{ api_input.out.name }}")), 1)
    site.database.write_now(save_version, site.owner, flow_id)
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Bye {{ api_input.out.name }}")), 2)
    await user.open(f"/flows/{flow_id}?tab=versions")
    press(user, "View")  # of version 1, the last in the list
    await user.should_see("Bye api_input › name", retries=100)

    choice = next(
        box for box in user.find(kind=ui.select).elements if isinstance(box.options, dict) and 2 in box.options
    )
    choice.value = 2

    await until(lambda: _captions(user) == ["Callers get now: version 1", "Version 2"])
    await user.should_see("Hi api_input › name")
    await user.should_not_see("Bye api_input › name")
