"""A Prompt that names a missing connection is a problem in the Playground, and the deploy dialog links to its node."""

from __future__ import annotations

from nicegui.testing import User

from tests.factories import greeting
from tests.ui.arrange import page_text, press
from tests.ui.conftest import Site


async def test_a_connection_that_does_not_exist_is_a_problem_of_its_node(site: Site, user: User) -> None:
    file = greeting()
    file["nodes"][1] = {
        "id": "prompt",
        "type": "prompt",
        "label": "Ask",
        "config": {"model": "lost:small"},
        "inputs": {"prompt": "Greet {{ api_input.out.name }}"},
    }
    file["edges"][0]["target"] = "prompt"
    flow_id = site.flow("Asking", file=file)

    await user.open(f"/playground/{flow_id}")
    assert "Connection “lost” does not exist." in page_text(user)

    await user.open(f"/flows/{flow_id}")
    press(user, "Deploy API")
    await user.should_see("Asking cannot be deployed yet", retries=100)
    assert user.client is not None
    links = [element.props.get("href") for element in user.client.elements.values() if element.tag == "a"]
    assert f"/playground/{flow_id}?node=prompt" in links
