"""A viewer's pages draw no control that does nothing for them, and no field that takes typing in vain.

What a viewer may use is listed here: search, theme and own account, filters and views, copies and downloads, links. All
else on their pages is text, or a field that says that it is read-only, or a switched-off control.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from nicegui import Client
from nicegui.element import Element
from nicegui.testing.user_interaction import UserInteraction

from storage.tables import User as UserRow
from tests.factories import greeting
from tests.logical_time import pass_time
from tests.ui.arrange import page_text
from tests.ui.conftest import Site
from tests.ui.test_viewer import WALKS, arrange
from ui.kit.places import places_for

#: What may be typed into, chosen or switched, by its name for screen readers.
FIELDS = {
    "Find a flow, a page or what you want to do",
    "Find a flow",
    "Find a template",
    "Find a dataset",
    "Search in the rows",
    "Search in jobs",
    "What it does",
    "No model needed",
    "Status",
    "Flow",
    "Environment",
    "Key",
    "Key in the code",
    "Time",
    "From",
    "To",
    "Reason",
    "Level",
    "Node",
    "Sample",
    "Raw form",
}
#: Buttons and menu items, by the beginning of their names.
BUTTONS = (
    "Menu",
    "Search",
    "Account:",
    "Your account",
    "Docs",
    "Sign out",
    "Theme",
    "Light",
    "Dark",
    "As the system",
    "More for ",
    "Open",
    "Export",
    "Copy",
    "Download",
    "View version ",
    "All flows",
    "Templates with an approval",
    "No problems",
    "Problems",
    "4 problems",
    "Versions",
    "Version ",
    "Draft differs",
    "Larger Run panel",
    "Sample before",
    "Next sample",
    "Close",
    "Explain: ",
    "See the step",
    "Show refused calls",
    "Show the text to pass on",
    "Flow: ",
    "Key: ",
    "All keys",
    "All of ",
    "Shop, Production",
    "Playground runs",
    "Greeting",
)
TYPED = {"Input", "Textarea", "Select", "Number", "Switch", "Checkbox", "Radio", "BindingField", "Codemirror"}


def name_of(element: Element) -> str:
    """The name that a screen reader says."""
    named = element.props.get("aria-label") or element.props.get("label") or getattr(element, "text", "")
    return str(named or next((text for one in element.descendants() if (text := getattr(one, "text", ""))), ""))


def usable(client: Client) -> Iterator[tuple[Element, bool]]:
    """The visible controls that are neither switched off nor read-only, and whether they are fields."""
    for element in client.elements.values():
        kind = type(element).__name__
        typed = kind in TYPED
        if not typed and kind not in {"Button", "MenuItem"} and element.tag != "button":
            continue
        off = any(element.props.get(prop) for prop in ("readonly", "disable", "disabled"))
        looks = (
            "fp-found" in element.classes or "aria-expanded" in element.props
        )  # shows a field, unfolds what is below
        if not off and not looks and all(one.visible for one in element.ancestors(include_self=True)):
            yield element, typed


def in_vain(client: Client) -> list[str]:
    """The controls of the page that are not on the lists."""
    return [
        f"{type(element).__name__} {name_of(element)!r}"
        for element, typed in usable(client)
        if not (name_of(element) in FIELDS if typed else name_of(element).startswith(BUTTONS))
    ]


#: A flow with every kind of field: bindings, lists, groups, rules, secrets, models, datasets, samples.
NODES = [
    {
        "id": "api_input",
        "type": "api_input",
        "config": {
            "fields": [{"name": "name", "type": "string", "required": True}],
            "samples": [{"title": "Ann", "payload": {"name": "Ann"}}, {"title": "Bob", "payload": {"name": "Bob"}}],
        },
    },
    {
        "id": "http_request",
        "type": "http_request",
        "config": {"method": "POST", "secret_headers": {"Authorization": "sec_1"}},
        "inputs": {"url": "https://example.com", "headers": {"X-One": "1"}, "body": {"a": ["b"]}},
    },
    {
        "id": "condition",
        "type": "condition",
        "inputs": {"rules": [{"left": "{{ api_input.out.name }}", "operator": "contains", "right": "a"}]},
    },
    {"id": "set_fields", "type": "set_fields", "inputs": {"one": "x", "two": ["a", {"b": 1}]}},
    {"id": "prompt", "type": "prompt", "config": {"model": "simulated"}, "inputs": {"prompt": "Hello"}},
    {"id": "dataset_sink", "type": "dataset_sink"},
    {"id": "search_knowledge", "type": "search_knowledge", "config": {"sources": ["Terms"]}},
    {"id": "group_count", "type": "group_count", "config": {"by": "kind", "measures": [{"field": "a", "name": "b"}]}},
]


def owned(site: Site) -> None:
    """Adds an owner whom a viewer can ask: Mara Lindt."""
    site.database.write_now(
        lambda session: session.add(
            UserRow(
                id="user_mara",
                workspace_id=site.workspace_id,
                email="mara@example.com",
                name="Mara Lindt",
                role="owner",
                created_at=1,
            )
        )
    )


@pytest.mark.parametrize("paths", WALKS, ids=lambda paths: paths[0])
async def test_every_control_of_a_viewers_pages_does_something(site: Site, paths: tuple[str, ...]) -> None:
    ids = arrange(site)
    user = await site.sign_in("viewer")

    found = {path: in_vain(await user.open(path.format(**ids))) for path in paths}

    assert {path: controls for path, controls in found.items() if controls} == {}


async def test_every_field_of_a_node_says_that_a_viewer_cannot_change_it(site: Site) -> None:
    flow_id = site.flow(file=greeting(nodes=NODES, edges=[]))
    user = await site.sign_in("viewer")
    found = {}
    for node in NODES:
        client = await user.open(f"/playground/{flow_id}?node={node['id']}")
        canvas = {one for one in client.elements.values() if type(one).__name__ == "EditableCanvas"}
        UserInteraction(user, canvas, None).trigger("ready", {"flowId": flow_id, "seq": 0, "kept": 0})
        await user.should_see("Editors and owners can change this.")
        await pass_time(0.5)
        found[node["id"]] = in_vain(client)

    assert {node: controls for node, controls in found.items() if controls} == {}


async def test_the_same_lists_find_what_an_editor_may_do(site: Site) -> None:
    """Guards the tests above: they would prove nothing if they saw no control at all."""
    ids = arrange(site)
    user = await site.sign_in("editor")

    settings = in_vain(await user.open(f"/flows/{ids['flow']}?tab=settings"))
    drawing = in_vain(await user.open(f"/playground/{ids['flow']}"))

    assert "Button 'Save the limit'" in settings
    assert "Switch 'Offer this flow as a tool'" in settings
    assert {"Button 'Save'", "Button 'Run'"} <= set(drawing)


async def test_a_viewer_is_told_whom_to_ask(site: Site) -> None:
    ids = arrange(site)
    user = await site.sign_in("viewer")
    owned(site)
    for path, said in {
        "/flows/{flow}?tab=triggers": "Editors and owners can add schedules. Ask: Mara Lindt (mara@example.com).",
        "/flows/{flow}?tab=settings": "Editors and owners can change this. Ask: Mara Lindt (mara@example.com).",
        "/flows/{flow}": "Editors and owners can send calls from here. Ask: Mara Lindt (mara@example.com).",
        "/playground/{flow}": "You can look at this flow; editors and owners run it. Ask: Mara Lindt",
        "/jobs/{job}": "Editors and owners can change the flow. Ask: Mara Lindt (mara@example.com).",
        "/settings/keys": "Editors and owners make, change and revoke keys. Ask: Mara Lindt (mara@example.com).",
        "/settings/models": "Owners set up models and secrets. Ask: Mara Lindt (mara@example.com).",
        "/settings/limits": "Owners change the plan. Ask: Mara Lindt (mara@example.com).",
        "/settings/team": "Owners invite people and change roles. Ask: Mara Lindt (mara@example.com).",
        "/settings/server": "Owners set this up. Ask: Mara Lindt (mara@example.com).",
        "/templates": "Editors and owners begin with one. Ask: Mara Lindt (mara@example.com).",
        "/start": "Editors and owners make flows, from these or from nothing. Ask: Mara Lindt (mara@example.com).",
    }.items():
        await user.open(path.format(**ids))
        assert said in page_text(user), path
        assert "Viewer, Free plan" in page_text(user) or path.startswith("/playground")


async def test_a_viewer_sees_a_failed_step_and_is_offered_no_change_of_it(site: Site) -> None:
    ids = arrange(site)
    user = await site.sign_in("viewer")
    client = await user.open(f"/jobs/{ids['job']}")

    names = {name_of(element) for element, _typed in usable(client)}

    assert "See the step" in names
    assert not names & {"Go on with a default text", "Change Greet"}


@pytest.mark.parametrize("role", ["viewer", "editor", "owner"])
def test_the_search_says_who_does_what_the_role_may_not_do(role: str) -> None:
    places = {place.title: place for place in places_for(role, "Mara Lindt")}

    locked = {title: place.who for title, place in places.items() if place.who}

    assert all(places[title].path == "/settings/team" for title in locked)
    assert {"viewer": "Editors and owners do this. Ask: Mara Lindt"}.get(role) == locked.get("New flow")
    invite = locked.get("Invite somebody")
    assert invite == (None if role == "owner" else "Owners do this. Ask: Mara Lindt")
    assert "See what failed" not in locked


async def test_the_steps_of_a_flow_have_no_menu_and_no_keys_that_a_viewer_may_not_use(site: Site) -> None:
    user = await site.sign_in("viewer")
    client = await user.open(f"/playground/{site.flow()}")
    (steps,) = [one for one in client.elements.values() if type(one).__name__ == "StepsList"]
    UserInteraction(user, {steps}, None).trigger("shown", True)
    await pass_time(0.3)

    assert [row["may"] for row in steps.props["rows"]] == [["open"], ["open"]]
    assert steps.props["words"]["keys"] == "Arrows go from step to step."
