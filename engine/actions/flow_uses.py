"""The refusals that keep what flows use: a dataset, a collection of knowledge, another flow."""

from __future__ import annotations

from collections.abc import Sequence

from engine.core.errors import Conflict
from storage.flow_uses import FlowUse


def refuse_rename(uses: Sequence[FlowUse], what: str) -> None:
    """Raises Conflict when a flow finds it by its name. `what`: `dataset`, `collection`."""
    by_name = [use for use in uses if use.by_name]
    if by_name:
        raise Conflict(
            f"{_titles(by_name)} {'finds' if len(by_name) == 1 else 'find'} this {what} by its name",
            remedy=f"Open the flow and its step with the {what}, press “Allow renaming” there, save the flow and, when"
            " it is live, press Update API; then rename it.",
        )


def refuse_delete(uses: Sequence[FlowUse], what: str) -> None:
    """Raises Conflict when a flow uses it. `what`: `dataset`, `collection`, `flow`."""
    if uses:
        raise Conflict(
            f"{_titles(uses)} {'uses' if len(uses) == 1 else 'use'} this {what}",
            remedy=f"Choose another {what} in the nodes of these flows first, or delete it all the same.",
        )


def _titles(uses: Sequence[FlowUse]) -> str:
    shown = ", ".join(f"“{use.title}”" for use in uses[:3])
    return shown if len(uses) <= 3 else f"{shown} and {len(uses) - 3} more flows"
