"""Deploys and undeploys flows.

The endpoint of a flow never changes; deploying switches its version in one transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.actions.called_flows import calls_older_versions, read_library
from engine.actions.datasets import known_datasets
from engine.actions.flows import add_version, not_saved, note_difference_from_live
from engine.actions.principal import Principal, require_may
from engine.core.errors import FlowInvalid, Problem, VersionConflict
from engine.core.ids import FlowId
from engine.core.settings import Settings
from engine.flow.called_flows import call_problems, pinned
from engine.flow.document import Document, load_document
from engine.flow.flow_warnings import FlowWarning, flow_warnings
from engine.flow.validation import NEVER_A_LIST, deploy_problems, without_parked
from engine.knowledge.known import known_collections
from engine.models.file_problems import file_problems, file_warnings
from engine.nodes import CATALOG
from engine.nodes.agent_tool_problems import server_problems
from engine.nodes.known_collections import empty_collections, missing_collections
from engine.nodes.known_datasets import missing_datasets, unknown_columns
from storage.audit import add_entry
from storage.connections import list_connections
from storage.database import now
from storage.flows import add_deployment, get_version, hold_flow, note_first_deployment, replace_document
from storage.secrets import list_secrets
from storage.tool_servers import allowed_tools

if TYPE_CHECKING:
    from storage.tables import Flow


class Deployed(Struct, frozen=True):
    """The result of a deployment.

    `path` is the endpoint without the server's address; `warnings` do not prevent deployment.
    """

    flow_id: FlowId
    version: int
    path: str
    warnings: tuple[Problem, ...] = ()


def endpoint_path(flow_id: str) -> str:
    """Returns the path of a flow's endpoint, which never changes."""
    return f"/public/v1/flows/execute/{flow_id}"


def deploy(
    session: Session,
    principal: Principal,
    flow_id: str,
    *,
    version: int | None = None,
    settings: Settings | None = None,
    revision: int | None = None,
) -> Deployed:
    """Makes a version live. Jobs that are queued or running finish on the version they were submitted with.

    With `version` None the draft is deployed: if it differs from the newest version, it is first saved as the next one,
    in the same transaction. Raises NotFound, and FlowInvalid with every problem, also for a flow that was never saved.
    `settings`: those of the server, by which addresses in nodes are checked. `revision`: that of the draft whose checks
    the person saw; VersionConflict is raised when it has changed since.
    """
    require_may(principal, "deploy")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    if revision is not None and flow.draft_revision != revision:
        raise VersionConflict("The flow was changed after its checks", remedy="Look at the checks again, then deploy.")
    number = flow.newest_version if version is None else version
    if not flow.newest_version:
        found = problems_before_deploy(session, principal.workspace_id, flow_id, load_document(flow.draft), settings)
        raise FlowInvalid([*not_saved(flow).problems, *found])
    if version is None and (flow.draft_differs or calls_older_versions(session, principal.workspace_id, flow_id)):
        number = add_version(session, principal, flow, "")
    row = get_version(session, principal.workspace_id, flow_id, number)
    document = load_document(row.document)
    was_live = row.first_deployed_at is not None
    found = problems_before_deploy(session, principal.workspace_id, flow_id, document, settings, was_live=was_live)
    if found:
        raise FlowInvalid(found)
    if not was_live:
        _fix_calls(session, principal, flow, number, document)
    if flow.live_version != number:
        _switch(session, principal, flow, number)
    warnings = tuple(one.problem for one in warnings_before_deploy(session, principal.workspace_id, document))
    return Deployed(FlowId(flow.id), number, endpoint_path(flow.id), warnings)


