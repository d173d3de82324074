"""Warns that a flow answers from the practice documents of a template, with the button that leads to one's own."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.flow.document import Document
from engine.flow.validation import without_parked
from engine.knowledge.samples import is_sample, sample_titles
from storage.knowledge import list_collections, list_sources
from ui.kit.parts import link_button, note
from ui.kit.text import _
from ui.page_session import PageSession


class Practice(Struct, frozen=True):
    """The first step that searches practice documents; `node_id` is empty when none does."""

    flow_id: str
    node_id: str


def load_practice(session: Session, workspace_id: str, flow_id: str, document: Document) -> Practice:
    """Looks for a step whose collection has the name and only the documents of a template."""
    named = {
        node.id: str(node.config["collection"])
        for node in without_parked(document).nodes
        if node.type == "search_knowledge" and node.config.get("collection")
    }
    if not named:
        return Practice(flow_id, "")
    practice = {
        key
        for one in list_collections(session, workspace_id)
        if one.sources
        and is_sample(one.name)
        and {source.name for source in list_sources(session, workspace_id, one.id)} <= sample_titles(one.name)
        for key in (one.id, one.name)
    }
    return Practice(flow_id, next((node_id for node_id, name in named.items() if name in practice), ""))


def practice_note(page_session: PageSession, practice: Practice) -> None:
    """Draws the warning; nothing when no step searches practice documents."""
    if not practice.node_id:
        return
    with note(
        _("They only show how it works. Choose a collection with documents of your own first."),
        kind="warn",
        icon="library_add",
        strong=_("Answers come from the practice documents."),
    ).classes("fp-note--act"):
        if page_session.may("edit flows"):
            place = f"/playground/{practice.flow_id}?node={practice.node_id}"
            link_button(_("Use my documents"), place, icon="upload_file", small=True)
