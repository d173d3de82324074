"""What the inspector shows of a called flow: the flows that can be chosen, the flow's fields, and the version that
runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from nicegui import ui

from engine.flow.called_flows import CALL_FLOW, Callee, called_id, newer_version
from engine.flow.document import Node
from ui.forms.specs import FieldSpec
from ui.kit.parts import link, note, words
from ui.kit.text import _
from ui.page_session import PageSession
from ui.parts.open_drafts import OpenDraft
from ui.playground.state.called_flows import CalledFlows, choices, load_called_flows


class CalledFields:
    """The called flow of one node. Empty when the node is not a Call Flow."""

    def __init__(self, page_session: PageSession, draft: OpenDraft, node: Node) -> None:
        self.page_session = page_session
        self.draft = draft
        self.node_id = node.id
        self.is_call = node.type == CALL_FLOW
        self.calls = CalledFlows()
        #: Id of the flow whose fields are drawn.
        self.shown = called_id(node)

    async def load(self) -> None:
        """Loads the flow that is called now."""
        if self.is_call:
            self.calls = await self.page_session.query(load_called_flows, self.draft.flow_id, self.draft.document)

    async def offered(self, specs: list[FieldSpec]) -> list[FieldSpec]:
        """Replaces the flow setting's field with a list of the flows that can be chosen."""
        if not self.is_call:
            return specs
        flows = await self.page_session.query(choices, self.draft.flow_id)
        if self.shown and self.shown not in dict(flows):
            flows.append((self.shown, _("A flow that is not there any more")))
        return [replace(one, kind="select", choices=tuple(flows)) if one.name == "flow_id" else one for one in specs]

    def fields(self, node: Node) -> Sequence[Mapping[str, Any]] | None:
        """The fields of the called flow; None when the node is not a Call Flow."""
        if not self.is_call:
            return None
        self.shown = called_id(node)
        callee = self._callee(node)
        return callee.fields if callee else []

    def is_stale(self, node: Node) -> bool:
        """True when the node calls another flow than the one whose fields are drawn."""
        return self.is_call and called_id(node) != self.shown

    def draw(self, node: Node) -> None:
        """Draws which version runs, and a note when a newer version is live."""
        callee = self._callee(node)
        if callee is None:
            if not called_id(node):
                words(_("Choose a flow: what it needs as input stands here then."), "fp-t2", tag="p")
            return
        pin = self.calls.pins.get(node.id)
        if newer := newer_version(node, pin, self.calls.library):
            said = _(
                "version {newer} of “{title}”. The live API calls version {pin}; Update API takes the newer one over."
            ).format(newer=newer, title=callee.title, pin=pin)
            note(said, kind="warn", icon="update", strong=_("There is a newer version:"))
        elif callee.version:
            words(
                _(
                    "Runs version {version}. When you deploy, this API keeps that version: later changes of the called flow do not change it."
                ).format(version=callee.version),
                "fp-hint",
                tag="p",
            )
        with ui.element("div"):
            link(_("Open {title}").format(title=callee.title), f"/playground/{callee.flow_id}", new_tab=True)

    def _callee(self, node: Node) -> Callee | None:
        return self.calls.library.get(called_id(node))
