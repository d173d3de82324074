"""The payload shown to people of the workspace in code and forms for a flow: real where there is a real one. Never for docs."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from engine.flow.contract import api_input, check_payload, input_fields, sample_payload
from engine.flow.document import Document
from storage.jobs import find_last_run_payload


def example_payload(session: Session, workspace_id: str, flow_id: str, document: Document) -> dict[str, Any]:
    """A payload that fits: the flow's first sample, else what the last completed Playground run was given, else a made-up one."""
    node = api_input(document)
    if node is not None and not node.config.get("samples"):
        fields = input_fields(document)
        tried = find_last_run_payload(session, workspace_id, flow_id)
        names = {str(field.get("name")) for field in fields}
        if isinstance(tried, dict):
            known = {name: value for name, value in tried.items() if name in names and value is not None}
            if known and not check_payload(fields, known)[1]:
                return known
    return sample_payload(document)
