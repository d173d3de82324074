"""What a flow does after a person has answered the question of one of its steps. Pure."""

from __future__ import annotations

from msgspec import Struct

from engine.flow.called_flows import AGENT
from engine.flow.document import Document

#: A step that only brings ways together does nothing that somebody waits for: what comes after it is named.
_JOINS = "first_value"
#: The type of an Approval, and its ports.
APPROVAL = "approval"
APPROVED, REFUSED = "approved", "refused"


class AfterAnswer(Struct, frozen=True):
    """`agent`: an Agent asked before it called a tool. `next_steps`: the names of the steps that come right after an
    Approval on the side of the answer; None when nothing is known of the step.
    """

    agent: bool = False
    next_steps: tuple[str, ...] | None = None


def after_answer(document: Document, node_id: str, *, approved: bool) -> AfterAnswer:
    """Returns what comes after the answer to a question of this step; of a step that is gone, nothing is known."""
    node = document.node(node_id)
    if node is None or node.type == AGENT:
        return AfterAnswer(agent=node is not None)
    side = APPROVED if approved else REFUSED
    ahead = {edge.target for edge in document.edges if edge.source == node_id and edge.source_port == side}
    ahead = _past_joins(document, ahead)
    return AfterAnswer(next_steps=tuple(one.name for one in document.nodes if one.id in ahead))


def _past_joins(document: Document, ahead: set[str]) -> set[str]:
    joins = {one.id for one in document.nodes if one.type == _JOINS}
    found: set[str] = set()
    looked_at: set[str] = set()
    left = list(ahead)
    while left:
        one = left.pop()
        beyond = {edge.target for edge in document.edges if edge.source == one} if one in joins else set[str]()
        left += beyond - looked_at
        looked_at |= beyond
        if not beyond:
            found.add(one)
    return found
