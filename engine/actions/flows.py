"""Verbs of flows: create, import, save, rename, duplicate, delete, export (product.md section 5).

Nothing a flow names is run, imported or fetched by any of them (security.md S1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy.orm import Session

from engine.actions.called_flows import read_library
from engine.actions.datasets import known_datasets
from engine.actions.principal import Principal, require_may
from engine.core.errors import FieldError, FlowInvalid, Invalid, Problem, VersionConflict
from engine.core.ids import FlowId
from engine.flow.called import call_problems, unpinned
from engine.flow.document import (
    MAX_BYTES,
    MAX_NAME,
    Document,
    FlowFile,
    load_document,
    parse_flow_file,
)
from engine.flow.readable_part import readable_part
from engine.flow.validation import problems, without_parked
from engine.nodes import CATALOG
from engine.nodes.known_datasets import missing_datasets
from storage.audit import add_entry
from storage.database import now
from storage.flows import (
    add_deployment,
    find_document,
    get_draft,
    get_flow,
    get_version,
    hold_flow,
    insert_flow,
    insert_version,
)

if TYPE_CHECKING:
    from storage.tables import Flow

UNTITLED = "Untitled flow"
EMPTY = Document()

Which = int | Literal["draft", "newest"]


@dataclass(frozen=True)
class Imported:
    """A flow that was taken in; `problems` are those that still stop a deployment."""

    flow_id: FlowId
    problems: tuple[Problem, ...]


def create_flow(
    session: Session, principal: Principal, title: str = "", document: Document = EMPTY, description: str = ""
) -> FlowId:
    """A draft that was never saved: it stands under "Not saved yet" until Save As gives it version 1."""
    require_may(principal, "edit flows")
    return FlowId(_add_flow(session, principal, title.strip() or UNTITLED, description, document).id)


def import_flow(session: Session, principal: Principal, data: bytes, fallback_title: str = UNTITLED) -> Imported:
    """Takes a flow file in as a new flow with version 1. Raises FlowInvalid with every problem; then nothing is stored."""
    require_may(principal, "edit flows")
    file, found = parse_flow_file(data, fallback_title=fallback_title.strip()[:MAX_NAME] or UNTITLED)
    if file is None:
        rest = readable_part(data)
        raise FlowInvalid(found if rest is None else [*found, *problems(rest, CATALOG)])
    found = problems(file.document, CATALOG)
    if any(problem.blocks_import for problem in found):
        raise FlowInvalid(found)
    flow = _add_flow(session, principal, file.title, file.description, file.document)
    found += call_problems(file.document, flow.id, read_library(session, principal.workspace_id, file.document))
    add_version(session, principal, flow, "Imported")
    found += missing_datasets(file.document, known_datasets(session, principal.workspace_id))
    return Imported(FlowId(flow.id), tuple(found))


def save_draft(session: Session, principal: Principal, flow_id: str, document: Document, based_on_revision: int) -> int:
    """Keeps what is on the canvas and returns its new revision. Raises VersionConflict when the draft moved on meanwhile."""
    require_may(principal, "edit flows")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    if flow.draft_revision != based_on_revision:
        raise VersionConflict(
            f"This edit began at revision {based_on_revision} of the draft, which is now at {flow.draft_revision}",
            remedy="Reload the page to see the newer draft, then make the change again.",
        )
    _put_draft(session, flow, document)
    return flow.draft_revision


def save_as(session: Session, principal: Principal, flow_id: str, title: str) -> FlowId:
    """Puts the draft in the library under a title.

    A flow that was never saved keeps its id and gets version 1; of a saved flow a copy is made, with an id of its own and not
    deployed.
    """
    require_may(principal, "edit flows")
    title = check_title(title)
    flow = hold_flow(session, principal.workspace_id, flow_id)
    if flow.newest_version:
        flow = _add_flow(session, principal, title, flow.description, load_document(flow.draft), flow.settings)
    flow.title = title
    add_version(session, principal, flow, "")
    return FlowId(flow.id)


def save_version(
    session: Session, principal: Principal, flow_id: str, note: str = "", based_on: int | None = None
) -> int:
    """Makes the draft the next version and returns its number.

    `based_on` is the newest version the person had seen: when a newer one exists VersionConflict is raised. With no note and
    nothing changed since the newest version there is nothing to save, and its number is returned.
    """
    require_may(principal, "edit flows")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    if not flow.newest_version:
        raise not_saved(flow)
    if based_on is not None and based_on != flow.newest_version:
        raise VersionConflict(f"You began with version {based_on}; version {flow.newest_version} is the newest now")
    if not flow.draft_differs and not note.strip():
        return flow.newest_version
    return add_version(session, principal, flow, note)


def restore_version(session: Session, principal: Principal, flow_id: str, number: int) -> int:
    """Puts a saved version back on the canvas and returns the draft's new revision. Nothing changes for callers."""
    require_may(principal, "edit flows")
    version = get_version(session, principal.workspace_id, flow_id, number)
    flow = hold_flow(session, principal.workspace_id, flow_id)
    _put_draft(session, flow, load_document(version.document))
    return flow.draft_revision


