"""Actions on flows: create, import, save, rename, duplicate, delete and export.

None of them runs, imports or fetches anything that a flow names (S1).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.actions.called_flows import read_library
from engine.actions.datasets import known_datasets
from engine.actions.flow_uses import refuse_delete
from engine.actions.principal import Principal, require_may
from engine.core.clock import DAY, HOUR, MINUTE
from engine.core.errors import FieldError, FlowInvalid, Invalid, Problem, VersionConflict
from engine.core.ids import FLOW_ID, FlowId, file_ids_in
from engine.flow.called_flows import call_problems, unpinned
from engine.flow.document import MAX_BYTES, MAX_NAME, Document, load_document
from engine.flow.flow_file import FlowFile, parse_flow_file
from engine.flow.readable_part import readable_part
from engine.flow.times_asked import times_kept, with_times
from engine.flow.validation import problems, problems_at_once, without_parked
from engine.flow.version_comparison import content_hash, content_of, draft_changes
from engine.jobs.notifier import DRAFT_CHANGED, tell_others
from engine.jobs.submit.accept import WEBHOOK_SETTINGS, flow_concurrency
from engine.jobs.transitions import change_flow_concurrency
from engine.knowledge.known import known_collections
from engine.nodes import CATALOG
from engine.nodes.agent_tool_problems import server_problems
from engine.nodes.known_collections import missing_collections
from engine.nodes.known_datasets import missing_datasets, named_by_id
from storage.audit import add_entry
from storage.called_flow_uses import list_callers
from storage.database import now
from storage.files import drop_uses, note_named_files
from storage.flows import (
    EMPTY_DRAFT,
    UNTITLED,
    add_deployment,
    bring_back_flow,
    find_document,
    get_draft,
    get_flow,
    get_version,
    hold_flow,
    insert_flow,
    insert_version,
    list_empty_flows,
    list_versions,
    remove_untouched_flows,
)
from storage.hooks import remove_hooks
from storage.schedules import remove_schedules
from storage.tool_servers import allowed_tools

if TYPE_CHECKING:
    from storage.tables import Flow

EMPTY = Document()
#: The setting with the name of the template whose description the flow still has.
TEMPLATE = "template"
#: The setting with the name of the goal of the start page that made the flow.
GOAL = "goal"
#: The setting with the description that went, and with what the flow did while it had it.
TEMPLATE_LEFT = "template_left"
#: The setting with what the flow did at other times, with the same description: hashes, the newest last.
TEMPLATE_DID = "template_did"
#: The settings by which people and programs outside read a flow or hear of its jobs.
_OF_OUTSIDE = frozenset({"public_docs", "mcp", *WEBHOOK_SETTINGS.values()})
#: Most of these hashes that are kept.
_MAX_DID = 50
_OF_TEMPLATE = frozenset({TEMPLATE, TEMPLATE_LEFT, TEMPLATE_DID})
#: What may be changed in a flow that still does what its template's description says.
_OF_NO_TEMPLATE = frozenset(
    {"config/model", "config/samples", "config/may_end", "config/tools", "inputs/instructions", "label"}
)
#: Most versions that the draft is compared with, to find the one that holds its content.
MAX_COMPARED = 50

Which = int | Literal["draft", "newest"]


class Imported(Struct, frozen=True):
    """The result of an import. `problems` are those that still prevent a deployment."""

    flow_id: FlowId
    problems: tuple[Problem, ...]


def create_flow(
    session: Session,
    principal: Principal,
    title: str = "",
    document: Document = EMPTY,
    description: str = "",
    template: str = "",
    goal: str = "",
) -> FlowId:
    """Creates a flow as an unsaved draft; it is listed under "Drafts" until Save As creates version 1.

    `template` names the template that document and description are from; the description then goes with the first edit
    that makes the flow do something else, and comes back when the flow does the same again. A template names datasets by
    name; the flow has their ids. `goal` names the goal whose answers are in the document.
    """
    require_may(principal, "edit flows")
    if template:
        document = named_by_id(document, known_datasets(session, principal.workspace_id))
    settings = {name: value for name, value in ((TEMPLATE, template), (GOAL, goal)) if value}
    return FlowId(_add_flow(session, principal, title.strip() or UNTITLED, description, document, settings).id)


def begin_flow(
    session: Session, principal: Principal, shown: Collection[str], *, several_servers: bool = False, times: str = ""
) -> FlowId:
    """Returns a flow with nothing in it that no tab shows and nobody was given within a minute, in which their page may not
    have opened yet; creates one when there is none.

    `shown`: the flows that tabs show. Further new flows that were left untouched for an hour are removed, so that who
    only looked leaves no flow behind. `several_servers`: the tabs of others may show more, so nobody is given a flow that
    is there, and those that were left untouched for a day are removed. `times`: the times that the flow is wished to start
    at, which its description keeps until it has a schedule.
    """
    require_may(principal, "edit flows")
    at = now(session)
    left = [] if several_servers else list_empty_flows(session, principal.workspace_id, at - MINUTE)
    free = [one for one in left if one not in shown]
    flow_id = FlowId(free[0]) if free else create_flow(session, principal)
    flow = hold_flow(session, principal.workspace_id, flow_id)
    flow.updated_at, flow.description = at, with_times("", times)
    untouched_since = at - (DAY if several_servers else HOUR)
    remove_untouched_flows(session, principal.workspace_id, untouched_since, {*shown, flow_id})
    return flow_id


def read_import(data: bytes, fallback_title: str = UNTITLED) -> FlowFile:
    """Reads a flow file for `import_flow`, in a thread before the transaction: that may take a second. Raises FlowInvalid
    with every problem of a file that is refused.
    """
    file, found = parse_flow_file(data, fallback_title=fallback_title.strip()[:MAX_NAME] or UNTITLED)
    if file is None:
        rest = readable_part(data)
        raise FlowInvalid(found if rest is None else [*found, *problems(rest, CATALOG)])
    return file


def import_flow(session: Session, principal: Principal, file: FlowFile, flow_id: str | None = None) -> Imported:
    """Creates a flow with version 1 from a flow file. Raises FlowInvalid with every problem; then nothing is stored.
    Raises DoFirst when the file has costly patterns.

    `flow_id`: the id of a deleted flow, which is so brought back at its address, with a version after its last one; or one
    of another database. Raises Conflict when it is taken.
    """
    require_may(principal, "edit flows")
    found = problems_at_once(file.document, CATALOG)
    if any(problem.blocks_import for problem in found):
        raise FlowInvalid(found)
    if flow_id is None:
        flow = _add_flow(session, principal, file.title, file.description, file.document)
    else:
        flow = _bring_back(session, principal, file, flow_id)
    found += call_problems(file.document, flow.id, read_library(session, principal.workspace_id, file.document))
    add_version(session, principal, flow, "Imported")
    found += missing_datasets(file.document, known_datasets(session, principal.workspace_id))
    found += missing_collections(file.document, known_collections(session, principal.workspace_id))
    found += server_problems(file.document, allowed_tools(session, principal.workspace_id))
    return Imported(FlowId(flow.id), tuple(found))


def save_draft(
    session: Session,
    principal: Principal,
    flow_id: str,
    document: Document,
    based_on_revision: int,
    *,
    as_described: bool = False,
) -> int:
    """Stores the draft and returns its new revision. `as_described`: it still does what its template's description says.

    Raises VersionConflict when the stored draft is no longer at `based_on_revision`.
    """
    require_may(principal, "edit flows")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    if flow.draft_revision != based_on_revision:
        raise VersionConflict(
            f"This edit began at revision {based_on_revision} of the draft, which is now at {flow.draft_revision}",
            remedy="Reload the page to see the newer draft, then make the change again.",
        )
    _put_draft(session, flow, document, as_described=as_described)
    return flow.draft_revision


def save_as(session: Session, principal: Principal, flow_id: str, title: str) -> FlowId:
    """Saves the draft under a title.

    A flow that was never saved keeps its id and gets version 1. Of a saved flow, a copy with a new id is created, which
    is not deployed, has no public API docs and no webhook addresses, and is no tool of AI assistants.
    """
    require_may(principal, "edit flows")
    title = check_title(title)
    flow = hold_flow(session, principal.workspace_id, flow_id)
    if flow.newest_version:
        flow = _add_copy(session, principal, title, flow)
    flow.title = title
    add_version(session, principal, flow, "")
    return FlowId(flow.id)


def save_version(
    session: Session, principal: Principal, flow_id: str, note: str = "", based_on: int | None = None
) -> int:
    """Saves the draft as the next version and returns its number.

    `based_on` is the newest version that the person saw; VersionConflict is raised when a newer one exists. Without a
    note and without changes since the newest version, nothing is saved and the newest number is returned.
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
    """Replaces the draft with a saved version and returns the draft's new revision.

    The live version does not change.
    """
    require_may(principal, "edit flows")
    version = get_version(session, principal.workspace_id, flow_id, number)
    flow = hold_flow(session, principal.workspace_id, flow_id)
    _put_draft(session, flow, load_document(version.document))
    return flow.draft_revision


