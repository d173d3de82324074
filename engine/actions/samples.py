"""The input that a flow's code samples and forms begin with.

It may be real data, so public documentation must not use it.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy.orm import Session

from engine.actions.keys import TRY_LABEL
from engine.core.environments import Environment
from engine.flow.contract import input_fields, sample_payload
from engine.flow.document import Document
from storage.jobs import find_last_run_payload
from storage.keys import list_keys

#: The longest input that code samples show, in characters of JSON.
LONGEST_EXAMPLE = 20_000


def example_payload(session: Session, workspace_id: str, flow_id: str, document: Document) -> dict[str, Any]:
    """Returns a valid input for code samples and Try it now.

    It is the input of the last run in the Playground or through Try it now that completed, when it is short. Values of
    fields that the flow no longer has are left out; new fields take those of the flow's first sample, or generated
    ones.
    """
    tried = _last_input(session, workspace_id, flow_id, document, completed=True)
    if len(json.dumps(tried, ensure_ascii=False)) > LONGEST_EXAMPLE:
        return sample_payload(document)
    return sample_payload(document, tried)


def next_input(session: Session, workspace_id: str, flow_id: str, document: Document) -> dict[str, Any]:
    """Returns what the Run panel begins with: the input of the last such run, however it ended; fields that it lacks
    take the values of the flow's first sample, or generated ones.
    """
    return sample_payload(document, _last_input(session, workspace_id, flow_id, document, completed=False))


def _last_input(
    session: Session, workspace_id: str, flow_id: str, document: Document, *, completed: bool
) -> dict[str, Any]:
    """The values of the last run for fields that the flow has."""
    keys = [
        key.id
        for key in list_keys(session, workspace_id)
        if key.label == TRY_LABEL and key.environment == Environment.DEV
    ]
    tried = find_last_run_payload(session, workspace_id, flow_id, keys, completed=completed)
    names = {str(field.get("name")) for field in input_fields(document)}
    return (
        {name: value for name, value in tried.items() if name in names and value is not None}
        if isinstance(tried, dict)
        else {}
    )
