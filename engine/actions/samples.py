"""Example payloads of a flow for its code samples and forms.

They may contain real data, so public documentation must not use them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from engine.flow.contract import api_input, check_payload, input_fields, sample_payload
from engine.flow.document import Document
from storage.jobs import find_last_run_payload


def example_payload(session: Session, workspace_id: str, flow_id: str, document: Document) -> dict[str, Any]:
    """Returns a valid example payload.

    It is the flow's first sample, otherwise the payload of the last completed Playground run, otherwise generated
    values.
    """
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
