"""The settings of an Approval: which values may be changed, and how long the question waits."""

from __future__ import annotations

from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User

from tests.ui.arrange import draft, until
from tests.ui.conftest import Site
from tests.ui.playground.inspector.test_inspector import opened

FLOW: dict[str, Any] = {
    "format": 1,
    "title": "Ask",
    "nodes": [
        {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "text", "type": "string"}]}},
        {
            "id": "approval",
            "type": "approval",
            "inputs": {"title": "Send it?", "values": {"Text": "{{ api_input.out.text }}", "To": "me"}},
            "config": {"editable": ["Text"], "expires_after_seconds": 7_200},
        },
    ],
    "edges": [{"id": "e1", "source": "api_input", "target": "approval"}],
}


@pytest.fixture
def flow_id(site: Site) -> str:
    return site.flow("Ask", saved=False, file=FLOW)


def config_of(site: Site, flow_id: str) -> dict[str, Any]:
    node = draft(site, flow_id).node("approval")
    assert node is not None
    return node.config


def switches(user: User) -> dict[str, ui.switch]:
    assert user.client is not None
    return {one.text: one for one in user.client.elements.values() if isinstance(one, ui.switch)}


async def test_a_value_is_changed_by_people_when_its_switch_is_on(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id, "approval")
    assert (switches(user)["Text"].value, switches(user)["To"].value) == (True, False)
    switches(user)["To"].value = True
    await until(lambda: config_of(site, flow_id)["editable"] == ["Text", "To"])
    switches(user)["Text"].value = False
    await until(lambda: config_of(site, flow_id)["editable"] == ["To"])


async def test_the_time_is_told_in_the_largest_unit_that_fits(site: Site, user: User, flow_id: str) -> None:
    await opened(user, flow_id, "approval")
    assert user.client is not None
    found = [one for one in user.client.elements.values() if one.props.get("aria-label") == "Time to answer"]
    (number,) = [one for one in found if isinstance(one, ui.number)]
    (unit,) = [
        one
        for one in user.client.elements.values()
        if isinstance(one, ui.select) and one.props.get("aria-label") == "Time to answer: unit"
    ]
    assert (number.value, unit.value) == (2, 3_600)
    unit.value = 86_400
    await until(lambda: config_of(site, flow_id)["expires_after_seconds"] == 172_800)
    number.value = 3
    await until(lambda: config_of(site, flow_id)["expires_after_seconds"] == 259_200)