def rename_flow(
    session: Session, principal: Principal, flow_id: str, title: str, description: str | None = None
) -> None:
    """Gives the flow another title, and another description unless that is None."""
    require_may(principal, "edit flows")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    flow.title = check_title(title)
    if description is not None:
        flow.description = _check_description(description)
    flow.updated_at = now(session)


def duplicate_flow(session: Session, principal: Principal, flow_id: str, title: str = "") -> FlowId:
    """A copy of the draft under an id of its own, not deployed; saved as version 1 when the original was ever saved."""
    require_may(principal, "edit flows")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    title = check_title(title or f"Copy of {flow.title}"[:MAX_NAME])
    copy = _add_flow(session, principal, title, flow.description, load_document(flow.draft), flow.settings)
    if flow.newest_version:
        add_version(session, principal, copy, f"Copied from {flow.title}")
    return FlowId(copy.id)


def delete_flow(session: Session, principal: Principal, flow_id: str) -> None:
    """Switches the endpoint off and takes the flow out of the library. Its jobs stay until their retention ends."""
    require_may(principal, "edit flows")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    if flow.live_version is not None:
        add_deployment(session, flow.id, None, principal.name)
    flow.live_version = None
    flow.deleted_at = now(session)
    add_entry(session, principal, "delete flow", flow.id, flow.title)


def export_flow(session: Session, principal: Principal, flow_id: str, which: Which = "newest") -> FlowFile:
    """The flow as a file: its draft, its newest version (the draft while there is none) or the version with that number."""
    flow = get_flow(session, principal.workspace_id, flow_id)
    if which == "draft" or (which == "newest" and not flow.newest_version):
        document = get_draft(session, principal.workspace_id, flow_id).document
    else:
        number = flow.newest_version if which == "newest" else which
        document = get_version(session, principal.workspace_id, flow_id, number).document
    return FlowFile(title=flow.title, description=flow.description, document=load_document(document))


def change_flow_settings(session: Session, principal: Principal, flow_id: str, changes: Mapping[str, Any]) -> None:
    """Puts `changes` over the flow's settings; None takes a setting away. The page that offers a setting checks its value."""
    require_may(principal, "edit flows")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    flow.settings = {name: value for name, value in {**flow.settings, **changes}.items() if value is not None}
    add_entry(session, principal, "change flow settings", flow.id, f"{flow.title}: {', '.join(sorted(changes))}")


def add_version(session: Session, principal: Principal, flow: Flow, note: str) -> int:
    """Freezes the draft, without parked nodes, as the flow's next version."""
    flow.newest_version += 1
    flow.draft_differs = False
    flow.updated_at = now(session)
    document = without_parked(load_document(flow.draft)).dumps()
    insert_version(session, flow, document, note=note.strip()[:2_000], created_by=principal.name)
    return flow.newest_version


def not_saved(flow: Flow) -> FlowInvalid:
    """What is said when a flow must be in the library first."""
    return FlowInvalid(
        [Problem("not_saved", f"`{flow.title}` is not in the library yet. Use Save As to give it a title.")],
        "Save the flow first",
    )


def check_title(title: str) -> str:
    """The title without spaces around it. Raises Invalid."""
    title = title.strip()
    if not title or len(title) > MAX_NAME:
        said = "The title is empty" if not title else f"The title has {len(title)} characters"
        raise Invalid(
            said,
            remedy=f"Give the flow a title of 1 to {MAX_NAME} characters.",
            errors=(FieldError("/title", "max_length" if title else "required", said),),
        )
    return title


def _check_description(description: str) -> str:
    if len(description) > 5_000:
        raise Invalid(
            f"The description has {len(description):,} characters", remedy="Shorten it to 5,000 characters or fewer."
        )
    return description.strip()


def _add_flow(
    session: Session,
    principal: Principal,
    title: str,
    description: str,
    document: Document,
    settings: Mapping[str, Any] | None = None,
) -> Flow:
    return insert_flow(
        session,
        principal.workspace_id,
        title[:MAX_NAME],
        description=description,
        draft=_draft_text(document),
        settings=settings or {},
    )


def _put_draft(session: Session, flow: Flow, document: Document) -> None:
    flow.draft = _draft_text(document)
    flow.draft_revision += 1
    flow.draft_saved_at = flow.updated_at = now(session)
    newest = find_document(session, flow.id, flow.newest_version) if flow.newest_version else None
    flow.draft_differs = newest is None or unpinned(load_document(newest)) != without_parked(unpinned(document))


def _draft_text(document: Document) -> str:
    text = unpinned(document).dumps()  # what is called is fixed by deploying
    if len(text.encode()) > MAX_BYTES:
        raise Invalid(
            f"The flow has {len(text.encode()):,} bytes; a flow may have {MAX_BYTES:,} (1 MiB)",
            remedy="Take out large texts or samples: data belongs into the request, not into the flow.",
        )
    return text
