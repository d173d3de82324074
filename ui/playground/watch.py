"""A running job as the canvas shows it: what changed since the last look, per node. No NiceGUI here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from storage.jobs import JobRow, get_job
from storage.steps import StepRow, list_steps
from ui.look.text import ENGLISH, Reader, _, duration

#: Step status -> state on the canvas.
STATES = {"running": "running", "completed": "done", "failed": "failed", "skipped": "skipped", "cancelled": "cancelled"}


@dataclass(frozen=True)
class Look:
    """A job and its steps at one moment."""

    job: JobRow
    steps: tuple[StepRow, ...]


def look_at(session: Session, workspace_id: str, job_id: str, seen_seq: int = -1) -> Look | None:
    """The job with its steps, or None when nothing happened since event number `seen_seq`."""
    job = get_job(session, workspace_id, job_id)
    if job.last_seq == seen_seq and not job.ended:
        return None
    return Look(job, tuple(list_steps(session, workspace_id, job_id)))


def statuses(look: Look, node_ids: Sequence[str], reader: Reader = ENGLISH) -> dict[str, dict[str, Any]]:
    """What each node shows: `{state, word, time, done, total, message}` (canvas.md)."""
    by_node: dict[str, list[StepRow]] = defaultdict(list)
    for step in look.steps:
        by_node[step.node_id].append(step)
    shown = {}
    for node_id in node_ids:
        steps = by_node.get(node_id)
        if steps:
            shown[node_id] = _status(steps, reader)
        elif not look.job.ended:
            shown[node_id] = {"state": "waiting", "word": _("Waiting"), "time": "", "message": ""}
    return shown


def _status(steps: list[StepRow], reader: Reader) -> dict[str, Any]:
    worst = next(
        (status for status in ("failed", "running", "cancelled") if any(step.status == status for step in steps)), None
    )
    status = worst or ("skipped" if all(step.status == "skipped" for step in steps) else "completed")
    ended = [step for step in steps if step.ended_at is not None]
    spent = sum(step.duration_ms or 0 for step in ended) / 1000
    failed = next((step for step in steps if step.status == "failed"), None)
    several = len(steps) > 1 or bool(steps[0].index_path)
    words = {"completed": _("Done"), "running": _("Running"), "failed": _("Failed"), "skipped": _("Skipped")}
    return {
        "state": STATES[status],
        "word": f"{len(ended)} of {len(steps)}" if several else words.get(status, _("Cancelled")),
        "time": duration(spent, reader) if ended else "",
        "done": len(ended),
        "total": len(steps) if several else 0,
        "message": str((failed.error or {}).get("message", "")) if failed else "",
    }
