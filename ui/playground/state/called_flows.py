"""The flows that a flow calls, for the Playground and the job page. Imports no NiceGUI."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field
from sqlalchemy.orm import Session

from engine.actions.called_flows import live_pins, read_inner, read_library
from engine.core.errors import Problem
from engine.flow.called_flows import (
    Callee,
    call_problems,
    called_id,
    called_ids,
    calls_of,
    is_known,
    newer_version,
    pinned,
)
from engine.flow.document import Document, Node
from storage.flows import list_flows
from ui.kit.text import _


class CalledFlows(Struct, frozen=True):
    """The called flows as last loaded.

    `asked`: the ids that were looked up; `pins`: node -> version that the live API calls.

    `inner`: step name -> node of the called flow, for example `call_flow.prompt`.
    """

    library: Mapping[str, Callee] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    pins: Mapping[str, int] = field(default_factory=dict)
    inner: Mapping[str, Node] = field(default_factory=dict)

    def knows(self, document: Document) -> bool:
        """True when every flow that the document calls was loaded."""
        return is_known(document, self.asked)

    def problems(self, document: Document, flow_id: str) -> list[Problem]:
        """The problems of the calls, as far as the called flows are loaded."""
        return call_problems(document, flow_id, self.library) if self.knows(document) else []

    def summaries(self, document: Document) -> dict[str, str]:
        """The summary line of each node that calls a flow: title and version, and whether a newer version is live."""
        found = {}
        for node in calls_of(document):
            callee = self.library.get(called_id(node))
            if callee is None:
                continue
            pin = self.pins.get(node.id)
            newer = newer_version(node, pin, self.library)
            version = f"v{pin if newer else callee.version}" if callee.version else _("not saved")
            found[node.id] = f"{callee.title}, {version}" + (
                " " + _("(newer: v{newer})").format(newer=newer) if newer else ""
            )
        return found


def load_called_flows(session: Session, workspace_id: str, flow_id: str, document: Document) -> CalledFlows:
    """Loads the flows that a document calls."""
    if not called_ids(document):
        return CalledFlows()
    library = read_library(session, workspace_id, document)
    return CalledFlows(
        library,
        frozenset(called_ids(document)) | frozenset(library),
        live_pins(session, workspace_id, flow_id),
        read_inner(session, workspace_id, pinned(document, library)),
    )


def choices(session: Session, workspace_id: str, flow_id: str) -> list[tuple[str, str]]:
    """The flows that can be called: every saved flow except this one, with the version that a call would run."""
    return [
        (
            flow.id,
            (
                _("{title} (version {live_version}, live)")
                if flow.live_version
                else _("{title} (version {live_version})")
            ).format(title=flow.title, live_version=flow.live_version or flow.newest_version),
        )
        for flow in list_flows(session, workspace_id)
        if flow.newest_version and flow.id != flow_id
    ]
