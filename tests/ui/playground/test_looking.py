"""Tests of the Playground as somebody sees it who may only look."""

from __future__ import annotations

from tests.ui.arrange import buttons, page_text
from tests.ui.conftest import Site


async def test_the_sidebar_leads_a_viewer_to_a_flow_that_cannot_be_changed(site: Site) -> None:
    site.flow("Letter")
    site.flow("Invoice", live=True)
    user = await site.sign_in("viewer")
    await user.open("/playground")
    await user.should_see("View only")
    text = page_text(user)
    assert "Letter" in text
    assert "Invoice" in text
    assert "Find a node" not in text
    assert not {"Save", "Save As", "Deploy API", "Update API", "Add a node"} & set(buttons(user))


async def test_a_viewer_of_an_empty_flowport_reads_that_there_is_no_flow_yet(site: Site) -> None:
    user = await site.sign_in("viewer")
    await user.open("/playground")
    await user.should_see("There is no flow to look at yet")


async def test_an_editor_sees_the_palette_and_no_badge(site: Site) -> None:
    flow_id = site.flow("Letter")
    user = await site.sign_in("editor")
    await user.open(f"/playground/{flow_id}")
    await user.should_see("Prompt")
    await user.should_not_see("View only")
