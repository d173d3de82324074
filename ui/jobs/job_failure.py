"""The card of a failed job: what happened, why, what to do, and the retry with what it will run."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from storage.jobs import JobRow
from ui.kit import feedback
from ui.kit.parts import button, link_button, words
from ui.kit.text import _


def draw_failure(
    job: JobRow, *, version: str, can_change: bool, can_retry: bool, on_retry: Callable[[str], Awaitable[None]]
) -> None:
    """Draws the card in the current slot. `version` names what a retry runs; `on_retry(node id)` starts it."""
    error = job.error or {}
    node_id = str(error.get("node_id") or "")
    label = str(error.get("node_label") or node_id)
    text = json.dumps({"job_id": job.id, **error}, ensure_ascii=False, indent=2)
    box = feedback.error_card(
        f"{label} {_('failed')}" if label else _("The job failed"),
        happened=str(error.get("message") or _("The job failed.")),
        why=str(error.get("why") or ""),
        todo=str(error.get("remedy") or ""),
        code=str(error.get("code") or ""),
        technical=text,
        copy_label=_("Copy with job id"),
        copy_text=text,
    )
    with box.actions:
        if can_retry:
            retry = f"{_('Retry from')} {label} {_('with')} {version}"
            button(retry, lambda: on_retry(node_id), icon="replay", kind="main")
        if node_id and can_change:
            link_button(f"{_('Change')} {label}", f"/playground/{job.flow_id}?node={node_id}", icon="tune")
    if can_retry:
        with box:
            words(_about_retry(job, version), "fp-hint fp-retry-hint", tag="p")


def _about_retry(job: JobRow, version: str) -> str:
    """Explains what a retry does, before it is started."""
    kept = _("What the steps before it gave is kept; it and the steps after it run again.")
    if job.environment == "playground":
        return f"{_('The retry is a new run of the same canvas.')} {kept}"
    return (
        f"{_('The retry is a run in the Playground with')} {version}: "
        f"{_('the caller does not get its result, this job stays failed, and it takes no request of the plan.')} {kept}"
    )