def rename_flow(
    session: Session, principal: Principal, flow_id: str, title: str | None, description: str | None = None
) -> None:
    """Changes the title and the description, each unless it is None."""
    require_may(principal, "edit flows")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    if title is not None:
        flow.title = check_title(title)
    if description is not None and (text := _check_description(description)) != flow.description:
        flow.description = text
        _leave_template(flow)
    flow.updated_at = now(session)


def duplicate_flow(session: Session, principal: Principal, flow_id: str, title: str = "") -> FlowId:
    """Copies the draft to a new flow, which is not deployed.

    If the original was saved before, the copy is saved as version 1. Nobody outside reads or hears of a copy before
    somebody chooses so: its API docs are not public, it has no webhook addresses, and it is no tool of AI assistants.
    """
    require_may(principal, "edit flows")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    title = check_title(title or f"Copy of {flow.title}"[:MAX_NAME])
    copy = _add_copy(session, principal, title, flow)
    if flow.newest_version:
        add_version(session, principal, copy, f"Copied from {flow.title}")
    return FlowId(copy.id)


def delete_flow(
    session: Session, principal: Principal, flow_id: str, if_used: Literal["refuse", "delete"] = "delete"
) -> None:
    """Undeploys the flow and removes it from the library, with its draft, schedules and webhooks. Its jobs are kept until
    their retention ends, and the versions until then.

    `if_used`: what to do when other flows call it; `refuse` raises Conflict then.
    """
    require_may(principal, "edit flows")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    if if_used == "refuse":
        refuse_delete(list_callers(session, principal.workspace_id, flow.id), "flow")
    if flow.live_version is not None:
        add_deployment(session, flow.id, None, principal.name)
    flow.live_version = None
    flow.deleted_at = now(session)
    flow.draft = EMPTY_DRAFT  # its jobs need versions only
    flow.description = ""
    drop_uses(session, "flow", flow.id)
    remove_schedules(session, principal.workspace_id, flow_id=flow.id)
    remove_hooks(session, principal.workspace_id, flow_id=flow.id)
    add_entry(session, principal, "delete flow", flow.id, flow.title)


