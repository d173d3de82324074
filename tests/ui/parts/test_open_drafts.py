"""What is derived from an open draft: once for each change, however many tabs show it."""

from __future__ import annotations

from engine.actions.flows import save_draft
from engine.flow.document import Document, Node
from storage.flows import get_draft
from tests.factories import document, greeting
from tests.ui.conftest import Site
from ui.parts.open_drafts import OpenDraft


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
