"""What is derived from an open draft: once for each change, however many tabs show it."""

from __future__ import annotations

from engine.flow.document import Document
from tests.factories import document, greeting
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
