"""Routes that list the flows of a key, and the OpenAPI documents."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Depends
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from api.connection_limits import network_of
from api.docs.openapi import FlowContract, contract_of, flow_document, served_at
from api.http.job_answers import dump
from api.http.large_bodies import json_answer
from api.http.parameters import FlowId
from api.http.route_classes import BASE, ByAnybody, ByKey, FromApp, PublicRoute, refusals
from api.http.schemas import FlowList, FlowSummary
from engine.actions.deployments import endpoint_path
from engine.core import errors
from engine.flow.document import load_document
from engine.jobs.submit.accept import Caller, choose_version, find_live_flow
from storage.flows import get_flow, get_version, list_flows


async def never_stored(response: Response) -> None:
    """Dependency: forbids caching, because what a key may call can change at any time."""
    response.headers["Cache-Control"] = "no-store"


router = APIRouter(prefix=BASE, route_class=PublicRoute, dependencies=[Depends(never_stored)])


@router.get(
    "/flows",
    operation_id="list_flows",
    summary="List the flows this key may call",
    response_description="Every flow this key may call",
    responses=refusals(),
    tags=["flows"],
)
async def list_callable_flows(caller: ByKey, context: FromApp) -> FlowList:
    """All of them in one answer: deployed flows that the key is not kept from. There is no `next_cursor`, as \
they are never divided into pages: flows are drawn by people, so there are few.
    """
    flows = await context.database.read(list_flows, caller.workspace_id)
    return FlowList(
        data=[
            FlowSummary(
                flow_id=flow.id,
                title=flow.title,
                description=flow.description,
                version=flow.live_version,
                url=endpoint_path(flow.id),
            )
            for flow in flows
            if flow.live_version is not None and (caller.flow_ids is None or flow.id in caller.flow_ids)
        ]
    )


# the previous URL of the document, kept for existing callers
@router.get("/flows/{flow_id}/openapi.json", include_in_schema=False)
@router.get(
    "/openapi/flows/{flow_id}.json",
    operation_id="get_flow_openapi",
    summary="OpenAPI of one flow",
    response_model=dict[str, Any],
    response_description="OpenAPI of one flow",
    responses=refusals(errors.NotAllowed, errors.NotFound, errors.NotDeployed),
    tags=["documents"],
)
async def flow_openapi(caller: ByKey, context: FromApp, request: Request, flow_id: FlowId) -> Response:
    """The document of this flow alone, with its own request and result schema."""
    contract = await context.database.read(read_contract, caller, flow_id)
    whole, base_url = request.app.openapi(), context.base_url(request)
    content = await asyncio.to_thread(lambda: dump(flow_document(whole, contract, base_url)))
    return json_answer(context.large, caller.workspace_id, content)


@router.get(
    "/openapi.json",
    operation_id="get_openapi",
    summary="OpenAPI of the whole public API",
    response_model=dict[str, Any],
    response_description="OpenAPI of the whole public API",
    dependencies=[ByAnybody],
    responses=refusals(by_key=False),
    tags=["documents"],
    openapi_extra={"security": []},
)
async def api_openapi(context: FromApp, request: Request) -> Response:
    """This document: every call, what it takes and what it answers."""
    content = dump(served_at(request.app.openapi(), context.base_url(request)))
    return json_answer(context.large, network_of(request.client.host if request.client else ""), content)


def read_contract(session: Session, caller: Caller, flow_id: str) -> FlowContract:
    """Returns the parameters and the result of the live version. Raises NotFound, NotAllowed, NotDeployed."""
    version = choose_version(session, find_live_flow(session, caller, flow_id), None)
    flow = get_flow(session, caller.workspace_id, flow_id)
    document = load_document(get_version(session, caller.workspace_id, flow.id, version).document)
    return contract_of(document, flow_id=flow.id, title=flow.title, description=flow.description, version=version)
