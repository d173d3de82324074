"""Edits of a draft that follow from refused calls: an unknown field that callers sent becomes an optional field.

The edit goes through the open draft, so that every Playground tab shows it at once. Callers can use the field after the
next deployment.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Mapping

import jsonpointer
from cachetools import LRUCache, cached
from msgspec import Struct
from sqlalchemy.orm import Session

from engine.core.error_codes import RefusalCode
from engine.core.errors import NotFound, Problem
from engine.flow.accept_field import accept_field_ops, has_field, make_optional_ops, take_back_ops
from engine.flow.contract import input_fields
from engine.flow.document import Document, load_document
from engine.flow.edits import Op
from engine.nodes import CATALOG
from storage.flows import get_draft, get_version, list_flows
from storage.refusals import RefusedRow
from ui.kit import feedback
from ui.kit.text import _, type_word
from ui.page_session import PageSession
from ui.parts.mending import ops_to_mend
from ui.parts.open_drafts import drafts_of

#: The client id of these edits, from which tabs see that none of them made the edit.
_CLIENT = "refused calls"


class UnknownField(Struct, frozen=True):
    """A field that a caller sent and the flow does not have.

    `sent` is its JSON type, empty when it was null or is unknown.
    """

    flow_id: str
    name: str
    sent: str

    @property
    def word(self) -> str:
        """The type that the field gets, in words: `Text`, `Whole number`."""
        return type_word(self.sent or "string")


def unknown_fields_of(call: RefusedRow) -> tuple[UnknownField, ...]:
    """The fields that a refused call sent at the top level and its flow does not have, each once."""
    found = (unknown_field(call, field) for field in call.fields)
    return tuple(dict.fromkeys(field for field in found if field is not None))


def unknown_field(call: RefusedRow, field: Mapping[str, str]) -> UnknownField | None:
    """Returns a wrong field of a call as one that the flow could get; None when it is no unknown field of the top level."""
    if call.code != RefusalCode.VALIDATION_FAILED or not call.flow_id:
        return None
    parts = str(field.get("pointer", "")).split("/")[1:]
    if len(parts) == 3 and parts[0] == "items" and parts[1].isdigit():
        parts = parts[2:]  # the call was an item of a batch
    if field.get("code") != "unknown_field" or len(parts) != 1:
        return None
    name = jsonpointer.unescape(parts[0])
    whole = len(str(field.get("pointer", ""))) < 200  # longer pointers are stored in part
    return UnknownField(call.flow_id, name, str(field.get("sent") or "")) if name.strip() and whole else None


def draft_fields(session: Session, workspace_id: str, flow_ids: Collection[str]) -> dict[str, frozenset[str]]:
    """Flow id -> names of its draft's API Input fields; deleted flows are left out."""
    found = {}
    for flow in list_flows(session, workspace_id) if flow_ids else ():
        if flow.id in flow_ids:
            with contextlib.suppress(NotFound):
                found[flow.id] = _fields_of_draft(session, workspace_id, flow.id, flow.draft_revision)
    return found


@cached(LRUCache(256), key=lambda *arguments: arguments[1:], lock=threading.Lock())
def _fields_of_draft(session: Session, workspace_id: str, flow_id: str, revision: int) -> frozenset[str]:
    """Names of a draft's API Input fields. Cached, because drafts are large and pages ask every second. Raises NotFound."""
    text = get_draft(session, workspace_id, flow_id).document
    return frozenset(str(field.get("name")) for field in input_fields(load_document(text)))


def asked_types(session: Session, workspace_id: str, flow_ids: Collection[str]) -> dict[str, dict[str, str]]:
    """Flow id -> name -> type of the fields that callers of its live version send; flows that are not live are left
    out.
    """
    found = {}
    for flow in list_flows(session, workspace_id) if flow_ids else ():
        if flow.id in flow_ids and flow.live_version is not None:
            with contextlib.suppress(NotFound):
                found[flow.id] = _types_of_version(session, workspace_id, flow.id, flow.live_version)
    return found


@cached(LRUCache(256), key=lambda *arguments: arguments[1:], lock=threading.Lock())
def _types_of_version(session: Session, workspace_id: str, flow_id: str, number: int) -> dict[str, str]:
    """Name -> type of a version's API Input fields. Cached, because a version never changes. Raises NotFound."""
    fields = input_fields(load_document(get_version(session, workspace_id, flow_id, number).document))
    return {str(field.get("name")): str(field.get("type") or "string") for field in fields}


def in_draft(field: UnknownField, known: Mapping[str, frozenset[str]]) -> bool | None:
    """True when the draft has the field; None when the flow no longer exists."""
    names = known.get(field.flow_id)
    return None if names is None else field.name in names


async def accept_field(page_session: PageSession, field: UnknownField) -> bool:
    """Adds the field to the draft; a refusal is shown. True when the draft has the field now."""
    return await _accepting(page_session, field, adding=True)


async def take_back(page_session: PageSession, field: UnknownField) -> bool:
    """Removes the added field from the draft (undo)."""
    return await _accepting(page_session, field, adding=False)


async def make_optional(page_session: PageSession, flow_id: str, name: str) -> bool:
    """Makes a field of the draft optional; a refusal is shown. True when the field is optional now."""
    return await _edit(page_session, flow_id, lambda document: make_optional_ops(document, name)) is not None


async def mend_draft(page_session: PageSession, flow_id: str, problem: Problem) -> bool:
    """Presses the button of a warning for the draft; a refusal is shown. True when the draft was edited or is mended."""
    return await _edit(page_session, flow_id, lambda document: ops_to_mend(problem, document, CATALOG)) is not None


async def _accepting(page_session: PageSession, field: UnknownField, *, adding: bool) -> bool:
    after = await _edit(
        page_session,
        field.flow_id,
        lambda document: (
            accept_field_ops(document, field.name, field.sent) if adding else take_back_ops(document, field.name)
        ),
    )
    return after is not None and has_field(after, field.name) is adding


async def _edit(page_session: PageSession, flow_id: str, ops_of: Callable[[Document], list[Op]]) -> Document | None:
    """Changes the shared draft and returns the document; None when the change was refused."""
    with feedback.refusals_told():
        async with drafts_of(page_session.app).borrowed(page_session, flow_id) as draft:
            if ops := ops_of(draft.document):
                await draft.change(page_session, _CLIENT, ops)
            return draft.document
    return None


def where_it_counts() -> str:
    """A sentence that says from when callers can use an accepted field."""
    return _("Callers get it when you deploy the draft: Update API.")
