"""Queries for flows, their versions and the history of their endpoint.

Documents are JSON text here; the engine parses them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct
from sqlalchemy import Select, and_, delete, exists, not_, select
from sqlalchemy.orm import Session

from engine.core.errors import Conflict, NotFound
from engine.core.ids import new_id
from storage.database import now
from storage.statements import Statement, from_json
from storage.tables import Deployment, Flow, FlowVersion
from storage.value_sizes import MAX_INTEGER

#: The title of a flow that nobody gave one.
UNTITLED = "Untitled flow"
#: The draft of a flow with nothing in it, as the engine writes it.
EMPTY_DRAFT = '{"format":1,"nodes":[],"edges":[],"notes":[]}'


class FlowState(StrEnum):
    """The state of a flow; the values are shown on the pages and by the command line."""

    NOT_SAVED = "Not saved yet"
    DRAFT = "Draft"
    LIVE = "Live"
    NEWER_DRAFT = "Live with newer draft"
    ROLLED_BACK = "Live, rolled back"
    UNDEPLOYED = "Undeployed"


class FlowRow(Struct, frozen=True):
    """A flow without its documents.

    Times are milliseconds. `newest_version` 0: never saved; `live_version` None: not deployed. `draft_differs`: from the
    newest version, in anything; `differs_from_live`: from the live version, in content. `newest_was_live`: the newest
    version was deployed at some time.
    """

    id: str
    title: str
    description: str
    draft_revision: int
    draft_saved_at: int
    draft_differs: bool
    differs_from_live: bool
    newest_version: int
    newest_was_live: bool
    live_version: int | None
    deployed_at: int | None
    ever_deployed: bool
    settings: Mapping[str, Any]
    created_at: int
    updated_at: int

    @property
    def state(self) -> FlowState:
        """The state that the pages show (`Live` as `Live v4`)."""
        if not self.newest_version:
            return FlowState.NOT_SAVED
        if self.live_version is None:
            return FlowState.UNDEPLOYED if self.ever_deployed else FlowState.DRAFT
        if not self.differs_from_live:
            return FlowState.LIVE
        # what is on the canvas was live and was replaced by an older version
        rejected = self.newest_was_live and not self.draft_differs
        return FlowState.ROLLED_BACK if rejected else FlowState.NEWER_DRAFT


class CalledFlow(Struct, frozen=True):
    """The data of a flow that accepting a job needs."""

    id: str
    live_version: int | None
    settings: Mapping[str, Any]


class DraftRow(Struct, frozen=True):
    """The draft of a flow: the document as JSON text, and its revision."""

    flow_id: str
    document: str
    revision: int
    saved_at: int


class VersionRow(Struct, frozen=True):
    """A saved version with its document as JSON text. `created_by` is a person's name or `Command line`."""

    flow_id: str
    number: int
    document: str
    title: str
    note: str
    created_at: int
    created_by: str
    first_deployed_at: int | None


class VersionLine(Struct, frozen=True):
    """A version in a list, without its document."""

    number: int
    title: str
    note: str
    created_at: int
    created_by: str
    first_deployed_at: int | None


class DeploymentRow(Struct, frozen=True):
    """An entry in the history of an endpoint: `deploy` of a version, or `undeploy`."""

    version: int | None
    verb: str
    at: int
    actor: str


_NEWEST_WAS_LIVE = exists().where(
    FlowVersion.flow_id == Flow.id,
    FlowVersion.number == Flow.newest_version,
    FlowVersion.first_deployed_at.is_not(None),
)
_LINE = [
    Flow.id,
    Flow.title,
    Flow.description,
    Flow.draft_revision,
    Flow.draft_saved_at,
    Flow.draft_differs,
    Flow.differs_from_live,
    Flow.newest_version,
    _NEWEST_WAS_LIVE.label("newest_was_live"),
    Flow.live_version,
    Flow.deployed_at,
    Flow.ever_deployed,
    Flow.settings,
    Flow.created_at,
    Flow.updated_at,
]


_EMPTY = and_(Flow.newest_version == 0, Flow.title == UNTITLED, Flow.draft == EMPTY_DRAFT)


def list_flows(session: Session, workspace_id: str, most: int | None = None) -> list[FlowRow]:
    """Returns the flows with something in them, the one changed last first: `most`, or every one."""
    query = _owned(workspace_id).where(not_(_EMPTY)).order_by(Flow.updated_at.desc(), Flow.id).limit(most)
    rows = session.execute(query)
    return [FlowRow(**row) for row in rows.mappings()]


def list_empty_flows(session: Session, workspace_id: str, before: int | None = None) -> list[str]:
    """Returns the ids of the new flows in which nothing is yet: no title, no version, an empty draft. `before`: only those
    that were last changed, or given to somebody, until then.
    """
    query = _owned(workspace_id).where(_EMPTY).order_by(Flow.id)
    return [row.id for row in session.execute(query if before is None else query.where(Flow.updated_at <= before))]


