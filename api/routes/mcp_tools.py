"""The tools of `/mcp` and their schemas: one per offered flow, and two for the jobs that their calls create."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from msgspec import Struct
from sqlalchemy.orm import Session

from api.docs.openapi import slug_of
from api.http.schemas import Status
from engine.flow.contract import payload_schema
from engine.flow.node_context import JsonSchema
from engine.jobs.submit.accept import Caller
from engine.jobs.submit.bodies import read_version
from storage.flows import list_flows

#: The flow setting that offers a flow as a tool.
OFFERED = "mcp"
MAX_NAME = 60
GET_JOB, CANCEL_JOB = "get_job", "cancel_job"
#: The input schema of both tools for jobs.
JOB_INPUT: JsonSchema = {
    "type": "object",
    "properties": {"job_id": {"type": "string", "description": "The job_id that a flow's tool answered with."}},
    "additionalProperties": False,
    "required": ["job_id"],
}
#: The output schema of a tool that returns a job.
JOB_OUTPUT: JsonSchema = {
    "type": "object",
    "properties": {
        "job_id": {"type": "string"},
        "status": {"enum": list(get_args(Status)), "description": "`queued` and `processing`: not ended yet."},
        "waiting_for": {"enum": ["person"], "description": "The job waits for a person's answer, which may take days."},
        "steps_done": {"type": "integer"},
        "steps_total": {"type": "integer"},
        "steps_failed": {"type": "integer", "description": "More than 0 in a completed job: it went on without them."},
        "simulated": {
            "type": "boolean",
            "description": "True when an answer came from the Simulated model: it is made up.",
        },
        "result": {
            "description": "What the flow returned, of a completed job; null when its data were erased, or when it is too large."
        },
        "result_truncated": {
            "type": "boolean",
            "description": "True when the result has more than 256 KiB and is left out.",
        },
        "error": {
            "type": "object",
            "description": "Why a failed job failed.",
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
            "required": ["code", "message"],
        },
        "data_erased_at": {"type": "string", "description": "When the data of the job were erased, if they were."},
    },
    "required": ["job_id", "status", "steps_done", "steps_total"],
}


class FlowTool(Struct, frozen=True):
    """A flow as a tool. `schema` is the JSON Schema of its payload, `result` that of the results of its jobs."""

    name: str
    flow_id: str
    title: str
    description: str
    schema: JsonSchema
    result: JsonSchema

    @property
    def output(self) -> JsonSchema:
        """The output schema: the result, or the job while it runs."""
        return {"type": "object", "anyOf": [self.result, JOB_OUTPUT]}


def list_flow_tools(session: Session, caller: Caller) -> list[FlowTool]:
    """Returns the flows that this key may call as tools, oldest first and with unique names."""
    tools: list[FlowTool] = []
    taken = {GET_JOB, CANCEL_JOB}
    for flow in sorted(list_flows(session, caller.workspace_id), key=lambda flow: flow.created_at):
        if flow.live_version is None or not flow.settings.get(OFFERED):
            continue
        name = slug_of(flow.title, flow.id)[:MAX_NAME]
        name = f"{name[: MAX_NAME - 9]}_{flow.id[-8:].lower()}" if name in taken else name
        taken.add(name)
        if caller.flow_ids is not None and flow.id not in caller.flow_ids:
            continue
        version = read_version(session, flow.id, flow.live_version)
        said = flow.description or f"Runs the flow “{flow.title}”."
        result = _without_patterns(version.result)
        tools.append(FlowTool(name, flow.id, flow.title, said, payload_schema(version.fields, as_sent=True), result))
    return tools


def job_content(view: Mapping[str, Any]) -> dict[str, Any]:
    """Converts a published job (`engine.jobs.job_views`) to the form of `JOB_OUTPUT`."""
    told = {"job_id": view["job_id"], "status": view["status"]}
    told |= {name: view["progress"][name] for name in ("steps_done", "steps_total")}
    told["simulated"] = view["simulated"]
    if view["waiting_for"]:
        told["waiting_for"] = view["waiting_for"]
    if view["status"] == "completed":
        told |= {"result": view["result"], "steps_failed": view["steps_failed"]}
    if view.get("result_truncated"):
        told["result_truncated"] = True
    if view["error"]:
        told["error"] = {name: view["error"][name] for name in ("code", "message")}
    if view["data_erased_at"]:
        told["data_erased_at"] = view["data_erased_at"]
    return told


def fits(schema: JsonSchema, value: Any) -> bool:
    """Tells whether a value is valid for a schema, as clients check it."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema).is_valid(value)


def _without_patterns(schema: Any) -> Any:
    """Returns a schema without patterns, because they are RE2 patterns, which the regular expression engine of a client
    may not support.
    """
    if isinstance(schema, dict):
        kept = {name: part for name, part in schema.items() if name != "pattern" or not isinstance(part, str)}
        return {name: _without_patterns(part) for name, part in kept.items()}
    return [_without_patterns(part) for part in schema] if isinstance(schema, list) else schema
