"""The card of a failed step or run, with a link to the field at fault and a button to run again from there."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from engine.flow.document import Document, Node
from engine.flow.edits import Op, update_node
from engine.nodes import CATALOG
from engine.outbound.practice_site import PRACTICE_HOST
from ui.kit import feedback
from ui.kit.parts import button
from ui.kit.text import _

Fix = Callable[[str, str], Awaitable[None]]
RunFrom = Callable[[str], Awaitable[None]]

#: Codes of connections that failed: no field of the step is likely wrong.
_NOT_REACHED = frozenset({"connect_failed", "timed_out"})
PRACTICE = f"https://{PRACTICE_HOST}/"


async def _practise(node: Node, edit: Callable[[Sequence[Op]], Awaitable[Any]]) -> None:
    """Puts the address of the practice site, which always answers, into the step."""
    if await edit([update_node(node, inputs={**node.inputs, "url": PRACTICE})]):
        feedback.told(
            _("{step} opens the practice site now.").format(step=node.name),
            _("It is the site of a small bakery that always answers. Press Run to try it; Undo takes it back."),
        )


def failure_card(
    error: Mapping[str, Any],
    document: Document,
    *,
    job_id: str | None,
    on_fix: Fix | None,
    on_run_from: RunFrom | None,
    edit: Callable[[Sequence[Op]], Awaitable[Any]] | None = None,
) -> None:
    """Draws the card into the current container. People who may only read get no buttons."""
    node_id = error.get("node_id")
    node = document.node(node_id) if isinstance(node_id, str) else None
    label = node.name if node is not None else str(error.get("node_label") or _("The run"))
    text = json.dumps(dict(error), ensure_ascii=False, indent=2)
    card = feedback.error_card(
        _("{label} failed").format(label=label),
        happened=str(error.get("message", "")),
        why=str(error.get("why", "")),
        todo=str(error.get("remedy", "")),
        copy_label=_("Copy with job id"),
        copy_text=f"{job_id or ''}\n{text}".strip(),
    )
    if node is None:
        return
    fixed = node.id
    pointer = str(error.get("pointer") or "") or first_field(document, fixed)
    with card.actions:
        if on_fix is not None:
            if edit is not None and error.get("code") in _NOT_REACHED and "url" in node.inputs:
                button(_("Try the practice site"), lambda: _practise(node, edit), icon="travel_explore", small=True)
            elif error.get("code") not in _NOT_REACHED:
                button(_("Fix it"), lambda: on_fix(fixed, pointer), icon="build", small=True)
            if node.type not in {"api_input", "api_output"} and node.policy.on_error != "use_default":
                button(
                    _("Go on with a default text"), lambda: on_fix(fixed, "/policy/default"), icon="edit", small=True
                )
        if on_run_from is not None and node.type != "api_input":
            button(_("Run from here"), lambda: on_run_from(fixed), icon="resume", small=True)


def first_field(document: Document, node_id: str) -> str:
    """The field to open when a failure names none: the first input with a value, else the first setting."""
    node = document.node(node_id)
    kind = CATALOG.get(node.type) if node is not None else None
    if node is None or kind is None:
        return ""
    names = [*kind.inputs.model_fields, *(name for name in node.inputs if kind.free_form)]
    bound = next((name for name in names if node.inputs.get(name) not in (None, "")), None)
    if bound is not None:
        return f"/inputs/{bound}"
    first = next(iter([*names, *kind.config.model_fields]), None)
    return "" if first is None else f"/{'inputs' if first in names else 'config'}/{first}"