def warnings_before_deploy(session: Session, workspace_id: str, document: Document) -> list[FlowWarning]:
    """Returns what to look at before a deployment, which goes ahead all the same."""
    from engine.outbound.secret_hosts import host_warnings

    datasets = known_datasets(session, workspace_id)
    providers = {connection.name: connection.provider for connection in list_connections(session, workspace_id)}
    return [
        *flow_warnings(document, CATALOG),
        *(FlowWarning(one, "") for one in file_warnings(document, providers)),
        *(FlowWarning(one, "") for one in unknown_columns(document, datasets)),
        *(FlowWarning(one, "") for one in empty_collections(document, known_collections(session, workspace_id))),
        *(FlowWarning(one, "") for one in host_warnings(document, list_secrets(session, workspace_id))),
    ]


def problems_before_deploy(
    session: Session,
    workspace_id: str,
    flow_id: str,
    document: Document,
    settings: Settings | None = None,
    *,
    was_live: bool = False,
) -> list[Problem]:
    """Returns everything that prevents a deployment: invalid nodes and settings, references to missing objects, invalid
    calls, and addresses that can never be opened. `was_live`: the document is a version that was deployed before. It may
    go live again with a list that is never one, which was no problem then, and calls the versions that it called then.
    """
    from engine.jobs.outbound_rules import rules_for_flows
    from engine.outbound.secret_hosts import host_problems
    from engine.outbound.written_addresses import address_problems

    providers = {connection.name: connection.provider for connection in list_connections(session, workspace_id)}
    library = read_library(session, workspace_id, document)
    return [
        *(one for one in deploy_problems(document, CATALOG) if not (was_live and one.code == NEVER_A_LIST)),
        *unknown_connections(document, providers),
        *file_problems(document, providers),
        *missing_datasets(document, known_datasets(session, workspace_id)),
        *missing_collections(document, known_collections(session, workspace_id)),
        *server_problems(document, allowed_tools(session, workspace_id)),
        *host_problems(document, list_secrets(session, workspace_id)),
        *address_problems(document, rules_for_flows(session, settings) if settings else None),
        *call_problems(document, flow_id, library, fixed=was_live),
    ]


def _fix_calls(session: Session, principal: Principal, flow: Flow, number: int, document: Document) -> None:
    """Pins the versions of the called flows when a version goes live for the first time."""
    fixed = pinned(document, read_library(session, principal.workspace_id, document))
    if fixed != document:
        replace_document(session, flow.id, number, fixed.dumps())


def unknown_connections(document: Document, names: Collection[str]) -> list[Problem]:
    """Returns a problem for each node that uses a model connection not in `names`; it prevents deployment only."""
    found = []
    for node in without_parked(document).nodes:
        name, colon, _model = str(node.config.get("model") or "").partition(":")
        if node.type in {"prompt", "agent"} and colon and name.strip() and name not in names:
            message = f"Connection `{name}` does not exist. Choose another model, or add it under Settings, Models and secrets."
            found.append(Problem("no_connection", message, node.id, "/config/model", blocks_import=False))
    return found


def undeploy(session: Session, principal: Principal, flow_id: str) -> None:
    """Stops accepting requests for the flow.

    Its jobs continue and remain readable. Does nothing when the flow is not deployed.
    """
    require_may(principal, "deploy")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    if flow.live_version is None:
        return
    was = flow.live_version
    flow.live_version = None
    flow.differs_from_live = False
    flow.updated_at = now(session)
    add_deployment(session, flow.id, None, principal.name)
    add_entry(session, principal, "undeploy", flow.id, f"{flow.title}: version {was} was live")


def _switch(session: Session, principal: Principal, flow: Flow, number: int) -> None:
    was = flow.live_version
    flow.live_version = number
    flow.deployed_at = flow.updated_at = now(session)
    flow.ever_deployed = True
    note_difference_from_live(session, flow)
    note_first_deployment(session, flow.id, number)
    add_deployment(session, flow.id, number, principal.name)
    detail = f"{flow.title}: version {number}" + (f", before it {was}" if was is not None else "")
    add_entry(session, principal, "deploy", flow.id, detail)
