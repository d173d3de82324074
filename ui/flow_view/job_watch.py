"""A running job as the canvas shows it: the changes per node since the last reading. Imports no NiceGUI."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.flow.document import Document
from engine.flow.graph import Graph
from engine.jobs.worker.plan_loader import trimmed
from engine.run.steps import INNER
from storage.jobs import JobRow, get_job
from storage.steps import StepRow, list_steps
from ui.flow_view.list_frames import lists_of
from ui.kit.text import ENGLISH, Reader, _, duration, number

#: Status of a step -> state of its node on the canvas.
STATES = {
    "running": "running",
    "waiting": "waiting",
    "completed": "done",
    "failed": "failed",
    "skipped": "skipped",
    "cancelled": "cancelled",
}


class Look(Struct, frozen=True):
    """A job and its steps at one moment."""

    job: JobRow
    steps: tuple[StepRow, ...]


def look_at(session: Session, workspace_id: str, job_id: str, seen_seq: int = -1) -> Look | None:
    """Reads the job with its steps; None when there is no event after number `seen_seq`."""
    job = get_job(session, workspace_id, job_id)
    if job.last_seq == seen_seq and not job.ended:
        return None
    return Look(job, tuple(list_steps(session, workspace_id, job_id)))


def seen_seq(look: Look) -> int:
    """Returns what `look_at` is given at the next time.

    No event tells that a job is set aside, a moment after it asked a person: until then all of it is read again.
    """
    return -1 if look.job.questions and not look.job.waits_for_person else look.job.last_seq


def statuses(look: Look, document: Document, reader: Reader = ENGLISH) -> dict[str, dict[str, Any]]:
    """The state of each node for the canvas: `{state, word, time, done, total, message}`."""
    by_node: dict[str, list[StepRow]] = defaultdict(list)
    for step in look.steps:
        by_node[step.node_id].append(step)
    lists = lists_of(document)
    until = (look.job.run_options or {}).get("until")
    wanted = {node.id for node in trimmed(document, until).nodes} - Graph(document).parked if not look.job.ended else ()
    shown = {}
    for node in document.nodes:
        steps = by_node.get(node.id)
        if not steps:
            if node.id in wanted:
                shown[node.id] = {"state": "waiting", "word": _("Waiting"), "time": "", "message": ""}
        elif node.id in lists and (total := _items(by_node[lists[node.id]])):
            shown[node.id] = _item_status(steps, total, look, reader)
        else:
            shown[node.id] = _status(steps, reader)
    return shown


def item_paths(look: Look, node_id: str) -> list[str]:
    """The index paths of a node that has steps for items, in the order of the items."""
    steps = [step for step in look.steps if step.node_id == node_id and step.index_path]
    return [step.index_path for step in sorted(steps, key=lambda step: step.index)]


def step_of(look: Look, node_id: str, index_path: str | None = None) -> StepRow | None:
    """Finds a step of a node: the one of this item; without an item the first that failed, else the first."""
    steps = sorted((step for step in look.steps if step.node_id == node_id), key=lambda step: step.index)
    if index_path is not None:
        return next((step for step in steps if step.index_path == index_path), None)
    return next((step for step in steps if step.status == "failed"), steps[0] if steps else None)


def items_around(document: Document, steps: Sequence[StepRow], step: StepRow) -> int | None:
    """Returns how many items the innermost list around a step has; None when it is not known."""
    splitter = lists_of(document).get(step.node_id.partition(INNER)[0])
    outer = step.index[:-1]
    return next((one.items for one in steps if one.node_id == splitter and one.index == outer), None)


def _items(splitter: list[StepRow]) -> int:
    """The number of items, as far as it is known."""
    return sum(step.items or 0 for step in splitter)


def _item_status(steps: list[StepRow], items: int, look: Look, reader: Reader) -> dict[str, Any]:
    """The state of a node that runs once per item, with the number of items that are done.

    The node failed when all its items failed, or when one failed and made the job fail.
    """
    mine = [step for step in steps if step.index_path] or steps
    over = [step for step in mine if step.ended_at is not None]
    failed = [step for step in over if step.error]
    total = max(items, len(mine))
    message = _first_message(failed)
    if failed and total > 1:
        message = _("{count} of {total} failed: {message}").format(
            count=number(len(failed), reader), total=number(total, reader), message=message
        )
    blamed = (look.job.error or {}).get("node_id") == mine[0].node_id
    if len(failed) == total or (failed and blamed):
        state = "failed"
    elif not look.job.ended and len(over) < total:
        state = "waiting" if look.job.waits_for_person and any(step.status == "waiting" for step in mine) else "running"
    elif any(step.status == "cancelled" for step in mine):
        state = "cancelled"
    else:
        state = "skipped" if all(step.status == "skipped" for step in mine) else "done"
    done = len(over) if state in {"running", "waiting"} else sum(step.status == "completed" for step in over)
    return {
        "state": state,
        "word": _("{done} of {total}").format(done=number(done, reader), total=number(total, reader)),
        "time": duration(sum(step.duration_ms or 0 for step in over) / 1000, reader) if over else "",
        "done": len(over),
        "total": total,
        "message": message,
    }


def _status(steps: list[StepRow], reader: Reader) -> dict[str, Any]:
    """The state of a node that runs once. For a Splitter the words name the number of items."""
    step = steps[-1]
    words = {
        "completed": _("Done"),
        "running": _("Running"),
        "waiting": _("Waits for a person"),
        "failed": _("Failed"),
        "skipped": _("Skipped"),
    }
    word = _("Reused") if step.reused else words.get(step.status, _("Cancelled"))
    if step.items is not None and step.status == "completed":
        word = (_("{items} item") if step.items == 1 else _("{items} items")).format(items=number(step.items, reader))
    if step.went_on:
        word = _("Failed, skipped") if step.status == "skipped" else _("Failed, default used")
    return {
        "state": "failed" if step.went_on else STATES[step.status],
        "word": word,
        "time": "" if step.ended_at is None or step.reused else duration((step.duration_ms or 0) / 1000, reader),
        "done": int(step.ended_at is not None),
        "total": 0,
        "message": _first_message(steps) if step.error else "",
    }


def _first_message(steps: Sequence[StepRow]) -> str:
    return next((str(step.error.get("message", "")) for step in steps if step.error), "")
