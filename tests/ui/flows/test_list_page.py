"""Saved Flows: labels of states, the actions of a row, and importing a file."""

from __future__ import annotations

import asyncio
from typing import Any

from nicegui import ui
from nicegui.testing import User
from sqlalchemy.orm import Session

from engine.actions.deployments import deploy, undeploy
from engine.actions.flows import export_flow, restore_version, save_draft
from engine.actions.hooks import add_hook
from engine.actions.jobs import submit
from engine.actions.keys import create_key
from engine.actions.schedules import add_schedule
from engine.core.environments import Environment
from engine.flow.yaml_files import as_yaml
from engine.jobs.submit.accept import Caller
from storage.flows import list_flows
from storage.tables import Flow
from tests.factories import as_bytes, document, greeting
from tests.ui.arrange import choose, ended, hrefs, newest_button, page_text, press, texts, until
from tests.ui.conftest import Site
from tests.ui.playground.runs import playground_run
from ui.flows.list_page import AT_FIRST


async def test_each_flow_stands_there_with_its_state_in_words(site: Site, user: User) -> None:
    site.flow("Never saved", saved=False)
    site.flow("Only saved")
    live = site.flow("On line", live=True)
    off = site.flow("Switched off", live=True)
    site.database.write_now(undeploy, site.owner, off)
    ahead = site.flow("Ahead", live=True)
    site.database.write_now(save_draft, site.owner, ahead, document(greeting("Hi")), 1)
    ended(site, live, "failed")

    await user.open("/flows")

    said = texts(user)
    for state in ("Not saved yet", "Not deployed", "Live v1", "Draft differs", "Undeployed"):
        assert state in said
    assert "Draft, kept by itself" in said, "a flow without a version is not lost"
    assert "4 flows and 1 draft, 2 live. A click opens the page of a flow." in said
    assert any(text.startswith("Failed, ") for text in said)
    assert "100 %" in said


async def test_a_row_that_changes_keeps_its_place_while_the_page_is_open(site: Site, user: User) -> None:
    first, second, third = (site.flow(title, live=True) for title in ("First", "Second", "Third"))
    site.database.write_now(_changed_at, {first: 3, second: 2, third: 1})
    await user.open("/flows")
    before = [path for path in hrefs(user) if path in {f"/flows/{one}" for one in (first, second, third)}]
    assert before[0] == f"/flows/{first}"

    site.database.write_now(undeploy, site.owner, third)
    await until(lambda: "Undeployed" in texts(user))

    assert [path for path in hrefs(user) if path in before] == before


def _changed_at(session: Session, at: dict[str, int]) -> None:
    for flow_id, moment in at.items():
        session.get_one(Flow, flow_id).updated_at = moment