def export_flow(session: Session, principal: Principal, flow_id: str, which: Which = "newest") -> FlowFile:
    """Returns the flow as a file: the draft, the newest version (the draft if there is none), or the version with that
    number.
    """
    flow = get_flow(session, principal.workspace_id, flow_id)
    if which == "draft" or (which == "newest" and not flow.newest_version):
        document = get_draft(session, principal.workspace_id, flow_id).document
    else:
        number = flow.newest_version if which == "newest" else which
        document = get_version(session, principal.workspace_id, flow_id, number).document
    return FlowFile(title=flow.title, description=flow.description, document=load_document(document))


def change_flow_settings(session: Session, principal: Principal, flow_id: str, changes: Mapping[str, Any]) -> None:
    """Merges `changes` into the flow's settings; the value None removes a setting. Callers validate the values."""
    require_may(principal, "edit flows")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    before = flow_concurrency(flow.settings)
    flow.settings = {name: value for name, value in {**flow.settings, **changes}.items() if value is not None}
    if (number := flow_concurrency(flow.settings)) != before:
        change_flow_concurrency(session, flow.id, number)
    add_entry(session, principal, "change flow settings", flow.id, f"{flow.title}: {', '.join(sorted(changes))}")


def note_difference_from_live(session: Session, flow: Flow) -> None:
    """Stores whether the stored draft differs from the live version; to be called when another version is live."""
    flow.differs_from_live = _differs(_find_version(session, flow, flow.live_version), load_document(flow.draft))


def find_version_of_draft(session: Session, workspace_id: str, flow_id: str) -> int | None:
    """Returns the newest version with the content and the notes of the draft; None when replacing the draft would lose
    some of it. Nodes that are not connected are in no version.

    Only the newest `MAX_COMPARED` versions are compared.
    """
    draft = load_document(get_draft(session, workspace_id, flow_id).document)
    for line in list_versions(session, workspace_id, flow_id)[:MAX_COMPARED]:
        version = get_version(session, workspace_id, flow_id, line.number)
        document = load_document(version.document)
        if draft_changes(document, draft).same and _notes(document) == _notes(draft):
            return line.number
    return None


def add_version(session: Session, principal: Principal, flow: Flow, note: str) -> int:
    """Stores the draft without parked nodes as the flow's next version and returns its number."""
    flow.newest_version += 1
    flow.draft_differs = False
    flow.updated_at = now(session)
    document = without_parked(load_document(flow.draft)).dumps()
    insert_version(session, flow, document, note=note.strip()[:2_000], created_by=principal.name)
    return flow.newest_version


def not_saved(flow: Flow) -> FlowInvalid:
    """Builds the error for an operation on a flow that was never saved."""
    return FlowInvalid(
        [Problem("not_saved", f"`{flow.title}` is not in the library yet. Use Save As to give it a title.")],
        "Save the flow first",
    )


