"""Search Knowledge in the inspector: an empty collection leads to its documents, and counts are read again."""

from __future__ import annotations

from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.actions.deployments import warnings_before_deploy
from engine.actions.knowledge import add_collection, add_text
from tests.ui.arrange import buttons, draft, page_text, until
from tests.ui.conftest import Site
from tests.ui.playground.test_dataset_nodes import open_node


async def test_an_empty_collection_offers_to_add_documents_until_another_tab_has(site: Site, user: User) -> None:
    collection = site.database.write_now(add_collection, site.owner, "Handbook")
    nodes = [
        {"id": "api_input", "type": "api_input"},
        {"id": "search", "type": "search_knowledge", "config": {"collection": collection}},
    ]
    edges = [{"id": "e1", "source": "api_input", "target": "search"}]
    flow_id = site.flow("Ask", file={"format": 1, "title": "Ask", "nodes": nodes, "edges": edges})
    await open_node(user, flow_id, "search", "Nothing is in this collection yet.")
    assert "Add documents" in buttons(user)
    warned = site.database.read_now(warnings_before_deploy, site.workspace_id, draft(site, flow_id))
    assert [one.problem.code for one in warned if one.problem.node_id == "search"] == ["empty_collection"]

    site.database.write_now(add_text, site.owner, collection, "Holidays", "Every employee has 28 days of holiday.")
    _come_back(user)

    await until(lambda: "Open it (1 piece)" in page_text(user))
    assert "Nothing is in this collection yet." not in page_text(user)


def _come_back(user: User) -> None:
    """Tells the page what the browser tells it when its window gets the focus."""
    assert user.client is not None
    found = {
        one for one in user.client.elements.values() if isinstance(one, ui.element) and "data-fp-back" in one.props
    }
    UserInteraction(user, found, None).trigger("fpback")