def remove_untouched_flows(session: Session, workspace_id: str, before: int, keep: Collection[str]) -> None:
    """Removes new flows from before that time in which nobody has ever done anything, except those in `keep`."""
    untouched = (_EMPTY, Flow.draft_revision == 1, Flow.workspace_id == workspace_id, Flow.updated_at < before)
    there = Flow.deleted_at.is_(None)  # retention removes deleted ones, once no job names them
    session.execute(delete(Flow).where(*untouched, there, Flow.id.not_in(keep)))


def find_flow(session: Session, workspace_id: str, flow_id: str) -> FlowRow | None:
    """Returns the flow; None when it is unknown, deleted or of another workspace."""
    row = session.execute(_owned(workspace_id).where(Flow.id == flow_id)).mappings().one_or_none()
    return None if row is None else FlowRow(**row)


def which_flows_exist(session: Session, workspace_id: str, flow_ids: Collection[str]) -> set[str]:
    """Returns those of the ids that are flows of this workspace and not deleted."""
    own = (Flow.workspace_id == workspace_id, Flow.deleted_at.is_(None))
    return set(session.scalars(select(Flow.id).where(*own, Flow.id.in_(flow_ids))))


def get_flow(session: Session, workspace_id: str, flow_id: str) -> FlowRow:
    """Returns the flow. Raises NotFound."""
    found = find_flow(session, workspace_id, flow_id)
    if found is None:
        raise no_flow(flow_id)
    return found


_CALLED = Statement(
    "select id, live_version, settings from flows"
    " where id = :id and workspace_id = :workspace_id and deleted_at is null"
)


def find_called_flow(session: Session, workspace_id: str, flow_id: str) -> CalledFlow | None:
    """Returns the flow, or None; reads only what accepting a job needs, since every call does it."""
    row = _CALLED.row(session, {"id": flow_id, "workspace_id": workspace_id})
    return None if row is None else CalledFlow(row[0], row[1], from_json(row[2]))