async def test_a_flow_that_was_rolled_back_has_no_newer_draft_to_deploy(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Hi")), 1)
    site.database.write_now(deploy, site.owner, flow_id)
    site.database.write_now(deploy, site.owner, flow_id, version=1)

    await user.open("/flows")
    assert "Draft differs" in texts(user)
    assert "Update API" not in page_text(user)

    site.database.write_now(restore_version, site.owner, flow_id, 1)
    await user.open("/flows")
    assert "Draft differs" not in texts(user)


async def test_titles_get_the_width_that_states_and_buttons_do_not_need(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open("/flows")
    narrow = _widths(user)
    site.database.write_now(save_draft, site.owner, flow_id, document(greeting("Hi")), 1)

    await user.open("/flows")

    assert [wide > small for wide, small in zip(_widths(user), narrow, strict=True)] == [
        True,
        False,
        False,
        False,
        True,
    ]


def _widths(user: User) -> list[int]:
    heads = sorted((one for one in user.find(kind=ui.element).elements if one.tag == "th"), key=lambda one: one.id)
    return [int(one.style["width"].removesuffix("px")) for one in heads if "width" in one.style]


async def test_the_list_follows_what_is_typed(site: Site, user: User) -> None:
    site.flow("Website analyzer")
    site.flow("Summarise a text")
    await user.open("/flows")

    user.find("Find a flow").type("summ")

    assert "Summarise a text" in page_text(user)
    await user.should_not_see("Website analyzer")


async def test_flows_with_the_same_title_say_when_they_were_made_and_how_their_address_ends(
    site: Site, user: User
) -> None:
    same = [site.flow("Page to clean text", live=True) for _ in range(2)]
    site.flow("Summarise a text")
    await user.open("/flows")

    told = [text for text in texts(user) if ", address …" in text]

    assert sorted(text.rpartition("…")[2] for text in told) == sorted(one[-5:] for one in same)
    assert all(text.startswith("Made ") for text in told)


async def test_of_very_many_flows_the_first_are_drawn_and_the_rest_on_request(site: Site, user: User) -> None:
    for place in range(AT_FIRST + 2):
        site.flow(f"Flow {place:02}")
    await user.open("/flows")
    assert "Flow 41" in page_text(user)
    assert "Flow 00" not in page_text(user)

    press(user, "Show all")
    await user.should_see("Flow 00")


async def test_a_deleted_live_flow_wants_its_title_typed_first(site: Site, user: User) -> None:
    site.flow("Precious", live=True)
    await user.open("/flows")

    choose(user, "Delete...")
    await user.should_see("Delete Precious?")
    assert not newest_button(user, "Delete").enabled
    press(user, "Delete")

    assert [flow.title for flow in site.database.read_now(list_flows, site.workspace_id)] == ["Precious"]


async def test_the_question_before_a_flow_is_deleted_names_what_is_bound_to_it(site: Site, user: User) -> None:
    flow_id, other = site.flow("Precious", live=True), site.flow("Other", live=True)
    write = site.database.write_now
    key = write(create_key, site.owner, "Shop", Environment.LIVE, flow_ids=[flow_id])
    write(create_key, site.owner, "Elsewhere", Environment.LIVE, flow_ids=[other])
    for name in "ab":
        write(submit, Caller(site.workspace_id, key.id, "live"), flow_id, {"name": name})
    timing = {"kind": "weekly", "days": [1], "time": "09:00"}
    write(add_schedule, site.owner, flow_id, "", timing, "UTC", {"kind": "input", "payload": {"name": "x"}})
    write(add_hook, site.owner, site.app.vault, flow_id, "A shop", "link", {})
    await user.open(f"/flows/{flow_id}")

    choose(user, "Delete...")
    await user.should_see("It had 2 calls in the last 30 days. 1 key is made for it; their calls of it fail")
    await user.should_see("1 schedule of it will be gone, too.")
    await user.should_see("1 incoming webhook of it will be gone, too")


async def test_a_flow_that_others_call_says_so_and_wants_its_title_typed_before_it_is_deleted(
    site: Site, user: User
) -> None:
    called = site.flow("Called")
    caller = greeting()
    caller["nodes"][1] = {"id": "call_flow", "type": "call_flow", "config": {"flow_id": called}}
    caller["edges"] = []
    site.flow("Caller", saved=False, file=caller)
    await user.open("/flows")

    choose(user, "Delete...")
    await user.should_see("1 flow uses it: Caller. The steps that use it fail from then on.")
    assert not newest_button(user, "Delete").enabled


async def test_a_file_with_problems_is_refused_with_all_of_them(site: Site, user: User) -> None:
    file = greeting()
    file["nodes"][1]["wrong"] = 1
    file["edges"].append({"id": "e2", "source": "nobody", "target": "text_template"})
    await user.open("/flows")

    await upload(user, "mine.json", as_bytes(file))
    await user.should_see("mine.json was not imported")

    assert "wrong" in page_text(user)
    assert "nobody" in page_text(user)
    assert site.database.read_now(list_flows, site.workspace_id) == []


async def test_a_file_with_half_a_character_is_refused_with_a_sentence(site: Site, user: User) -> None:
    file = greeting()
    file["nodes"][1]["inputs"] = {"template": "cut \ud83d"}
    await user.open("/flows")

    await upload(user, "cut.json", as_bytes(file))
    await user.should_see("cut.json was not imported", retries=100)

    assert "half of a character" in page_text(user)
    assert site.database.read_now(list_flows, site.workspace_id) == []


async def test_the_first_two_hundred_problems_of_a_file_are_listed(site: Site, user: User) -> None:
    nodes = [{"id": f"n{number}", "type": "rocket"} for number in range(300)]
    await user.open("/flows")

    await upload(user, "rockets.json", as_bytes({"format": 1, "nodes": nodes}))
    await user.should_see("rockets.json was not imported", retries=100)

    assert page_text(user).count("There is no kind of node") == 200
    assert "102 more are not listed." in page_text(user)


async def test_a_good_file_becomes_a_flow_and_its_page_opens(site: Site, user: User) -> None:
    await user.open("/flows")
    file = greeting()
    del file["title"]

    await upload(user, "From a friend.flow.json", as_bytes(file))
    await user.should_see("From a friend", retries=100)

    (flow,) = site.database.read_now(list_flows, site.workspace_id)
    assert (flow.title, flow.newest_version) == ("From a friend", 1)
    await user.should_see("Imported as “From a friend”.")
    await user.open("/flows")
    choose(user, "Export")
    await user.should_see("Saved as from-a-friend.flow.json.")


async def test_a_flow_comes_back_from_yaml_as_it_went_out(site: Site, user: User) -> None:
    flow_id = site.flow("Morning greeting")
    file = site.database.read_now(lambda session: export_flow(session, site.owner, flow_id))

    await user.open("/flows")
    await upload(user, "greeting.flow.yaml", as_yaml(file.model_copy(update={"title": "Evening greeting"})).encode())
    await user.should_see("Evening greeting", retries=100)

    flows = site.database.read_now(list_flows, site.workspace_id)
    assert len(flows) == 2
    files = [
        site.database.read_now(lambda session, flow=flow: export_flow(session, site.owner, flow.id)) for flow in flows
    ]
    assert [one.document for one in files] == [file.document] * 2


async def test_one_file_of_a_person_is_read_at_a_time(site: Site, user: User) -> None:
    await user.open("/flows")

    await asyncio.gather(*(upload(user, f"{title}.json", as_bytes(greeting(title=title))) for title in ("1st", "2nd")))
    await user.should_see("2nd.json was not imported.", retries=100)

    await until(lambda: [one.title for one in site.database.read_now(list_flows, site.workspace_id)] == ["1st"])


async def test_yaml_that_cannot_be_read_says_where(site: Site, user: User) -> None:
    await user.open("/flows")
    await upload(user, "greeting.yml", b"format: 1\nformat: 1\n")
    await user.should_see("stands here twice (line 2)", retries=100)


async def test_a_flow_that_yaml_makes_too_large_is_not_exported_as_yaml(site: Site, user: User) -> None:
    lines: Any = "x\n" * 80_000
    for _level in range(20):
        lines = {"a": lines}
    file = greeting("Hi")
    file["nodes"][0]["config"]["samples"] = [{"title": "Deep", "payload": lines}]
    site.flow("Deep", file=file)
    await user.open("/flows")

    choose(user, "Export as YAML")
    await user.should_see("This flow is too large for a YAML file that could be imported again", retries=200)

    assert "Export it as JSON." in page_text(user)
    assert user.download.http_responses == []
    choose(user, "Export")
    assert (await user.download.next()).content


async def upload(user: User, name: str, data: bytes) -> None:
    """Uploads a file with the Import button."""
    button = min(user.find(kind=ui.upload).elements, key=lambda element: element.id)
    await button.handle_uploads([ui.upload.SmallFileUpload(name, "application/json", data)])


async def test_a_saved_flow_that_ran_in_the_playground_was_tried(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    await user.open("/flows")
    assert "None yet" in page_text(user)
    playground_run(site, flow_id, {"name": "Ada"})
    await user.open("/flows")
    assert "Tried, not called yet" in page_text(user)
