"""Edits that a browser kept because the server did not acknowledge them, and sends when the page is loaded again."""

from __future__ import annotations

from typing import Any

from nicegui.testing import User

from engine.flow.edits import Op
from tests.ui.arrange import draft, until
from tests.ui.conftest import Site
from tests.ui.playground.test_warnings import canvas


def kept(seq: int, op: Op) -> dict[str, Any]:
    return {"seq": seq, "clientId": "before", "baseRev": 99, "reason": "edit", "ops": [op]}


def named(label: str) -> Op:
    return {"op": "updateNode", "id": "api_input", "before": {}, "after": {"label": label}}


async def test_a_kept_edit_that_is_refused_is_told_and_the_others_are_made(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", saved=False)
    await user.open(f"/playground/{flow_id}")

    canvas(user).trigger("kept", kept(1, {"op": "addNode", "node": {"id": "system", "type": "prompt"}}))
    canvas(user).trigger("kept", kept(2, named("Kept")))
    canvas(user).trigger("kept", {"seq": 3, "clientId": "before", "tooLarge": True})
    canvas(user).trigger("ready", {"flowId": flow_id, "seq": 3, "kept": 3})

    await until(lambda: draft(site, flow_id).nodes[0].label == "Kept")
    await user.should_see("cannot be a node's id.")
    await user.should_see("Some of the edits that this browser had kept cannot be read.")