def find_public_docs_flow(session: Session, workspace_id: str | None, flow_id: str) -> tuple[str, FlowRow] | None:
    """Returns the flow and its workspace id for its docs page: a flow of this workspace, or one whose owner made its
    docs public.
    """
    row = (
        session.execute(select(Flow.workspace_id, *_LINE).where(Flow.id == flow_id, Flow.deleted_at.is_(None)))
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None
    values = dict(row)
    owner = values.pop("workspace_id")
    flow = FlowRow(**values)
    return (owner, flow) if owner == workspace_id or flow.settings.get("public_docs") else None


def get_draft(session: Session, workspace_id: str, flow_id: str) -> DraftRow:
    """Returns the draft of a flow. Raises NotFound."""
    row = session.execute(
        select(Flow.id, Flow.draft, Flow.draft_revision, Flow.draft_saved_at).where(
            Flow.workspace_id == workspace_id, Flow.id == flow_id, Flow.deleted_at.is_(None)
        )
    ).one_or_none()
    if row is None:
        raise no_flow(flow_id)
    return DraftRow(*row)


def find_version(session: Session, workspace_id: str, flow_id: str, number: int) -> VersionRow | None:
    """Returns a saved version, or None."""
    if number > MAX_INTEGER:  # it would be an error of the database
        return None
    row = session.scalars(
        select(FlowVersion)
        .join(Flow, Flow.id == FlowVersion.flow_id)
        .where(
            Flow.workspace_id == workspace_id,
            Flow.deleted_at.is_(None),
            FlowVersion.flow_id == flow_id,
            FlowVersion.number == number,
        )
    ).one_or_none()
    if row is None:
        return None
    return VersionRow(
        row.flow_id,
        row.number,
        row.document,
        row.title,
        row.note,
        row.created_at,
        row.created_by,
        row.first_deployed_at,
    )


def get_version(session: Session, workspace_id: str, flow_id: str, number: int) -> VersionRow:
    """Returns a saved version. Raises NotFound."""
    found = find_version(session, workspace_id, flow_id, number)
    if found is None:
        raise NotFound(
            f"Flow `{flow_id}` has no version {number}", remedy="The versions tab of the flow's page lists them all."
        )
    return found


def list_versions(session: Session, workspace_id: str, flow_id: str) -> list[VersionLine]:
    """Returns the saved versions, newest first; none for a flow that was never saved or does not exist."""
    rows = session.execute(
        select(
            FlowVersion.number,
            FlowVersion.title,
            FlowVersion.note,
            FlowVersion.created_at,
            FlowVersion.created_by,
            FlowVersion.first_deployed_at,
        )
        .join(Flow, Flow.id == FlowVersion.flow_id)
        .where(Flow.workspace_id == workspace_id, Flow.deleted_at.is_(None), FlowVersion.flow_id == flow_id)
        .order_by(FlowVersion.number.desc())
    )
    return [VersionLine(*row) for row in rows]


def list_deployments(session: Session, workspace_id: str, flow_id: str) -> list[DeploymentRow]:
    """Returns the history of an endpoint, newest first."""
    rows = session.execute(
        select(Deployment.version, Deployment.verb, Deployment.at, Deployment.actor)
        .join(Flow, Flow.id == Deployment.flow_id)
        .where(Flow.workspace_id == workspace_id, Deployment.flow_id == flow_id)
        .order_by(Deployment.id.desc())
    )
    return [DeploymentRow(*row) for row in rows]


def hold_flow(session: Session, workspace_id: str, flow_id: str) -> Flow:
    """Returns the flow's ORM row, for an action to change. Raises NotFound."""
    row = session.scalars(
        select(Flow).where(Flow.workspace_id == workspace_id, Flow.id == flow_id, Flow.deleted_at.is_(None))
    ).one_or_none()
    if row is None:
        raise no_flow(flow_id)
    return row


def find_document(session: Session, flow_id: str, number: int) -> str | None:
    """Returns the document of a version as JSON text, or None. The caller has checked the flow's workspace."""
    return session.scalar(
        select(FlowVersion.document).where(FlowVersion.flow_id == flow_id, FlowVersion.number == number)
    )


def was_ever_deployed(session: Session, flow_id: str, number: int) -> bool:
    """True when this version exists and was deployed at some time."""
    deployed = session.scalar(
        select(FlowVersion.first_deployed_at).where(FlowVersion.flow_id == flow_id, FlowVersion.number == number)
    )
    return deployed is not None


def insert_flow(
    session: Session,
    workspace_id: str,
    title: str,
    *,
    description: str,
    draft: str,
    settings: Mapping[str, Any],
    flow_id: str | None = None,
) -> Flow:
    """Adds a flow with its first draft and without versions, with this id or a new one; returns its ORM row."""
    at = now(session)
    flow = Flow(
        id=flow_id or new_id("flow"),
        workspace_id=workspace_id,
        title=title,
        description=description,
        draft=draft,
        draft_revision=1,
        draft_saved_at=at,
        draft_differs=True,
        newest_version=0,
        ever_deployed=False,
        settings=dict(settings),
        created_at=at,
        updated_at=at,
    )
    session.add(flow)
    session.flush()
    return flow


def bring_back_flow(
    session: Session, workspace_id: str, flow_id: str, title: str, *, description: str, draft: str
) -> Flow:
    """Adds a flow with the id of one that was deleted, or that this database never had. What is left of the deleted one
    stays: its versions, its settings and its jobs. Returns its ORM row; raises Conflict when a flow has the id.
    """
    flow = session.get(Flow, flow_id)
    if flow is None:
        return insert_flow(
            session, workspace_id, title, description=description, draft=draft, settings={}, flow_id=flow_id
        )
    if flow.workspace_id != workspace_id or flow.deleted_at is None:
        message = (
            f"There is a flow with the id `{flow_id}`"
            if flow.workspace_id == workspace_id
            else f"The id `{flow_id}` is that of a flow of another workspace"
        )
        raise Conflict(message, remedy="Import the file without `--id`; the flow then gets a new one.")
    flow.title, flow.description, flow.draft, flow.deleted_at = title, description, draft, None
    flow.draft_revision += 1
    flow.draft_saved_at = flow.updated_at = now(session)
    return flow


def insert_version(session: Session, flow: Flow, document: str, *, note: str, created_by: str) -> None:
    """Stores a document as the flow's version `flow.newest_version`."""
    session.add(
        FlowVersion(
            flow_id=flow.id,
            number=flow.newest_version,
            document=document,
            title=flow.title,
            note=note,
            created_at=now(session),
            created_by=created_by,
        )
    )
    session.flush()


def replace_document(session: Session, flow_id: str, number: int, document: str) -> None:
    """Replaces the document of a version, because its first deployment fixes the versions of the flows it calls."""
    session.get_one(FlowVersion, (flow_id, number)).document = document
    session.flush()


def note_first_deployment(session: Session, flow_id: str, number: int) -> None:
    """Stores when a version was deployed for the first time; later deployments change nothing."""
    row = session.get_one(FlowVersion, (flow_id, number))
    if row.first_deployed_at is None:
        row.first_deployed_at = now(session)


def add_deployment(session: Session, flow_id: str, version: int | None, actor: str) -> None:
    """Adds an entry to the endpoint's history: the deployed version, or None when the flow was undeployed."""
    verb = "undeploy" if version is None else "deploy"
    session.add(Deployment(flow_id=flow_id, version=version, verb=verb, at=now(session), actor=actor))


def no_flow(flow_id: str) -> NotFound:
    """Returns the refusal for a flow that is unknown, deleted or of another workspace."""
    return NotFound(
        f"No flow with the id `{flow_id}`", remedy="Saved Flows and `app.py flows list` show the ids of your flows."
    )


def _owned(workspace_id: str) -> Select[*tuple[Any, ...]]:
    return select(*_LINE).where(Flow.workspace_id == workspace_id, Flow.deleted_at.is_(None))