def check_title(title: str) -> str:
    """Returns the title without surrounding blanks. Raises Invalid."""
    title = title.strip()
    if not title or len(title) > MAX_NAME:
        message = "The title is empty" if not title else f"The title has {len(title)} characters"
        raise Invalid(
            message,
            remedy=f"Give the flow a title of 1 to {MAX_NAME} characters.",
            errors=(FieldError("/title", "max_length" if title else "required", message),),
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
    flow = insert_flow(
        session,
        principal.workspace_id,
        title[:MAX_NAME],
        description=description,
        draft=_draft_text(document),
        settings=settings or {},
    )
    _note_files(session, flow)
    return flow


def _bring_back(session: Session, principal: Principal, file: FlowFile, flow_id: str) -> Flow:
    if not FLOW_ID.fullmatch(flow_id):
        raise Invalid(
            f"`{flow_id[:100]}` is not the id of a flow",
            remedy="It begins with `flow_` and has 22 letters and digits after it, as in the address of its API.",
        )
    flow = bring_back_flow(
        session,
        principal.workspace_id,
        flow_id,
        file.title[:MAX_NAME],
        description=file.description,
        draft=_draft_text(file.document),
    )
    _note_files(session, flow)
    add_entry(session, principal, "bring back flow", flow.id, flow.title)
    return flow


def _add_copy(session: Session, principal: Principal, title: str, flow: Flow) -> Flow:
    settings = {name: value for name, value in flow.settings.items() if name not in _OF_OUTSIDE}
    return _add_flow(session, principal, title, flow.description, load_document(flow.draft), settings)


def _note_files(session: Session, flow: Flow) -> None:
    """Keeps the files that the draft's samples name."""
    if ids := file_ids_in(flow.draft):
        note_named_files(session, flow.workspace_id, "flow", flow.id, ids)


def _notes(document: Document) -> list[str]:
    return sorted(note.text for note in document.notes)


def _leave_template(flow: Flow) -> None:
    flow.settings = {name: value for name, value in flow.settings.items() if name not in _OF_TEMPLATE}


def _describe(flow: Flow, document: Document, *, as_described: bool) -> None:
    """Takes the template's description away from a flow that does something else now, and gives it back."""
    if (template := flow.settings.get(TEMPLATE)) is not None:
        before = load_document(flow.draft)
        if draft_changes(before, document).only_in(_OF_NO_TEMPLATE):
            return
        did = [*flow.settings.get(TEMPLATE_DID, ()), content_hash(before, _OF_NO_TEMPLATE)]
        did = list(dict.fromkeys(did))[-_MAX_DID:]
        if as_described or content_hash(document, _OF_NO_TEMPLATE) in did:
            flow.settings = {**flow.settings, TEMPLATE_DID: did}
            return
        left = {"template": template, "said": flow.description, "did": did}
        flow.description = times_kept(flow.description)  # the rest is of the template, not of what the flow does now
        _leave_template(flow)
        flow.settings = {**flow.settings, TEMPLATE_LEFT: left}
    elif (left := flow.settings.get(TEMPLATE_LEFT)) and (
        as_described or content_hash(document, _OF_NO_TEMPLATE) in left["did"]
    ):
        _leave_template(flow)
        flow.description = left["said"]
        flow.settings = {**flow.settings, TEMPLATE: left["template"], TEMPLATE_DID: left["did"]}


def _put_draft(session: Session, flow: Flow, document: Document, *, as_described: bool = False) -> None:
    _describe(flow, document, as_described=as_described)
    flow.draft = _draft_text(document)
    _note_files(session, flow)
    flow.draft_revision += 1
    flow.draft_saved_at = flow.updated_at = now(session)
    newest = _find_version(session, flow, flow.newest_version)
    live = newest if flow.live_version == flow.newest_version else _find_version(session, flow, flow.live_version)
    flow.draft_differs = newest is None or unpinned(newest) != content_of(document)
    flow.differs_from_live = _differs(live, document)
    tell_others(session, DRAFT_CHANGED, f"{flow.id}:{flow.draft_revision}")


def _find_version(session: Session, flow: Flow, number: int | None) -> Document | None:
    text = find_document(session, flow.id, number) if number else None
    return None if text is None else _version_to_compare(text)


@lru_cache(maxsize=8)
def _version_to_compare(text: str) -> Document:
    """Reads a version with which drafts are compared. It is kept, since that happens in the writer after every edit."""
    return load_document(text)


def _differs(live: Document | None, draft: Document) -> bool:
    return live is not None and not draft_changes(live, draft).same


def _draft_text(document: Document) -> str:
    text = unpinned(document).dumps()  # pins of called versions are set on deployment and are not part of a draft
    if len(text.encode()) > MAX_BYTES:
        raise Invalid(
            f"The flow has {len(text.encode()):,} bytes; a flow may have {MAX_BYTES:,} (1 MiB)",
            remedy="Take out large texts or samples: data belongs into the request, not into the flow.",
        )
    return text
