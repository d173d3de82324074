"""The flows a key may call, and the OpenAPI documents."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from api import parameters
from api.context import Context
from api.job_view import dump
from api.openapi import FlowContract, api_document, flow_document
from engine.actions.deployments import endpoint_path
from engine.flow.contract import input_fields, payload_schema, result_schema, sample_payload
from engine.flow.document import load_document
from engine.jobs.accept import Caller, choose_version, find_live_flow
from engine.nodes import CATALOG
from storage.flows import get_flow, get_version, list_flows


async def list_callable_flows(context: Context, request: Request) -> Response:
    """`GET /flows`: deployed flows that this key may call."""
    caller = context.caller(request)
    parameters.query(request)
    flows = await context.database.read(list_flows, caller.workspace_id)
    data = [
        {
            "flow_id": flow.id,
            "title": flow.title,
            "description": flow.description,
            "version": flow.live_version,
            "url": endpoint_path(flow.id),
        }
        for flow in flows
        if flow.live_version is not None and (caller.flow_ids is None or flow.id in caller.flow_ids)
    ]
    return _json({"data": data})


async def flow_openapi(context: Context, request: Request) -> Response:
    """`GET /flows/{flow_id}/openapi.json`: the live version's document."""
    caller = context.caller(request)
    parameters.query(request)
    contract = await context.database.read(read_contract, caller, request.path_params["flow_id"])
    return _json(await asyncio.to_thread(flow_document, contract, context.base_url(request)))


async def api_openapi(context: Context, request: Request) -> Response:
    """`GET /openapi.json`: the whole public API."""
    context.caller(request)
    parameters.query(request)
    return _json(api_document(context.base_url(request)))


def read_contract(session: Session, caller: Caller, flow_id: str) -> FlowContract:
    """What the live version takes and gives. Raises NotFound, NotAllowed, NotDeployed."""
    version = choose_version(session, find_live_flow(session, caller, flow_id), None)
    flow = get_flow(session, caller.workspace_id, flow_id)
    document = load_document(get_version(session, caller.workspace_id, flow.id, version).document)
    return FlowContract(
        flow_id=flow.id,
        title=flow.title,
        description=flow.description,
        version=version,
        request=payload_schema(input_fields(document), with_null=True),
        result=result_schema(document, CATALOG),
        sample=sample_payload(document),
    )


def _json(body: dict[str, Any]) -> Response:
    return Response(dump(body), headers={"Cache-Control": "no-store"}, media_type="application/json")
