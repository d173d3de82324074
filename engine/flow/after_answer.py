"""What a flow does after a person has answered the question of one of its steps. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from engine.flow.called import AGENT
from engine.flow.document import Document

#: The ports of an Approval.
APPROVED, REFUSED = "approved", "refused"


@dataclass(frozen=True)
class AfterAnswer:
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
    ahead = [edge.target for edge in document.edges if edge.source == node_id and edge.source_port == side]
    return AfterAnswer(next_steps=tuple(one.name for one in document.nodes if one.id in ahead))
