"""The frame, drawn by NiceGUI without a browser: navigation, title, landmarks, search."""

from __future__ import annotations

import asyncio

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_simulation import user_simulation

from tests.ui.arrange import press_named


def _frame(**more: object) -> None:
    from ui.kit.frame import FramePerson, Hit, frame
    from ui.kit.parts import button, words

    flows = [Hit("Website analyzer", "/flows/flow_1", "Live v4"), Hit("Summarise a text", "/flows/flow_2")]
    more.setdefault("search", lambda text: [hit for hit in flows if text.lower() in hit.title.lower()])
    person = FramePerson(name="Mara Lindt", email="mara@example.com", role="owner", plan="Pro")
    with frame(
        "Saved Flows",
        active="flows",
        person=person,
        **more,  # type: ignore[arg-type]
    ) as page:
        if not more.get("rail"):
            with page.actions:
                button("New flow", kind="main")
        words("content")


def _links(user: User) -> dict[str, str]:
    from ui.kit.parts import Words

    client = user.client
    assert client is not None
    found = [element for element in client.elements.values() if isinstance(element, Words) and element.tag == "a"]
    return {
        next((child.text for child in element.descendants() if isinstance(child, Words)), element.text): str(
            element.props["href"]
        )
        for element in found
    }


def _tags(user: User) -> list[str]:
    client = user.client
    assert client is not None
    return [element.tag for element in client.elements.values()]


async def test_the_navigation_leads_to_the_six_places() -> None:
    async with user_simulation(root=_frame) as user:
        await user.open("/")

        links = _links(user)

    places = ("Start", "Flow Playground", "Saved Flows", "Templates", "Jobs", "Monitoring", "Settings")
    assert [links[place] for place in places] == [
        "/start",
        "/playground",
        "/flows",
        "/templates",
        "/jobs",
        "/monitoring",
        "/settings",
    ]


async def test_the_place_one_is_at_is_marked_for_screen_readers() -> None:
    async with user_simulation(root=_frame) as user:
        await user.open("/")
        client = user.client
        assert client is not None

        here = {str(element.props["href"]) for element in client.elements.values() if element.props.get("aria-current")}

    assert here == {"/flows"}


async def test_a_page_has_one_h1_a_title_and_its_actions() -> None:
    async with user_simulation(root=_frame) as user:
        await user.open("/")
        client = user.client
        assert client is not None

        await user.should_see("New flow")
        await user.should_see("content")
        assert _tags(user).count("h1") == 1
        assert client.title == "Saved Flows - Flowport"


async def test_the_rail_keeps_an_h1_that_is_not_seen() -> None:
    async with user_simulation(root=lambda: _frame(rail=True)) as user:
        await user.open("/")
        client = user.client
        assert client is not None

        headings = [element for element in client.elements.values() if element.tag == "h1"]

        assert len(headings) == 1
        assert "fp-hide" in headings[0].classes


async def test_what_the_icon_of_the_search_says_stands_beside_it() -> None:
    async with user_simulation(root=lambda: _frame(rail=True)) as user:
        await user.open("/")
        (tip,) = user.find(kind=ui.tooltip, content="Search (Ctrl+K)").elements

        assert tip.parent_slot is not None
        assert tip.parent_slot.parent.props.get("aria-label") == "Search"


async def test_the_menu_of_the_account_leads_to_the_docs() -> None:
    async with user_simulation(root=_frame) as user:
        await user.open("/")
        (docs,) = user.find(kind=ui.button, content="Docs").elements

        assert (docs.props["href"], docs.props["target"]) == ("/docs", "_blank")


async def test_signing_out_is_a_plain_form() -> None:
    async with user_simulation(root=_frame) as user:
        await user.open("/")
        client = user.client
        assert client is not None

        forms = [element for element in client.elements.values() if element.tag == "form"]

        assert {(form.props["method"], form.props["action"]) for form in forms} == {("post", "/sign-out")}


async def test_the_search_finds_flows_by_title() -> None:
    async with user_simulation(root=_frame) as user:
        await user.open("/")
        next(iter(user.find(kind=ui.input).elements)).set_value("analyzer")

        await user.should_see("Live v4")
        await user.should_not_see("Summarise a text")


async def test_initials_of_a_person_without_a_name_are_of_the_address() -> None:
    from ui.kit.frame import FramePerson

    assert FramePerson(name="Mara Lindt", email="mara@example.com").initials == "ML"
    assert FramePerson(name="", email="mara@example.com").initials == "M"


async def test_the_menu_of_small_screens_leads_to_the_same_places_and_is_drawn_once() -> None:
    async with user_simulation(root=_frame) as user:
        await user.open("/")
        before = _paths(user)
        for _ in range(2):
            press_named(user, "Menu")
        after = _paths(user)

    assert after == before + before[1:]  # the skip link is added once


def _paths(user: User) -> list[str]:
    client = user.client
    assert client is not None
    return [str(element.props["href"]) for element in client.elements.values() if "href" in element.props]


async def test_what_is_found_late_does_not_stand_in_place_of_what_was_typed_since() -> None:
    from ui.kit.frame import Hit

    asked, slow = asyncio.Event(), asyncio.Event()

    async def search(text: str) -> list[Hit]:
        if not text:
            asked.set()
            await slow.wait()
        return [Hit(f"Found for {text or 'nothing'}", "/flows/flow_1")]

    async with user_simulation(root=lambda: _frame(search=search)) as user:
        await user.open("/")
        press_named(user, "Search")
        await asked.wait()
        next(iter(user.find(kind=ui.input).elements)).set_value("summ")
        await user.should_see("Found for summ")
        slow.set()
        for _ in range(20):  # lets pending tasks run
            await asyncio.sleep(0)
        await user.should_not_see("Found for nothing")
        await user.should_see("Found for summ")


@pytest.mark.parametrize(("path", "apart"), [("/docs", True), ("/docs/guides/webhooks", True), ("/docsets", False)])
async def test_a_help_page_opens_in_a_new_tab_and_says_so(path: str, apart: bool) -> None:
    from ui.kit.parts import link

    async with user_simulation(root=lambda: link("How to", path)) as user:
        await user.open("/")
        (anchor,) = user.find(content="How to").elements
        signs = [one.props.get("name") for one in anchor.descendants() if isinstance(one, ui.icon)]
        assert (anchor.props.get("target") == "_blank") is apart
        assert signs == (["sym_o_open_in_new"] if apart else [])
