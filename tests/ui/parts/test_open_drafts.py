"""An open draft: what is derived from it, once for each change, and the order in which it takes the messages of a page."""

from __future__ import annotations

import pytest
from nicegui.testing import User

from engine.actions.flows import save_draft
from engine.flow.document import Document, Node
from engine.flow.edits import EditRefused, Op
from storage.flows import get_draft
from tests.factories import document, greeting
from tests.ui.arrange import draft as stored
from tests.ui.arrange import open_page, press
from tests.ui.conftest import Site
from ui.parts.open_drafts import Drafts, OpenDraft, Turn, drafts_of


def named(label: str) -> list[Op]:
    return [{"op": "updateNode", "id": "api_input", "before": {}, "after": {"label": label}}]


def test_tabs_share_what_is_derived_from_a_draft_until_it_or_what_it_refers_to_changes() -> None:
    draft = OpenDraft("flow_1", document(greeting()), 1, 0)
    made: list[Document] = []

    def count(seen: Document) -> int:
        made.append(seen)
        return len(made)

    assert [draft.derive("as read", count) for _ in range(3)] == [1, 1, 1]
    assert draft.derive("read again", count) == 2
    draft.document = document(greeting())
    assert [draft.derive("read again", count) for _ in range(2)] == [3, 3]
    assert len(made) == 3


async def test_a_draft_with_a_number_of_more_than_64_bits_opens_with_it_as_a_text(site: Site) -> None:
    flow_id = site.flow("Large")
    large = Document(nodes=(Node(id="set_fields", type="set_fields", inputs={"a": 1 << 70}),))
    site.database.write_now(save_draft, site.owner, flow_id, large, 1)
    row = site.database.read_now(get_draft, site.workspace_id, flow_id)
    draft = OpenDraft(flow_id, Document(), 0, 0, site.workspace_id)
    await draft.read_newer(site.database, row.revision)
    assert draft.document.nodes[0].inputs == {"a": str(1 << 70)}


@pytest.mark.parametrize("fields", [5, [{"name": "a", "type": "object", "fields": 5}]])
async def test_a_draft_whose_fields_have_a_wrong_form_opens_and_can_be_mended(
    site: Site, user: User, fields: object
) -> None:
    flow_id = site.flow("Wrong", live=True)
    wrong = Document(nodes=(Node(id="api_input", type="api_input", config={"fields": fields}),))
    site.database.write_now(save_draft, site.owner, flow_id, wrong, 1)
    for path in (f"/playground/{flow_id}?node=api_input", f"/flows/{flow_id}"):
        await user.open(path)
        await user.should_see("Wrong")


async def test_a_draft_that_a_page_is_still_being_built_with_stays_the_shared_one(site: Site, user: User) -> None:
    flow_id, page, drafts = site.flow("Greeting"), open_page(site, user), Drafts()
    built = await drafts.open(page, flow_id)
    async with drafts.borrowed(page, flow_id) as draft:
        await draft.settled()
    other = await drafts.open(page, flow_id)
    assert other is built
    assert drafts.shown == {flow_id}

    drafts.leave(other, "other")
    assert drafts.shown == {flow_id}
    drafts.leave(built, "tab")
    assert drafts.shown == set()


async def test_a_version_put_on_the_canvas_is_shown_by_a_playground_that_is_open(site: Site, user: User) -> None:
    flow_id, page = site.flow("Greeting"), open_page(site, user)
    tab = await drafts_of(site.app).open(page, flow_id)
    await tab.change(page, "tab", named("Second"))
    await tab.save(page)
    heard: list[str] = []
    tab.listeners["tab"] = lambda ops, *_said: heard.append(ops[0]["op"])

    await user.open(f"/flows/{flow_id}?tab=versions")
    press(user, "Put on the canvas")  # of version 1
    await user.should_see("Version 1 is on the canvas.")

    assert heard == ["updateNode"]
    assert tab.document == stored(site, flow_id)
    assert tab.document.nodes[0].label != "Second"
    assert await tab.save(page) == 3
    drafts_of(site.app).leave(tab, "tab")


async def test_a_message_of_a_page_that_does_not_follow_on_the_last_one_changes_nothing(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    page = open_page(site, user)
    draft = await Drafts().open(page, flow_id)

    draft.number_from("tab", 7)  # the page was loaded again: its numbers go on
    assert await draft.change_in_turn(page, "tab", named("Ninth"), 9) is Turn.EARLY
    assert draft.seen["tab"] == 7
    assert await draft.change_in_turn(page, "tab", named("Eighth"), 8) is Turn.NEXT
    assert await draft.change_in_turn(page, "tab", named("Ninth"), 9) is Turn.NEXT
    assert await draft.change_in_turn(page, "tab", named("Eighth"), 8) is Turn.SEEN
    assert stored(site, flow_id).nodes[0].label == "Ninth"

    with pytest.raises(EditRefused):
        await draft.change_in_turn(page, "tab", [{"op": "addNode", "node": {}}], 10)
    assert await draft.change_in_turn(page, "tab", [{"op": "addNode", "node": {}}], 10) is Turn.SEEN
    assert await draft.change_in_turn(page, "tab", named("Eleventh"), 11) is Turn.NEXT

    # A server that was started again knows no tab: the first message counts.
    assert await draft.change_in_turn(page, "other tab", named("Theirs"), 5) is Turn.NEXT
    assert stored(site, flow_id).nodes[0].label == "Theirs"
